//! A part of a volume: found without leaving the volume, and made where it is missing. The runtime mounts it the same way,
//! by what it opens beneath the volume ([`cri::subpath`]): a container that swaps a directory for a link gains nothing.

use cri::subpath::{ensure as ensure_beneath, leads_out, open_base};
use std::path::{Component, Path};

/// In upstream's words.
///
/// # Errors
/// It would lead out of the volume.
pub fn check(path: &str) -> Result<(), String> {
    if Path::new(path).is_absolute() {
        return Err(format!("error SubPath `{path}` must not be an absolute path"));
    }
    if Path::new(path).components().any(|c| matches!(c, Component::ParentDir)) {
        return Err(format!("unable to provision SubPath `{path}`: must not contain '..'"));
    }
    Ok(())
}

/// Makes sure that there is a `path` beneath `volume`; directories that are missing are made, with the mode of the volume itself:
/// whoever may write to the volume may write to its parts. Under a set-group-ID bit (fsGroup) they have the volume's group too.
///
/// # Errors
/// It leads out of the volume, or the file system refused.
pub fn ensure(volume: &Path, path: &str) -> Result<(), String> {
    check(path)?;
    let root = open_base(volume).map_err(|e| format!("open {}: {e}", volume.display()))?;
    ensure_beneath(&root, Path::new(path)).map_err(|e| match e {
        e if leads_out(e) => format!("subPath \"{path}\" leads out of volume {}", volume.display()),
        other => format!("open subPath \"{path}\" in volume {}: {other}", volume.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
            ensure(volume, "a/b").unwrap();
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
            ("new/deep/directory", true),
            ("../secret", false),
            ("/etc/passwd", false),
            ("up", false),
            ("absolute/passwd", false),
            ("absolute/new", false),
        ];
        for (path, good) in cases {
            assert_eq!(ensure(&volume, path).is_ok(), good, "{path}");
        }
        assert!(volume.join("new/deep/directory").is_dir(), "missing directories are made");
    }
}
