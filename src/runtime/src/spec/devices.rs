//! Device nodes, and who may use them.

use super::Parts;
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType,
};
use std::path::PathBuf;

/// A device node of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDevice {
    pub path: PathBuf,
    pub block: bool,
    pub major: i64,
    pub minor: i64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl HostDevice {
    fn kind(&self) -> LinuxDeviceType {
        if self.block { LinuxDeviceType::B } else { LinuxDeviceType::C }
    }
}

/// The nodes to make in the container's /dev, besides null, zero, full, random, urandom and tty, which it always has.
pub(super) fn nodes(parts: &Parts<'_>) -> Result<Vec<LinuxDevice>, OciSpecError> {
    let wanted = parts.container.devices.iter();
    let mut nodes: Vec<(PathBuf, &HostDevice)> = Vec::new();
    for device in parts.devices {
        let mut as_asked = wanted.clone().filter(|d| d.host_path == device.path).peekable();
        if as_asked.peek().is_none() && parts.container.privileged {
            nodes.push((device.path.clone(), device));
        }
        nodes.extend(as_asked.map(|d| (d.container_path.clone(), device)));
    }
    nodes
        .into_iter()
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

/// Nothing but what every container has (libcontainer adds it) and what was asked for; everything where privileged.
pub(super) fn rules(parts: &Parts<'_>) -> Result<Vec<LinuxDeviceCgroup>, OciSpecError> {
    let all = LinuxDeviceCgroupBuilder::default()
        .allow(parts.container.privileged)
        .typ(LinuxDeviceType::A)
        .access("rwm")
        .build()?;
    let mut rules = vec![all];
    for wanted in &parts.container.devices {
        let Some(device) = parts.devices.iter().find(|d| d.path == wanted.host_path) else { continue };
        let rule = LinuxDeviceCgroupBuilder::default()
            .allow(true)
            .typ(device.kind())
            .major(device.major)
            .minor(device.minor)
            .access(wanted.permissions.clone());
        rules.push(rule.build()?);
    }
    for wanted in &parts.container.device_rules {
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
