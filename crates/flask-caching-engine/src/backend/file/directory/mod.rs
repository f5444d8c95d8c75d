//! The directory: its files are opened, written, listed and swept here, and nowhere else.

pub(super) mod lock;
pub(super) mod naming;
pub(super) mod own_file;

use std::fs::{self, DirBuilder, File, FileTimes, Metadata, TryLockError};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use tempfile::NamedTempFile;

use crate::{Error, ErrorKind, Result, clock};
use naming::BOOKKEEPING;
use own_file::{OwnFile, Recency, nanos, no_access_time, now, recency};

/// What our half-written files begin with. Each is locked by its writer for as long as that lives.
const OUR_DRAFT: &str = "new-";
/// What cachelib's half-written files begin with.
const CACHELIBS_DRAFT: &str = "tmp";
/// Nothing tells whether cachelib's writer lives: only what nobody wrote to for so long is swept.
const ABANDONED: Duration = Duration::from_secs(600);

/// The permissions of a new file, before it is given others.
const PRIVATE: u32 = 0o600;
/// The permission bits of a directory in which others than its owner may make files. Those of an
/// access control list show here, too.
const OTHERS_WRITE: u32 = 0o022;

/// Pieces that are no longer together are written in one go.
const WRITTEN_AT_ONCE: usize = 16 * 1024;

/// How often a write starts again because its directory or its draft vanished under it.
const ATTEMPTS: usize = 3;

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Permission bits of the files of entries.
    mode: u32,
    /// The user that the file system gives this process's files to, where it is another one: a
    /// network file system that maps root to nobody.
    mapped_to: Option<u32>,
    /// Whether others may give files names in it, among them names of this user's own files.
    shared: bool,
}

impl Directory {
    /// The directory at `path`, made where it is missing, and proven to be writable.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], where it cannot be made, is no directory, belongs to somebody else or
    /// cannot be written to.
    pub(super) fn open(path: &Path, mode: u32) -> Result<Self> {
        let unusable = |reason: String| {
            Error::new(
                ErrorKind::Config,
                "opening the cache directory (CACHE_DIR)",
                path.display().to_string(),
                reason,
            )
        };
        let absolute = std::path::absolute(path).map_err(|e| unusable(e.to_string()))?;
        let mut directory = Self {
            path: absolute,
            mode,
            mapped_to: None,
            shared: false,
        };
        directory.is_led_to_by_its_owner().map_err(unusable)?;
        directory
            .make()
            .map_err(|e| unusable(format!("it cannot be created: {e}")))?;
        let metadata = fs::metadata(&directory.path).map_err(|e| unusable(e.to_string()))?;
        if !metadata.is_dir() {
            return Err(unusable("it is not a directory".to_owned()));
        }
        let draft_owner = directory
            .draft()
            .and_then(|draft| Ok(draft.as_file().metadata()?.uid()))
            .map_err(|e| {
                unusable(format!(
                    "files cannot be created in it: {e}; this process (user {}) needs to read, \
                     write and enter it",
                    own_uid()
                ))
            })?;
        directory.mapped_to = (draft_owner != own_uid()).then_some(draft_owner);
        // Root can do to it what it likes anyway.
        let is_own = directory.is_own(metadata.uid());
        if !is_own && metadata.uid() != 0 {
            return Err(unusable(format!(
                "{}; give it a directory of its own",
                belongs_to(metadata.uid())
            )));
        }
        directory.shared = !is_own || metadata.mode() & OTHERS_WRITE != 0;
        fs::read_dir(&directory.path).map_err(|e| unusable(format!("it cannot be listed: {e}")))?;
        Ok(directory)
    }

    /// A symbolic link decides where the cache is: it must be this user's own, or root's.
    fn is_led_to_by_its_owner(&self) -> std::result::Result<(), String> {
        match fs::symlink_metadata(&self.path) {
            Ok(link) if link.is_symlink() && ![0, own_uid()].contains(&link.uid()) => Err(format!(
                "it is a symbolic link, and {}",
                belongs_to(link.uid())
            )),
            // Whether it is there at all shows when it is made.
            _ => Ok(()),
        }
    }

    /// Whether the files of user `uid` are this process's own.
    pub(super) fn is_own(&self, uid: u32) -> bool {
        uid == own_uid() || self.mapped_to == Some(uid)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory where it is missing, for those alone who may read the files of entries. What
    /// it stands in is made as any other directory.
    pub(super) fn make(&self) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        let readers = self.mode & 0o044;
        let mode = 0o700 | readers | readers >> 2;
        match DirBuilder::new().mode(mode).create(&self.path) {
            // Or it is something else, or leads nowhere.
            Err(_) if self.path.is_dir() => Ok(()),
            created => created,
        }
    }

    /// Opens a file for reading. `None`: there is none.
    ///
    /// # Errors
    /// The operating system's, or that the file is not this user's own regular file. Nothing is
    /// waited for: not a lock, not the other end of a pipe.
    pub(super) fn open_own(&self, name: &str) -> io::Result<Option<OwnFile>> {
        let path = self.file(name);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        // That a file was used is recorded by `OwnFile::touch`, not by looking at it. To ask for that
        // is the owner's privilege, and on a file system that maps users nobody's.
        let opened = match rustix::fs::open(&path, flags | no_access_time(), Mode::empty()) {
            Err(rustix::io::Errno::PERM) => rustix::fs::open(&path, flags, Mode::empty()),
            opened => opened,
        };
        let Some((file, metadata)) = self.only_own(opened)? else {
            return Ok(None);
        };
        Ok(Some(OwnFile::new(file, &metadata)))
    }

    /// Opens a file of bookkeeping for reading and writing; `create`: made where it is missing. `None`:
    /// there is none.
    ///
    /// # Errors
    /// As [`Self::open_own`].
    pub(super) fn open_bookkeeping(
        &self,
        name: &str,
        create: bool,
    ) -> io::Result<Option<(File, Metadata)>> {
        let mut flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        flags.set(OFlags::CREATE, create);
        let mode = Mode::RUSR | Mode::WUSR;
        self.only_own(rustix::fs::open(self.file(name), flags, mode))
    }

    /// What was opened, where it is a regular file of this user's own. It is asked of the open file:
    /// what its name leads to may be another by now.
    fn only_own(
        &self,
        opened: rustix::io::Result<OwnedFd>,
    ) -> io::Result<Option<(File, Metadata)>> {
        let file = match opened {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(rustix::io::Errno::LOOP) => {
                return Err(io::Error::other(
                    "it is a symbolic link, which is not followed",
                ));
            }
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if !self.is_own(metadata.uid()) {
            return Err(io::Error::other(belongs_to(metadata.uid())));
        }
        if self.shared && metadata.nlink() > 1 {
            return Err(io::Error::other(
                "it is a hard link, which others may have made: they can write to the directory",
            ));
        }
        Ok(Some((file, metadata)))
    }

    /// When the own regular file `name` was last used. `None`: there is no such file.
    pub(super) fn recency(&self, name: &str) -> Option<Recency> {
        let metadata = fs::symlink_metadata(self.file(name)).ok()?;
        (metadata.is_file() && self.is_own(metadata.uid())).then(|| recency(&metadata))
    }

    /// Whether there is a file, a link or anything else by this `name`.
    pub(super) fn exists(&self, name: &str) -> io::Result<bool> {
        match fs::symlink_metadata(self.file(name)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A new entry of `head` and the pieces `data`, not yet visible under any key. Dropped, it is gone.
    ///
    /// # Errors
    /// The operating system's; nothing is left behind then.
    pub(super) fn write_draft(&self, head: &[u8], data: &[&[u8]]) -> io::Result<NamedTempFile> {
        let draft = self.write(head, data)?;
        if self.mode != PRIVATE {
            let mode = fs::Permissions::from_mode(self.mode);
            draft.as_file().set_permissions(mode)?;
        }
        Ok(draft)
    }

    /// Replaces a file of bookkeeping, which is for nobody but its user, whatever entries are.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn replace_bookkeeping(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        self.again(|| self.publish(self.write(contents, &[])?, name))
    }

    fn write(&self, head: &[u8], data: &[&[u8]]) -> io::Result<NamedTempFile> {
        let mut draft = self.draft()?;
        let file = draft.as_file_mut();
        let mut start = head.to_vec();
        for piece in data {
            if start.len() + piece.len() > WRITTEN_AT_ONCE {
                file.write_all(&start)?;
                start.clear();
            }
            if piece.len() > WRITTEN_AT_ONCE {
                file.write_all(piece)?;
            } else {
                start.extend_from_slice(piece);
            }
        }
        file.write_all(&start)?;
        // The kernel's own timestamps tick every few milliseconds: too coarse to tell the oldest.
        let now = UNIX_EPOCH + clock::system();
        file.set_times(FileTimes::new().set_accessed(now).set_modified(now))?;
        Ok(draft)
    }

    /// Puts `draft` in place of whatever is under `name`, in one step.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::NotFound`] says that the draft or the directory
    /// vanished, and that [`Self::again`] can help.
    pub(super) fn publish(&self, draft: NamedTempFile, name: &str) -> io::Result<()> {
        if self.exchange(&draft, name) {
            // The draft's name now leads to what was replaced, and goes with it.
            return Ok(());
        }
        draft
            .persist(self.file(name))
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Runs `write`; again, where the directory or a draft in it vanished meanwhile.
    pub(super) fn again<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        for _ in 1..ATTEMPTS {
            match write() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.make()?,
                outcome => return outcome,
            }
        }
        write()
    }

    /// Removes a file. `false`: there was none.
    pub(super) fn remove(&self, name: &str) -> io::Result<bool> {
        match fs::remove_file(self.file(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names of the regular files; none where there is no directory.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let listing = match fs::read_dir(&self.path) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for item in listing {
            let item = item?;
            // A name that is no text is neither an entry nor bookkeeping.
            if let Ok(name) = item.file_name().into_string()
                && item.file_type().is_ok_and(|kind| kind.is_file())
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes what writers left behind that are no longer alive.
    pub(super) fn sweep(&self, names: &[String]) {
        for name in names.iter().filter(|name| name.ends_with(BOOKKEEPING)) {
            let abandoned = if name.starts_with(OUR_DRAFT) {
                self.is_ours_and_unlocked(name)
            } else if name.starts_with(CACHELIBS_DRAFT) {
                self.recency(name)
                    .is_some_and(|used| now().saturating_sub(used) > nanos(ABANDONED))
            } else {
                false
            };
            if abandoned && let Err(error) = self.remove(name) {
                log::warn!("{} cannot be removed: {error}", self.file(name).display());
            }
        }
    }

    fn draft(&self) -> io::Result<NamedTempFile> {
        let make = || {
            tempfile::Builder::new()
                .prefix(OUR_DRAFT)
                .suffix(BOOKKEEPING)
                .rand_bytes(12)
                .tempfile_in(&self.path)
        };
        let draft = self.again(make)?;
        // Where this fails, either a sweep was faster and takes the draft away: publishing then
        // starts again. Or the file system knows no locks: nothing can be written there at all.
        if let Err(TryLockError::Error(error)) = draft.as_file().try_lock() {
            return Err(error);
        }
        Ok(draft)
    }

    /// Swaps `draft` and the file `name`. `false`: there is none, or it cannot be done.
    ///
    /// Some file systems (ext4) first write a file to the disk that is renamed over another, which
    /// takes a hundred times as long as all the rest. To swap two files they do not.
    #[cfg(target_os = "linux")]
    fn exchange(&self, draft: &NamedTempFile, name: &str) -> bool {
        let target = self.file(name);
        fs::symlink_metadata(&target).is_ok_and(|metadata| metadata.is_file())
            && rustix::fs::renameat_with(
                rustix::fs::CWD,
                draft.path(),
                rustix::fs::CWD,
                &target,
                rustix::fs::RenameFlags::EXCHANGE,
            )
            .is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn exchange(&self, _draft: &NamedTempFile, _name: &str) -> bool {
        false
    }

    fn is_ours_and_unlocked(&self, name: &str) -> bool {
        match self.open_own(name) {
            Ok(Some(draft)) => draft.file.try_lock().is_ok(),
            _ => false,
        }
    }
}

fn belongs_to(uid: u32) -> String {
    format!(
        "it belongs to user {uid}, this process runs as user {}",
        own_uid()
    )
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_own_where_the_file_system_maps_users() {
        let at = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(at.path(), 0o600).unwrap();
        assert_eq!(directory.mapped_to, None);
        let draft = directory.write_draft(b"head", &[b"data"]).unwrap();
        directory.publish(draft, "file").unwrap();
        if std::os::unix::fs::chown(directory.file("file"), Some(12345), None).is_err() {
            // Only root gives files away.
            return;
        }
        assert!(directory.open_own("file").is_err());
        assert_eq!(directory.recency("file"), None);
        directory.mapped_to = Some(12345);
        assert!(directory.open_own("file").is_ok());
        assert!(directory.recency("file").is_some());
    }
}
