//! A directory that others may write to: whose bookkeeping is believed, and what its names can reach.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use flask_caching_engine::backend::file::{FileOptions, FileStore};
use flask_caching_engine::{Backend, ErrorKind, Lifetime, Result, Value};
use rustix::fs::{FileType, Mode};
use tempfile::TempDir;

const LIST: &str = "victims.__wz_cache";
const LOCK: &str = "lock.__wz_cache";
const SOMEBODY: u32 = 12345;

/// A cache of two entries in a directory like `/tmp`, beside a file that is none of its business.
struct Shared {
    around: TempDir,
}

impl Shared {
    fn new() -> Self {
        let around = tempfile::tempdir().unwrap();
        let shared = Self { around };
        fs::create_dir(shared.directory()).unwrap();
        fs::set_permissions(shared.directory(), Permissions::from_mode(0o777)).unwrap();
        fs::write(shared.precious(), "precious").unwrap();
        shared
    }

    fn directory(&self) -> PathBuf {
        self.around.path().join("cache")
    }

    fn precious(&self) -> PathBuf {
        self.around.path().join("precious")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    fn open(&self) -> Result<FileStore> {
        FileStore::open(FileOptions {
            threshold: 2,
            ..FileOptions::new(self.directory())
        })
    }

    fn full(&self) -> FileStore {
        let store = self.open().unwrap();
        assert!(set(&store, "a") && set(&store, "b"));
        store
    }

    fn list(&self, names: &[&str]) {
        let metadata = fs::metadata(self.precious()).unwrap();
        let recency = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
        let accessed = metadata.atime() * 1_000_000_000 + metadata.atime_nsec();
        let lines = names
            .iter()
            .map(|name| format!("{} {name}\n", recency.max(accessed)));
        fs::write(self.file(LIST), lines.collect::<String>()).unwrap();
    }

    fn is_precious_whole(&self) -> bool {
        fs::read(self.precious()).is_ok_and(|data| data == b"precious")
    }
}

fn set(store: &FileStore, key: &str) -> bool {
    let value = Value::from(b"value".to_vec());
    store
        .set(key.as_bytes(), &value, Lifetime::Forever)
        .unwrap()
}

/// Gives a file to another user. `false`: only root can.
fn give_away(path: &Path) -> bool {
    chown(path, Some(SOMEBODY), Some(SOMEBODY)).is_ok()
}

#[test]
fn names_in_the_list_of_victims_reach_nothing_but_entries() {
    let shared = Shared::new();
    let store = shared.full();
    let absolute = shared.precious().display().to_string();
    fs::hard_link(shared.precious(), shared.file("README")).unwrap();
    shared.list(&[
        "../precious",
        &absolute,
        "./../precious",
        "README",
        "",
        "..",
    ]);
    assert!(set(&store, "c"));
    assert!(shared.is_precious_whole());
    assert!(shared.file("README").exists());
    assert_eq!(store.paths().unwrap().len(), 2);
}

#[test]
fn a_list_of_victims_of_another_user_is_not_read() {
    let shared = Shared::new();
    let store = shared.full();
    let entry = store.path_of(b"b").unwrap();
    let name = entry.file_name().unwrap().to_str().unwrap();
    let metadata = fs::metadata(&entry).unwrap();
    let recency = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
    let list = format!("{recency} {name}\n");
    fs::write(shared.file(LIST), &list).unwrap();
    fs::set_permissions(shared.file(LIST), Permissions::from_mode(0o666)).unwrap();
    if !give_away(&shared.file(LIST)) {
        return;
    }
    assert!(set(&store, "c"));
    // The least recently used went, not the one that the list names.
    assert!(!store.has(b"a").unwrap());
    assert!(store.has(b"b").unwrap());
}

#[test]
fn hard_links_by_the_names_of_bookkeeping_are_not_written_to() {
    for name in ["list", "lock", "count"] {
        let shared = Shared::new();
        let store = shared.full();
        let path = match name {
            "list" => shared.file(LIST),
            "lock" => shared.file(LOCK),
            // Named by the hash of cachelib's key, which only the engine knows.
            _ => fs::read_dir(shared.directory())
                .unwrap()
                .map(|file| file.unwrap().path())
                .find(|path| {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    name.len() == 64 && !store.paths().unwrap().contains(path)
                })
                .unwrap(),
        };
        // As long as a count, so that its length does not give it away.
        let contents = b"\0\0\0\0\x80\x05J\x02\0\0\0.";
        fs::write(shared.precious(), contents).unwrap();
        let _ = fs::remove_file(&path);
        fs::hard_link(shared.precious(), &path).unwrap();
        let written = store.set(b"c", &Value::default(), Lifetime::Forever);
        assert_eq!(written.is_ok(), name != "lock", "{name}: {written:?}");
        assert_eq!(fs::read(shared.precious()).unwrap(), contents, "{name}");
    }
}

#[test]
fn an_entry_with_a_second_name_is_not_read_where_others_can_give_it_one() {
    let shared = Shared::new();
    let store = shared.full();
    fs::hard_link(store.path_of(b"a").unwrap(), shared.file("kept")).unwrap();
    assert_eq!(store.get(b"a").unwrap(), None);
    assert!(set(&store, "a"));
    assert!(store.get(b"a").unwrap().is_some());
    // In a directory that only its user writes to, a backup may have made the link.
    fs::set_permissions(shared.directory(), Permissions::from_mode(0o755)).unwrap();
    let store = shared.open().unwrap();
    fs::hard_link(store.path_of(b"b").unwrap(), shared.file("backup")).unwrap();
    fs::hard_link(shared.file(LOCK), shared.file("backup of the lock")).unwrap();
    assert!(store.get(b"b").unwrap().is_some());
    assert!(set(&store, "a"));
}

#[test]
fn what_stands_in_place_of_the_lock_is_refused_at_once() {
    let refused = |shared: &Shared, why: &str| {
        let error = shared.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(why), "{error}");
    };
    let pipe = Shared::new();
    let (kind, mode) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
    rustix::fs::mknodat(rustix::fs::CWD, pipe.file(LOCK), kind, mode, 0).unwrap();
    refused(&pipe, "not a regular file");

    let link = Shared::new();
    symlink(link.precious(), link.file(LOCK)).unwrap();
    refused(&link, "symbolic link");

    let foreign = Shared::new();
    fs::write(foreign.file(LOCK), "").unwrap();
    fs::set_permissions(foreign.file(LOCK), Permissions::from_mode(0o666)).unwrap();
    if give_away(&foreign.file(LOCK)) {
        refused(&foreign, "belongs to user 12345");
    }
}

#[test]
fn what_stands_in_place_of_the_list_is_no_list() {
    let shared = Shared::new();
    let store = shared.full();
    let (kind, mode) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
    let _ = fs::remove_file(shared.file(LIST));
    rustix::fs::mknodat(rustix::fs::CWD, shared.file(LIST), kind, mode, 0).unwrap();
    assert!(set(&store, "c"));
    fs::remove_file(shared.file(LIST)).unwrap();
    symlink(shared.precious(), shared.file(LIST)).unwrap();
    assert!(set(&store, "d"));
    assert!(shared.is_precious_whole());
    assert_eq!(store.paths().unwrap().len(), 2);
}

#[test]
fn a_link_to_a_directory_is_followed_where_this_user_or_root_made_it() {
    let shared = Shared::new();
    let link = shared.around.path().join("link");
    symlink(shared.directory(), &link).unwrap();
    assert!(FileStore::open(FileOptions::new(&link)).is_ok());
    if std::os::unix::fs::lchown(&link, Some(SOMEBODY), None).is_err() {
        return;
    }
    let error = FileStore::open(FileOptions::new(&link)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("user 12345"), "{error}");
}

#[test]
fn permissions_given_to_entries_are_not_given_to_bookkeeping() {
    let shared = Shared::new();
    let store = FileStore::open(FileOptions {
        threshold: 2,
        mode: 0o666,
        ..FileOptions::new(shared.directory())
    })
    .unwrap();
    assert!(["a", "b", "c"].iter().all(|key| set(&store, key)));
    let entries = store.paths().unwrap();
    for file in fs::read_dir(shared.directory()).unwrap() {
        let path = file.unwrap().path();
        let mode = fs::metadata(&path).unwrap().mode() & 0o777;
        let expected = if entries.contains(&path) {
            0o666
        } else {
            0o600
        };
        assert_eq!(mode, expected, "{}", path.display());
    }
}
