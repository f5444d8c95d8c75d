//! What the store must know of the machine: which boot, which processes see each other, which file
//! systems cannot be shared memory.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use rustix::fs::fstatfs;

/// Where the processes that use a store must all be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend::lmdb) struct Host {
    /// The boot of the machine. What was in memory before is gone.
    pub(in crate::backend::lmdb) boot: String,
    /// The namespace of process ids: LMDB knows its readers by them.
    pub(in crate::backend::lmdb) processes: u64,
}

impl Host {
    pub(in crate::backend::lmdb) fn this() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let processes = fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino());
        Self {
            boot: boot.trim().to_owned(),
            processes,
        }
    }
}

/// File systems that other machines may have mounted as well, or whose memory maps are not shared.
const NETWORKS: [(u32, &str); 13] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x4750_4653, "GPFS"),
];

/// File systems on which what was allocated is there when it is written: they write in place.
const IN_PLACE: [u32; 3] = [0xef53, 0x5846_5342, 0x0102_1994];

/// Whether `file` is on a file system that keeps room for it: ext4, XFS, or tmpfs.
pub(in crate::backend::lmdb) fn keeps_room(file: &File) -> bool {
    kind(file).is_some_and(|kind| IN_PLACE.contains(&kind))
}

/// The name of the network file system that `directory` is on; `None`: it is a local one.
pub(in crate::backend::lmdb) fn network(directory: &File) -> Option<&'static str> {
    named(kind(directory)?)
}

/// The number of a file system.
fn kind(file: &File) -> Option<u32> {
    let kind = fstatfs(file).ok()?.f_type;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers of 32 bits, which some architectures sign"
    )]
    Some(kind as u32)
}

fn named(kind: u32) -> Option<&'static str> {
    let found = NETWORKS.iter().find(|(number, _)| *number == kind);
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_this_machine_is_no_network() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(network(&File::open(directory.path()).unwrap()), None);
    }

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        assert_eq!(named(0x6969), Some("NFS"));
        assert_eq!(named(0xff53_4d42), Some("CIFS"));
        assert_eq!(named(0xef53), None, "ext4");
        assert_eq!(named(0x0102_1994), None, "tmpfs");
    }
}
