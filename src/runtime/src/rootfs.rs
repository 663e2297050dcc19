//! Reading and preparing a container's root file system from outside, before anything runs in it.
//!
//! Every path is resolved inside the root by the kernel (openat2 with RESOLVE_IN_ROOT): a link in an image, absolute or
//! full of `..`, can not lead out of it.

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat, mknod};
use nix::unistd::{Gid, Uid, mkfifo};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// A passwd file larger than this is no passwd file.
const MOST_TEXT: u64 = 4 << 20;

/// A container's root, opened.
pub struct Rootfs(OwnedFd);

impl Rootfs {
    /// `at` may lead through /proc/<shim>/root: the overlay is mounted in the shim's mount namespace only.
    pub fn open(at: &Path) -> nix::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        nix::fcntl::open(at, flags, Mode::empty()).map(Rootfs)
    }

    fn open_in(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        openat2(self.0.as_fd(), relative, how)
    }

    /// A text file's content; empty where there is none, or something that is no file.
    pub fn read_text(&self, path: &Path) -> String {
        let read = || -> io::Result<String> {
            // a pipe in its place must not stop us
            let file = File::from(self.open_in(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?);
            if !file.metadata()?.is_file() {
                return Ok(String::new());
            }
            let mut bytes = Vec::new();
            file.take(MOST_TEXT).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }

    /// Makes the folder and its parents where they are missing; the new ones are the user's.
    ///
    /// # Errors
    /// Something that is no folder stands in the way.
    pub fn make_dir(&self, path: &Path, uid: u32, gid: u32) -> nix::Result<()> {
        if self.open_in(path, OFlag::O_PATH | OFlag::O_DIRECTORY).is_ok() {
            return Ok(());
        }
        let parts: Vec<_> = path.components().collect();
        let mut at = PathBuf::from("/");
        for part in parts.iter().filter(|p| matches!(p, std::path::Component::Normal(_))) {
            let parent = self.open_in(&at, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
            at.push(part);
            match mkdirat(&parent, part.as_os_str(), Mode::from_bits_truncate(0o755)) {
                Ok(()) => {
                    let made = self.open_in(&at, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
                    nix::unistd::fchown(&made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
                }
                Err(Errno::EEXIST) => {}
                Err(e) => return Err(e),
            }
        }
        self.open_in(path, OFlag::O_PATH | OFlag::O_DIRECTORY).map(drop)
    }

    /// Copies what the image has at `path` to the folder `to`, owners and modes and all; nothing where it has none.
    pub fn copy_out(&self, path: &Path, to: &Path) -> io::Result<()> {
        let from = match self.open_in(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(from) => from,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let stat = fstat(&from)?;
        // below here no link is followed, and nobody else is at work in it
        copy_entries(Path::new(&format!("/proc/self/fd/{}", from.as_raw_fd())), to)?;
        lchown(to, Some(stat.st_uid), Some(stat.st_gid))?;
        fs::set_permissions(to, fs::Permissions::from_mode(stat.st_mode & 0o7777))
    }
}

fn copy_entries(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_one(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn copy_one(from: &Path, to: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    let kind = meta.file_type();
    let mode = Mode::from_bits_truncate(meta.mode());
    if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
        return lchown(to, Some(meta.uid()), Some(meta.gid()));
    } else if kind.is_dir() {
        fs::create_dir(to)?;
        copy_entries(from, to)?;
    } else if kind.is_file() {
        fs::copy(from, to)?;
    } else if kind.is_fifo() {
        mkfifo(to, mode)?;
    } else if kind.is_char_device() || kind.is_block_device() {
        let device = if kind.is_block_device() { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
        mknod(to, device, mode, meta.rdev())?;
    } else {
        return Ok(()); // a socket is of no use without who listens at it
    }
    lchown(to, Some(meta.uid()), Some(meta.gid()))?;
    // last, for chown takes set-id bits away
    fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, Rootfs) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/etc")).unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        let root = Rootfs::open(&dir.path().join("root")).unwrap();
        (dir, root)
    }

    #[test]
    fn links_do_not_lead_out() {
        let (dir, root) = root();
        let inside = dir.path().join("root");
        fs::write(inside.join("etc/real"), "inside").unwrap();
        for (name, target, want) in [
            ("a", "/etc/real", "inside"),
            ("b", "../../../../etc/real", "inside"),
            ("c", "../secret", ""),
            ("d", "/secret", ""),
        ] {
            symlink(target, inside.join(name)).unwrap();
            assert_eq!(root.read_text(Path::new("/").join(name).as_path()), want, "{target}");
        }
        symlink(dir.path(), inside.join("out")).unwrap();
        assert_eq!(root.read_text(Path::new("/out/secret")), "");
        assert_eq!(root.read_text(Path::new("../secret")), "");
    }

    #[test]
    fn what_is_no_text_file_reads_as_empty() {
        let (dir, root) = root();
        mkfifo(&dir.path().join("root/etc/passwd"), Mode::from_bits_truncate(0o600)).unwrap();
        assert_eq!(root.read_text(Path::new("/etc/passwd")), "");
        assert_eq!(root.read_text(Path::new("/etc")), "");
        assert_eq!(root.read_text(Path::new("/none")), "");
    }

    #[test]
    fn folders_are_made_inside() {
        let (dir, root) = root();
        let (uid, gid) = (Uid::current().as_raw(), Gid::current().as_raw());
        root.make_dir(Path::new("/a/b/c"), uid, gid).unwrap();
        assert!(dir.path().join("root/a/b/c").is_dir());
        symlink("/a", dir.path().join("root/link")).unwrap();
        root.make_dir(Path::new("/link/d"), uid, gid).unwrap();
        assert!(dir.path().join("root/a/d").is_dir());
        symlink(dir.path().join("nowhere"), dir.path().join("root/dangling")).unwrap();
        assert!(root.make_dir(Path::new("/dangling/x"), uid, gid).is_err());
        assert!(!dir.path().join("nowhere").exists());
        fs::write(dir.path().join("root/file"), "").unwrap();
        assert!(root.make_dir(Path::new("/file/x"), uid, gid).is_err());
    }

    #[test]
    fn a_volume_begins_with_what_the_image_has_there() {
        let (dir, root) = root();
        let data = dir.path().join("root/data");
        fs::create_dir_all(data.join("sub")).unwrap();
        fs::write(data.join("sub/file"), "x").unwrap();
        fs::set_permissions(data.join("sub/file"), fs::Permissions::from_mode(0o4750)).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("/secret", data.join("link")).unwrap();
        let to = dir.path().join("volume");
        fs::create_dir(&to).unwrap();
        root.copy_out(Path::new("/data"), &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("sub/file")).unwrap(), "x");
        assert_eq!(fs::metadata(to.join("sub/file")).unwrap().mode() & 0o7777, 0o4750);
        assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o1777);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/secret"));
        root.copy_out(Path::new("/none"), &to).unwrap();
    }
}
