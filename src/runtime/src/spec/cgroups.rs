//! What a container sees of its cgroups, at /sys/fs/cgroup.

use super::Parts;
use super::mount_entry::{BIND, mount};
use super::targets::target_of;
use cri::wire::CgroupView;
use oci_spec::OciSpecError;
use oci_spec::runtime::{Mount, MountBuilder};
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// What libcontainer mounts. Where the shim shows the cgroups ([`cgroup_view`]) that is their place at most: v2's is a directory
/// of sysfs.
pub(super) fn mounts(parts: &Parts<'_>) -> Result<Vec<Mount>, OciSpecError> {
    match (parts.host.unified, parts.shows_cgroups) {
        (true, true) => Ok(Vec::new()),
        (true, false) => {
            let options = ["nosuid", "noexec", "nodev", "relatime", mode(parts)];
            Ok(vec![mount("cgroup", "cgroup", ROOT, &options)?])
        }
        (false, shown) => {
            let mut all = vec![mount("tmpfs", "tmpfs", ROOT, &["nosuid", "noexec", "nodev", "mode=755"])?];
            if !shown {
                all.extend(own_directories(parts)?);
            }
            Ok(all)
        }
    }
}

/// The container's own directory of each v1 hierarchy: programs read their limits there. Not by libcontainer's mount of the
/// kind, which is writable whatever its options say, so that a container could raise its limits.
fn own_directories(parts: &Parts<'_>) -> Result<Vec<Mount>, OciSpecError> {
    let directory = |hierarchy: &PathBuf| {
        let options = ["bind", "nosuid", "noexec", "nodev", mode(parts)].map(str::to_owned);
        let own = MountBuilder::default()
            .typ(BIND)
            .source(hierarchy.join(parts.cgroup))
            .destination(hierarchy)
            .options(options.to_vec());
        own.build()
    };
    free(parts).into_iter().map(directory).collect()
}

/// The same for the shim.
pub fn cgroup_view(parts: &Parts<'_>) -> CgroupView {
    let directory = |hierarchy: &PathBuf| match parts.host.unified && !has_namespace(parts) {
        // nothing says where in it the container is
        true => hierarchy.clone(),
        false => hierarchy.join(parts.cgroup),
    };
    let seen = free(parts).into_iter().filter(|at| at.starts_with(ROOT));
    CgroupView {
        shown: seen.map(|hierarchy| (directory(hierarchy), hierarchy.clone())).collect(),
        writable: is_writable(parts),
    }
}

/// The hierarchies in whose place the user has mounted nothing himself: that stays as it is.
fn free<'a>(parts: &Parts<'a>) -> Vec<&'a PathBuf> {
    let asked = parts.container.mounts.iter().filter_map(|mount| target_of(&mount.target).ok());
    let asked: Vec<PathBuf> = asked.chain(parts.volumes.iter().map(|volume| volume.target.clone())).collect();
    let is_free =
        |place: &Path| !asked.iter().any(|asked| place.starts_with(asked) || asked.starts_with(place));
    parts.hierarchies.iter().filter(|at| is_free(at)).collect()
}

/// Whether the container has a cgroup namespace of its own.
pub(super) fn has_namespace(parts: &Parts<'_>) -> bool {
    let usual = parts.host.unified && !parts.container.privileged;
    parts.container.cgroup_namespace.unwrap_or(usual)
}

fn mode(parts: &Parts<'_>) -> &'static str {
    if is_writable(parts) { "rw" } else { "ro" }
}

fn is_writable(parts: &Parts<'_>) -> bool {
    parts.container.writable_cgroups.unwrap_or(parts.container.privileged)
}
