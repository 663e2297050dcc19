//! Where things are mounted, when an image has links there that lead to nothing yet: `/etc/resolv.conf` into a `/run` that is
//! filled at boot, say. libcontainer follows links inside of the root, and makes what is missing, but not behind a link.

use crate::rootfs::Rootfs;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, mknodat};
use std::path::{Path, PathBuf};

impl Rootfs {
    /// Where the path leads inside of the root, without links.
    ///
    /// # Errors
    /// ELOOP.
    pub fn real(&self, path: &Path) -> nix::Result<PathBuf> {
        self.walk(path, &mut |_, _| ())
    }

    /// The same; `see` is told each place on the way, and whether a link is there.
    ///
    /// # Errors
    /// ELOOP.
    pub fn walk(&self, path: &Path, see: &mut dyn FnMut(&Path, bool)) -> nix::Result<PathBuf> {
        let link = |at: &Path| {
            let found = self.open_in(at, OFlag::O_PATH | OFlag::O_NOFOLLOW).ok();
            let target = found.and_then(|found| nix::fcntl::readlinkat(&found, "").ok()).map(PathBuf::from);
            see(&Path::new("/").join(at), target.is_some());
            target
        };
        image::follow_links(path, link).map(|inside| Path::new("/").join(inside)).ok_or(Errno::ELOOP)
    }

    /// Makes the directory or the file that something is to be mounted on, where links lead to one that is not there.
    ///
    /// # Errors
    /// Something that is no directory stands in the way.
    pub fn make_mountpoint(&self, target: &Path, is_dir: bool) -> nix::Result<()> {
        let real = self.real(target)?;
        if real == target {
            return Ok(());
        }
        if is_dir {
            return self.make_dir(&real, 0, 0);
        }
        let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else { return Err(Errno::EISDIR) };
        self.make_dir(parent, 0, 0)?;
        let parent = self.open_in(parent, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        match mknodat(&parent, name, SFlag::S_IFREG, Mode::from_bits_truncate(0o644), 0) {
            Err(Errno::EEXIST) => Ok(()),
            made => made,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_links_lead_to_is_made_inside() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("root");
        std::fs::create_dir_all(inside.join("etc")).unwrap();
        std::fs::write(inside.join("file"), "").unwrap();
        for (name, target) in [
            ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
            ("out", dir.path().to_str().unwrap()),
            ("circle", "circle"),
            ("through", "/file/x"),
        ] {
            symlink(target, inside.join(name)).unwrap();
        }
        let root = Rootfs::open(&inside).unwrap();
        let make = |target: &str, is_dir| root.make_mountpoint(Path::new(target), is_dir);
        make("/etc/resolv.conf", false).unwrap();
        make("/etc/resolv.conf", false).unwrap();
        assert!(inside.join("run/systemd/resolve/stub-resolv.conf").is_file());
        make("/out/sub/dir", true).unwrap();
        let outside = dir.path().join("sub");
        assert!(!outside.exists() && inside.join(outside.strip_prefix("/").unwrap()).join("dir").is_dir());
        make("/plain", true).unwrap();
        assert!(!inside.join("plain").exists(), "libcontainer makes what is behind no link");
        assert_eq!(make("/circle/x", true), Err(Errno::ELOOP));
        assert_eq!(make("/through/y", true), Err(Errno::ENOTDIR));
    }
}
