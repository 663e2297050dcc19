//! A part of a directory, found without leaving the directory (CVE-2017-1002101, CVE-2021-25741, CVE-2024-21626's kind).
//!
//! Whoever writes into a volume may swap a directory of it for a link while we look. So the kernel resolves the path
//! beneath the volume's own descriptor and gives a descriptor; who mounts or reads uses that very file, and never again its
//! name. The kubelet's `subPath`, Docker's `volume-subpath`, a build's caches and the shim that mounts them share this one
//! function; and [`ensure`], where a part that is missing is made.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, fstat, mkdirat, umask};
use rustix::fs::OFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The directory that a part is looked for in. Links on the way to it are followed: its path is its owner's.
///
/// # Errors
/// There is none.
pub fn open_base(base: &Path) -> nix::Result<OwnedFd> {
    nix::fcntl::open(base, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// What is at `part` (relative; empty for the base itself). Links are followed as long as they stay beneath the base.
///
/// # Errors
/// See [`leads_out`]; else what the file system says.
pub fn open_beneath(base: impl AsFd, part: &Path) -> nix::Result<OwnedFd> {
    trees::open_beneath(base, part, OFlags::PATH).map_err(|e| Errno::from_raw(e.raw_os_error()))
}

/// Both at once.
///
/// # Errors
/// As of both.
pub fn open(base: &Path, part: &Path) -> nix::Result<OwnedFd> {
    open_beneath(open_base(base)?, part)
}

/// Whether that is why a part could not be opened: it is no part.
pub fn leads_out(error: Errno) -> bool {
    matches!(error, Errno::EXDEV | Errno::ELOOP)
}

/// Makes sure that there is something at `part` beneath the base; directories that are missing are made, with the mode of the
/// base itself: whoever may write to a volume may write to its parts. Under a set-group-ID bit (fsGroup) they have its group
/// too.
///
/// # Errors
/// See [`leads_out`]; else what the file system says.
pub fn ensure(base: impl AsFd, part: &Path) -> nix::Result<()> {
    let base = base.as_fd();
    match open_beneath(base, part) {
        Err(Errno::ENOENT) => {
            let mode = Mode::from_bits_truncate(fstat(base)?.st_mode);
            with_own_umask(|| make(base, part, mode))?;
            open_beneath(base, part).map(drop)
        }
        found => found.map(drop),
    }
}

/// A mode is given when a directory is made, never afterwards by name: the container might have put another one there. The
/// process' umask is shared by all threads that did not part with the others.
fn with_own_umask(work: impl FnOnce() -> nix::Result<()> + Send) -> nix::Result<()> {
    let alone = || {
        unshare(CloneFlags::CLONE_FS)?;
        umask(Mode::empty());
        work()
    };
    std::thread::scope(|scope| scope.spawn(alone).join()).unwrap_or(Err(Errno::EAGAIN))
}

fn make(base: BorrowedFd<'_>, path: &Path, mode: Mode) -> nix::Result<()> {
    let mut so_far = PathBuf::new();
    for part in path.components() {
        let parent = open_beneath(base, &so_far)?;
        so_far.push(part);
        match open_beneath(base, &so_far) {
            Err(Errno::ENOENT) => match mkdirat(&parent, Path::new(part.as_os_str()), mode) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(other) => return Err(other),
            },
            other => drop(other?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_part_stays_in_its_directory() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().join("volume");
        std::fs::create_dir_all(base.join("data/inner")).unwrap();
        std::fs::write(root.path().join("secret"), "x").unwrap();
        std::fs::write(base.join("file"), "x").unwrap();
        symlink("data", base.join("link")).unwrap();
        symlink("../data/../file", base.join("data/back")).unwrap();
        symlink("../secret", base.join("up")).unwrap();
        symlink("/etc", base.join("absolute")).unwrap();
        symlink("turn", base.join("turn")).unwrap();
        let out = |error| leads_out(error);
        for (part, want) in [
            ("", Ok(())),
            ("data", Ok(())),
            ("data/inner", Ok(())),
            ("file", Ok(())),
            ("link/inner", Ok(())),
            ("data/back", Ok(())),
            ("none", Err(false)),
            ("file/x", Err(false)),
            ("../secret", Err(true)),
            ("/etc/passwd", Err(true)),
            ("up", Err(true)),
            ("absolute/passwd", Err(true)),
            ("turn", Err(true)),
        ] {
            assert_eq!(open(&base, Path::new(part)).map(drop).map_err(out), want, "{part}");
        }
    }

    #[test]
    fn a_part_that_is_missing_is_made_in_its_directory() {
        let root = tempfile::tempdir().unwrap();
        let (base, outside) = (root.path().join("volume"), root.path().join("outside"));
        std::fs::create_dir_all(base.join("data")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        symlink("data", base.join("link")).unwrap();
        symlink("../outside", base.join("up")).unwrap();
        symlink(&outside, base.join("absolute")).unwrap();
        let opened = open_base(&base).unwrap();
        for (part, want) in [
            ("", Ok(())),
            ("new/deep", Ok(())),
            ("link/new", Ok(())),
            ("up/new", Err(true)),
            ("absolute/new", Err(true)),
            ("../new", Err(true)),
        ] {
            assert_eq!(ensure(&opened, Path::new(part)).map_err(leads_out), want, "{part}");
        }
        assert!(base.join("new/deep").is_dir() && base.join("data/new").is_dir());
        assert!(std::fs::read_dir(&outside).unwrap().next().is_none() && !root.path().join("new").exists());
    }

    /// The attack itself: a directory and a link to the outside change places while we look. Checking the name first and
    /// using it then lets about every fourth try out.
    #[test]
    fn what_is_swapped_meanwhile_leads_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let (base, outside) = (root.path().join("volume"), root.path().join("outside"));
        std::fs::create_dir_all(base.join("part")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        symlink(&outside, base.join("other")).unwrap();
        let own = std::fs::metadata(base.join("part")).unwrap().ino();
        let is_over = AtomicBool::new(false);
        let (mut inside, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    exchange(&base.join("part"), &base.join("other"));
                }
            });
            while inside < 100 || refused < 100 {
                match open(&base, Path::new("part")) {
                    Ok(found) => {
                        assert_eq!(nix::sys::stat::fstat(&found).unwrap().st_ino, own);
                        inside += 1;
                    }
                    Err(error) => {
                        assert!(leads_out(error), "{error}");
                        refused += 1;
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }

    fn exchange(one: &Path, other: &Path) {
        let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
        nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, one, nix::fcntl::AT_FDCWD, other, flags).unwrap();
    }
}
