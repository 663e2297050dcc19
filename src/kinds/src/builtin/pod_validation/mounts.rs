//! Where volumes are mounted.

use super::super::checks::{list, text};
use super::Around;
use super::files::{descends, has_backsteps};
use crate::ErrorList;
use k8s_openapi::api::core::v1::{Container, VolumeMount};
use std::collections::BTreeSet;

const PROPAGATIONS: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
const RECURSIONS: [&str; 3] = ["Disabled", "Enabled", "IfPossible"];

pub(super) fn mounts(container: &Container, at: &str, around: &Around<'_>, errors: &mut ErrorList) {
    let devices = list(&container.volume_devices);
    let mut seen = BTreeSet::new();
    let list_at = format!("{at}.volumeMounts");
    for (index, mount) in list(&container.volume_mounts).iter().enumerate() {
        let at = format!("{list_at}[{index}]");
        let (name, path) = (mount.name.as_str(), mount.mount_path.as_str());
        if name.is_empty() {
            errors.required(format_args!("{at}.name"), "");
        }
        let volume = around.volumes.get(name);
        if volume.is_none() {
            errors.not_found(format_args!("{at}.name"), name);
        }
        if path.is_empty() {
            errors.required(format_args!("{at}.mountPath"), "");
        }
        // the field's own documentation forbids it. A path of Windows is left to pods that never run here
        if path.starts_with('/') && path.contains(':') {
            errors.invalid(format_args!("{at}.mountPath"), path, "must not contain ':'");
        }
        if !seen.insert(path) {
            errors.invalid(format_args!("{at}.mountPath"), path, "must be unique");
        }
        if devices.iter().any(|device| device.name == name) {
            errors.invalid(format_args!("{at}.name"), name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| device.device_path == path) {
            errors.invalid(
                format_args!("{at}.mountPath"),
                path,
                "must not already exist as a path in volumeDevices",
            );
        }
        sub_paths(mount, &list_at, &at, errors);
        propagation(mount, container, &list_at, errors);
        recursive_read_only(mount, &format!("{list_at}.recursiveReadOnly"), errors);
    }
}

/// Upstream leaves the index out of some places.
fn sub_paths(mount: &VolumeMount, list_at: &str, at: &str, errors: &mut ErrorList) {
    let (fixed, computed) = (text(&mount.sub_path), text(&mount.sub_path_expr));
    for (field, path) in [("subPath", fixed), ("subPathExpr", computed)] {
        if path.is_empty() {
            continue;
        }
        descends(path, format_args!("{list_at}.{field}"), errors);
    }
    if !fixed.is_empty() && !computed.is_empty() {
        errors.invalid(
            format_args!("{at}.subPathExpr"),
            computed,
            "subPathExpr and subPath are mutually exclusive",
        );
    }
}

fn propagation(mount: &VolumeMount, container: &Container, list_at: &str, errors: &mut ErrorList) {
    let Some(mode) = mount.mount_propagation.as_deref() else { return };
    let at = format!("{list_at}.mountPropagation");
    if !PROPAGATIONS.contains(&mode) {
        errors.not_supported(&at, mode, &PROPAGATIONS);
    }
    let privileged = container.security_context.as_ref().is_some_and(|c| c.privileged == Some(true));
    if mode == "Bidirectional" && !privileged {
        errors.forbidden(&at, "Bidirectional mount propagation is available only to privileged containers");
    }
}

fn recursive_read_only(mount: &VolumeMount, at: &str, errors: &mut ErrorList) {
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errors.forbidden(at, "may only be specified when readOnly is true");
            }
            if mount.mount_propagation.as_deref().is_some_and(|mode| mode != "None") {
                errors.forbidden(at, "may only be specified when mountPropagation is None or not specified");
            }
        }
        Some(other) => errors.not_supported(at, other, &RECURSIONS),
    }
}

pub(super) fn devices(container: &Container, at: &str, around: &Around<'_>, errors: &mut ErrorList) {
    let mounts = list(&container.volume_mounts);
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in list(&container.volume_devices).iter().enumerate() {
        let at = format!("{at}.volumeDevices[{index}]");
        let (name, path) = (device.name.as_str(), device.device_path.as_str());
        if name.is_empty() {
            errors.required(format_args!("{at}.name"), "");
        } else if !names.insert(name) {
            errors.invalid(format_args!("{at}.name"), name, "must be unique");
        }
        match around.volumes.get(name) {
            None => errors.not_found(format_args!("{at}.name"), name),
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
                errors.invalid(
                    format_args!("{at}.name"),
                    name,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                );
            }
            Some(_) => {}
        }
        if path.is_empty() {
            errors.required(format_args!("{at}.devicePath"), "");
        }
        if has_backsteps(path) {
            errors.invalid(format_args!("{at}.devicePath"), path, "can not contain backsteps ('..')");
        } else if !paths.insert(path) {
            errors.invalid(format_args!("{at}.devicePath"), path, "must be unique");
        }
        if mounts.iter().any(|mount| mount.name == name) {
            errors.invalid(format_args!("{at}.name"), name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| mount.mount_path == path) {
            errors.invalid(
                format_args!("{at}.devicePath"),
                path,
                "must not already exist as a path in volumeMounts",
            );
        }
    }
}
