//! One file after the other as a tar, from what fsutil tells of it.

use crate::proto::session::Stat;
use bytes::Bytes;
use std::io;
use tar::{Builder, EntryType, Header};

// Go's os.FileMode
const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const NAMED_PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SET_UID: u32 = 1 << 23;
const SET_GID: u32 = 1 << 22;
const CHAR_DEVICE: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;
const IRREGULAR: u32 = 1 << 19;
const BLOCK: u64 = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Symlink,
    HardLink,
    File,
    Fifo,
    Char,
    Block,
    Other,
}

pub(crate) fn kind(stat: &Stat) -> Kind {
    let is = |bit| stat.mode & bit != 0;
    if is(DIRECTORY) {
        Kind::Directory
    } else if is(SYMLINK) {
        Kind::Symlink
    } else if is(CHAR_DEVICE) {
        Kind::Char
    } else if is(DEVICE) {
        Kind::Block
    } else if is(NAMED_PIPE) {
        Kind::Fifo
    } else if is(SOCKET | IRREGULAR) {
        Kind::Other
    } else if !stat.linkname.is_empty() {
        Kind::HardLink
    } else {
        Kind::File
    }
}

/// The same for a file that lies here.
pub(crate) fn go_mode(mode: u32) -> u32 {
    const FORMAT: u32 = 0o170_000;
    let format = match mode & FORMAT {
        0o040_000 => DIRECTORY,
        0o120_000 => SYMLINK,
        0o060_000 => DEVICE,
        0o020_000 => DEVICE | CHAR_DEVICE,
        0o010_000 => NAMED_PIPE,
        0o140_000 => SOCKET,
        _ => 0,
    };
    let special = [(0o4000, SET_UID), (0o2000, SET_GID), (0o1000, STICKY)];
    let special = special.iter().filter(|(bit, _)| mode & bit != 0).fold(0, |bits, (_, go)| bits | go);
    format | special | (mode & 0o777)
}

fn unix_mode(mode: u32) -> u32 {
    let special = [(0o4000, SET_UID), (0o2000, SET_GID), (0o1000, STICKY)];
    let special = special.iter().filter(|(_, go)| mode & go != 0).fold(0, |bits, (bit, _)| bits | bit);
    special | (mode & 0o777)
}

/// A file with all of its content, or what has none; nothing for what a tar can not hold.
pub(crate) fn whole(stat: &Stat, content: &[u8]) -> Result<Bytes, String> {
    let size = content.len() as u64;
    let mut tar = head(stat, size)?.to_vec();
    tar.extend_from_slice(content);
    padding(size).iter().for_each(|padding| tar.extend_from_slice(padding));
    Ok(tar.into())
}

/// All that stands before the content.
pub(crate) fn head(stat: &Stat, size: u64) -> Result<Bytes, String> {
    write(stat, size).map_err(|e| format!("{}: {e}", stat.path))
}

fn write(stat: &Stat, size: u64) -> io::Result<Bytes> {
    let entry = match kind(stat) {
        Kind::Directory => EntryType::Directory,
        Kind::Symlink => EntryType::Symlink,
        Kind::HardLink => EntryType::Link,
        Kind::File => EntryType::Regular,
        Kind::Fifo => EntryType::Fifo,
        Kind::Char => EntryType::Char,
        Kind::Block => EntryType::Block,
        Kind::Other => return Ok(Bytes::new()),
    };
    let mut header = Header::new_gnu();
    header.set_entry_type(entry);
    header.set_mode(unix_mode(stat.mode));
    // a context belongs to nobody of the client's machine
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(u64::try_from(stat.mod_time / 1_000_000_000).unwrap_or(0));
    header.set_size(if entry == EntryType::Regular { size } else { 0 });
    let mut tar = Builder::new(Vec::new());
    if matches!(entry, EntryType::Char | EntryType::Block) {
        header.set_device_major(u32::try_from(stat.devmajor).unwrap_or(0))?;
        header.set_device_minor(u32::try_from(stat.devminor).unwrap_or(0))?;
    }
    if matches!(entry, EntryType::Regular | EntryType::Directory) {
        let named = stat.xattrs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value));
        let named: Vec<(String, &Vec<u8>)> = named.collect();
        if !named.is_empty() {
            tar.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
        }
    }
    match entry {
        EntryType::Symlink | EntryType::Link => tar.append_link(&mut header, &stat.path, &stat.linkname)?,
        _ => tar.append_data(&mut header, &stat.path, io::empty())?,
    }
    Ok(std::mem::take(tar.get_mut()).into())
}

/// What fills the last block.
pub(crate) fn padding(size: u64) -> Option<Bytes> {
    static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let missing = (BLOCK - size % BLOCK) % BLOCK;
    (missing > 0).then(|| Bytes::from_static(&ZEROS[..missing as usize]))
}

/// As many zeros as a file lacks of what it was said to have.
pub(crate) fn zeros(count: u64) -> impl Iterator<Item = Bytes> {
    static PIECE: [u8; 64 << 10] = [0; 64 << 10];
    let mut left = count;
    std::iter::from_fn(move || {
        let now = left.min(PIECE.len() as u64);
        left -= now;
        (now > 0).then(|| Bytes::from_static(&PIECE[..now as usize]))
    })
}

/// Two empty blocks.
pub(crate) fn end() -> Bytes {
    Bytes::from_static(&[0; 1024])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_kind_of_file() {
        let of = |mode: u32, linkname: &str| Stat {
            path: "dir/name".into(),
            mode,
            linkname: linkname.into(),
            devmajor: 1,
            devminor: 3,
            mod_time: 7_500_000_000,
            uid: 1000,
            ..Stat::default()
        };
        for (name, stat, entry, mode) in [
            ("directory", of(DIRECTORY | STICKY | 0o777, ""), EntryType::Directory, 0o1777),
            ("symlink", of(SYMLINK | 0o777, "../there"), EntryType::Symlink, 0o777),
            ("hard link", of(0o600, "first"), EntryType::Link, 0o600),
            ("file", of(SET_UID | 0o755, ""), EntryType::Regular, 0o4755),
            ("pipe", of(NAMED_PIPE | 0o644, ""), EntryType::Fifo, 0o644),
            ("device", of(DEVICE | CHAR_DEVICE | 0o666, ""), EntryType::Char, 0o666),
            ("disk", of(DEVICE | 0o660, ""), EntryType::Block, 0o660),
        ] {
            let tar = whole(&stat, &[]).unwrap();
            let mut archive = tar::Archive::new(&tar[..]);
            let entry_of = archive.entries().unwrap().next().unwrap().unwrap();
            let header = entry_of.header();
            let got =
                (header.entry_type(), header.mode().unwrap(), header.uid().unwrap(), header.mtime().unwrap());
            assert_eq!(got, (entry, mode, 0, 7), "{name}");
        }
        assert!(whole(&of(SOCKET | 0o600, ""), &[]).unwrap().is_empty());
    }

    #[test]
    fn modes_there_and_back() {
        for (unix, go) in [
            (0o040_755, DIRECTORY | 0o755),
            (0o100_644, 0o644),
            (0o104_755, SET_UID | 0o755),
            (0o121_777, SYMLINK | STICKY | 0o777),
            (0o020_600, DEVICE | CHAR_DEVICE | 0o600),
        ] {
            assert_eq!(go_mode(unix), go, "{unix:o}");
            assert_eq!(unix_mode(go), unix & 0o7777, "{unix:o}");
        }
    }

    #[test]
    fn long_names_and_attributes_survive() {
        let stat = Stat {
            path: format!("{}/file", "d".repeat(180)),
            mode: 0o644,
            xattrs: HashMap::from([("user.note".to_owned(), b"x\0y".to_vec())]),
            ..Stat::default()
        };
        let tar = whole(&stat, b"content").unwrap();
        assert_eq!(tar.len() % 512, 0);
        let mut archive = tar::Archive::new(&tar[..]);
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().display().to_string(), stat.path);
        let mut attributes = entry.pax_extensions().unwrap().unwrap();
        assert_eq!(attributes.next().unwrap().unwrap().value_bytes(), b"x\0y");
    }
}
