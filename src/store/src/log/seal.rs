//! The record beside the state: what was acknowledged last, so that a state that has lost some of it is found out.
//!
//! SQLite takes the first page of its log that is damaged for the end of the log, and a file that is missing for a first start:
//! both are whole, and older than what was promised. So is an etcd that was restored from a snapshot. So the last revision, the number of objects and the sum over all of them
//! are kept in a file of their own. It is overwritten in place after each group of writes and never waits for the disk, but when
//! revisions are reserved and at an end in order: a process that is killed loses nothing of it, and after a loss of power it is
//! at worst a few seconds behind, never ahead.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is recorded, and where.
#[derive(Clone, Copy)]
pub(super) struct SealOf {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
}

pub(super) const OF_SQLITE: SealOf =
    SealOf { file: "cluster.seal", title: "monopod: the last acknowledged state of cluster.db" };
pub(super) const OF_ETCD: SealOf =
    SealOf { file: "etcd.seal", title: "monopod: the last acknowledged state in etcd" };
/// One sector: written whole or not at all.
const SIZE: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seal {
    pub(super) revision: u64,
    /// The highest revision that anybody may have seen.
    pub(super) reserved: u64,
    pub(super) objects: u64,
    pub(super) sum: u64,
}

impl Seal {
    fn text(self, of: SealOf) -> String {
        let (Seal { revision, reserved, objects, sum }, title) = (self, of.title);
        format!("{title}\nrevision {revision}\nreserved {reserved}\nobjects {objects}\nsum {sum}\n")
    }

    fn encode(self, of: SealOf) -> [u8; SIZE] {
        let text = self.text(of);
        let text = format!("{text}check {}\n", crc32fast::hash(text.as_bytes()));
        let mut block = [b'\n'; SIZE];
        block[..text.len()].copy_from_slice(text.as_bytes());
        block
    }

    fn decode(block: &[u8], of: SealOf) -> Option<Seal> {
        let text = std::str::from_utf8(block).ok()?;
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok())
        };
        let seal = Seal {
            revision: field("revision")?,
            reserved: field("reserved")?,
            objects: field("objects")?,
            sum: field("sum")?,
        };
        (field("check") == Some(crc32fast::hash(seal.text(of).as_bytes()).into())).then_some(seal)
    }
}

fn path(dir: &Path, of: SealOf) -> PathBuf {
    dir.join(of.file)
}

/// `None` where there is none: before a first start, or of an older version.
///
/// # Errors
/// In words: it can not be read, or is damaged itself.
pub(super) fn read(dir: &Path, of: SealOf) -> Result<Option<Seal>, String> {
    let path = path(dir, of);
    let mut block = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(SIZE as u64).read_to_end(&mut block));
    match read {
        Ok(_) => match Seal::decode(&block, of) {
            Some(seal) => Ok(Some(seal)),
            None => Err(format!("{} is damaged", path.display())),
        },
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", path.display())),
    }
}

/// Where it is written.
pub(super) struct Sealer {
    of: SealOf,
    file: Option<File>,
}

impl Sealer {
    /// A disk without room for it does not hold up a cluster: it is not sealed then.
    pub(super) fn open(dir: &Path, of: SealOf, now: Seal) -> Sealer {
        let open = || {
            let mut options = OpenOptions::new();
            let path = path(dir, of);
            let is_new = !path.exists();
            let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.write_all_at(&now.encode(of), 0)?;
            if is_new {
                file.sync_all()?;
                File::open(dir)?.sync_all()?;
            }
            Ok::<_, io::Error>(file)
        };
        let opened = open().inspect_err(|error| {
            tracing::warn!(%error, "{} can not be written: a loss would not be found out", of.file);
        });
        Sealer { of, file: opened.ok() }
    }

    /// `wait` for the disk.
    pub(super) fn write(&self, now: Seal, wait: bool) {
        let Some(file) = &self.file else { return };
        let written = file.write_all_at(&now.encode(self.of), 0);
        let written = if wait { written.and_then(|()| file.sync_data()) } else { written };
        if let Err(error) = written {
            tracing::warn!(%error, "{} was not written: a loss may not be found out", self.of.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_any_damage_is_seen() {
        let seal = Seal { revision: u64::MAX, reserved: u64::MAX, objects: u64::MAX, sum: u64::MAX };
        let block = seal.encode(OF_SQLITE);
        assert_eq!(Seal::decode(&block, OF_SQLITE), Some(seal), "the longest fits");
        let text = block.iter().rposition(|byte| *byte != b'\n').unwrap();
        for at in (OF_SQLITE.title.len() + 1)..=text {
            let mut damaged = block;
            damaged[at] ^= 1;
            assert_ne!(Seal::decode(&damaged, OF_SQLITE), Some(Seal { revision: 0, ..seal }));
            assert!(Seal::decode(&damaged, OF_SQLITE).is_none_or(|read| read == seal), "byte {at}");
        }
        assert_eq!(Seal::decode(b"", OF_SQLITE), None);
    }

    #[test]
    fn what_is_not_there_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), OF_SQLITE), Ok(None));
        let sealer = Sealer::open(dir.path(), OF_SQLITE, Seal::default());
        assert_eq!(read(dir.path(), OF_SQLITE), Ok(Some(Seal::default())));
        let newer = Seal { revision: 7, objects: 2, ..Seal::default() };
        sealer.write(newer, true);
        assert_eq!(read(dir.path(), OF_SQLITE), Ok(Some(newer)));
        std::fs::write(dir.path().join(OF_SQLITE.file), "x").unwrap();
        assert!(read(dir.path(), OF_SQLITE).is_err());
    }

    #[test]
    fn where_a_store_went_on_is_told_by_its_records() {
        for (name, file, in_file, in_etcd, want) in [
            ("neither", false, None, None, None),
            ("never in etcd", true, Some(7), None, None),
            ("in etcd from the first", false, None, Some(3), Some(3)),
            ("it went to etcd", true, Some(7), Some(9), Some(9)),
            ("it has just been copied", true, Some(7), Some(7), None),
            ("it came back", true, Some(9), Some(7), None),
            ("a file of an older version", true, None, Some(9), None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            if file {
                std::fs::write(dir.path().join("cluster.db"), "x").unwrap();
            }
            for (of, revision) in [(OF_SQLITE, in_file), (OF_ETCD, in_etcd)] {
                if let Some(revision) = revision {
                    Sealer::open(dir.path(), of, Seal { revision, ..Seal::default() });
                }
            }
            let found = super::super::newer_in_etcd(dir.path()).map(|revision| revision.0);
            assert_eq!(found, want, "{name}");
        }
    }
}
