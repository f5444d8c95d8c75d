//! What the file store does beyond the contract: eviction, bookkeeping, damage, foreign files.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flask_caching_engine::backend::file::{Contents, FileOptions, FileStore, HashMethod};
use flask_caching_engine::{Backend, ErrorKind, Lifetime, Value, clock};
use tempfile::TempDir;

const FOREVER: Lifetime = Lifetime::Forever;

struct Cache {
    directory: TempDir,
    store: FileStore,
}

impl Cache {
    fn new(threshold: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), threshold);
        Self { directory, store }
    }

    fn set(&self, key: &str, data: &str) -> bool {
        let value = Value::from(data.as_bytes().to_vec());
        self.store.set(key.as_bytes(), &value, FOREVER).unwrap()
    }

    fn get(&self, key: &str) -> Option<String> {
        let value = self.store.get(key.as_bytes()).unwrap();
        value.map(|value| String::from_utf8(value.data).unwrap())
    }

    fn path(&self, key: &str) -> PathBuf {
        self.store.path_of(key.as_bytes()).unwrap()
    }

    fn entries(&self) -> usize {
        self.store.paths().unwrap().len()
    }

    fn files(&self) -> HashSet<String> {
        fs::read_dir(self.directory.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn open(directory: &Path, threshold: u64) -> FileStore {
    FileStore::open(FileOptions {
        threshold,
        ..FileOptions::new(directory)
    })
    .unwrap()
}

/// Makes the entry of `key` look as if it was written and used `seconds` after 2020.
fn age(cache: &Cache, key: &str, seconds: u64) {
    let time = UNIX_EPOCH + Duration::from_secs(1_577_836_800 + seconds);
    let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
    File::open(cache.path(key))
        .unwrap()
        .set_times(times)
        .unwrap();
}

fn expiring(path: &Path, seconds: u32, data: &[u8]) {
    let mut file = seconds.to_ne_bytes().to_vec();
    file.extend_from_slice(data);
    fs::write(path, file).unwrap();
}

#[test]
fn the_threshold_holds_and_the_entry_just_written_stays() {
    let cache = Cache::new(10);
    for number in 0..100 {
        let key = number.to_string();
        assert!(cache.set(&key, "value"));
        assert!(cache.get(&key).is_some());
        assert!(cache.entries() <= 10);
        assert_eq!(cache.store.len(), cache.entries() as u64);
    }
    assert_eq!(cache.entries(), 10);
}

#[test]
fn overwriting_evicts_nothing() {
    let cache = Cache::new(3);
    for key in ["a", "b", "c", "a", "b", "c"] {
        cache.set(key, "value");
    }
    assert_eq!(cache.entries(), 3);
    assert!(["a", "b", "c"].iter().all(|key| cache.get(key).is_some()));
}

#[test]
fn the_least_recently_used_goes_first() {
    let cache = Cache::new(4);
    for (at, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
        cache.set(key, "value");
        age(&cache, key, at as u64);
    }
    cache.get("a");
    cache.set("e", "value");
    assert!(!cache.path("b").exists());
    assert!(
        ["a", "c", "d", "e"]
            .iter()
            .all(|key| cache.path(key).exists())
    );
}

#[test]
fn entries_written_in_one_tick_of_the_kernel_go_in_their_order() {
    let cache = Cache::new(4);
    for key in ["a", "b", "c", "d", "e", "f"] {
        cache.set(key, "value");
    }
    assert!(
        ["c", "d", "e", "f"]
            .iter()
            .all(|key| cache.path(key).exists())
    );
}

#[test]
fn a_victim_that_was_used_since_the_scan_is_spared() {
    let cache = Cache::new(32);
    for number in 0..32 {
        cache.set(&number.to_string(), "value");
        age(&cache, &number.to_string(), number);
    }
    // The scan lists all, 0 first.
    cache.set("new", "value");
    assert!(!cache.path("0").exists());
    cache.get("1");
    cache.set("newer", "value");
    assert!(cache.path("1").exists());
    assert!(!cache.path("2").exists());
}

#[test]
fn what_expired_goes_before_what_lives() {
    let cache = Cache::new(4);
    for (at, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
        cache.set(key, "value");
        age(&cache, key, at as u64);
    }
    expiring(&cache.path("d"), 1, b"value");
    cache.set("e", "value");
    assert!(!cache.path("d").exists());
    assert_eq!(cache.entries(), 4);
}

#[test]
fn a_lower_threshold_is_reached_at_the_next_write() {
    let cache = Cache::new(50);
    for number in 0..50 {
        cache.set(&number.to_string(), "value");
    }
    let lower = open(cache.directory.path(), 5);
    lower.set(b"new", &Value::default(), FOREVER).unwrap();
    assert_eq!(cache.entries(), 5);
    assert!(lower.has(b"new").unwrap());
}

#[test]
fn a_wrong_count_is_put_right() {
    let cache = Cache::new(10);
    for number in 0..10 {
        cache.set(&number.to_string(), "value");
    }
    let count_file: Vec<String> = cache
        .files()
        .into_iter()
        .filter(|name| {
            let path = cache.directory.path().join(name);
            name.len() == 64 && !cache.store.paths().unwrap().contains(&path)
        })
        .collect();
    let [count_file] = count_file.as_slice() else {
        panic!("one file holds the count, not {count_file:?}");
    };
    let path = cache.directory.path().join(count_file);
    let long = b"garbage that is longer than any count";
    for wrong in [&b"\0\0\0\0\x80\x05M\x10\x27."[..], b"garbage", long, b""] {
        fs::write(&path, wrong).unwrap();
        cache.set(&format!("after {wrong:?}"), "value");
        assert_eq!(cache.entries(), 10);
        assert_eq!(cache.store.len(), 10);
    }
    fs::remove_file(&path).unwrap();
    cache.set("after none", "value");
    assert_eq!((cache.entries(), cache.store.len()), (10, 10));
}

#[test]
fn a_damaged_list_of_victims_is_not_believed() {
    let cache = Cache::new(10);
    for number in 0..12 {
        cache.set(&number.to_string(), "value");
    }
    let foreign = cache.directory.path().join("foreign");
    fs::write(&foreign, "mine").unwrap();
    let list = cache.directory.path().join("victims.__wz_cache");
    for damaged in [
        "",
        "\n",
        "x",
        "1 ../foreign\n",
        "nothing like it",
        "\u{fffd}\n\n",
    ] {
        fs::write(&list, damaged).unwrap();
        assert!(cache.set(&format!("after {damaged:?}"), "value"));
        assert_eq!(cache.entries(), 10);
    }
    assert!(foreign.exists());
}

#[test]
fn expired_entries_are_removed_when_asked_for() {
    let cache = Cache::new(10);
    cache.set("eternal", "value");
    expiring(&cache.path("past"), 100, b"value");
    expiring(&cache.path("later"), 300, b"value");
    let foreign = cache.directory.path().join("foreign");
    fs::write(&foreign, [1, 0, 0, 0]).unwrap();
    let now = Duration::from_secs(200);
    assert_eq!(cache.store.remove_expired(now).unwrap(), 1);
    assert!(cache.path("eternal").exists() && cache.path("later").exists() && foreign.exists());
}

#[test]
fn without_a_threshold_nothing_is_counted_or_evicted() {
    let cache = Cache::new(0);
    for number in 0..600 {
        cache.set(&number.to_string(), "value");
    }
    assert_eq!(cache.entries(), 600);
    assert_eq!(cache.files().len(), 601, "the entries and the lock");
}

#[test]
fn foreign_files_are_left_alone() {
    let cache = Cache::new(2);
    let foreign = [
        "README.txt",
        ".hidden",
        "d41d8cd98f00b204e9800998ecf8427e",
        "tmp.__wz",
    ];
    for name in foreign {
        fs::write(cache.directory.path().join(name), "mine").unwrap();
    }
    fs::create_dir(cache.directory.path().join("directory")).unwrap();
    let reopened = open(cache.directory.path(), 2);
    assert_eq!(reopened.len(), 0);
    for key in ["a", "b", "c"] {
        cache.set(key, "value");
    }
    assert_eq!(cache.entries(), 2);
    assert!(cache.store.clear().unwrap());
    for name in foreign {
        assert_eq!(
            fs::read(cache.directory.path().join(name)).unwrap(),
            b"mine"
        );
    }
    assert!(cache.directory.path().join("directory").is_dir());
}

#[test]
fn what_dead_writers_left_is_swept_and_what_living_ones_write_is_not() {
    let cache = Cache::new(10);
    let draft = |name: &str| {
        let path = cache.directory.path().join(name);
        fs::write(&path, "half").unwrap();
        path
    };
    let dead = draft("new-dead.__wz_cache");
    let living = draft("new-living.__wz_cache");
    let writer = File::open(&living).unwrap();
    writer.lock().unwrap();
    let recent = draft("tmprecent.__wz_cache");
    let old = draft("tmpold.__wz_cache");
    let times = fs::FileTimes::new()
        .set_modified(UNIX_EPOCH)
        .set_accessed(UNIX_EPOCH);
    File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .set_times(times)
        .unwrap();
    open(cache.directory.path(), 10);
    assert!(!dead.exists() && !old.exists());
    assert!(living.exists() && recent.exists());
}

#[test]
fn a_directory_removed_meanwhile_is_made_again() {
    let cache = Cache::new(10);
    cache.set("a", "value");
    fs::remove_dir_all(cache.directory.path()).unwrap();
    assert_eq!(cache.get("a"), None);
    assert!(!cache.store.delete(b"a").unwrap());
    assert!(cache.set("b", "value"));
    assert_eq!(cache.get("b").as_deref(), Some("value"));
    assert_eq!(cache.store.len(), 1);
    fs::remove_dir_all(cache.directory.path()).unwrap();
    assert!(cache.store.clear().unwrap());
    fs::remove_dir_all(cache.directory.path()).unwrap();
    assert_eq!(cache.store.incr(b"n", 1, FOREVER).unwrap(), 1);
}

#[test]
fn a_damaged_file_is_a_miss_and_is_removed() {
    let cache = Cache::new(10);
    cache.set("key", "value");
    let path = cache.path("key");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(cache.get("key"), None);
    assert!(!path.exists());
    assert_eq!(cache.store.len(), 0);
    fs::write(&path, b"\0\0").unwrap();
    assert!(!cache.store.has(b"key").unwrap());
    assert!(!path.exists());
}

#[test]
fn an_open_entry_is_read_into_parts_whatever_happens_to_its_key() {
    let cache = Cache::new(10);
    for length in [0, 1, 5, 40_000, 300_000] {
        let value: Vec<u8> = (0..length)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let stored = Value::from(value.clone());
        cache.store.set(b"key", &stored, FOREVER).unwrap();
        let entry = cache.store.open_entry(b"key").unwrap().unwrap();
        assert_eq!((entry.len(), entry.is_empty()), (length, length == 0));
        assert!(value.starts_with(entry.beginning()));
        cache.set("key", "another value");
        let (mut head, mut rest) = (vec![0; length.min(7)], vec![0; length.saturating_sub(7)]);
        entry
            .read_into(&mut [&mut head, &mut [], &mut rest])
            .unwrap();
        assert_eq!([head, rest].concat(), value);
    }
    assert!(cache.store.open_entry(b"none").unwrap().is_none());
    cache
        .store
        .set(b"key", &Value::from(vec![7; 100_000]), FOREVER)
        .unwrap();
    let path = cache.path("key");
    let mut bytes = fs::read(&path).unwrap();
    bytes[90_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let entry = cache.store.open_entry(b"key").unwrap().unwrap();
    let unreadable = entry.read_into(&mut [&mut vec![0; 100_000]]).unwrap_err();
    cache.set("key", "written meanwhile");
    cache.store.discard(b"key", &unreadable).unwrap();
    assert_eq!(cache.get("key").as_deref(), Some("written meanwhile"));
}

#[test]
fn a_file_of_another_key_is_not_its_value() {
    let cache = Cache::new(10);
    cache.set("a", "value of a");
    fs::copy(cache.path("a"), cache.path("b")).unwrap();
    assert_eq!(cache.get("b"), None);
    assert_eq!(cache.get("a").as_deref(), Some("value of a"));
}

#[test]
fn links_pipes_and_directories_are_not_read() {
    let cache = Cache::new(10);
    cache.set("real", "value");
    symlink(cache.path("real"), cache.path("link")).unwrap();
    fs::create_dir(cache.path("directory")).unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(cache.path("pipe"))
        .status();
    assert!(pipe.unwrap().success());
    for key in ["link", "directory", "pipe"] {
        assert_eq!(cache.get(key), None);
        assert!(!cache.store.has(key.as_bytes()).unwrap());
    }
    // Writing replaces the link, not what it leads to.
    assert!(cache.set("link", "new"));
    assert_eq!(cache.get("link").as_deref(), Some("new"));
    assert_eq!(cache.get("real").as_deref(), Some("value"));
}

#[test]
fn the_mode_is_exact_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(FileOptions {
        mode: 0o666,
        ..FileOptions::new(directory.path())
    })
    .unwrap();
    store.set(b"key", &Value::default(), FOREVER).unwrap();
    let mode = fs::metadata(store.path_of(b"key").unwrap())
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o7777, 0o666);
}

#[test]
fn a_directory_that_cannot_be_used_is_an_error_of_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    File::create(&file).unwrap().write_all(b"mine").unwrap();
    let error = FileStore::open(FileOptions::new(&file)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains(file.to_str().unwrap()),
        "{error}"
    );
    let below = FileStore::open(FileOptions::new(file.join("below"))).unwrap_err();
    assert_eq!(below.kind(), ErrorKind::Config);
    let locked = directory.path().join("locked");
    fs::create_dir_all(locked.join("lock.__wz_cache")).unwrap();
    let error = FileStore::open(FileOptions::new(&locked)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("lock.__wz_cache"), "{error}");
    let made = directory.path().join("a/b/c");
    assert!(FileStore::open(FileOptions::new(&made)).is_ok());
    assert!(made.is_dir());
    fs::set_permissions(&made, Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn every_hash_and_every_content_works_beside_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let open = |method, contents| {
        FileStore::open(FileOptions {
            hash_method: HashMethod::from_name(method).unwrap(),
            contents,
            ..FileOptions::new(directory.path())
        })
        .unwrap()
    };
    let stores = [
        open("md5", Contents::Pickle),
        open("sha1", Contents::Json),
        open("sha224", Contents::Opaque),
        open("sha256", Contents::Pickle),
        open("sha384", Contents::Json),
        open("sha512", Contents::Opaque),
    ];
    for (number, store) in stores.iter().enumerate() {
        let value = Value::from(vec![u8::try_from(number).unwrap()]);
        assert!(store.set(b"key", &value, FOREVER).unwrap());
    }
    for (number, store) in stores.iter().enumerate() {
        let value = store.get(b"key").unwrap().unwrap();
        assert_eq!(value.data, [u8::try_from(number).unwrap()]);
        assert_eq!(store.paths().unwrap().len(), 1);
    }
    assert!(stores[0].clear().unwrap());
    assert!(!stores[0].has(b"key").unwrap());
    assert!(stores[3].has(b"key").unwrap());
}

#[test]
fn the_threshold_holds_with_many_writers() {
    let cache = Cache::new(50);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let cache = &cache;
            scope.spawn(move || {
                let own = open(cache.directory.path(), 50);
                for number in 0..100 {
                    let key = format!("{writer}/{number}");
                    own.set(key.as_bytes(), &Value::default(), FOREVER).unwrap();
                }
            });
        }
    });
    assert_eq!(cache.entries(), 50);
    assert_eq!(cache.store.len(), 50);
}

#[test]
fn a_write_whose_draft_was_swept_counts_its_entry_once() {
    let cache = Cache::new(50);
    cache.set("first", "value");
    let lock = File::open(cache.directory.path().join("lock.__wz_cache")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(cache.set("second", "value")));
        // What a sweep does to a draft that its writer has not locked yet.
        let draft = loop {
            match cache
                .files()
                .into_iter()
                .find(|name| name.starts_with("new-"))
            {
                Some(name) => break name,
                None => std::thread::yield_now(),
            }
        };
        fs::remove_file(cache.directory.path().join(draft)).unwrap();
        lock.unlock().unwrap();
    });
    assert_eq!(cache.store.len(), 2);
}

#[test]
fn a_writer_that_is_stopped_in_its_turn_is_not_waited_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(FileOptions {
        lock_timeout: Duration::from_millis(20),
        ..FileOptions::new(directory.path())
    })
    .unwrap();
    let value = Value::default();
    let lock = File::open(directory.path().join("lock.__wz_cache")).unwrap();
    lock.lock().unwrap();
    let error = store.set(b"key", &value, FOREVER).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("lock.__wz_cache"), "{error}");
    assert_eq!(store.get(b"key").unwrap(), None);
    lock.unlock().unwrap();
    assert!(store.set(b"key", &value, FOREVER).unwrap());
}

#[test]
fn a_lifetime_is_kept_where_the_format_has_only_seconds() {
    let cache = Cache::new(10);
    let now = u32::try_from(clock::wall().as_secs()).unwrap();
    expiring(&cache.path("past"), now - 10, b"old");
    expiring(&cache.path("future"), now + 1000, b"new");
    expiring(&cache.path("eternal"), 0, b"always");
    assert_eq!(cache.get("past"), None);
    assert_eq!(cache.get("future").as_deref(), Some("new"));
    assert_eq!(cache.get("eternal").as_deref(), Some("always"));
}
