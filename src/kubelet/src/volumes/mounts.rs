//! From a container's volumeMounts to the runtime's mounts.

use super::{Mounted, MountedVolume, subpath};
use crate::expand::expand;
use crate::pod;
use cri::{Mount, Propagation};
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// KEP-4639: what is in an image that is a volume can be read, and not run.
const IMAGE_OPTIONS: [&str; 3] = ["rbind", "ro", "noexec"];

/// # Errors
/// The message of a `CreateContainerConfigError`.
pub fn of_container(
    pod: &Pod,
    container: &Container,
    mounted: &Mounted,
    env: &[(String, String)],
) -> Result<Vec<Mount>, String> {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let env: HashMap<&str, &str> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    mounts.iter().map(|mount| one(pod, container, mount, mounted, &env)).collect()
}

fn one(
    pod: &Pod,
    container: &Container,
    mount: &VolumeMount,
    mounted: &Mounted,
    env: &HashMap<&str, &str>,
) -> Result<Mount, String> {
    let not_found =
        || format!("cannot find volume \"{}\" to mount into container \"{}\"", mount.name, container.name);
    let volume = mounted.get(&mount.name).ok_or_else(not_found)?;
    if mount.recursive_read_only.as_deref() == Some("Enabled") {
        return Err(format!(
            "volume \"{}\" requested recursive read-only mode, but it is not supported by the runtime",
            mount.name
        ));
    }
    let part = sub_path(mount, env, pod)?.filter(|part| !part.is_empty());
    if let Some(part) = &part {
        subpath::check(part)?;
    }
    let placed = match volume {
        MountedVolume::Image(image) => {
            let options = IMAGE_OPTIONS.map(str::to_owned).to_vec();
            Mount { image: Some(image.clone()), read_only: true, options, ..Mount::default() }
        }
        MountedVolume::Device { .. } => return Err(not_found()),
        MountedVolume::Path { path, read_only } => {
            if let Some(part) = &part {
                subpath::ensure(path, part).map_err(|why| {
                    format!(
                        "failed to prepare subPath for volumeMount \"{}\" of container \"{}\": {why}",
                        mount.name, container.name
                    )
                })?;
            }
            let read_only = *read_only || mount.read_only == Some(true);
            Mount { source: Some(path.clone()), read_only, ..Mount::default() }
        }
    };
    Ok(Mount {
        subpath: part.map(PathBuf::from),
        target: absolute(&mount.mount_path),
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => Propagation::HostToContainer,
            Some("Bidirectional") => Propagation::Bidirectional,
            _ => Propagation::Private,
        },
        ..placed
    })
}

/// A relative mount path is meant from the root, as upstream reads it.
fn absolute(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

fn sub_path(mount: &VolumeMount, env: &HashMap<&str, &str>, pod: &Pod) -> Result<Option<String>, String> {
    let Some(expression) = mount.sub_path_expr.as_deref().filter(|e| !e.is_empty()) else {
        return Ok(mount.sub_path.clone());
    };
    let missing = std::cell::Cell::new(false);
    let known = |name: &str| {
        let value = env.get(name).copied();
        missing.set(missing.get() || value.is_none());
        value
    };
    let expanded = expand(expression, known)
        .map_err(|_| format!("subPathExpr of volumeMount \"{}\" is longer than any path", mount.name))?;
    if missing.get() {
        return Err(format!("missing value for subPathExpr \"{expression}\" of pod {}", pod::name(pod)));
    }
    Ok(Some(expanded))
}
