//! Tars out of a container's root and into it.

use crate::root::{Place, Root, kind, names, open, plain, stat};
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Builder, Entry, EntryType, Header};

/// Writes what is at `place` under the name `root`.
pub(crate) fn write(place: &Place, root: &Path, out: impl Write) -> io::Result<()> {
    let mut writer = Writer { tar: Builder::new(out), links: HashMap::new() };
    writer.entry(&place.folder, place.name.as_os_str(), root)?;
    writer.tar.into_inner()?.flush()
}

struct Writer<W: Write> {
    tar: Builder<W>,
    /// Device and inode → the first name of a file with several.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Writer<W> {
    fn entry(&mut self, folder: &OwnedFd, name: &OsStr, path: &Path) -> io::Result<()> {
        let found = stat(folder, name)?;
        match kind(&found) {
            SFlag::S_IFDIR => {
                // the root of an export has no entry of its own
                if !path.as_os_str().is_empty() {
                    self.tar.append_data(
                        &mut header(&found, EntryType::Directory),
                        path.join(""),
                        io::empty(),
                    )?;
                }
                let inside = open(folder, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
                for name in names(&inside)? {
                    match self.entry(&inside, &name, &path.join(&name)) {
                        // gone since the folder was read
                        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                        done => done?,
                    }
                }
                Ok(())
            }
            SFlag::S_IFREG => self.file(folder, name, path, &found),
            SFlag::S_IFLNK => {
                let target = readlinkat(folder, name)?;
                self.tar.append_link(&mut header(&found, EntryType::Symlink), path, target)
            }
            SFlag::S_IFCHR => self.device(path, &found, EntryType::Char),
            SFlag::S_IFBLK => self.device(path, &found, EntryType::Block),
            SFlag::S_IFIFO => self.device(path, &found, EntryType::Fifo),
            // a socket means nothing without its process
            _ => Ok(()),
        }
    }

    fn file(&mut self, folder: &OwnedFd, name: &OsStr, path: &Path, found: &FileStat) -> io::Result<()> {
        if found.st_nlink > 1 {
            let key = (found.st_dev, found.st_ino);
            if let Some(first) = self.links.get(&key) {
                return self.tar.append_link(&mut header(found, EntryType::Link), path, first);
            }
            self.links.insert(key, path.to_owned());
        }
        let file = File::from(open(folder, name, OFlag::O_RDONLY, Mode::empty())?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(());
        }
        let mut header = header(found, EntryType::Regular);
        header.set_size(meta.len());
        // a file that shrinks while it is read would tear the archive
        self.tar.append_data(&mut header, path, file.chain(io::repeat(0)).take(meta.len()))
    }

    fn device(&mut self, path: &Path, found: &FileStat, kind: EntryType) -> io::Result<()> {
        let mut header = header(found, kind);
        header.set_device_major(nix::sys::stat::major(found.st_rdev) as u32)?;
        header.set_device_minor(nix::sys::stat::minor(found.st_rdev) as u32)?;
        self.tar.append_data(&mut header, path, io::empty())
    }
}

fn header(found: &FileStat, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(found.st_mode & 0o7777);
    header.set_uid(found.st_uid.into());
    header.set_gid(found.st_gid.into());
    header.set_mtime(u64::try_from(found.st_mtime).unwrap_or(0));
    header.set_size(0);
    header
}

/// How entries are put into a root.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unpack {
    /// A folder never takes a file's place, nor a file a folder's.
    pub(crate) keep_kinds: bool,
    /// Who owns a file is told by the archive; else root does.
    pub(crate) keep_owners: bool,
}

/// Unpacks a tar below `target`, a folder of the root.
pub(crate) fn unpack(root: &Root, target: &Path, tar: impl Read, how: Unpack) -> io::Result<()> {
    for entry in Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        put(root, target, &mut entry, how)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    }
    Ok(())
}

/// An archive's path below the target: `..` and a leading slash go nowhere.
fn below(target: &Path, path: &Path) -> PathBuf {
    let parts = path.components().filter(|c| matches!(c, Component::Normal(_)));
    plain(target).join(parts.collect::<PathBuf>())
}

fn put(root: &Root, target: &Path, entry: &mut Entry<'_, impl Read>, how: Unpack) -> io::Result<()> {
    let kind_wanted = entry.header().entry_type();
    if matches!(kind_wanted, EntryType::XGlobalHeader | EntryType::XHeader) {
        return Ok(());
    }
    let path = below(target, &entry.path()?);
    if path == plain(target) {
        return Ok(());
    }
    let parent = root.make_folder(path.parent().unwrap_or(target))?;
    let name = path.file_name().unwrap_or_default();
    make_room(&parent, name, kind_wanted, how)?;
    let mode = Mode::from_bits_truncate(entry.header().mode()? & 0o7777);
    match kind_wanted {
        EntryType::Directory => match mkdirat(&parent, name, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
            Err(e) => return Err(e.into()),
        },
        EntryType::Symlink => {
            let to = entry.link_name()?.ok_or_else(|| io::Error::other("a link without a target"))?;
            symlinkat(&*to, &parent, name)?;
        }
        EntryType::Link => {
            let to = entry.link_name()?.ok_or_else(|| io::Error::other("a link without a target"))?;
            let first = root.place(&below(target, &to))?;
            linkat(&first.folder, first.name.as_os_str(), &parent, name, AtFlags::empty())?;
            return Ok(());
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
            let mut file = File::from(open(&parent, name, flags, Mode::from_bits_truncate(0o600))?);
            io::copy(entry, &mut file)?;
        }
        // devices and pipes are made by no cp
        _ => return Ok(()),
    }
    finish(&parent, name, entry.header(), mode, how)
}

/// What is in the way goes, but for a folder where a folder is to be.
fn make_room(parent: &OwnedFd, name: &OsStr, wanted: EntryType, how: Unpack) -> io::Result<()> {
    let Ok(found) = stat(parent, name) else { return Ok(()) };
    let (is_folder, wants_folder) = (kind(&found) == SFlag::S_IFDIR, wanted == EntryType::Directory);
    if is_folder && wants_folder {
        return Ok(());
    }
    if is_folder != wants_folder && how.keep_kinds {
        let (what, with) =
            if wants_folder { ("non-directory", "directory") } else { ("directory", "non-directory") };
        return Err(io::Error::other(format!("cannot overwrite {what} with {with}")));
    }
    let flag = if is_folder { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
    Ok(unlinkat(parent, name, flag)?)
}

fn finish(parent: &OwnedFd, name: &OsStr, header: &Header, mode: Mode, how: Unpack) -> io::Result<()> {
    let id = |id: u64| u32::try_from(id).map_err(io::Error::other);
    let (uid, gid) = if how.keep_owners { (id(header.uid()?)?, id(header.gid()?)?) } else { (0, 0) };
    fchownat(parent, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let is_link = header.entry_type() == EntryType::Symlink;
    if !is_link {
        // after the owner, which takes setuid away; by descriptor, as a link could have come in its place
        let file = open(parent, name, OFlag::O_PATH, Mode::empty())?;
        std::fs::set_permissions(
            format!("/proc/self/fd/{}", file.as_raw_fd()),
            std::os::unix::fs::PermissionsExt::from_mode(mode.bits()),
        )?;
    }
    let time = TimeSpec::new(i64::try_from(header.mtime()?).unwrap_or(0), 0);
    let flag = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    Ok(nix::sys::stat::utimensat(parent, name, &time, &time, flag)?)
}
