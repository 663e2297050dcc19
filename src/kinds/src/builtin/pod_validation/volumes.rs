//! Volumes: a name, exactly one source, and what the sources are asked that every cluster has.

use super::super::checks::{among_if_set, list, required, text};
use super::super::names;
use super::files::{downward_file, has_backsteps, keys, mode};
use super::{containers, projected, volume_plugins};
use crate::ErrorList;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeSource, HostPathVolumeSource, SecretVolumeSource, Volume,
};
use std::collections::BTreeMap;

/// Those that are good, by name; a mount of another does not find it.
pub(super) type Volumes<'s> = BTreeMap<&'s str, &'s Volume>;

/// In the order in which upstream looks for a second source.
type Source = (&'static str, fn(&Volume) -> bool);
const SOURCES: [Source; 30] = [
    ("emptyDir", |v| v.empty_dir.is_some()),
    ("hostPath", |v| v.host_path.is_some()),
    ("gitRepo", |v| v.git_repo.is_some()),
    ("gcePersistentDisk", |v| v.gce_persistent_disk.is_some()),
    ("awsElasticBlockStore", |v| v.aws_elastic_block_store.is_some()),
    ("secret", |v| v.secret.is_some()),
    ("nfs", |v| v.nfs.is_some()),
    ("iscsi", |v| v.iscsi.is_some()),
    ("glusterfs", |v| v.glusterfs.is_some()),
    ("flocker", |v| v.flocker.is_some()),
    ("persistentVolumeClaim", |v| v.persistent_volume_claim.is_some()),
    ("rbd", |v| v.rbd.is_some()),
    ("cinder", |v| v.cinder.is_some()),
    ("cephfs", |v| v.cephfs.is_some()),
    ("quobyte", |v| v.quobyte.is_some()),
    ("downwardAPI", |v| v.downward_api.is_some()),
    ("fc", |v| v.fc.is_some()),
    ("flexVolume", |v| v.flex_volume.is_some()),
    ("configMap", |v| v.config_map.is_some()),
    ("azureFile", |v| v.azure_file.is_some()),
    ("vsphereVolume", |v| v.vsphere_volume.is_some()),
    ("photonPersistentDisk", |v| v.photon_persistent_disk.is_some()),
    ("portworxVolume", |v| v.portworx_volume.is_some()),
    ("azureDisk", |v| v.azure_disk.is_some()),
    ("storageos", |v| v.storageos.is_some()),
    ("projected", |v| v.projected.is_some()),
    ("scaleIO", |v| v.scale_io.is_some()),
    ("csi", |v| v.csi.is_some()),
    ("ephemeral", |v| v.ephemeral.is_some()),
    ("image", |v| v.image.is_some()),
];
const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// None: upstream's defaults make it an `emptyDir`.
pub(in super::super) fn has_source(volume: &Volume) -> bool {
    SOURCES.iter().any(|(_, is_set)| is_set(volume))
}

pub(super) fn volumes<'s>(given: &'s [Volume], at: &str, errors: &mut ErrorList) -> Volumes<'s> {
    let mut good = Volumes::new();
    for (index, volume) in given.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let before = errors.len();
        source(volume, &at, errors);
        required(names::dns_label, &volume.name, format_args!("{at}.name"), errors);
        if good.contains_key(volume.name.as_str()) {
            errors.duplicate(format_args!("{at}.name"), volume.name.as_str());
        }
        if errors.len() == before {
            good.insert(&volume.name, volume);
        }
    }
    good
}

fn source(volume: &Volume, at: &str, errors: &mut ErrorList) {
    let mut set = SOURCES.iter().filter(|(_, is_set)| is_set(volume)).map(|(name, _)| *name);
    let Some(first) = set.next() else {
        return errors.required(at, "must specify a volume type");
    };
    for second in set {
        errors.forbidden(format_args!("{at}.{second}"), "may not specify more than 1 volume type");
    }
    let at = format!("{at}.{first}");
    match first {
        "emptyDir" => {
            let limit = volume.empty_dir.as_ref().and_then(|e| e.size_limit.as_ref());
            if limit.is_some_and(|l| l.0.parse::<Quantity>().map_or(true, Quantity::is_negative)) {
                let why = "SizeLimit field must be a valid resource quantity";
                errors.forbidden(format_args!("{at}.sizeLimit"), why);
            }
        }
        "hostPath" => volume.host_path.iter().for_each(|path| host_path(path, &at, errors)),
        "secret" => volume.secret.iter().for_each(|source| secret(source, &at, errors)),
        "configMap" => volume.config_map.iter().for_each(|source| config_map(source, &at, errors)),
        "downwardAPI" => volume.downward_api.iter().for_each(|source| downward_api(source, &at, errors)),
        "projected" => volume.projected.iter().for_each(|source| projected::source(source, &at, errors)),
        "image" => {
            if let Some(image) = &volume.image {
                if text(&image.reference).is_empty() {
                    errors.required(format_args!("{at}.reference"), "");
                }
                let policy = text(&image.pull_policy);
                containers::pull_policy(policy, format_args!("{at}.pullPolicy"), errors);
            }
        }
        _ => volume_plugins::source(volume, &at, errors),
    }
}

pub(in super::super) fn host_path(source: &HostPathVolumeSource, at: &str, errors: &mut ErrorList) {
    if source.path.is_empty() {
        return errors.required(format_args!("{at}.path"), "");
    }
    if has_backsteps(&source.path) {
        errors.invalid(format_args!("{at}.path"), source.path.as_str(), "must not contain '..'");
    }
    among_if_set(source.type_.as_deref(), &HOST_PATH_TYPES, format_args!("{at}.type"), errors);
}

fn secret(source: &SecretVolumeSource, at: &str, errors: &mut ErrorList) {
    if text(&source.secret_name).is_empty() {
        errors.required(format_args!("{at}.secretName"), "");
    }
    mode(source.default_mode, format_args!("{at}.defaultMode"), errors);
    keys(list(&source.items), at, errors);
}

fn config_map(source: &ConfigMapVolumeSource, at: &str, errors: &mut ErrorList) {
    if source.name.is_empty() {
        errors.required(format_args!("{at}.name"), "");
    }
    mode(source.default_mode, format_args!("{at}.defaultMode"), errors);
    keys(list(&source.items), at, errors);
}

fn downward_api(source: &DownwardAPIVolumeSource, at: &str, errors: &mut ErrorList) {
    mode(source.default_mode, format_args!("{at}.defaultMode"), errors);
    list(&source.items).iter().for_each(|file| downward_file(file, at, errors));
}
