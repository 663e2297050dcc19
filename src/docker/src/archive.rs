//! Tars out of a container's root and into it. What is in the root, its container decides: a tar is written as the root is read, and
//! what is kept meanwhile of names and links has its bounds in `trees`.

use crate::root::{Place, Root, kind, open, plain, stat};
use image::HeaderBound;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, makedev, mkdirat, mknodat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Builder, Entry, EntryType, Header};
use trees::{DirectoryTimes, FileId, LinkNames, Listings};

/// Writes what is at `place`. Its names begin with `name`, as it is: `quux`, `.`, `/`; with an empty one a directory's content
/// is written without the directory.
///
/// # Errors
/// What could not be read, by its name, or written; more files with several names than can be kept. What goes away meanwhile is
/// left out.
pub(crate) fn write(place: &Place, name: &OsStr, out: impl Write) -> io::Result<()> {
    let mut writer = Writer::new(out);
    writer.entry(&place.directory, place.name.as_os_str(), name)?;
    writer.tar.into_inner()?.flush()
}

struct Writer<W: Write> {
    tar: Builder<W>,
    /// Of files with several names the first. Beyond its bound the archive ends: with each name a file of its own it could
    /// become larger than any disk, and nobody would know.
    links: LinkNames,
    listings: Listings,
    /// Of the directory that is read.
    depth: usize,
    /// The failure that ends it tells already where it was.
    is_named: bool,
}

fn joined(path: &OsStr, name: &OsStr) -> OsString {
    let mut whole = path.to_owned();
    if !path.is_empty() && path != "/" {
        whole.push("/");
    }
    whole.push(name);
    whole
}

fn named(path: &OsStr) -> impl Fn(io::Error) -> io::Error + '_ {
    |why| io::Error::new(why.kind(), format!("{}: {why}", path.display()))
}

impl<W: Write> Writer<W> {
    fn new(out: W) -> Self {
        let (links, listings) = (LinkNames::default(), Listings::default());
        Writer { tar: Builder::new(out), links, listings, depth: 0, is_named: false }
    }

    fn entry(&mut self, directory: &OwnedFd, name: &OsStr, path: &OsStr) -> io::Result<()> {
        let found = stat(directory, name)?;
        match kind(&found) {
            SFlag::S_IFDIR => self.directory(directory, name, path, &found),
            SFlag::S_IFREG => self.file(directory, name, path, &found),
            SFlag::S_IFLNK => {
                let target = readlinkat(directory, name)?;
                self.put(path, Some(&target), header(&found, EntryType::Symlink), io::empty())
            }
            SFlag::S_IFCHR => self.device(path, &found, EntryType::Char),
            SFlag::S_IFBLK => self.device(path, &found, EntryType::Block),
            SFlag::S_IFIFO => self.device(path, &found, EntryType::Fifo),
            // a socket means nothing without its process
            _ => Ok(()),
        }
    }

    fn directory(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        path: &OsStr,
        found: &FileStat,
    ) -> io::Result<()> {
        if !path.is_empty() {
            let named = if path == "/" { path.to_owned() } else { joined(path, OsStr::new("")) };
            self.put(&named, None, header(found, EntryType::Directory), io::empty())?;
        }
        let inside = open(directory, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        trees::check_depth(self.depth)?;
        // the first one is called as the archive has it
        self.links.enter(if self.depth == 0 { path } else { name });
        self.depth += 1;
        let done = self.contents(&inside, path);
        self.depth -= 1;
        self.links.leave();
        done
    }

    fn contents(&mut self, directory: &OwnedFd, path: &OsStr) -> io::Result<()> {
        let mut names = self.listings.names();
        while let Some(name) = names.next_in(directory)? {
            let path = joined(path, &name);
            match self.entry(directory, &name, &path) {
                // gone since the directory was read
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) if !self.is_named => {
                    self.is_named = true;
                    return Err(named(&path)(e));
                }
                done => done?,
            }
        }
        Ok(())
    }

    fn file(&mut self, directory: &OwnedFd, name: &OsStr, path: &OsStr, found: &FileStat) -> io::Result<()> {
        // a device may have taken its place since it was looked at, and must not be opened
        let Some(file) = trees::read_regular(open(directory, name, OFlag::O_PATH, Mode::empty())?)? else {
            return Ok(());
        };
        // a name that has gone meanwhile is in no archive, and no first one
        let id = FileId { device: found.st_dev, inode: found.st_ino, names: found.st_nlink as _ };
        if let Some(first) = self.links.see(name, id)? {
            return self.put(path, Some(first.as_os_str()), header(found, EntryType::Link), io::empty());
        }
        let meta = file.metadata()?;
        let mut header = header(found, EntryType::Regular);
        header.set_size(meta.len());
        // a file that shrinks while it is read would tear the archive
        self.put(path, None, header, file.chain(io::repeat(0)).take(meta.len()))
    }

    fn device(&mut self, path: &OsStr, found: &FileStat, kind: EntryType) -> io::Result<()> {
        let mut header = header(found, kind);
        header.set_device_major(nix::sys::stat::major(found.st_rdev) as u32)?;
        header.set_device_minor(nix::sys::stat::minor(found.st_rdev) as u32)?;
        self.put(path, None, header, io::empty())
    }

    /// Names go out as they are; the crate would take dots and leading slashes away, and refuse some. What does not fit
    /// into a header goes before it, as GNU tar does it.
    fn put(
        &mut self,
        path: &OsStr,
        link: Option<&OsStr>,
        mut header: Header,
        data: impl Read,
    ) -> io::Result<()> {
        let (path, link) = (path.as_encoded_bytes(), link.map(OsStr::as_encoded_bytes).unwrap_or_default());
        for (text, kind) in [(link, b'K'), (path, b'L')] {
            if text.len() > header.as_old().name.len() {
                self.long(text, kind)?;
            }
        }
        fill(&mut header.as_old_mut().name, path);
        fill(&mut header.as_old_mut().linkname, link);
        header.set_cksum();
        self.tar.append(&header, data)
    }

    fn long(&mut self, text: &[u8], kind: u8) -> io::Result<()> {
        let mut header = Header::new_gnu();
        fill(&mut header.as_old_mut().name, b"././@LongLink");
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(text.len() as u64 + 1);
        header.set_entry_type(EntryType::new(kind));
        header.set_cksum();
        self.tar.append(&header, text.chain(&b"\0"[..]))
    }
}

fn fill(field: &mut [u8; 100], text: &[u8]) {
    field.fill(0);
    let fits = text.len().min(field.len());
    field[..fits].copy_from_slice(&text[..fits]);
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
    /// A directory never takes a file's place, nor a file a directory's.
    pub(crate) keep_kinds: bool,
    /// Whose everything is to be; without, the archive tells.
    pub(crate) owner: Option<(u32, u32)>,
}

/// Unpacks a tar, packed or not, below `target`, a directory of the root.
pub(crate) fn unpack(root: &Root, target: &Path, tar: impl Read, how: Unpack) -> io::Result<()> {
    unpack_with(root, target, tar, how, DirectoryTimes::default())
}

fn unpack_with(
    root: &Root,
    target: &Path,
    tar: impl Read,
    how: Unpack,
    mut times: DirectoryTimes<TimeSpec>,
) -> io::Result<()> {
    let (plain, bound) = image::BoundedHeaders::new(image::unpacked(io::BufReader::new(tar))?);
    for entry in Archive::new(plain).entries()? {
        let mut entry = entry?;
        bound.entry(&mut entry)?;
        let path = entry.path()?.into_owned();
        times.before(below(target, &path).parent().unwrap_or(target), |directory| time_of(root, directory));
        let time = put(root, target, &mut entry, &bound, how).map_err(|e| match e.kind() {
            io::ErrorKind::Other => e,
            kind => io::Error::new(kind, format!("{}: {e}", path.display())),
        })?;
        if let Some(time) = time {
            times.tell(below(target, &path), time);
        }
        for (path, time) in times.take_if_many().into_iter().flatten() {
            set_directory_time(root, &path, time)?;
        }
    }
    for (path, time) in times.take() {
        set_directory_time(root, &path, time)?;
    }
    Ok(())
}

/// Opened to read, as others have no time to set.
fn open_directory(root: &Root, path: &Path) -> io::Result<OwnedFd> {
    let place = root.place(path)?;
    Ok(open(&place.directory, place.name.as_os_str(), OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?)
}

fn time_of(root: &Root, directory: &Path) -> Option<TimeSpec> {
    let found = nix::sys::stat::fstat(open_directory(root, directory).ok()?).ok()?;
    Some(TimeSpec::new(found.st_mtime, found.st_mtime_nsec))
}

fn set_directory_time(root: &Root, path: &Path, time: TimeSpec) -> io::Result<()> {
    // something else may be there since
    let Ok(directory) = open_directory(root, path) else { return Ok(()) };
    Ok(nix::sys::stat::futimens(directory, &time, &time)?)
}

/// An archive's path below the target: `..` and a leading slash go nowhere.
fn below(target: &Path, path: &Path) -> PathBuf {
    let parts = path.components().filter(|c| matches!(c, Component::Normal(_)));
    plain(target).join(parts.collect::<PathBuf>())
}

/// Gives the time that a directory is to have when all is done.
fn put(
    root: &Root,
    target: &Path,
    entry: &mut Entry<'_, impl Read>,
    bound: &HeaderBound,
    how: Unpack,
) -> io::Result<Option<TimeSpec>> {
    let kind_wanted = entry.header().entry_type();
    if matches!(kind_wanted, EntryType::XGlobalHeader | EntryType::XHeader) {
        return Ok(None);
    }
    let path = below(target, &entry.path()?);
    if path == plain(target) {
        return Ok(None);
    }
    let parent = root.make_directory(path.parent().unwrap_or(target))?;
    let name = path.file_name().unwrap_or_default();
    make_room(&parent, name, kind_wanted, how, &path)?;
    let mode = Mode::from_bits_truncate(entry.header().mode()? & 0o7777);
    match kind_wanted {
        EntryType::Directory => match mkdirat(&parent, name, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e.into()),
        },
        EntryType::Symlink => {
            let to = entry.link_name_bytes().ok_or_else(|| io::Error::other("a link without a target"))?;
            symlinkat(&*to, &parent, name)?;
        }
        EntryType::Link => {
            let to = entry.link_name()?.ok_or_else(|| io::Error::other("a link without a target"))?;
            let first = root.place(&below(target, &to))?;
            linkat(&first.directory, first.name.as_os_str(), &parent, name, AtFlags::empty())?;
            return Ok(None);
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
            let mut file = File::from(open(&parent, name, flags, Mode::from_bits_truncate(0o600))?);
            io::copy(&mut bound.content(&mut *entry), &mut file)?;
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            let header = entry.header();
            let (kind, device) = match kind_wanted {
                // its fields for a device's numbers may be empty
                EntryType::Fifo => (SFlag::S_IFIFO, 0),
                EntryType::Char => (SFlag::S_IFCHR, device(header)?),
                _ => (SFlag::S_IFBLK, device(header)?),
            };
            mknodat(&parent, name, kind, Mode::from_bits_truncate(0o600), device)?;
        }
        _ => return Ok(None),
    }
    finish(&parent, name, entry.header(), mode, how)?;
    let time = TimeSpec::new(i64::try_from(entry.header().mtime()?).unwrap_or(0), 0);
    set_time(&parent, name, time)?;
    Ok((kind_wanted == EntryType::Directory).then_some(time))
}

fn device(header: &Header) -> io::Result<u64> {
    let number = |number: Option<u32>| u64::from(number.unwrap_or(0));
    Ok(makedev(number(header.device_major()?), number(header.device_minor()?)))
}

/// What is in the way goes, but for a directory where a directory is to be.
fn make_room(parent: &OwnedFd, name: &OsStr, wanted: EntryType, how: Unpack, path: &Path) -> io::Result<()> {
    let Ok(found) = stat(parent, name) else { return Ok(()) };
    let (is_directory, wants_directory) = (kind(&found) == SFlag::S_IFDIR, wanted == EntryType::Directory);
    if is_directory && wants_directory {
        return Ok(());
    }
    if is_directory != wants_directory && how.keep_kinds {
        let (what, with) =
            if wants_directory { ("non-directory", "directory") } else { ("directory", "non-directory") };
        let target = path.parent().unwrap_or(path);
        return Err(io::Error::other(format!("cannot overwrite {what} {path:?} with {with} {target:?}")));
    }
    remove(parent, name, is_directory)
}

/// By descriptors: a link that comes in a directory's place is removed itself.
fn remove(parent: &OwnedFd, name: &OsStr, is_directory: bool) -> io::Result<()> {
    if !is_directory {
        return Ok(unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)?);
    }
    trees::remove_at(parent, name)
}

fn finish(parent: &OwnedFd, name: &OsStr, header: &Header, mode: Mode, how: Unpack) -> io::Result<()> {
    // the last number of all would leave the owner as it is: root
    let id = |id: u64| match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(io::Error::other(format!("owner {id} out of range"))),
    };
    let (uid, gid) = match how.owner {
        Some(owner) => owner,
        None => (id(header.uid()?)?, id(header.gid()?)?),
    };
    fchownat(parent, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if header.entry_type() != EntryType::Symlink {
        // after the owner, which takes setuid away; by descriptor, as a link could have come in its place
        let file = open(parent, name, OFlag::O_PATH, Mode::empty())?;
        std::fs::set_permissions(
            format!("/proc/self/fd/{}", file.as_raw_fd()),
            std::os::unix::fs::PermissionsExt::from_mode(mode.bits()),
        )?;
    }
    Ok(())
}

fn set_time(parent: &OwnedFd, name: &OsStr, time: TimeSpec) -> io::Result<()> {
    let flag = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    Ok(nix::sys::stat::utimensat(parent, name, &time, &time, flag)?)
}

#[cfg(test)]
mod tests;
