//! The OCI runtime spec of a container: a pure function of what was asked, what the image says and what the machine
//! offers, with containerd's defaults. Read [`build`] first. It sets every field that `oci-spec` has a default for:
//! those defaults are those of another runtime. What libcontainer takes differently than written is told at its place.

mod cgroups;
mod defaults;
mod devices;
mod guarded;
mod mount_entry;
mod mounts;
mod process;
mod resources;
mod seccomp;
mod targets;
#[cfg(test)]
mod tests;

pub use cgroups::cgroup_view;
pub use defaults::ImageDefaults;
pub use devices::{loop_devices, nodes_in_root, rules as device_rules};
pub use guarded::guarded;
pub use mounts::{SharedSource, Volume, files, late, mountpoints, shared_sources};
pub use process::{arguments, environment, last_of_each, with_home, working_dir};
pub use targets::target_of;

use crate::account::Account;
use crate::capabilities::CapabilitySet;
use crate::host::{Host, HostDevice};
use cri::confinement::{MASKED_PATHS, READ_ONLY_PATHS};
use cri::wire::PID_NAMESPACE;
use cri::{ContainerConfig, CriError, Propagation, SandboxConfig, Seccomp};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, LinuxSeccomp, RootBuilder, Spec,
    SpecBuilder,
};
use std::path::{Path, PathBuf};

const VERSION: &str = "1.2.0";

/// All that a container's spec is made of.
pub struct Parts<'a> {
    pub container: &'a ContainerConfig,
    pub sandbox: &'a SandboxConfig,
    pub image: &'a ImageDefaults,
    pub account: &'a Account,
    pub host: &'a Host,
    /// Where the root file system will be mounted.
    pub rootfs: &'a Path,
    /// The sandbox's directory in the run directory.
    pub sandbox_dir: &'a Path,
    /// Where the sandbox's files for /etc are.
    pub etc_dir: &'a Path,
    /// Anonymous volumes.
    pub volumes: &'a [Volume],
    /// Mounts that were brought from the machine, by their target in the container.
    pub shared: &'a [SharedSource],
    /// The machine's, for a privileged container; else those asked for.
    pub devices: &'a [HostDevice],
    /// The profile of a `Localhost` filter, as it was read.
    pub localhost: Option<LinuxSeccomp>,
    /// Relative to every hierarchy.
    pub cgroup: &'a str,
    /// Where cgroup v1's controllers are mounted, or v2.
    pub hierarchies: &'a [PathBuf],
    /// The shim sees to the cgroups ([`cgroup_view`]), and libcontainer is told nothing of them.
    pub shows_cgroups: bool,
    /// Another container's, to be joined.
    pub pid_namespace: Option<&'a Path>,
    /// This program, which is also the first process of containers that want one.
    pub program: &'a Path,
}

/// # Errors
/// [`CriError::Invalid`] for what can never work: no command, an unknown capability, a bad mount path.
pub fn build(parts: &Parts<'_>) -> Result<Spec, CriError> {
    let capabilities = capabilities_of(parts)?;
    let process = process::build(parts, capabilities)?;
    let mounts = mounts::build(parts)?;
    let seccomp = filter(parts, capabilities).map_err(bug)?;
    let container = parts.container;
    let bare = container.privileged || container.proc_unmasked;
    let paths = |said: &Option<Vec<String>>, usual: &[&str]| match said {
        Some(said) if !container.privileged => said.clone(),
        _ => usual.iter().filter(|_| !bare).map(|p| (*p).to_owned()).collect::<Vec<_>>(),
    };
    let mut masked = paths(&container.masked_paths, &MASKED_PATHS);
    if !bare && container.masked_paths.is_none() {
        masked.extend(parts.host.thermal_throttle.iter().cloned());
    }
    let mut linux = LinuxBuilder::default()
        .cgroups_path(format!("/{}", parts.cgroup.trim_matches('/')))
        .namespaces(namespaces(parts).map_err(bug)?)
        .devices(devices::nodes(parts).map_err(bug)?)
        .rootfs_propagation(propagation(container))
        .masked_paths(masked)
        .readonly_paths(paths(&container.readonly_paths, &READ_ONLY_PATHS))
        .build()
        .map_err(bug)?;
    linux.set_resources(match parts.shows_cgroups {
        true => None,
        false => Some(resources::build(parts).map_err(bug)?),
    });
    linux.set_seccomp(seccomp);
    let root = RootBuilder::default()
        .path(parts.rootfs)
        .readonly(container.read_only_rootfs)
        .build()
        .map_err(bug)?;
    let mut spec = SpecBuilder::default()
        .version(VERSION)
        .root(root)
        .process(process)
        .mounts(mounts)
        .linux(linux)
        .build()
        .map_err(bug)?;
    // the shim has set it for the whole sandbox, where the sandbox has a name of its own
    spec.set_hostname(None);
    spec.set_annotations(None);
    Ok(spec)
}

/// The capabilities that the container gets: what was asked for, as far as we have it ourselves.
pub fn capabilities_of(parts: &Parts<'_>) -> Result<CapabilitySet, CriError> {
    let container = parts.container;
    let wanted = if container.privileged {
        CapabilitySet::ALL
    } else {
        CapabilitySet::of_container(&container.add_capabilities, &container.drop_capabilities)?
    };
    Ok(wanted.within(parts.host.capabilities))
}

/// Network, IPC and host name are the shim's own namespaces and are inherited from it.
fn namespaces(parts: &Parts<'_>) -> Result<Vec<LinuxNamespace>, OciSpecError> {
    let (sandbox, new) = (parts.sandbox, |typ| LinuxNamespaceBuilder::default().typ(typ));
    let mut all = vec![new(LinuxNamespaceType::Mount).build()?];
    let pid = new(LinuxNamespaceType::Pid);
    match (sandbox.host_pid, parts.pid_namespace) {
        (true, _) => {}
        (false, Some(other)) => all.push(pid.path(other).build()?),
        (false, None) if sandbox.share_pid => {
            all.push(pid.path(parts.sandbox_dir.join(PID_NAMESPACE)).build()?);
        }
        (false, None) => all.push(pid.build()?),
    }
    if cgroups::has_namespace(parts) {
        all.push(new(LinuxNamespaceType::Cgroup).build()?);
    }
    Ok(all)
}

/// libcontainer knows no propagation of a single mount, only of all together: what it clones keeps the peer group of
/// its source. So the one that goes furthest decides, and nothing is shared where nobody asked for it.
fn propagation(container: &ContainerConfig) -> &'static str {
    let any = |wanted| container.mounts.iter().any(|m| m.propagation == wanted);
    if any(Propagation::Bidirectional) {
        "shared"
    } else if any(Propagation::HostToContainer) {
        "slave"
    } else {
        "private"
    }
}

fn filter(parts: &Parts<'_>, capabilities: CapabilitySet) -> Result<Option<LinuxSeccomp>, OciSpecError> {
    let profile = match (&parts.container.seccomp, &parts.localhost) {
        (Seccomp::Profile(_), profile) => profile.clone(),
        _ if parts.container.privileged => None,
        (Seccomp::Unconfined, _) => None,
        (Seccomp::RuntimeDefault, _) => Some(seccomp::runtime_default(capabilities, parts.host)?),
        (Seccomp::Localhost(_), profile) => profile.clone(),
    };
    profile.map(seccomp::for_libcontainer).transpose()
}

/// A builder refuses only what this code forgot to give it.
fn bug(error: OciSpecError) -> CriError {
    CriError::failed("build the runtime spec", error)
}
