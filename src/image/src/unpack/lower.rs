//! What a layer's archive could not know of the layers below it: it was unpacked alone, perhaps before them. A directory that it
//! only used on the way to something may be a link there: then what it brings belongs where the link leads, as it does for
//! who unpacks layer over layer (`var/run/x` over `var/run -> /run`). And where it is a directory there, it has that
//! directory's attributes: without this a layer that only brings `tmp/x` would take the sticky bit from `/tmp`, because in an
//! overlay the uppermost directory's attributes count.

#[cfg(test)]
mod tests;

use super::attributes::{is_opaque, is_root, set_opaque, times};
use super::refusal::refusal;
use super::tree::{IMPLIED_MODE, put_aside, split};
use crate::error::{ImageError, Result, doing};
use crate::links::follow_links;
use crate::tar_split::Moved;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Uid};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use trees::Listings;

const REAL: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Bytes of names that may be moved, each as often as it is: through links behind links an archive of a few KiB could have
/// the same paths moved over and over. What is on the way to one file is some hundred bytes.
const MAX_MOVED: usize = 256 << 20;

/// Fits the layer in `layer/diff` over `lower`, their `diff` directories, topmost first. `implied`: the directories that its archive
/// used without describing them.
pub(crate) fn fit(layer: &Path, implied: &[PathBuf], lower: &[PathBuf]) -> Result<()> {
    let mut fitting = Fitting {
        layer,
        own: open_layer(&layer.join("diff"))?,
        below: Stack(lower.iter().map(|path| open_layer(path)).collect::<Result<_>>()?),
        implied: implied.iter().cloned().collect(),
        moved: Moved::default(),
        moved_names: 0,
        listings: Listings::default(),
    };
    // a directory above another comes before it, and takes it along
    let mut todo = fitting.implied.clone();
    while let Some(path) = todo.pop_first() {
        if let Some(to) = fitting.link_below(&path)? {
            fitting.carry(&path, &to)?;
            let inner = rebase(&mut todo, &path, &to);
            fitting.count(inner)?;
        }
    }
    fitting.inherit()?;
    fitting.moved.write(layer).map_err(doing("write what was moved"))
}

fn open_layer(diff: &Path) -> Result<OwnedFd> {
    let what = || format!("open layer {}", diff.display());
    rustix::fs::open(diff, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| ImageError::io(what(), e))
}

/// Moves those that are `from` or below it to `to`; gives how many bytes of names they were. The others cost nothing: a path is
/// followed in the order by all that are below it.
fn rebase(paths: &mut BTreeSet<PathBuf>, from: &Path, to: &Path) -> usize {
    let behind = paths.range::<Path, _>((Bound::Included(from), Bound::Unbounded));
    let inner: Vec<PathBuf> = behind.take_while(|path| path.starts_with(from)).cloned().collect();
    // all of them first: one may come to where another one was
    for path in &inner {
        paths.remove(path);
    }
    paths.extend(inner.iter().map(|path| joined(to, path.strip_prefix(from).unwrap_or(path))));
    inner.iter().map(|path| path.as_os_str().len()).sum()
}

fn joined(path: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { path.to_owned() } else { path.join(rest) }
}

struct Fitting<'a> {
    layer: &'a Path,
    own: OwnedFd,
    below: Stack,
    implied: BTreeSet<PathBuf>,
    moved: Moved,
    /// Bytes, for [`MAX_MOVED`].
    moved_names: usize,
    /// Of directories that are moved.
    listings: Listings,
}

impl Fitting<'_> {
    /// Where the layers below have a link at `path`: the directory that it leads to.
    fn link_below(&self, path: &Path) -> Result<Option<PathBuf>> {
        if !matches!(self.below.lookup(path), Some(Entry::Link(_))) {
            return Ok(None);
        }
        // this layer's own directory hides the link from itself
        let link = |at: &Path| match at == path {
            true => self.below.lookup(at).and_then(Entry::link),
            false => self.lookup(at).and_then(Entry::link),
        };
        let to = follow_links(path, link).ok_or_else(|| refusal(path, Errno::LOOP))?;
        match self.lookup(&to) {
            Some(Entry::Other) => Err(refusal(path, Errno::NOTDIR)),
            _ => Ok((!to.starts_with(path)).then_some(to)),
        }
    }

    /// What the image has at a path without links, this layer's own first.
    fn lookup(&self, path: &Path) -> Option<Entry> {
        match lookup_in(&self.own, path) {
            Seen::Through => self.below.lookup(path),
            Seen::Hidden => None,
            Seen::Here(entry) => Some(entry),
        }
    }

    /// Moves what is in the directory at `from` to the one at `to`, which is made where it is missing.
    fn carry(&mut self, from: &Path, to: &Path) -> Result<()> {
        self.make(to)?;
        self.merge(from, to)?;
        self.implied.remove(from);
        let inner = rebase(&mut self.implied, from, to);
        self.count(inner)?;
        self.moved.add(from, to);
        Ok(())
    }

    fn count(&mut self, names: usize) -> Result<()> {
        self.moved_names += names;
        if self.moved_names > MAX_MOVED {
            let why = "layer: too much of it leads through links of the layers below";
            return Err(ImageError::Refused(why.into()));
        }
        Ok(())
    }

    fn make(&mut self, path: &Path) -> Result<()> {
        let mut at = PathBuf::new();
        for part in path.components() {
            at.push(part);
            let (above, name) = self.place(&at)?;
            match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(IMPLIED_MODE)) {
                Ok(()) => _ = self.implied.insert(at.clone()),
                Err(Errno::EXIST) => {}
                Err(e) => return Err(refusal(&at, e)),
            }
            self.open(&at)?;
        }
        Ok(())
    }

    fn merge(&mut self, from: &Path, to: &Path) -> Result<()> {
        trees::check_depth(from.components().count())
            .map_err(|e| ImageError::Refused(format!("layer: {}: {e}", from.display())))?;
        let source = self.open(from)?;
        let target = self.open(to)?;
        if is_opaque(&source) {
            set_opaque(&target, to)?;
        }
        let mut names = self.listings.names();
        while let Some(name) =
            names.next_in(&source).map_err(|e| ImageError::io(format!("unpack {}", from.display()), e))?
        {
            let (old, new) = (from.join(&name), joined(to, Path::new(&name)));
            self.count(old.as_os_str().len())?;
            let kind = |directory: &OwnedFd| {
                let stat = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW);
                stat.ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
            };
            match (kind(&source), kind(&target)) {
                (_, None) => {
                    rustix::fs::renameat(&source, &name, &target, &name).map_err(|e| refusal(&old, e))?
                }
                (Some(FileType::Directory), Some(FileType::Directory)) => self.merge(&old, &new)?,
                // the archive brings both: what it calls by its own name counts, the other is only told
                (Some(FileType::RegularFile), _) => put_aside(self.layer, &old, &source, &name)?,
                (Some(FileType::Directory), _) => return Err(refusal(&old, Errno::NOTDIR)),
                _ => rustix::fs::unlinkat(&source, &name, AtFlags::empty()).map_err(|e| refusal(&old, e))?,
            }
        }
        let (above, name) = self.place(from)?;
        rustix::fs::unlinkat(&above, name, AtFlags::REMOVEDIR).map_err(|e| refusal(from, e))
    }

    fn open(&self, path: &Path) -> Result<OwnedFd> {
        let at = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        rustix::fs::openat2(&self.own, at, DIRECTORY, Mode::empty(), REAL).map_err(|e| refusal(path, e))
    }

    fn place<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr)> {
        let (parent, name) = split(path)?;
        Ok((self.open(parent)?, name))
    }

    /// Owner, mode and time of the directories that were only implied.
    fn inherit(&self) -> Result<()> {
        for path in &self.implied {
            let Some(Entry::Directory(model)) = self.below.lookup(path) else { continue };
            let fd = self.open(path)?;
            let failed = |e| ImageError::io(format!("inherit the attributes of {}", path.display()), e);
            if is_root() {
                let (uid, gid) = (Uid::from_raw(model.st_uid), Gid::from_raw(model.st_gid));
                rustix::fs::fchown(&fd, Some(uid), Some(gid)).map_err(failed)?;
            }
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(model.st_mode & 0o7777)).map_err(failed)?;
            let mtime = Timespec { tv_sec: model.st_mtime as _, tv_nsec: model.st_mtime_nsec as _ };
            rustix::fs::futimens(&fd, &times(mtime)).map_err(failed)?;
        }
        Ok(())
    }
}

enum Entry {
    Directory(Box<Stat>),
    Link(PathBuf),
    Other,
}

impl Entry {
    fn link(self) -> Option<PathBuf> {
        match self {
            Entry::Link(target) => Some(target),
            _ => None,
        }
    }
}

/// What one layer says of a path.
enum Seen {
    Here(Entry),
    /// It hides what is below.
    Hidden,
    /// It does not speak of it.
    Through,
}

/// Layers, topmost first.
struct Stack(Vec<OwnedFd>);

impl Stack {
    /// What an overlay of them has at a path without links.
    fn lookup(&self, path: &Path) -> Option<Entry> {
        for layer in &self.0 {
            match lookup_in(layer, path) {
                Seen::Here(entry) => return Some(entry),
                Seen::Hidden => return None,
                Seen::Through => {}
            }
        }
        None
    }
}

fn lookup_in(layer: &OwnedFd, path: &Path) -> Seen {
    let at = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(layer, at, flags, Mode::empty(), REAL) {
        Ok(found) => entry_of(&found),
        Err(Errno::NOENT) if hides(layer, path) => Seen::Hidden,
        Err(Errno::NOENT) => Seen::Through,
        // a directory on the way is something else here
        Err(_) => Seen::Hidden,
    }
}

fn entry_of(found: &OwnedFd) -> Seen {
    let Ok(stat) = rustix::fs::fstat(found) else { return Seen::Hidden };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Seen::Here(Entry::Directory(Box::new(stat))),
        FileType::Symlink => match rustix::fs::readlinkat(found, "", Vec::new()) {
            Ok(target) => Seen::Here(Entry::Link(OsStr::from_bytes(target.to_bytes()).into())),
            Err(_) => Seen::Hidden,
        },
        FileType::CharacterDevice if stat.st_rdev == 0 => Seen::Hidden,
        _ => Seen::Here(Entry::Other),
    }
}

/// Whether a directory on the way is opaque.
fn hides(layer: &OwnedFd, path: &Path) -> bool {
    let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    above.into_iter().any(|above| {
        let directory = rustix::fs::openat2(layer, above, DIRECTORY, Mode::empty(), REAL);
        directory.is_ok_and(|directory| is_opaque(&directory))
    })
}
