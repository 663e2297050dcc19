//! emptyDir volumes: a directory, or a tmpfs where the medium is memory.

use super::atomic::give;
use crate::quantity::value;
use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use nix::mount::{MsFlags, mount};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// A directory that everybody may write to; with the medium `Memory` a tmpfs, at most as large as `sizeLimit` and the pod's limit of
/// memory, in bytes, say.
///
/// # Errors
/// What the file system refused.
pub fn set_up(
    dir: &Path,
    source: &EmptyDirVolumeSource,
    group: Option<u32>,
    memory: Option<i64>,
) -> Result<(), String> {
    let new = !dir.exists();
    fs::create_dir_all(dir).map_err(|e| format!("mkdir {}: {e}", dir.display()))?;
    let is_fresh = match source.medium.as_deref() {
        None | Some("") => new,
        // after a reboot the directory is there, and no tmpfs on it
        Some("Memory") if new || !is_mounted(dir) => {
            let options = size(source, memory).map(|size| format!("size={size}"));
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

/// Upstream's `SizeMemoryBackedVolumes`: who writes more than the pod may have is told that it is full, and not killed.
fn size(source: &EmptyDirVolumeSource, memory: Option<i64>) -> Option<i64> {
    let asked = source.size_limit.as_ref().and_then(value);
    asked.into_iter().chain(memory).filter(|size| *size > 0).min()
}

/// Another file system than the directory above it.
fn is_mounted(dir: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).ok();
    dir.parent().is_some_and(|parent| device(dir) != device(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    #[test]
    fn a_volume_in_memory_is_no_larger_than_its_pod_s() {
        let given = |limit: Option<&str>, memory| {
            let size_limit = limit.map(|limit| Quantity(limit.to_owned()));
            size(&EmptyDirVolumeSource { size_limit, ..EmptyDirVolumeSource::default() }, memory)
        };
        let mebi = |count: i64| Some(count << 20);
        assert_eq!(given(None, None), None);
        assert_eq!(given(Some("0"), None), None);
        assert_eq!(given(Some("64Mi"), None), mebi(64));
        assert_eq!(given(Some("64Mi"), mebi(100)), mebi(64));
        assert_eq!(given(Some("1Gi"), mebi(100)), mebi(100));
        assert_eq!(given(None, mebi(100)), mebi(100));
    }
}
