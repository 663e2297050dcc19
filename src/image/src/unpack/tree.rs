//! A directory that is written into by names from an archive. Links that earlier entries made are followed as by one whose root
//! this is ([`Tree::real`]): absolute ones begin here, and `..` does not lead out, as Docker and containerd have it. What comes
//! out of that has no links, and the kernel makes sure of it (`openat2` with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS).

use super::attributes::set_opaque;
use super::refusal::refusal;
use crate::error::{ImageError, Result};
use crate::links::follow_links;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use trees::Listings;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// What directories get that the archive does not describe, until the layers below say better.
pub(super) const IMPLIED_MODE: u32 = 0o755;
/// Bytes of paths of directories that are not described: one name in an archive may have two thousand of them above it, whose paths
/// take a thousand times as much as it does.
const MAX_IMPLIED: usize = 64 << 20;

pub(super) struct Tree {
    layer: PathBuf,
    root: Rc<OwnedFd>,
    /// The directory of the last entry: archives come directory by directory.
    last: Option<(PathBuf, Rc<OwnedFd>)>,
    /// And, where a link leads to one, its name in the archive and the real one.
    through: Option<(PathBuf, PathBuf)>,
    implied: HashSet<PathBuf>,
    /// Bytes, for [`MAX_IMPLIED`].
    implied_names: usize,
    /// Of directories that are emptied.
    listings: Listings,
    /// Hashes of the paths whose content the recipe refers to.
    recorded: HashSet<u64>,
}

/// What had to make room for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Displaced {
    Nothing,
    /// It hid something in a layer below; a directory in its place must hide it as well.
    Whiteout,
    Other,
}

impl Tree {
    /// `layer` gets a directory `diff`.
    pub(super) fn create(layer: &Path) -> Result<Tree> {
        let diff = layer.join("diff");
        std::fs::create_dir(&diff).map_err(crate::error::doing(format!("create {}", diff.display())))?;
        let root =
            rustix::fs::open(&diff, DIRECTORY, Mode::empty()).map_err(|e| ImageError::io("open layer", e))?;
        let mode = Mode::from_raw_mode(IMPLIED_MODE);
        rustix::fs::chmod(&diff, mode).map_err(|e| ImageError::io("chmod layer", e))?;
        Ok(Tree {
            layer: layer.to_owned(),
            root: Rc::new(root),
            last: None,
            through: None,
            implied: HashSet::from([PathBuf::new()]),
            implied_names: 0,
            listings: Listings::default(),
            recorded: HashSet::new(),
        })
    }

    /// The path that a name from the archive stands for: no link is in it, but perhaps the last part is one.
    pub(super) fn real(&mut self, path: PathBuf) -> Result<PathBuf> {
        let Some((parent, name)) = path.parent().zip(path.file_name()) else { return Ok(path) };
        match self.real_directory(parent)? {
            None => Ok(path),
            Some(real) => Ok(real.join(name)),
        }
    }

    /// `None` where it is the same: nearly always.
    fn real_directory(&mut self, path: &Path) -> Result<Option<PathBuf>> {
        if path.as_os_str().is_empty() || self.last.as_ref().is_some_and(|(last, _)| last == path) {
            return Ok(None);
        }
        if let Some((_, real)) = self.through.as_ref().filter(|(through, _)| through == path) {
            return Ok(Some(real.clone()));
        }
        match self.open(path, DIRECTORY) {
            Ok(fd) => self.last = Some((path.to_owned(), Rc::new(fd))),
            Err(Errno::LOOP) => {
                let real =
                    follow_links(path, |at| self.link(at)).ok_or_else(|| refusal(path, Errno::LOOP))?;
                self.through = Some((path.to_owned(), real.clone()));
                return Ok(Some(real));
            }
            // made later, or told later what is wrong
            Err(_) => {}
        }
        Ok(None)
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        let found = self.open(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let target = rustix::fs::readlinkat(&found, "", Vec::new()).ok()?;
        Some(OsStr::from_bytes(target.to_bytes()).into())
    }

    /// Opens the directory at `path`, and makes what is missing on the way.
    pub(super) fn directory(&mut self, path: &Path) -> Result<Rc<OwnedFd>> {
        if path.as_os_str().is_empty() {
            return Ok(self.root.clone());
        }
        if let Some((_, fd)) = self.last.as_ref().filter(|(last, _)| last == path) {
            return Ok(fd.clone());
        }
        match self.open(path, DIRECTORY) {
            // not a directory: perhaps a whiteout, which a directory may follow
            Err(Errno::NOENT | Errno::NOTDIR) => self.make_all(path),
            other => Ok(self.keep(path, other.map_err(|e| refusal(path, e))?)),
        }
    }

    fn keep(&mut self, path: &Path, directory: OwnedFd) -> Rc<OwnedFd> {
        let directory = Rc::new(directory);
        self.last = Some((path.to_owned(), directory.clone()));
        directory
    }

    /// With all above it that are missing: the topmost first, and no stack for each, as a path may have two thousand of them.
    fn make_all(&mut self, path: &Path) -> Result<Rc<OwnedFd>> {
        let mut missing = vec![];
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            match self.open(above, DIRECTORY) {
                Ok(_) => break,
                Err(Errno::NOENT | Errno::NOTDIR) => missing.push(above),
                Err(e) => return Err(refusal(above, e)),
            }
        }
        while let Some(above) = missing.pop() {
            let made = self.make(above)?;
            self.keep(above, made);
        }
        let made = self.make(path)?;
        Ok(self.keep(path, made))
    }

    fn make(&mut self, path: &Path) -> Result<OwnedFd> {
        let (parent, name) = split(path)?;
        let above = self.directory(parent)?;
        match rustix::fs::mkdirat(&*above, name, Mode::from_raw_mode(IMPLIED_MODE)) {
            Ok(()) => self.imply(path)?,
            Err(Errno::EXIST) => self.make_over_whiteout(path, &above, name)?,
            Err(e) => return Err(refusal(path, e)),
        }
        self.open(path, DIRECTORY).map_err(|e| refusal(path, e))
    }

    /// A directory in a whiteout's place hides what the whiteout hid. What is no whiteout stays.
    fn make_over_whiteout(&mut self, path: &Path, above: &OwnedFd, name: &OsStr) -> Result<()> {
        if self.kind(above, name) != Some((FileType::CharacterDevice, 0)) {
            return Ok(());
        }
        self.displace(path, above, name)?;
        rustix::fs::mkdirat(above, name, Mode::from_raw_mode(IMPLIED_MODE)).map_err(|e| refusal(path, e))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        set_opaque(self.open(path, flags).map_err(|e| refusal(path, e))?, path)
    }

    pub(super) fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        rustix::fs::openat2(&*self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), BENEATH)
    }

    fn imply(&mut self, path: &Path) -> Result<()> {
        if self.implied.insert(path.to_owned()) {
            self.implied_names += path.as_os_str().len();
        }
        if self.implied_names > MAX_IMPLIED {
            let why =
                format!("layer: more than {MAX_IMPLIED} bytes of directories that it does not describe");
            return Err(ImageError::Refused(why));
        }
        Ok(())
    }

    /// The archive describes this directory itself after all, or has something else in its place.
    pub(super) fn described(&mut self, path: &Path) {
        if self.implied.remove(path) {
            self.implied_names -= path.as_os_str().len();
        }
    }

    /// Of a directory that is there.
    pub(super) fn time(&self, path: &Path) -> Option<Timespec> {
        let stat = rustix::fs::fstat(self.open(path, DIRECTORY).ok()?).ok()?;
        Some(Timespec { tv_sec: stat.st_mtime as _, tv_nsec: stat.st_mtime_nsec as _ })
    }

    pub(super) fn recorded(&mut self, path: &Path) {
        self.recorded.insert(hash(path));
    }

    pub(super) fn implied(self) -> Vec<PathBuf> {
        let mut implied: Vec<PathBuf> = self.implied.into_iter().collect();
        implied.sort();
        implied
    }

    /// What is at `path` now, without following a link.
    pub(super) fn kind(&self, above: &OwnedFd, name: &OsStr) -> Option<(FileType, u64)> {
        let stat = rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((FileType::from_raw_mode(stat.st_mode), stat.st_rdev))
    }

    /// Makes room at `path` for a later entry of the same name. A file whose content the recipe needs is put aside; a
    /// directory goes with all that is in it, as in Docker.
    pub(super) fn displace(&mut self, path: &Path, above: &OwnedFd, name: &OsStr) -> Result<Displaced> {
        let Some((kind, device)) = self.kind(above, name) else { return Ok(Displaced::Nothing) };
        self.through = None;
        match kind {
            FileType::Directory => {
                self.last = None;
                self.described(path);
                self.clear(path, above, name)?;
                rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR).map_err(|e| refusal(path, e))?;
            }
            FileType::RegularFile if self.recorded.remove(&hash(path)) => {
                put_aside(&self.layer, path, above, name)?
            }
            _ => rustix::fs::unlinkat(above, name, AtFlags::empty()).map_err(|e| refusal(path, e))?,
        }
        Ok(if kind == FileType::CharacterDevice && device == 0 {
            Displaced::Whiteout
        } else {
            Displaced::Other
        })
    }

    /// Empties a directory.
    fn clear(&mut self, path: &Path, above: &OwnedFd, name: &OsStr) -> Result<()> {
        trees::check_depth(path.components().count())
            .map_err(|e| ImageError::Refused(format!("layer: {}: {e}", path.display())))?;
        let failed = |e| refusal(path, e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(above, name, flags, Mode::empty()).map_err(failed)?;
        let mut names = self.listings.names();
        while let Some(name) =
            names.next_in(&directory).map_err(|e| ImageError::io(format!("unpack {}", path.display()), e))?
        {
            self.displace(&path.join(&name), &directory, &name)?;
        }
        Ok(())
    }
}

/// A file that something else replaces, and whose content the recipe needs.
pub(super) fn put_aside(layer: &Path, path: &Path, above: &OwnedFd, name: &OsStr) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    let free = (0..).map(|n| crate::tar_split::shadowed(layer, bytes, n)).find(|p| !p.exists());
    let Some((to, directory)) = free.as_deref().and_then(|to| Some((to, to.parent()?))) else {
        return Ok(());
    };
    std::fs::create_dir_all(directory).map_err(crate::error::doing("put a replaced file aside"))?;
    rustix::fs::renameat(above, name, rustix::fs::CWD, to).map_err(|e| refusal(path, e))
}

fn hash(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// The directory and the name in it.
pub(super) fn split(path: &Path) -> Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(ImageError::Refused("layer: an entry that replaces the root".into())),
    }
}

/// A name from an archive, as a path below the root; empty for the root itself.
pub(crate) fn clean(what: &str, bytes: &[u8]) -> Result<PathBuf> {
    let shown = || String::from_utf8_lossy(bytes).into_owned();
    let refuse = |why: &str| Err(ImageError::Refused(format!("layer: {what} {:?} {why}", shown())));
    if bytes.contains(&0) {
        return refuse("holds a NUL");
    }
    let mut path = PathBuf::new();
    let is_absolute = bytes.first() == Some(&b'/');
    for component in Path::new(OsStr::from_bytes(bytes)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            // the root of a layer is its own, as Docker and containerd have it: `ko` and others write names like that
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            // carried out in the name itself, as Docker cleans names: it is no way through a link
            Component::ParentDir if path.pop() || is_absolute => {}
            Component::ParentDir => return refuse("climbs out with `..`"),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_that_are_not_described_are_counted_as_long_as_they_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::create(dir.path()).unwrap();
        tree.directory(Path::new("a/b/c")).unwrap();
        assert_eq!(tree.implied_names, "a".len() + "a/b".len() + "a/b/c".len());
        tree.described(Path::new("a/b"));
        let above = tree.directory(Path::new("")).unwrap();
        tree.displace(Path::new("a"), &above, OsStr::new("a")).unwrap();
        assert_eq!(tree.implied_names, 0);
        tree.implied_names = MAX_IMPLIED - 1;
        tree.directory(Path::new("d")).unwrap();
        let why = tree.directory(Path::new("e")).unwrap_err().to_string();
        assert_eq!(why, "layer: more than 67108864 bytes of directories that it does not describe");
    }
}
