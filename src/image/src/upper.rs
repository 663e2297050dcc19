//! A folder as a layer's tar: overlayfs' marks become the whiteouts of the OCI image-spec. Sorted, so that the same
//! files give the same layer.

use rustix::fs::{FileType, makedev};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];
const BLOCK: usize = 128 << 10;
/// Longer than Linux allows for all names or one value.
const MAX_XATTR: usize = 64 << 10;

pub(crate) fn write_tar(folder: &Path, out: impl Write) -> io::Result<()> {
    let mut writer =
        Writer { tar: Builder::new(BufWriter::with_capacity(BLOCK, out)), links: HashMap::new() };
    writer.tar.follow_symlinks(false);
    writer.folder(folder, Path::new(""))?;
    writer.tar.into_inner()?.flush()
}

struct Writer<W: Write> {
    tar: Builder<W>,
    /// Device and inode → the first name of a file with several.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Writer<W> {
    fn folder(&mut self, folder: &Path, inside: &Path) -> io::Result<()> {
        let mut names: Vec<OsString> =
            std::fs::read_dir(folder)?.map(|e| e.map(|e| e.file_name())).collect::<io::Result<_>>()?;
        names.sort();
        for name in names {
            self.entry(&folder.join(&name), &inside.join(&name))?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, inside: &Path) -> io::Result<()> {
        let meta = std::fs::symlink_metadata(path)?;
        match FileType::from_raw_mode(meta.mode()) {
            FileType::Directory => {
                self.plain(path, &inside.join(""), &meta, EntryType::Directory)?;
                if is_opaque(path) {
                    self.whiteout(inside.join(".wh..wh..opq"))?;
                }
                self.folder(path, inside)
            }
            FileType::CharacterDevice if meta.rdev() == makedev(0, 0) => {
                let mut name = OsString::from(".wh.");
                name.push(inside.file_name().unwrap_or_default());
                self.whiteout(inside.with_file_name(name))
            }
            FileType::RegularFile => self.file(path, inside, &meta),
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

    fn file(&mut self, path: &Path, inside: &Path, meta: &Metadata) -> io::Result<()> {
        if meta.nlink() > 1 {
            let key = (meta.dev(), meta.ino());
            if let Some(first) = self.links.get(&key) {
                return self.tar.append_link(&mut header(meta, EntryType::Link), inside, first);
            }
            self.links.insert(key, inside.to_owned());
        }
        self.attributes(path)?;
        let mut header = header(meta, EntryType::Regular);
        header.set_size(meta.len());
        // a file that shrinks while it is read would tear the archive
        let file = File::open(path)?;
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
