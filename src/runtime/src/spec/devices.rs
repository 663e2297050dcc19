//! Device nodes, and who may use them.

use super::Parts;
use super::targets::target_of;
use crate::host::HostDevice;
use cri::{ContainerConfig, CriError, Device};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType,
};
use std::path::{Component, Path, PathBuf};

const DEV: &str = "/dev";
/// Nodes that libcontainer makes in every container.
const ALWAYS: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
/// What is mounted in every container.
const KERNEL: [&str; 2] = ["/proc", "/sys"];

/// linux/major.h
const LOOP: i64 = 7;

impl HostDevice {
    fn kind(&self) -> LinuxDeviceType {
        if self.block { LinuxDeviceType::B } else { LinuxDeviceType::C }
    }
}

/// Each device that is asked for, or is there where the container is privileged, and where it is to be.
fn wanted<'a>(parts: &Parts<'a>) -> Vec<(PathBuf, &'a HostDevice)> {
    let wanted = parts.container.devices.iter();
    let mut all: Vec<(PathBuf, &HostDevice)> = Vec::new();
    for device in parts.devices {
        let mut as_asked = wanted.clone().filter(|d| d.host_path == device.path).peekable();
        if as_asked.peek().is_none() && parts.container.privileged {
            all.push((device.path.clone(), device));
        }
        all.extend(as_asked.map(|d| (d.container_path.clone(), device)));
    }
    all
}

/// Where in the container's /dev there will be a node.
pub(super) fn paths(parts: &Parts<'_>) -> Vec<PathBuf> {
    let wanted = wanted(parts).into_iter().map(|(path, _)| path).filter(|path| path.starts_with(DEV));
    ALWAYS.iter().map(PathBuf::from).chain(wanted).collect()
}

/// The nodes to make in the container's /dev, besides those that it always has.
pub(super) fn nodes(parts: &Parts<'_>) -> Result<Vec<LinuxDevice>, OciSpecError> {
    let in_dev = wanted(parts).into_iter().filter(|(path, _)| path.starts_with(DEV));
    in_dev
        .map(|(path, device)| {
            LinuxDeviceBuilder::default()
                .path(path)
                .typ(device.kind())
                .major(device.major)
                .minor(device.minor)
                .file_mode(device.mode)
                .uid(device.uid)
                .gid(device.gid)
                .build()
        })
        .collect()
}

/// The loop devices that are asked for. Whoever has a node of one can let it go, without any privilege, and its number is given to
/// another file then: unless somebody has it open.
pub fn loop_devices(asked: &[Device], devices: &[HostDevice]) -> Vec<PathBuf> {
    let is_asked = |device: &&HostDevice| asked.iter().any(|asked| asked.host_path == device.path);
    let all = devices.iter().filter(|device| device.block && device.major == LOOP).filter(is_asked);
    all.map(|device| device.path.clone()).collect()
}

/// The nodes that are asked for elsewhere: libcontainer makes none there, and so they are made in the root before.
///
/// # Errors
/// [`CriError::Invalid`] for a path that is none, and for one where something else will be mounted.
pub fn nodes_in_root<'a>(parts: &Parts<'a>) -> Result<Vec<(PathBuf, &'a HostDevice)>, CriError> {
    // one that climbs is in /dev only by its first word
    let elsewhere = wanted(parts).into_iter().filter(|(path, _)| !path.starts_with(DEV) || climbs(path));
    let mounts = parts.container.mounts.iter().filter_map(|mount| target_of(&mount.target).ok());
    let volumes = parts.volumes.iter().map(|volume| volume.target.clone());
    let over: Vec<PathBuf> = KERNEL.iter().map(PathBuf::from).chain(mounts).chain(volumes).collect();
    elsewhere
        .map(|(path, device)| {
            let bad =
                |why: String| CriError::Invalid(format!("invalid device path {}: {why}", path.display()));
            if !path.is_absolute() {
                return Err(bad("it must be absolute".to_owned()));
            }
            if climbs(&path) {
                return Err(bad("it must not hold '..'".to_owned()));
            }
            let plain: PathBuf = path.components().collect();
            if plain == Path::new("/") {
                return Err(bad("it must not be the root".to_owned()));
            }
            match over.iter().find(|over| plain.starts_with(over)) {
                Some(over) => Err(bad(format!("what is mounted at {} hides it", over.display()))),
                None => Ok((plain, device)),
            }
        })
        .collect()
}

fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// Nothing but what every container has ([`guard_devices`](crate::cgroups::Hierarchies::guard_devices) adds it) and what was asked for; everything where privileged.
///
/// # Errors
/// A builder refuses what this code forgot to give it.
pub fn rules(
    container: &ContainerConfig,
    devices: &[HostDevice],
) -> Result<Vec<LinuxDeviceCgroup>, OciSpecError> {
    let all = LinuxDeviceCgroupBuilder::default()
        .allow(container.privileged)
        .typ(LinuxDeviceType::A)
        .access("rwm")
        .build()?;
    let mut rules = vec![all];
    for wanted in &container.devices {
        let Some(device) = devices.iter().find(|d| d.path == wanted.host_path) else { continue };
        let rule = LinuxDeviceCgroupBuilder::default()
            .allow(true)
            .typ(device.kind())
            .major(device.major)
            .minor(device.minor)
            .access(wanted.permissions.clone());
        rules.push(rule.build()?);
    }
    for wanted in &container.device_rules {
        let kind = match wanted.kind {
            'b' => LinuxDeviceType::B,
            'c' => LinuxDeviceType::C,
            _ => LinuxDeviceType::A,
        };
        let mut rule = LinuxDeviceCgroupBuilder::default()
            .allow(true)
            .typ(kind)
            .access(wanted.access.clone())
            .build()?;
        rule.set_major(wanted.major);
        rule.set_minor(wanted.minor);
        rules.push(rule);
    }
    Ok(rules)
}
