//! A part of a volume, found without leaving the volume (CVE-2017-1002101, CVE-2021-25741).
//!
//! The kernel resolves the path beneath the volume's root and gives a file descriptor; that very file, not its name,
//! is then bind-mounted at a place of ours, so that a container which swaps a folder for a link gains nothing.

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat, umask};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Opens `path` beneath `volume`; directories that are missing are made, with the mode of the volume itself: whoever may write
/// to the volume may write to its parts. Under a set-group-ID bit (fsGroup) they have the volume's group too.
///
/// # Errors
/// It leads out of the volume, or the file system refused.
pub fn open_beneath(volume: &Path, path: &str) -> Result<OwnedFd, String> {
    let relative = Path::new(path);
    if relative.is_absolute() || relative.components().any(|c| matches!(c, Component::ParentDir)) {
        return Err(format!("subPath \"{path}\" must be relative and must not contain \"..\""));
    }
    let root = nix::fcntl::open(volume, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|e| format!("open {}: {e}", volume.display()))?;
    match resolve(&root, relative) {
        Err(Errno::ENOENT) => {
            let made = with_own_umask(|| make(&root, relative, mode_of(&root)?));
            made.and_then(|()| resolve(&root, relative))
        }
        other => other,
    }
    .map_err(|e| match e {
        Errno::EXDEV | Errno::ELOOP => format!("subPath \"{path}\" leads out of volume {}", volume.display()),
        other => format!("open subPath \"{path}\" in volume {}: {other}", volume.display()),
    })
}

fn resolve(root: impl AsFd, path: &Path) -> nix::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root, path, how)
}

fn mode_of(root: impl AsFd) -> nix::Result<Mode> {
    Ok(Mode::from_bits_truncate(fstat(root)?.st_mode))
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

fn make(root: impl AsFd, path: &Path, mode: Mode) -> nix::Result<()> {
    let mut so_far = PathBuf::new();
    for part in path.components() {
        let parent = resolve(&root, &so_far)?;
        so_far.push(part);
        match resolve(&root, &so_far) {
            Err(Errno::ENOENT) => match mkdirat(&parent, Path::new(part.as_os_str()), mode) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(other) => return Err(other),
            },
            other => drop(other?),
        }
    }
    Ok(())
}

/// Binds the part to a place of ours, and says where that is.
///
/// # Errors
/// See [`open_beneath`]; the mount was refused.
pub fn bind(volume: &Path, path: &str, place: &Path) -> Result<PathBuf, String> {
    let part = open_beneath(volume, path)?;
    let failed = |what: &str, e: &dyn std::fmt::Display| format!("{what} {}: {e}", place.display());
    if place.exists() {
        // of the try before: the part may be another one now
        let _ = nix::mount::umount2(place, nix::mount::MntFlags::MNT_DETACH);
    }
    let kind = fstat(&part).map_err(|e| failed("stat subPath for", &e))?;
    let is_folder = SFlag::from_bits_truncate(kind.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
    let parent = place.parent().unwrap_or(place);
    fs::create_dir_all(parent).map_err(|e| failed("make", &e))?;
    let made = if is_folder { fs::create_dir_all(place) } else { fs::write(place, "") };
    made.map_err(|e| failed("make", &e))?;
    let source = PathBuf::from(format!("/proc/self/fd/{}", part.as_raw_fd()));
    mount(Some(&source), place, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(|e| failed("bind subPath to", &e))?;
    Ok(place.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_is_missing_is_made_as_the_volume_is() {
        let mode = |dir: &Path| fs::metadata(dir).unwrap().permissions().mode() & 0o7777;
        for (name, own, want) in [
            ("an emptyDir", 0o777, 0o777),
            ("an emptyDir of a group", 0o2777, 0o2777),
            ("a directory of the host", 0o755, 0o755),
            ("one that is the owner's", 0o700, 0o700),
            ("one for all, each their own", 0o1777, 0o1777),
        ] {
            let root = tempfile::tempdir().unwrap();
            let volume = root.path();
            fs::set_permissions(volume, fs::Permissions::from_mode(own)).unwrap();
            open_beneath(volume, "a/b").unwrap();
            assert_eq!((mode(&volume.join("a")), mode(&volume.join("a/b"))), (want, want), "{name}");
        }
    }

    #[test]
    fn parts_stay_in_their_volume() {
        let root = tempfile::tempdir().unwrap();
        let volume = root.path().join("volume");
        fs::create_dir_all(volume.join("data/inner")).unwrap();
        fs::write(root.path().join("secret"), "x").unwrap();
        symlink("data", volume.join("link")).unwrap();
        symlink("../secret", volume.join("up")).unwrap();
        symlink("/etc", volume.join("absolute")).unwrap();
        let cases = [
            ("", true),
            ("data", true),
            ("data/inner", true),
            ("link/inner", true),
            ("new/deep/folder", true),
            ("../secret", false),
            ("/etc/passwd", false),
            ("up", false),
            ("absolute/passwd", false),
            ("absolute/new", false),
        ];
        for (path, good) in cases {
            assert_eq!(open_beneath(&volume, path).is_ok(), good, "{path}");
        }
        assert!(volume.join("new/deep/folder").is_dir(), "missing folders are made");
    }
}
