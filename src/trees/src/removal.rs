//! Removing a tree of any depth. [`LEVELS`] directories are open at most: one that lies deeper is moved up, into the root of the
//! tree, and is taken from there when its turn comes. A removal that is cut off leaves a tree that is less deep than before.
//! Where the file system does not let it be moved, it is gone into, down to [`MAX_DEPTH`].
//!
//! Whoever had the tree may have marked what is in it as immutable or as append-only (`chattr +i`, `+a`): such marks are taken
//! away, or it would stay for ever.

use crate::{MAX_DEPTH, read_regular};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, IFlags, Mode, OFlags, ResolveFlags, ioctl_getflags, ioctl_setflags, openat,
    openat2, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Open at once.
const LEVELS: usize = 64;
/// How often a directory is read anew that is not empty when all in it was removed: some file systems leave names out while
/// others go, and somebody may still write to it.
const PASSES: u32 = 4;

/// Removes a directory with all that is in it; of a link the link itself. Links in it are not followed. Directories that
/// something is mounted on stay, with what is above them; all the rest goes.
///
/// # Errors
/// There is none (`NotFound`), it is no directory, or the first thing in it that could not be removed, and why.
pub fn remove(path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a path without a name"));
    };
    let name = CString::new(name.as_bytes())?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    remove_from(openat(CWD, parent, flags, Mode::empty())?, &name)
}

/// The same of what is called `name` in a directory that is open.
///
/// # Errors
/// As of [`remove`].
pub fn remove_at(parent: impl AsFd, name: &OsStr) -> io::Result<()> {
    remove_from(parent.as_fd().try_clone_to_owned()?, &CString::new(name.as_bytes())?)
}

fn remove_from(parent: OwnedFd, name: &CStr) -> io::Result<()> {
    let found = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
        return Ok(unlinkat(&parent, name, AtFlags::empty())?);
    }
    let mut removal = Removal { parent, levels: Vec::new(), next_number: 0, failed: None };
    // a file is refused here
    removal.enter(name)?;
    removal.run();
    removal.failed.map_or(Ok(()), Err)
}

struct Removal {
    /// Of the tree.
    parent: OwnedFd,
    /// The root of the tree first.
    levels: Vec<Level>,
    /// Of the next name for what is moved up.
    next_number: u64,
    /// The first failure.
    failed: Option<io::Error>,
}

/// A directory that is being emptied.
struct Level {
    dir: Dir,
    /// In the level above.
    name: CString,
    /// Numbers of the directories that were moved here from below.
    moved_here: Vec<u64>,
    passes: u32,
    /// Something in it stays, which has been said.
    is_kept: bool,
}

impl Removal {
    fn run(&mut self) {
        while let Some(level) = self.levels.last_mut() {
            match level.dir.read() {
                Some(Ok(entry)) => {
                    let name = entry.file_name();
                    if name != c"." && name != c".." {
                        let done = self.take(name, entry.file_type());
                        self.note(Some(name), done);
                    }
                }
                Some(Err(error)) => self.note(None, Err(error.into())),
                None => self.leave(),
            }
        }
    }

    /// One thing in the last level: removes it, or goes into it.
    fn take(&mut self, name: &CStr, kind: FileType) -> io::Result<()> {
        if kind != FileType::Directory {
            let here = self.here()?;
            let removed = match unlinkat(here, name, AtFlags::empty()) {
                Err(Errno::PERM) if unmark_at(here, name) => unlinkat(here, name, AtFlags::empty()),
                removed => removed,
            };
            match removed {
                // not all file systems tell kinds
                Err(Errno::ISDIR) => {}
                done => return unless_gone(done),
            }
        }
        if self.levels.len() >= LEVELS && self.move_up(name)? {
            return Ok(());
        }
        match self.levels.len() < MAX_DEPTH {
            true => self.enter(name),
            false => Err(io::Error::other("it lies too deep, and can not be moved")),
        }
    }

    /// The last level, or what the tree is in.
    fn here(&self) -> io::Result<BorrowedFd<'_>> {
        match self.levels.last() {
            Some(level) => Ok(level.dir.fd()?),
            None => Ok(self.parent.as_fd()),
        }
    }

    fn enter(&mut self, name: &CStr) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        let opened = match openat2(self.here()?, name, flags, Mode::empty(), resolve) {
            Err(Errno::XDEV) => {
                return Err(io::Error::new(ErrorKind::ResourceBusy, "something is mounted there"));
            }
            opened => opened?,
        };
        // before anything in it is removed or moved, or something is moved here
        unmark(&opened);
        let dir = Dir::new(opened)?;
        let name = name.to_owned();
        self.levels.push(Level { dir, name, moved_here: Vec::new(), passes: 1, is_kept: false });
        Ok(())
    }

    /// A directory of the last level goes to the topmost level that takes it: file systems in file systems (subvolumes,
    /// projects with a quota) do not let what is theirs out. Says whether it went.
    fn move_up(&mut self, name: &CStr) -> io::Result<bool> {
        let Some((here, above)) = self.levels.split_last_mut() else { return Ok(false) };
        for level in above {
            loop {
                let number = self.next_number;
                self.next_number += 1;
                let moved = renameat(here.dir.fd()?, name, level.dir.fd()?, &*moved_name(number));
                match moved {
                    Ok(()) => {
                        level.moved_here.push(number);
                        return Ok(true);
                    }
                    // the name is taken
                    Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                    Err(Errno::PERM) if unmark_at(here.dir.fd()?, name) => {}
                    // it may not leave, or there is no room for one more name: on a full disk, too, a tree has to go
                    Err(Errno::XDEV | Errno::NOSPC | Errno::DQUOT | Errno::MLINK) => break,
                    Err(error) => return unless_gone(Err(error)).map(|()| true),
                }
            }
        }
        Ok(false)
    }

    /// At the end of the last level.
    fn leave(&mut self) {
        let Some(level) = self.levels.last_mut() else { return };
        if let Some(number) = level.moved_here.pop() {
            let name = moved_name(number);
            let entered = self.enter(&name);
            // it was met before, under its new name
            let is_gone = entered.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
            if !is_gone {
                self.note(Some(&name), entered);
            }
            return;
        }
        let Some(mut level) = self.levels.pop() else { return };
        let removed = self.here().map(|above| unlinkat(above, &*level.name, AtFlags::REMOVEDIR));
        match removed {
            Ok(Err(Errno::NOTEMPTY | Errno::EXIST)) if level.is_kept => self.keep(),
            Ok(Err(Errno::NOTEMPTY | Errno::EXIST)) if level.passes < PASSES => {
                level.passes += 1;
                level.dir.rewind();
                self.levels.push(level);
            }
            Ok(done) => self.note(Some(&level.name), unless_gone(done)),
            Err(error) => self.note(Some(&level.name), Err(error)),
        }
    }

    /// Keeps the first failure in mind, with the path of what is left.
    fn note(&mut self, name: Option<&CStr>, done: io::Result<()>) {
        let Err(error) = done else { return };
        let below = self.levels.iter().skip(1).map(|level| &*level.name).chain(name);
        let path: PathBuf = below.map(|name| OsStr::from_bytes(name.to_bytes())).collect();
        let error = match path.as_os_str().is_empty() {
            true => error,
            false => io::Error::new(error.kind(), format!("{}: {error}", path.display())),
        };
        self.failed.get_or_insert(error);
        self.keep();
    }

    fn keep(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.is_kept = true;
        }
    }
}

/// Says whether there were marks, and are none now. Most file systems have them; of the others nothing is to be taken away.
fn unmark(file: impl AsFd) -> bool {
    let marks = IFlags::IMMUTABLE | IFlags::APPEND;
    match ioctl_getflags(&file) {
        Ok(flags) if flags.intersects(marks) => ioctl_setflags(&file, flags.difference(marks)).is_ok(),
        _ => false,
    }
}

/// The same of a file or a directory. What else has a name is not opened, and what is mounted there is somebody else's.
fn unmark_at(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let open = |flags: OFlags| {
        openat2(dir, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
    };
    if let Ok(directory) = open(OFlags::RDONLY | OFlags::DIRECTORY) {
        return unmark(directory);
    }
    let file = open(OFlags::PATH).ok().and_then(|found| read_regular(found).ok().flatten());
    file.is_some_and(unmark)
}

fn moved_name(number: u64) -> CString {
    // digits have no zero byte
    CString::new(format!(".removed-{number}")).unwrap_or_default()
}

/// Somebody else may have been faster.
fn unless_gone(done: Result<(), Errno>) -> io::Result<()> {
    match done {
        Err(Errno::NOENT) => Ok(()),
        done => Ok(done?),
    }
}
