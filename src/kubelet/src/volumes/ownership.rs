//! fsGroup: all that is in a volume belongs to the pod's group, and the group may do what the owner may (upstream's
//! `SetVolumeOwnership`). By what is opened, never by a name that somebody could change meanwhile: other pods may be at
//! work in the volume.

use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Gid, fchownat};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The group may what the owner may: upstream's `rwMask`.
const OF_FILES: u32 = 0o660;
/// What is made in them belongs to the group as well.
const OF_DIRECTORIES: u32 = 0o2770;
const SEEN: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// `only_if_root_differs`: the policy `OnRootMismatch`.
///
/// # Errors
/// The file system refused; its directories lie too deep in each other.
pub fn give(volume: &Path, group: u32, only_if_root_differs: bool) -> io::Result<()> {
    let root = open(volume, SEEN, Mode::empty())?;
    let found = fstat(&root)?;
    let mode = found.st_mode & 0o7777;
    if only_if_root_differs && found.st_gid == group && mode & OF_DIRECTORIES == OF_DIRECTORIES {
        return Ok(());
    }
    below(&root, group, 0)?;
    // the root last: who is interrupted begins again
    one(&root, group).map(|_| ())
}

/// No list of the names is kept: the pods that wrote to the volume may have made millions in one directory.
fn below(directory: &OwnedFd, group: u32, depth: usize) -> io::Result<()> {
    trees::check_depth(depth)?;
    trees::try_each_name(File::open(itself(directory))?, |name| {
        let opened = match openat(directory, name, SEEN, Mode::empty()) {
            Ok(opened) => opened,
            // it went meanwhile
            Err(nix::errno::Errno::ENOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        match one(&opened, group)? {
            true => below(&opened, group, depth + 1),
            false => Ok(()),
        }
    })
}

/// Says whether it is a directory.
fn one(opened: &OwnedFd, group: u32) -> io::Result<bool> {
    let found = fstat(opened)?;
    let kind = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits());
    fchownat(opened.as_fd(), "", None, Some(Gid::from_raw(group)), AtFlags::AT_EMPTY_PATH)?;
    let more = match kind {
        SFlag::S_IFLNK => return Ok(false),
        SFlag::S_IFDIR => OF_DIRECTORIES,
        _ => OF_FILES,
    };
    fs::set_permissions(itself(opened), Permissions::from_mode((found.st_mode & 0o7777) | more))?;
    Ok(kind == SFlag::S_IFDIR)
}

/// What is opened, by a name that nobody else can change.
fn itself(opened: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn all_of_a_volume_is_given_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (volume, outside) = (root.path().join("v"), root.path().join("outside"));
        fs::create_dir_all(volume.join("a/b")).unwrap();
        for (file, mode) in [(volume.join("a/file"), 0o600), (outside.clone(), 0o600)] {
            fs::write(&file, "x").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(volume.join("a"), Permissions::from_mode(0o700)).unwrap();
        symlink(&outside, volume.join("link")).unwrap();
        // whoever is not root gives things to its own group only
        let group = fs::metadata(root.path()).unwrap().gid();
        let group = if nix::unistd::geteuid().is_root() { 2000 } else { group };
        give(&volume, group, false).unwrap();
        let shown = |path: &Path| {
            let found = fs::symlink_metadata(path).unwrap();
            (found.gid() == group, found.mode() & 0o7777)
        };
        assert_eq!(shown(&volume.join("a")), (true, 0o2770));
        assert!(shown(&volume.join("a/b")).0);
        assert_eq!(shown(&volume.join("a/file")), (true, 0o660));
        assert_eq!(shown(&outside).1, 0o600, "a link is not followed");
        assert!(shown(&volume.join("link")).0);
        // the root is right: what is below is left alone
        fs::set_permissions(volume.join("a/file"), Permissions::from_mode(0o600)).unwrap();
        give(&volume, group, true).unwrap();
        assert_eq!(shown(&volume.join("a/file")).1, 0o600);
        give(&volume, group, false).unwrap();
        assert_eq!(shown(&volume.join("a/file")).1, 0o660);
    }

    #[test]
    fn a_volume_that_is_too_deep_is_refused() {
        let volume = tempfile::tempdir().unwrap();
        let group = fs::metadata(volume.path()).unwrap().gid();
        let deep = |levels: usize| volume.path().join("d/".repeat(levels));
        fs::create_dir_all(deep(trees::MAX_DEPTH - 1)).unwrap();
        give(volume.path(), group, false).unwrap();
        fs::create_dir_all(deep(trees::MAX_DEPTH + 1)).unwrap();
        let refused = give(volume.path(), group, false).unwrap_err();
        assert_eq!(refused.to_string(), "more than 256 directories in each other");
    }
}
