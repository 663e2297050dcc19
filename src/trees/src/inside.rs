//! Opening what is in a directory that somebody else fills, without leaving it.
//!
//! The kernel holds every link and every `..` inside of the directory (openat2(2)). It does so by looking whether anything on the whole
//! machine was renamed or mounted while it went through a `..`, and gives up with EAGAIN where something was: a busy machine, or a
//! container that renames all the time, is enough. So it is asked again, here and nowhere else.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// They are a millisecond. What renames without a pause makes most walks fail, and those of a link that is nothing but `..` all: whose
/// links and renames these are keeps himself out.
const TRIES: u32 = 256;

/// What a process would open at `path` whose root is `root`: absolute links start there, and `..` goes no further up. An empty path is
/// the root itself.
///
/// # Errors
/// What the kernel says; `ELOOP` where a link of /proc's leads somewhere else.
pub fn open_in_root(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    open(root, path.strip_prefix("/").unwrap_or(path), flags, ResolveFlags::IN_ROOT)
}

/// What is at `path` (relative; empty for the directory itself). Links are followed as long as they stay beneath it.
///
/// # Errors
/// What the kernel says; `EXDEV` where it is not beneath the directory, `ELOOP` where a link of /proc's leads somewhere else.
pub fn open_beneath(directory: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    open(directory, path, flags, ResolveFlags::BENEATH)
}

fn open(directory: impl AsFd, path: &Path, flags: OFlags, held: ResolveFlags) -> Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let directory = directory.as_fd();
    let once = || {
        openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), held | ResolveFlags::NO_MAGICLINKS)
    };
    let given_up = |opened: &Result<OwnedFd>| matches!(opened, Err(Errno::AGAIN));
    let mut opened = once();
    for _ in 1..TRIES {
        if !given_up(&opened) {
            break;
        }
        opened = once();
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn text_of(opened: Result<OwnedFd>) -> std::result::Result<String, Errno> {
        opened.map(|file| std::io::read_to_string(File::from(file)).unwrap())
    }

    #[test]
    fn links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "out").unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("secret"), "in").unwrap();
        symlink("../secret", inner.join("up")).unwrap();
        symlink("/secret", inner.join("absolute")).unwrap();
        symlink("secret", inner.join("beside")).unwrap();
        let inner = File::open(&inner).unwrap();
        for path in ["up", "absolute", "beside", "/secret", "../../secret"] {
            let opened = open_in_root(&inner, Path::new(path), OFlags::RDONLY);
            assert_eq!(text_of(opened), Ok("in".to_owned()), "{path}");
        }
        let beneath = |path| text_of(open_beneath(&inner, Path::new(path), OFlags::RDONLY));
        assert_eq!(beneath("beside"), Ok("in".to_owned()));
        for path in ["up", "absolute", "/secret", "../secret"] {
            assert_eq!(beneath(path), Err(Errno::XDEV), "{path}");
        }
    }

    #[test]
    fn an_empty_path_is_the_directory_itself() {
        let dir = tempfile::tempdir().unwrap();
        let opened = File::open(dir.path()).unwrap();
        for found in [
            open_in_root(&opened, Path::new(""), OFlags::PATH),
            open_in_root(&opened, Path::new("/"), OFlags::PATH),
            open_beneath(&opened, Path::new(""), OFlags::PATH),
        ] {
            assert!(File::from(found.unwrap()).metadata().unwrap().is_dir());
        }
    }

    /// Once was one try, and a container that started while another one was mounted failed.
    #[test]
    fn who_renames_all_the_time_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        symlink("deep/../deep/../deep", dir.path().join("link")).unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "").unwrap();
        let opened = File::open(dir.path()).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::rename(&a, &b).unwrap();
                    fs::rename(&b, &a).unwrap();
                }
            });
            let failed = (0..2000).find_map(|_| {
                let in_root = open_in_root(&opened, Path::new("link"), OFlags::PATH);
                in_root.and_then(|_| open_beneath(&opened, Path::new("link"), OFlags::PATH)).err()
            });
            done.store(true, Ordering::Relaxed);
            assert_eq!(failed, None);
        });
    }
}
