//! Sources that another program would have to provide: what upstream asks of them, so that a manifest that is refused
//! elsewhere is refused here.

use super::super::checks::{list, text};
use super::super::names;
use super::files::descends;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{
    AzureDiskVolumeSource, CSIVolumeSource, EphemeralVolumeSource, FCVolumeSource, FlockerVolumeSource,
    ISCSIVolumeSource, Volume,
};

const DRIVER_LONGEST: usize = 63;
const CACHING: [&str; 3] = ["None", "ReadOnly", "ReadWrite"];
const DISKS: [&str; 3] = ["Dedicated", "Managed", "Shared"];

pub(super) fn source(volume: &Volume, at: &str, errors: &mut ErrorList) {
    for (field, value) in must_be_there(volume) {
        if value.is_empty() {
            errors.required(format_args!("{at}.{field}"), "");
        }
    }
    let partitions = [
        volume.gce_persistent_disk.as_ref().and_then(|d| d.partition),
        volume.aws_elastic_block_store.as_ref().and_then(|d| d.partition),
    ];
    for partition in partitions.into_iter().flatten().filter(|p| !(0..=255).contains(p)) {
        errors.invalid(format_args!("{at}.partition"), partition, "must be between 1 and 255, inclusive");
    }
    if let Some(nfs) = volume.nfs.as_ref().filter(|nfs| !nfs.path.starts_with('/')) {
        errors.invalid(format_args!("{at}.path"), nfs.path.as_str(), "must be an absolute path");
    }
    if let Some(nfs) = &volume.nfs {
        nfs_server(&nfs.server, at, errors);
    }
    if let Some(repository) = &volume.git_repo {
        descends(text(&repository.directory), format_args!("{at}.directory"), errors);
    }
    if volume.rbd.as_ref().is_some_and(|rbd| rbd.monitors.is_empty())
        || volume.cephfs.as_ref().is_some_and(|ceph| ceph.monitors.is_empty())
    {
        errors.required(format_args!("{at}.monitors"), "");
    }
    volume.iscsi.iter().for_each(|source| iscsi(source, at, errors));
    volume.fc.iter().for_each(|source| fibre_channel(source, at, errors));
    volume.flocker.iter().for_each(|source| flocker(source, at, errors));
    volume.azure_disk.iter().for_each(|source| azure_disk(source, at, errors));
    volume.csi.iter().for_each(|source| csi(source, at, errors));
    volume.ephemeral.iter().for_each(|source| ephemeral(source, at, errors));
}

/// Stricter than upstream: what is no name and no address never was a server, and would be told to the host's `mount`.
pub(in crate::builtin) fn nfs_server(server: &str, at: &str, errors: &mut ErrorList) {
    if !server.is_empty() && !crate::volume::is_nfs_server(server) {
        errors.invalid(format_args!("{at}.server"), server, "must be the name or the address of a server");
    }
}

fn must_be_there(volume: &Volume) -> Vec<(&'static str, &str)> {
    let mut all = Vec::new();
    if let Some(claim) = &volume.persistent_volume_claim {
        all.push(("claimName", claim.claim_name.as_str()));
    }
    if let Some(nfs) = &volume.nfs {
        all.extend([("server", nfs.server.as_str()), ("path", nfs.path.as_str())]);
    }
    if let Some(iscsi) = &volume.iscsi {
        all.extend([("targetPortal", iscsi.target_portal.as_str()), ("iqn", iscsi.iqn.as_str())]);
    }
    if let Some(repository) = &volume.git_repo {
        all.push(("repository", repository.repository.as_str()));
    }
    if let Some(gluster) = &volume.glusterfs {
        all.extend([("endpoints", gluster.endpoints.as_str()), ("path", gluster.path.as_str())]);
    }
    if let Some(rbd) = &volume.rbd {
        all.push(("image", rbd.image.as_str()));
    }
    if let Some(disk) = &volume.gce_persistent_disk {
        all.push(("pdName", disk.pd_name.as_str()));
    }
    if let Some(disk) = &volume.aws_elastic_block_store {
        all.push(("volumeID", disk.volume_id.as_str()));
    }
    if let Some(cinder) = &volume.cinder {
        all.push(("volumeID", cinder.volume_id.as_str()));
    }
    if let Some(flex) = &volume.flex_volume {
        all.push(("driver", flex.driver.as_str()));
    }
    if let Some(file) = &volume.azure_file {
        all.extend([("secretName", file.secret_name.as_str()), ("shareName", file.share_name.as_str())]);
    }
    if let Some(disk) = &volume.azure_disk {
        all.extend([("diskName", disk.disk_name.as_str()), ("diskURI", disk.disk_uri.as_str())]);
    }
    if let Some(vsphere) = &volume.vsphere_volume {
        all.push(("volumePath", vsphere.volume_path.as_str()));
    }
    if let Some(photon) = &volume.photon_persistent_disk {
        all.push(("pdID", photon.pd_id.as_str()));
    }
    if let Some(portworx) = &volume.portworx_volume {
        all.push(("volumeID", portworx.volume_id.as_str()));
    }
    if let Some(quobyte) = &volume.quobyte {
        all.extend([("registry", quobyte.registry.as_str()), ("volume", quobyte.volume.as_str())]);
    }
    if let Some(scale) = &volume.scale_io {
        all.extend([("gateway", scale.gateway.as_str()), ("system", scale.system.as_str())]);
        all.push(("volumeName", text(&scale.volume_name)));
    }
    if let Some(storage) = &volume.storageos {
        all.push(("volumeName", text(&storage.volume_name)));
    }
    all
}

fn iscsi(source: &ISCSIVolumeSource, at: &str, errors: &mut ErrorList) {
    let known = |name: &str| ["iqn", "eui", "naa"].iter().any(|kind| name.starts_with(kind));
    let mut name = |field: &str, name: &str| {
        let why = match known(name) {
            true => "must be valid format",
            false => "must be valid format starting with iqn, eui, or naa",
        };
        if !is_iscsi_name(name) {
            errors.invalid(format_args!("{at}.{field}"), name, why);
        }
    };
    if !source.iqn.is_empty() {
        name("iqn", &source.iqn);
    }
    if let Some(initiator) = &source.initiator_name {
        name("initiatorname", initiator);
    }
    lun(Some(source.lun), at, errors);
    let chap = [source.chap_auth_discovery, source.chap_auth_session];
    if chap.contains(&Some(true)) && source.secret_ref.is_none() {
        errors.required(format_args!("{at}.secretRef"), "");
    }
}

/// RFC 7143, as upstream's patterns have it: `iqn.2001-04.com.example:disk`, and the letters of the two other kinds.
pub(in crate::builtin) fn is_iscsi_name(name: &str) -> bool {
    let letters = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_alphanumeric());
    for (kind, count) in [("eui", 16), ("naa", 32)] {
        if let Some(rest) = name.strip_prefix(kind) {
            // whatever stands between
            return rest.get(1..).is_some_and(|rest| letters(rest, count));
        }
    }
    let parts = name.strip_prefix("iqn.").and_then(|rest| rest.split_once('.'));
    let Some((date, rest)) = parts else { return false };
    let Some((authority, own)) = rest.split_once(':') else { return false };
    let is_date = |(index, b): (usize, u8)| if index == 4 { b == b'-' } else { b.is_ascii_digit() };
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let is_own = |c: char| !c.is_ascii_whitespace() && !",;*&$|".contains(c);
    date.len() == "2001-04".len()
        && date.bytes().enumerate().all(is_date)
        && !authority.is_empty()
        && authority.bytes().all(is_host)
        && !own.is_empty()
        && own.chars().all(is_own)
}

fn lun(lun: Option<i32>, at: &str, errors: &mut ErrorList) {
    if let Some(lun) = lun.filter(|lun| !(0..=255).contains(lun)) {
        errors.invalid(format_args!("{at}.lun"), lun, "must be between 0 and 255, inclusive");
    }
}

pub(in crate::builtin) fn fibre_channel(source: &FCVolumeSource, at: &str, errors: &mut ErrorList) {
    let (targets, ids) = (list(&source.target_wwns), list(&source.wwids));
    let field = format_args!("{at}.targetWWNs").to_string();
    match (targets.is_empty(), ids.is_empty()) {
        (true, true) => errors.required(field, "must specify either targetWWNs or wwids, but not both"),
        (false, false) => {
            let why = "targetWWNs and wwids can not be specified simultaneously";
            errors.invalid(field, targets.to_vec(), why);
        }
        _ => {}
    }
    if !targets.is_empty() && source.lun.is_none() {
        errors.required(format_args!("{at}.lun"), "lun is required if targetWWNs is specified");
    }
    lun(source.lun, at, errors);
}

fn flocker(source: &FlockerVolumeSource, at: &str, errors: &mut ErrorList) {
    let (name, uuid) = (text(&source.dataset_name), text(&source.dataset_uuid));
    match (name.is_empty(), uuid.is_empty()) {
        (true, true) => errors.required(at, "one of datasetName and datasetUUID is required"),
        (false, false) => {
            let why = "datasetName and datasetUUID can not be specified simultaneously";
            errors.invalid(at, "resource", why);
        }
        _ => {}
    }
    if name.contains('/') {
        errors.invalid(format_args!("{at}.datasetName"), name, "must not contain '/'");
    }
}

fn azure_disk(source: &AzureDiskVolumeSource, at: &str, errors: &mut ErrorList) {
    let checks = [("cachingMode", &source.caching_mode, &CACHING), ("kind", &source.kind, &DISKS)];
    for (field, value, known) in checks {
        if let Some(value) = value.as_deref().filter(|value| !known.contains(value)) {
            errors.not_supported(format_args!("{at}.{field}"), value, known);
        }
    }
}

fn csi(source: &CSIVolumeSource, at: &str, errors: &mut ErrorList) {
    let driver = source.driver.as_str();
    let field = format_args!("{at}.driver").to_string();
    if driver.is_empty() {
        errors.required(&field, "");
    }
    if driver.len() > DRIVER_LONGEST {
        errors.too_long(&field, DRIVER_LONGEST);
    }
    if let Err(why) = names::dns_subdomain(&driver.to_lowercase()) {
        errors.invalid(&field, driver, why);
    }
    if source.node_publish_secret_ref.as_ref().is_some_and(|secret| secret.name.is_empty()) {
        errors.required(format_args!("{at}.nodePublishSecretRef.name"), "");
    }
}

fn ephemeral(source: &EphemeralVolumeSource, at: &str, errors: &mut ErrorList) {
    let Some(template) = &source.volume_claim_template else {
        return errors.required(format_args!("{at}.volumeClaimTemplate"), "");
    };
    super::super::persistent_volume_claim::spec(
        &template.spec,
        &format!("{at}.volumeClaimTemplate.spec"),
        errors,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_iscsi() {
        for (name, good) in [
            ("iqn.2001-04.com.example:storage.kube.sys1.xyz", true),
            ("iqn.2001-04.com.example:a:b", true),
            ("iqn.2001-04.com.example", false),
            ("iqn.2001-04.com.example:", false),
            ("iqn.2001-04.com.example:a b", false),
            ("iqn.2001_04.com.example:a", false),
            ("iqn.01-04.com.example:a", false),
            ("eui.0123456789abcdef", true),
            ("eui.0123456789abcde", false),
            ("naa.0123456789abcdef0123456789abcdef", true),
            ("naa.0123456789abcdef", false),
            ("example", false),
        ] {
            assert_eq!(is_iscsi_name(name), good, "{name}");
        }
    }
}
