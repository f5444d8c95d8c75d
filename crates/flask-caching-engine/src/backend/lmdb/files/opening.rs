//! How a store is found in its directory, or made there.
//!
//! ```text
//! CACHE_DIR/opening.lock       taken by who opens
//!           users.lock         shared by all who have it open
//!           current            which store it is, of which boot and namespace of processes
//!           store-<number>/    data.mdb, lock.mdb (LMDB's), visited, writer.lock
//! ```
//!
//! Nothing is synchronized to the disk. What the processes of this boot have written they all see,
//! whatever becomes of one of them; what a former boot has left may be torn, and is not read.

#![expect(unsafe_code, reason = "LMDB's rules for opening are kept here")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use heed::types::Bytes;
use heed::{EnvFlags, EnvOpenOptions};
use rustix::fs::{FallocateFlags, FlockOperation, fallocate};

use super::check;
use super::host::{self, Host};
use super::locks;
use crate::backend::lmdb::environment::{Parts, Table};
use crate::backend::lmdb::visited::Visited;
use crate::backend::lmdb::writing::pages::Pages;
use crate::backend::lmdb::writing::room::Room;
use crate::backend::lmdb::writing::writer::Writer;
use crate::backend::lmdb::{Options, PATIENCE, failure, writing};
use crate::{Error, ErrorKind, Result};

pub(in crate::backend::lmdb) const DATA: &str = "data.mdb";
const FORMAT: &str = "flask-caching-shared-2";
const OPENING_PATIENCE: Duration = Duration::from_secs(5);
const READERS: u32 = 2046;
const OPERATION: &str = "opening the shared cache";

/// What `current` says.
struct Current {
    host: Host,
    max_bytes: u64,
    store: String,
}

impl Current {
    fn read(directory: &Path) -> Option<Self> {
        let text = fs::read_to_string(directory.join("current")).ok()?;
        let mut words = text.split_whitespace();
        if words.next()? != FORMAT {
            return None;
        }
        Some(Self {
            host: Host {
                boot: words.next()?.to_owned(),
                processes: words.next()?.parse().ok()?,
            },
            max_bytes: words.next()?.parse().ok()?,
            store: words.next().filter(|name| is_store(name))?.to_owned(),
        })
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        let Host { boot, processes } = &self.host;
        writeln!(
            file,
            "{FORMAT} {boot} {processes} {} {}",
            self.max_bytes, self.store
        )?;
        file.persist(directory.join("current"))?;
        Ok(())
    }
}

fn is_store(name: &str) -> bool {
    let number = name.strip_prefix("store-");
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Makes the directory where it is missing, and returns its canonical path.
///
/// # Errors
/// [`ErrorKind::Config`]: it cannot be used; the message says why.
pub(in crate::backend::lmdb) fn directory(path: &Path) -> Result<PathBuf> {
    let shown = || path.display().to_string();
    let refuse = |message: &str| Error::new(ErrorKind::Config, OPERATION, shown(), message);
    if !path.exists() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| Error::io(OPERATION, shown(), error))?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io(OPERATION, shown(), error));
            }
            _ => {}
        }
    }
    let path = path
        .canonicalize()
        .map_err(|error| Error::io(OPERATION, shown(), error))?;
    let opened = File::open(&path).map_err(|error| Error::io(OPERATION, shown(), error))?;
    let found = opened
        .metadata()
        .map_err(|error| Error::io(OPERATION, shown(), error))?;
    if !found.is_dir() {
        return Err(refuse("CACHE_DIR is not a directory"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(refuse(
            "CACHE_DIR belongs to another user, who could change what is read from it; give the \
             cache a directory of its own",
        ));
    }
    if found.mode() & 0o002 != 0 {
        return Err(refuse(
            "everybody may write to CACHE_DIR, and so change what is read from it; give the cache \
             a directory of its own, with mode 0700",
        ));
    }
    if let Some(name) = host::network(&opened) {
        return Err(refuse(&format!(
            "CACHE_DIR is on a network file system ({name}), where processes do not share memory; \
             give the cache a directory of a local one, or use RedisCache"
        )));
    }
    Ok(path)
}

/// Opens the store in `directory`. `users`: its `users.lock`, where this process has it open.
pub(in crate::backend::lmdb) fn open(
    directory: &Path,
    options: &Options,
    users: Option<Arc<File>>,
) -> Result<Parts> {
    let shown = || directory.display().to_string();
    let io_error = |error| Error::io(OPERATION, shown(), error);
    let directory = &crate::backend::lmdb::files::opening::directory(directory)?;
    let opening = lock_file(directory, "opening.lock").map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            let message = format!(
                "this process may not write to CACHE_DIR ({error}), which also who reads has to; give \
                 the cache a directory of its own"
            );
            Error::new(ErrorKind::Config, OPERATION, shown(), message)
        }
        _ => io_error(error),
    })?;
    if !locks::lock_within(&opening, OPENING_PATIENCE).map_err(io_error)? {
        let message = "another process has been opening it for more than five seconds";
        return Err(Error::new(ErrorKind::Timeout, OPERATION, shown(), message));
    }
    let users = match users.filter(|file| is_in(file, &directory.join("users.lock"))) {
        Some(users) => users,
        None => Arc::new(lock_file(directory, "users.lock").map_err(io_error)?),
    };
    let is_alone = locks::try_lock(&users, FlockOperation::NonBlockingLockExclusive);
    let is_alone = is_alone.map_err(io_error)?;
    locks::try_lock(&users, FlockOperation::NonBlockingLockShared).map_err(io_error)?;
    let current = choose(directory, options, is_alone)?;
    match open_store(directory, &current, is_alone, Arc::clone(&users)) {
        Err(error) if error.kind() == ErrorKind::Protocol => {
            set_aside(directory, &directory.join(&current.store), &error).map_err(io_error)?;
            let current =
                new_store(directory, current.max_bytes, Host::this()).map_err(io_error)?;
            open_store(directory, &current, false, users)
        }
        opened => opened,
    }
}

/// Which store of the directory is used.
fn choose(directory: &Path, options: &Options, is_alone: bool) -> Result<Current> {
    let shown = || directory.display().to_string();
    let io_error = |error| Error::io(OPERATION, shown(), error);
    let host = Host::this();
    let Some(current) = Current::read(directory) else {
        return new_store(directory, options.max_bytes, host).map_err(io_error);
    };
    // Somebody may have set it aside a moment ago.
    let is_there = directory.join(&current.store).join(DATA).is_file();
    if !is_there && (is_alone || current.host == host) {
        return new_store(directory, options.max_bytes, host).map_err(io_error);
    }
    if is_alone {
        if current.host.boot != host.boot || current.max_bytes != options.max_bytes {
            return new_store(directory, options.max_bytes, host).map_err(io_error);
        }
        if current.host != host {
            let current = Current { host, ..current };
            current.write(directory).map_err(io_error)?;
            return Ok(current);
        }
        return Ok(current);
    }
    if current.host != host {
        let message = "processes of another container (another namespace of process ids) have it \
                       open, and could not tell when one of these here ends; give each container \
                       its own CACHE_DIR, or all of them one namespace, or use RedisCache";
        return Err(Error::new(ErrorKind::Config, OPERATION, shown(), message));
    }
    if current.max_bytes != options.max_bytes {
        log::warn!(
            "{}: CACHE_MAX_BYTES is {} here, but {} for those who have the store open, which is what \
             counts until all of them have closed it",
            shown(),
            options.max_bytes,
            current.max_bytes
        );
    }
    Ok(current)
}

/// Makes the name of a new, empty store the current one; what was there before is removed.
fn new_store(directory: &Path, max_bytes: u64, host: Host) -> io::Result<Current> {
    for found in fs::read_dir(directory)? {
        let found = found?;
        if found.file_name().to_str().is_some_and(is_store) {
            fs::remove_dir_all(found.path())?;
        }
    }
    let store = format!("store-{:016x}", random());
    DirBuilder::new()
        .mode(0o700)
        .create(directory.join(&store))?;
    let current = Current {
        host,
        max_bytes,
        store,
    };
    current.write(directory)?;
    Ok(current)
}

/// Puts a damaged store where it is not read. One is kept, to look at.
pub(in crate::backend::lmdb) fn set_aside(
    directory: &Path,
    store: &Path,
    error: &Error,
) -> io::Result<()> {
    let damaged = directory.join("damaged");
    if damaged.exists() {
        fs::remove_dir_all(&damaged)?;
    }
    fs::rename(store, &damaged)?;
    log::warn!(
        "The shared cache in {} is damaged ({}); it is set aside as {}, and an empty one is used",
        directory.display(),
        error.message(),
        damaged.display()
    );
    Ok(())
}

/// The environment in the directory `path`. `writes_map`: its pages are written in place, where
/// there is room for all of them.
fn open_environment(path: &Path, map_size: usize, writes_map: bool) -> Result<heed::Env> {
    let mut flags = EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::NO_READ_AHEAD;
    flags.set(EnvFlags::WRITE_MAP, writes_map);
    let mut open = EnvOpenOptions::new();
    open.map_size(map_size).max_dbs(4).max_readers(READERS);
    // SAFETY: the file is on a local file system, in a directory of this user, and opened once in this
    // process (`environment.rs`). Flags that LMDB calls unsafe cost durability, not memory safety.
    let env = unsafe {
        open.flags(flags);
        open.open(path)
    };
    env.map_err(|error| failure(OPERATION, path, &error))
}

fn open_store(
    directory: &Path,
    current: &Current,
    is_alone: bool,
    users: Arc<File>,
) -> Result<Parts> {
    let path = directory.join(&current.store);
    let shown = || path.display().to_string();
    let io_error = |error| Error::io(OPERATION, shown(), error);
    let length = Visited::length(current.max_bytes);
    let visited = private_file(&path, "visited").map_err(io_error)?;
    let visited = Visited::map(&visited, length).map_err(io_error)?;
    let writer = private_file(&path, "writer.lock").map_err(io_error)?;
    let writer = Writer::map(&writer, is_alone).map_err(io_error)?;
    if is_alone {
        // Really: LMDB maps this file, and a full disk would end whoever touches it.
        let readers = private_file(&path, "lock.mdb").map_err(io_error)?;
        let room = u64::from(READERS + 2) * 64;
        let _ = fallocate(&readers, FallocateFlags::empty(), 0, room);
    }
    // Others that have it open have looked.
    if is_alone && let Some(fault) = check::fault(&path.join(DATA)).map_err(io_error)? {
        return Err(Error::new(ErrorKind::Protocol, OPERATION, shown(), fault));
    }
    let map_size = map_size(current.max_bytes)?;
    let data = private_file(&path, DATA).map_err(io_error)?;
    let room = Room::of(data, map_size as u64);
    let env = open_environment(&path, map_size, room.is_some())?;
    let found = existing_tables(&env).map_err(|error| failure(OPERATION, &path, &error))?;
    let tables = if let Some(tables) = found {
        tables
    } else {
        let turn = writer.turn(PATIENCE, || 0).map_err(io_error)?;
        let _turn = turn.ok_or_else(|| writing::stopped(OPERATION, shown()))?;
        new_tables(&env).map_err(|error| failure(OPERATION, &path, &error))?
    };
    let ([entries, order, expiry, pieces, about], seed) = tables;
    let data = fs::metadata(path.join(DATA)).map_err(io_error)?;
    let identity = (data.dev(), data.ino());
    let page_size = u64::from(env.stat().page_size);
    Ok(Parts {
        env,
        entries,
        order,
        expiry,
        pieces,
        about,
        seed,
        max_bytes: current.max_bytes,
        room,
        page_size,
        pages: Pages::new(map_size as u64, page_size),
        visited,
        writer,
        path,
        identity,
        users,
    })
}

const SEED: &[u8] = b"seed";

/// The tables of a store, those of [`Parts`] in their order, and its seed.
type Tables = ([Table; 5], u64);

/// The tables of the store; `None`: some are missing. No turn to write is needed to look.
fn existing_tables(env: &heed::Env) -> heed::Result<Option<Tables>> {
    env.clear_stale_readers()?;
    let txn = env.read_txn()?;
    let open = |name| env.open_database::<Bytes, Bytes>(&txn, name);
    let tables = (
        open(Some("entries"))?,
        open(Some("order"))?,
        open(Some("expiry"))?,
        open(Some("pieces"))?,
        open(None)?,
    );
    let (Some(entries), Some(order), Some(expiry), Some(pieces), Some(about)) = tables else {
        return Ok(None);
    };
    let seed = about.get(&txn, SEED)?;
    let seed = seed.and_then(|seed| seed.try_into().ok().map(u64::from_le_bytes));
    // Or they are closed with it.
    txn.commit()?;
    Ok(seed.map(|seed| ([entries, order, expiry, pieces, about], seed)))
}

/// The tables of the store, which are made where they are missing.
fn new_tables(env: &heed::Env) -> heed::Result<Tables> {
    let mut txn = env.write_txn()?;
    let about: Table = env.create_database(&mut txn, None)?;
    let entries = env.create_database(&mut txn, Some("entries"))?;
    let order = env.create_database(&mut txn, Some("order"))?;
    let expiry = env.create_database(&mut txn, Some("expiry"))?;
    let pieces = env.create_database(&mut txn, Some("pieces"))?;
    let seed = random();
    about.put(&mut txn, SEED, &seed.to_le_bytes())?;
    txn.commit()?;
    Ok(([entries, order, expiry, pieces, about], seed))
}

/// The size of the mapping, which the file never grows past: a tenth more than the entries may take,
/// for pages that are written anew while the old ones are still read.
fn map_size(max_bytes: u64) -> Result<usize> {
    let size = (max_bytes + max_bytes / 10) / 65536 * 65536;
    usize::try_from(size).map_err(|_| {
        let message = "it is more than can be mapped into memory";
        Error::new(ErrorKind::Config, OPERATION, "CACHE_MAX_BYTES", message)
    })
}

fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

fn lock_file(directory: &Path, name: &str) -> io::Result<File> {
    private_file(directory, name)
}

fn private_file(directory: &Path, name: &str) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join(name))
}

/// Whether `file` is the one at `path`.
fn is_in(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(found)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (held.dev(), held.ino()) == (found.dev(), found.ino())
}
