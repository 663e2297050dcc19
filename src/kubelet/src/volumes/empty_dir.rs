//! emptyDir volumes: a directory, or a tmpfs where the medium is memory.

use super::atomic::give;
use crate::quantity::value;
use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use nix::mount::{MsFlags, mount};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// A directory that everybody may write to; with the medium `Memory` a tmpfs, at most `sizeLimit` large.
///
/// # Errors
/// What the file system refused.
pub fn set_up(dir: &Path, source: &EmptyDirVolumeSource, group: Option<u32>) -> Result<(), String> {
    let new = !dir.exists();
    fs::create_dir_all(dir).map_err(|e| format!("mkdir {}: {e}", dir.display()))?;
    let is_fresh = match source.medium.as_deref() {
        None | Some("") => new,
        // after a reboot the directory is there, and no tmpfs on it
        Some("Memory") if new || !is_mounted(dir) => {
            let size = source.size_limit.as_ref().and_then(value).filter(|size| *size > 0);
            let options = size.map(|size| format!("size={size}"));
            mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), options.as_deref())
                .map_err(|e| format!("mount tmpfs at {}: {e}", dir.display()))?;
            true
        }
        Some("Memory") => false,
        Some(other) => return Err(format!("emptyDir medium \"{other}\" is not supported")),
    };
    if !is_fresh {
        return Ok(());
    }
    let mode = if group.is_some() { 0o2777 } else { 0o777 };
    fs::set_permissions(dir, Permissions::from_mode(mode))
        .map_err(|e| format!("chmod {}: {e}", dir.display()))?;
    give(dir, group).map_err(|e| format!("chown {}: {e}", dir.display()))
}

/// Another file system than the directory above it.
fn is_mounted(dir: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).ok();
    dir.parent().is_some_and(|parent| device(dir) != device(parent))
}
