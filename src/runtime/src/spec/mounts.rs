//! What is mounted into a container, in the order in which it is mounted.

use super::mount_entry::{BIND, bind, mount};
use super::process::INIT;
use super::targets::target_of;
use super::{Parts, bug, cgroups, devices};
use cri::wire::{LateMount, SHM};
use cri::{ContainerConfig, CriError, Propagation, SandboxConfig};
use oci_spec::OciSpecError;
use oci_spec::runtime::{Mount, MountBuilder};
use std::path::{Path, PathBuf};

/// A directory that the image calls a VOLUME and nothing else is mounted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub source: PathBuf,
    pub target: PathBuf,
}

/// Where a mount's source is found in the shim's mount namespace that has been brought there with a propagation of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSource {
    pub target: PathBuf,
    pub source: PathBuf,
}

/// The mounts that libcontainer can not make itself: parts of volumes, which it would look for by name, those that must reach
/// the machine again, and private ones beside others, as it knows no propagation of a single mount.
pub fn shared_sources(container: &ContainerConfig) -> impl Iterator<Item = &cri::Mount> {
    let mixed = container.mounts.iter().any(|m| m.propagation != Propagation::Private);
    let mounts = container.mounts.iter().filter(|m| m.source.is_some());
    mounts.filter(move |m| match m.propagation {
        _ if m.subpath.is_some() => true,
        Propagation::Bidirectional => true,
        Propagation::HostToContainer => false,
        Propagation::Private => mixed,
    })
}

pub(super) fn build(parts: &Parts<'_>) -> Result<Vec<Mount>, CriError> {
    let mut mounts = kernel(parts).map_err(bug)?;
    let mut asked = Vec::with_capacity(parts.container.mounts.len());
    for wanted in &parts.container.mounts {
        asked.push((target_of(&wanted.target)?, wanted));
    }
    for volume in parts.volumes {
        target_of(&volume.target)?;
    }
    let is_late = comes_last(parts);
    asked.retain(|(target, _)| !is_late(target));
    let taken = |target: &str| asked.iter().any(|(t, _)| t == Path::new(target));
    mounts.retain(|m| !asked.iter().any(|(target, _)| target == m.destination()));
    for (name, target) in files(parts.sandbox) {
        if !taken(target) {
            let read_only = parts.container.read_only_rootfs;
            mounts.push(bind(&parts.etc_dir.join(name), Path::new(target), read_only).map_err(bug)?);
        }
    }
    let volumes =
        parts.volumes.iter().filter(|v| !is_late(&v.target)).map(|v| bind(&v.source, &v.target, false));
    mounts.extend(volumes.collect::<Result<Vec<_>, _>>().map_err(bug)?);
    if parts.container.init {
        mounts.push(bind(parts.program, Path::new(INIT), true).map_err(bug)?);
    }
    // a mount below another one is made after it, or it would be covered
    asked.sort_by_key(|(target, _)| target.components().count());
    for (target, wanted) in asked {
        mounts.push(one(parts, &target, wanted).map_err(bug)?);
    }
    Ok(mounts)
}

/// Where something of the machine's is mounted in the image's own directories, and whether it is a directory.
pub fn mountpoints(parts: &Parts<'_>, is_dir: impl Fn(&cri::Mount) -> bool) -> Vec<(PathBuf, bool)> {
    let files = files(parts.sandbox).into_iter().map(|(_, target)| (PathBuf::from(target), false));
    let volumes = parts.volumes.iter().map(|volume| (volume.target.clone(), true));
    let asked = parts.container.mounts.iter();
    let asked = asked.filter_map(|mount| Some((target_of(&mount.target).ok()?, is_dir(mount))));
    let own = ["/dev", "/proc", "/sys"];
    let all = files.chain(volumes).chain(asked);
    all.filter(|(target, _)| !own.iter().any(|own| target.starts_with(own))).collect()
}

const DEV: &str = "/dev";

/// Whether a mount belongs to those that come last. libcontainer fills /dev with nodes and links, and puts its own ptmx in
/// place of the one that is there, whatever is mounted on it; it fails where a node is there already. So where something is
/// bound onto /dev, onto a node in it or above one, it fills a tmpfs as always, and the bind is laid over it afterwards: the
/// machine's own /dev loses nothing and gets nothing.
fn comes_last(parts: &Parts<'_>) -> impl Fn(&Path) -> bool {
    let nodes = devices::paths(parts);
    let hides_one =
        |target: &Path| target.starts_with(DEV) && nodes.iter().any(|node| node.starts_with(target));
    let asked = parts.container.mounts.iter().filter(|m| m.source.is_some()).map(|m| m.target.as_path());
    let binds = asked.chain(parts.volumes.iter().map(|v| v.target.as_path()));
    let last: Vec<PathBuf> = binds.filter(|target| hides_one(target)).map(Path::to_path_buf).collect();
    move |target| last.iter().any(|over| target.starts_with(over))
}

/// Binds onto /dev or its nodes, and what is mounted below them, which libcontainer must not see.
///
/// # Errors
/// A tmpfs below it: there is nobody to make it.
pub fn late(parts: &Parts<'_>) -> Result<Vec<LateMount>, CriError> {
    let is_late = comes_last(parts);
    let mut all = Vec::new();
    for volume in parts.volumes.iter().filter(|v| is_late(&v.target)) {
        all.push(LateMount {
            source: volume.source.clone(),
            target: volume.target.clone(),
            recursive: true,
            read_only: false,
            read_only_below: false,
            propagation: Propagation::Private,
        });
    }
    for wanted in &parts.container.mounts {
        let target = target_of(&wanted.target)?;
        if is_late(&target) {
            all.push(late_one(parts, target, wanted)?);
        }
    }
    all.sort_by_key(|mount| mount.target.components().count());
    Ok(all)
}

fn late_one(parts: &Parts<'_>, target: PathBuf, wanted: &cri::Mount) -> Result<LateMount, CriError> {
    let Some(source) = source_of(parts, wanted) else {
        let why =
            format!("a tmpfs on {} does not go with a bind on it or above it in {DEV}", target.display());
        return Err(CriError::Invalid(why));
    };
    let said = |option: &str| wanted.options.iter().any(|o| o == option);
    Ok(LateMount {
        source: source.clone(),
        target,
        recursive: !said("bind"),
        read_only: wanted.read_only,
        read_only_below: said("rro"),
        propagation: wanted.propagation,
    })
}

fn kernel(parts: &Parts<'_>) -> Result<Vec<Mount>, OciSpecError> {
    let sys_mode = if parts.container.privileged { "rw" } else { "ro" };
    let mut mounts = vec![
        mount("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"])?,
        mount("tmpfs", "tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        mount(
            "devpts",
            "devpts",
            "/dev/pts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        )?,
        mount("mqueue", "mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"])?,
        mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", sys_mode])?,
    ];
    mounts.extend(cgroups::mounts(parts)?);
    let sandbox = parts.sandbox;
    let shared_memory = match sandbox.host_ipc {
        true => Some(PathBuf::from("/dev/shm")),
        false => {
            (sandbox.shm_size != Some(0) || sandbox.ipc_of.is_some()).then(|| parts.sandbox_dir.join(SHM))
        }
    };
    if let Some(source) = shared_memory {
        mounts.push(bind(&source, Path::new("/dev/shm"), false)?);
    }
    Ok(mounts)
}

/// The sandbox's own files, and where a container expects them.
pub fn files(sandbox: &SandboxConfig) -> Vec<(&'static str, &'static str)> {
    let wanted = [
        (sandbox.hosts.is_some(), "hosts", "/etc/hosts"),
        (sandbox.resolv_conf.is_some(), "resolv.conf", "/etc/resolv.conf"),
        (!sandbox.hostname.is_empty(), "hostname", "/etc/hostname"),
    ];
    wanted.into_iter().filter(|(wanted, ..)| *wanted).map(|(_, name, target)| (name, target)).collect()
}

fn one(parts: &Parts<'_>, target: &Path, wanted: &cri::Mount) -> Result<Mount, OciSpecError> {
    let Some(source) = source_of(parts, wanted) else {
        return tmpfs(target, wanted);
    };
    if wanted.options.is_empty() {
        return bind(source, target, wanted.read_only);
    }
    let mount = MountBuilder::default().typ(BIND).source(source).destination(target);
    mount.options(wanted.options.clone()).build()
}

/// In the shim's mount namespace; `None` for a tmpfs.
fn source_of<'a>(parts: &'a Parts<'_>, wanted: &'a cri::Mount) -> Option<&'a PathBuf> {
    let brought = parts.shared.iter().find(|s| s.target == wanted.target).map(|s| &s.source);
    wanted.source.as_ref().map(|source| brought.unwrap_or(source))
}

fn tmpfs(target: &Path, wanted: &cri::Mount) -> Result<Mount, OciSpecError> {
    let mut options = wanted.options.clone();
    if options.is_empty() {
        options = ["nosuid", "nodev", "mode=1777"].map(str::to_owned).to_vec();
    }
    options.push(if wanted.read_only { "ro" } else { "rw" }.to_owned());
    options.extend(wanted.size_limit.map(|bytes| format!("size={bytes}")));
    MountBuilder::default().typ("tmpfs").source("tmpfs").destination(target).options(options).build()
}
