//! A directory as a layer's tar: overlayfs' marks become the whiteouts of the OCI image-spec. Sorted, so that the same
//! files give the same layer.
//!
//! A container may be at work in the directory: all in it is found by the descriptor of what holds it, and no link is followed,
//! whatever is swapped for one. What is kept meanwhile of names and links has its bounds in `trees`.

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, openat};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};
use trees::{FileId, LinkNames, Listings};

const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];
const BLOCK: usize = 128 << 10;
/// Longer than Linux allows for all names or one value.
const MAX_XATTR: usize = 64 << 10;
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Never what a link leads to.
const ITSELF: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC);

/// # Errors
/// What could not be read or written; directories too deep in each other; more files with several names than can be kept.
pub(crate) fn write_tar(directory: &Path, out: impl Write) -> io::Result<()> {
    let mut writer = Writer::new(BufWriter::with_capacity(BLOCK, out));
    writer.directory(&openat(CWD, directory, DIRECTORY, Mode::empty())?, Path::new(""), 0)?;
    writer.tar.into_inner()?.flush()
}

struct Writer<W: Write> {
    tar: Builder<W>,
    /// Of files with several names the first. Beyond its bound there is no layer: one with each name a file of its own would
    /// depend on it, and not be the same for the same files.
    links: LinkNames,
    listings: Listings,
}

impl<W: Write> Writer<W> {
    fn new(out: W) -> Self {
        let mut tar = Builder::new(out);
        tar.follow_symlinks(false);
        Writer { tar, links: LinkNames::default(), listings: Listings::default() }
    }

    fn directory(&mut self, directory: &OwnedFd, inside: &Path, depth: usize) -> io::Result<()> {
        trees::check_depth(depth)?;
        let mut names = self.listings.names();
        while let Some(name) = names.next_in(directory)? {
            self.entry(directory, &name, &inside.join(&name), depth)?;
        }
        Ok(())
    }

    /// What is called `name` in a directory that is `depth` directories down.
    fn entry(&mut self, directory: &OwnedFd, name: &OsStr, inside: &Path, depth: usize) -> io::Result<()> {
        // by the directory that is open: of such a path the last name alone could be a link, and nobody follows that
        let path = &Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        let meta = std::fs::symlink_metadata(path)?;
        match FileType::from_raw_mode(meta.mode()) {
            FileType::Directory => {
                self.plain(path, &inside.join(""), &meta, EntryType::Directory)?;
                if is_opaque(path) {
                    self.whiteout(inside.join(".wh..wh..opq"))?;
                }
                let below = openat(directory, name, DIRECTORY | ITSELF, Mode::empty())?;
                self.links.enter(name);
                self.directory(&below, inside, depth + 1)?;
                self.links.leave();
                Ok(())
            }
            FileType::CharacterDevice if meta.rdev() == makedev(0, 0) => {
                let mut name = OsString::from(".wh.");
                name.push(inside.file_name().unwrap_or_default());
                self.whiteout(inside.with_file_name(name))
            }
            FileType::RegularFile => {
                // a device may have taken its place since it was looked at, and must not be opened
                let found = openat(directory, name, OFlags::PATH | ITSELF, Mode::empty())?;
                self.file(found, name, path, inside)
            }
            FileType::Symlink => {
                let target = std::fs::read_link(path)?;
                self.tar.append_link(&mut header(&meta, EntryType::Symlink), inside, target)
            }
            FileType::CharacterDevice => self.plain(path, inside, &meta, EntryType::Char),
            FileType::BlockDevice => self.plain(path, inside, &meta, EntryType::Block),
            FileType::Fifo => self.plain(path, inside, &meta, EntryType::Fifo),
            // a socket means nothing without its process
            _ => Ok(()),
        }
    }

    fn file(&mut self, found: OwnedFd, name: &OsStr, path: &Path, inside: &Path) -> io::Result<()> {
        let Some(file) = trees::read_regular(found)? else {
            return Err(io::Error::other(format!("{} is another file by now", inside.display())));
        };
        let meta = file.metadata()?;
        let id = FileId { device: meta.dev(), inode: meta.ino(), names: meta.nlink() };
        if let Some(first) = self.links.see(name, id)? {
            return self.tar.append_link(&mut header(&meta, EntryType::Link), inside, first);
        }
        self.attributes(path)?;
        let mut header = header(&meta, EntryType::Regular);
        header.set_size(meta.len());
        // a file that shrinks while it is read would tear the archive
        let padded = io::Read::chain(file, io::repeat(0));
        self.tar.append_data(&mut header, inside, io::Read::take(padded, meta.len()))
    }

    fn plain(&mut self, path: &Path, inside: &Path, meta: &Metadata, kind: EntryType) -> io::Result<()> {
        self.attributes(path)?;
        let mut header = header(meta, kind);
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(rustix::fs::major(meta.rdev()))?;
            header.set_device_minor(rustix::fs::minor(meta.rdev()))?;
        }
        self.tar.append_data(&mut header, inside, io::empty())
    }

    fn whiteout(&mut self, inside: PathBuf) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_mode(0);
        self.tar.append_data(&mut header, inside, io::empty())
    }

    fn attributes(&mut self, path: &Path) -> io::Result<()> {
        let kept = attributes(path)?;
        if kept.is_empty() {
            return Ok(());
        }
        let records: Vec<(String, Vec<u8>)> =
            kept.into_iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value)).collect();
        self.tar.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
    }
}

/// Whole seconds: layers are compared by their bytes, and no image needs more.
pub(crate) fn header(meta: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(meta.mode() & 0o7777);
    header.set_uid(u64::from(meta.uid()));
    header.set_gid(u64::from(meta.gid()));
    header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
    header.set_size(0);
    header
}

pub(crate) fn is_opaque(path: &Path) -> bool {
    OPAQUE.iter().any(|name| get(path, name).is_ok_and(|value| value == b"y"))
}

fn get(path: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut value = vec![0; MAX_XATTR];
    let length = rustix::fs::lgetxattr(path, name, &mut value)?;
    value.truncate(length);
    Ok(value)
}

/// Those that unpacking keeps, in order.
pub(crate) fn attributes(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; MAX_XATTR];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(e) => return Err(e.into()),
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| crate::unpack::is_kept(name));
    let mut kept = Vec::new();
    for name in names.filter_map(|name| String::from_utf8(name.to_vec()).ok()) {
        kept.push((name.clone(), get(path, &name)?));
    }
    kept.sort();
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// The texts of the files in a tar.
    fn texts(tar: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries.map(|entry| io::read_to_string(entry).unwrap()).filter(|text| !text.is_empty()).collect()
    }

    /// The attack: a container that goes on while it is committed puts links to the machine in the place of what is read.
    #[test]
    fn what_is_swapped_for_a_link_shows_nothing_of_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (upper, outside) = (dir.path().join("upper"), dir.path().join("outside"));
        for directory in [&upper.join("d"), &outside] {
            std::fs::create_dir_all(directory).unwrap();
        }
        for file in [upper.join("f"), upper.join("d/in")] {
            std::fs::write(file, "inside").unwrap();
        }
        std::fs::write(outside.join("in"), "outside").unwrap();
        symlink(&outside, upper.join("other-d")).unwrap();
        symlink(outside.join("in"), upper.join("other-f")).unwrap();
        let is_over = AtomicBool::new(false);
        let exchange = |one: &str, other: &str| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(CWD, upper.join(one), CWD, upper.join(other), flags).unwrap();
        };
        let mut shown = std::collections::BTreeSet::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    exchange("d", "other-d");
                    exchange("f", "other-f");
                }
            });
            for _ in 0..2000 {
                let mut tar = Vec::new();
                // a failure is fine, a way out is not
                if write_tar(&upper, &mut tar).is_ok() {
                    shown.extend(texts(&tar));
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(shown.iter().all(|text| text == "inside"), "{shown:?}");
        let mut tar = Vec::new();
        write_tar(&upper, &mut tar).unwrap();
        assert_eq!(texts(&tar), ["inside", "inside"]);
    }

    #[test]
    fn names_of_one_file_are_links_and_more_than_can_be_kept_are_no_layer() {
        let dir = tempfile::tempdir().unwrap();
        for directory in ["a", "b"] {
            std::fs::create_dir(dir.path().join(directory)).unwrap();
        }
        for number in 0..100 {
            let file = dir.path().join(format!("a/{number}"));
            std::fs::write(&file, "x").unwrap();
            std::fs::hard_link(&file, dir.path().join(format!("b/{number}"))).unwrap();
        }
        let mut tar = Vec::new();
        write_tar(dir.path(), &mut tar).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let links = entries.filter(|entry| entry.header().entry_type() == EntryType::Link);
        let links: Vec<(String, String)> = links
            .map(|entry| {
                let (path, first) = (entry.path().unwrap(), entry.link_name().unwrap().unwrap());
                (path.display().to_string(), first.display().to_string())
            })
            .collect();
        assert_eq!(links.len(), 100);
        assert!(links.contains(&("b/7".to_owned(), "a/7".to_owned())), "{links:?}");
        let mut writer = Writer { links: LinkNames::bounded(10_000), ..Writer::new(io::sink()) };
        let directory = openat(CWD, dir.path(), DIRECTORY, Mode::empty()).unwrap();
        let refused = writer.directory(&directory, Path::new(""), 0).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TooManyLinks, "{refused}");
    }

    #[test]
    fn directories_too_deep_in_each_other_are_no_layer() {
        let dir = tempfile::tempdir().unwrap();
        let deep = |levels: usize| dir.path().join("d/".repeat(levels));
        std::fs::create_dir_all(deep(trees::MAX_DEPTH - 1)).unwrap();
        write_tar(dir.path(), io::sink()).unwrap();
        std::fs::create_dir_all(deep(trees::MAX_DEPTH + 1)).unwrap();
        let refused = write_tar(dir.path(), io::sink()).unwrap_err();
        assert_eq!(refused.to_string(), "more than 256 directories in each other");
    }
}
