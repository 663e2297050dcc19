//! The directories of volumes, each named as its volume is.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Pods write as any user, as minikube has it.
const MODE: u32 = 0o777;

/// One that is there already is as good: the volume could not be stored the last time.
pub(crate) fn make(below: &Path, name: &str) -> io::Result<PathBuf> {
    // nobody but root comes here by another way than a mount
    DirBuilder::new().recursive(true).mode(0o700).create(below)?;
    let path = below.join(name);
    match fs::create_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !fs::symlink_metadata(&path)?.is_dir() {
        return Err(io::Error::other(format!("{} is no directory", path.display())));
    }
    fs::set_permissions(&path, Permissions::from_mode(MODE))?;
    Ok(path)
}

/// With all that is in it; what is mounted in it is somebody else's, and keeps it. Links are not followed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let text = path.to_string_lossy();
    let mut targets = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let is_inside = |target: &&str| {
        target.strip_prefix(&*text).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(target) = targets.find(is_inside) {
        return Err(io::Error::other(format!("{target} is still mounted")));
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_for_everybody_and_goes_with_what_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("volumes");
        let path = make(&below, "pvc-1").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(&below)), (0o777, 0o700));
        fs::write(path.join("data"), "x").unwrap();
        fs::write(root.path().join("elsewhere"), "x").unwrap();
        std::os::unix::fs::symlink(root.path(), path.join("link")).unwrap();
        assert_eq!(make(&below, "pvc-1").unwrap(), path, "again, and what is in it stays");
        assert!(path.join("data").exists());
        remove(&path).unwrap();
        assert!(!path.exists() && root.path().join("elsewhere").exists());
        remove(&path).unwrap();
    }

    #[test]
    fn a_link_is_no_directory_of_ours() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("pvc-1")).unwrap();
        let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode();
        let before = mode("/etc");
        assert!(make(root.path(), "pvc-1").is_err());
        assert_eq!(mode("/etc"), before);
    }
}
