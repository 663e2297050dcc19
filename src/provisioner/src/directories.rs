//! The directories of volumes, each named as its volume is.

use crate::copy::copy;
use crate::files;
use crate::parent::{PARTIAL, make_parent};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use trees::mountinfo;

/// Pods write as any user, as minikube has it.
const MODE: u32 = 0o777;

/// One that is there already is as good: the volume could not be stored the last time.
pub(crate) fn make(below: &Path, name: &str) -> io::Result<PathBuf> {
    make_parent(below)?;
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

/// A copy of `from`, whole or not at all. One that is there already is the one that was made the last time.
pub(crate) fn make_copy(
    from: &Path,
    below: &Path,
    name: &str,
    stop: &CancellationToken,
) -> io::Result<PathBuf> {
    make_parent(below)?;
    let path = below.join(name);
    if is_directory(&path) {
        return Ok(path);
    }
    if files::is_there(from) {
        return Err(io::Error::other(format!("{} is no directory", from.display())));
    }
    let partial = below.join(format!("{PARTIAL}{name}"));
    remove(&partial)?;
    let made = copy(from, &partial, stop).and_then(|()| fs::rename(&partial, &path));
    if made.is_err() {
        // what can not be removed now is when the program starts again
        let _ = remove(&partial);
    }
    made?;
    File::open(below)?.sync_all()?;
    Ok(path)
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|of| of.is_dir())
}

/// The directory, or the file of a device.
pub(crate) fn is_there(path: &Path) -> bool {
    is_directory(path) || files::is_there(path)
}

/// Copies that nobody works on any more: for the start.
pub(crate) fn remove_partial(below: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(below) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// With all that is in it; what is mounted in it is somebody else's, and keeps it. Links are not followed. The file of a device
/// goes as well.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if files::is_there(path) {
        return files::remove(path);
    }
    if let Some(target) = first_inside(path, &mountinfo::targets()?) {
        return Err(io::Error::other(format!("{} is still mounted", target.display())));
    }
    match trees::remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// At the path, or below it.
fn first_inside<'t>(path: &Path, targets: &'t [PathBuf]) -> Option<&'t Path> {
    targets.iter().map(PathBuf::as_path).find(|target| target.starts_with(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_in_a_directory_also_where_names_have_blanks() {
        let targets = ["/", "/data", "/data/pvc 1/deep", "/data/pvc-10"].map(PathBuf::from);
        for (path, want) in [
            ("/data/pvc 1", Some("/data/pvc 1/deep")),
            ("/data/pvc 1/deep", Some("/data/pvc 1/deep")),
            ("/data/pvc-1", None),
            ("/data/pvc-10", Some("/data/pvc-10")),
            ("/data/pvc", None),
        ] {
            assert_eq!(first_inside(Path::new(path), &targets), want.map(Path::new), "{path}");
        }
    }

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
    fn a_copy_is_there_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("volumes");
        let from = make(&below, "pvc-1").unwrap();
        fs::write(from.join("data"), "x").unwrap();
        let go_on = CancellationToken::new();
        let names = || {
            let mut all: Vec<_> =
                fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            all.sort();
            all
        };
        let stopped = CancellationToken::new();
        stopped.cancel();
        assert!(make_copy(&from, &below, "pvc-2", &stopped).is_err());
        assert!(make_copy(&below.join("none"), &below, "pvc-2", &go_on).is_err());
        assert_eq!(names(), ["pvc-1"]);
        // what a crash has left is neither taken for the copy nor kept
        for name in ["pvc-2", "pvc-3"] {
            fs::create_dir_all(below.join(format!("{PARTIAL}{name}/half"))).unwrap();
        }
        let path = make_copy(&from, &below, "pvc-2", &go_on).unwrap();
        assert!(path.join("data").exists() && !path.join("half").exists());
        fs::write(below.join(format!("{PARTIAL}pvc-4")), "half a device").unwrap();
        remove_partial(&below).unwrap();
        assert_eq!(names(), ["pvc-1", "pvc-2"]);
        fs::write(root.path().join("device"), "").unwrap();
        assert!(make_copy(&root.path().join("device"), &below, "pvc-5", &go_on).is_err());
        assert!(is_there(&root.path().join("device")) && is_there(&path) && !is_there(&below.join("pvc-5")));
        fs::write(path.join("more"), "x").unwrap();
        make_copy(&from, &below, "pvc-2", &go_on).unwrap();
        assert!(path.join("more").exists(), "again, and it stays what it is");
        remove_partial(&root.path().join("none")).unwrap();
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
