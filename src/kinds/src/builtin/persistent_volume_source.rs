//! What a PersistentVolume is made of: exactly one source. Most would need another program to provide them; what upstream asks
//! of them is asked nevertheless, so that a manifest that is refused elsewhere is refused here.

use super::checks::{required, text};
use super::names;
use super::pod_validation::{fibre_channel, has_backsteps, host_path, is_iscsi_name, nfs_server};
use crate::ErrorList;
use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, ISCSIPersistentVolumeSource, LocalVolumeSource, NFSVolumeSource,
    PersistentVolumeSpec, SecretReference,
};
use serde_json::{Map, Value};

/// In the order in which upstream looks for a second source, with what each must say.
const SOURCES: [(&str, &[&str]); 22] = [
    ("hostPath", &[]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("glusterfs", &["endpoints", "path"]),
    ("flocker", &[]),
    ("nfs", &["server", "path"]),
    ("rbd", &["monitors", "image"]),
    ("quobyte", &["registry", "volume"]),
    ("cephfs", &["monitors"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("cinder", &["volumeID"]),
    ("fc", &[]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("local", &["path"]),
    ("storageos", &["volumeName"]),
    ("csi", &[]),
];
const NOT_ISCSI: &str = "must be valid format";

/// What the storage is, and nothing else of the spec.
pub(super) fn sources(spec: &PersistentVolumeSpec) -> Map<String, Value> {
    let whole = api::json::to_value(spec).unwrap_or_default();
    let all = whole.as_object().cloned().unwrap_or_default();
    all.into_iter().filter(|(field, _)| SOURCES.iter().any(|(name, _)| name == field)).collect()
}

pub(super) fn source(spec: &PersistentVolumeSpec, has_affinity: bool, at: &str, errors: &mut ErrorList) {
    let given = sources(spec);
    let mut set = SOURCES.iter().filter_map(|(name, fields)| Some((*name, *fields, given.get(*name)?)));
    let Some((first, fields, value)) = set.next() else {
        return errors.required(at, "must specify a volume type");
    };
    for (second, ..) in set {
        errors.forbidden(format_args!("{at}.{second}"), "may not specify more than 1 volume type");
    }
    // upstream's own name for it
    let of = if first == "gcePersistentDisk" { "persistentDisk" } else { first };
    let source_at = format!("{at}.{of}");
    for field in fields.iter().filter(|field| is_missing(value.get(**field))) {
        errors.required(format_args!("{source_at}.{field}"), "");
    }
    match first {
        "hostPath" => spec.host_path.iter().for_each(|path| host_path(path, &source_at, errors)),
        "nfs" => spec.nfs.iter().for_each(|source| nfs(source, &source_at, errors)),
        "iscsi" => spec.iscsi.iter().for_each(|source| iscsi(source, &source_at, errors)),
        "fc" => spec.fc.iter().for_each(|source| fibre_channel(source, &source_at, errors)),
        "csi" => spec.csi.iter().for_each(|source| csi(source, &source_at, errors)),
        "local" => {
            spec.local.iter().for_each(|source| local(source, &source_at, errors));
            if !has_affinity {
                let why = "Local volume requires node affinity";
                errors.required(format_args!("{at}.nodeAffinity"), why);
            }
        }
        _ => {}
    }
}

fn is_missing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(all)) => all.is_empty(),
        Some(_) => false,
    }
}

fn nfs(source: &NFSVolumeSource, at: &str, errors: &mut ErrorList) {
    if !source.path.starts_with('/') {
        errors.invalid(format_args!("{at}.path"), source.path.as_str(), "must be an absolute path");
    }
    nfs_server(&source.server, at, errors);
}

fn local(source: &LocalVolumeSource, at: &str, errors: &mut ErrorList) {
    if has_backsteps(&source.path) {
        errors.invalid(format_args!("{at}.path"), source.path.as_str(), "must not contain '..'");
    }
}

fn iscsi(source: &ISCSIPersistentVolumeSource, at: &str, errors: &mut ErrorList) {
    if !source.iqn.is_empty() && !is_iscsi_name(&source.iqn) {
        errors.invalid(format_args!("{at}.iqn"), source.iqn.as_str(), NOT_ISCSI);
    }
    if !(0..=255).contains(&source.lun) {
        errors.invalid(format_args!("{at}.lun"), source.lun, "must be between 0 and 255, inclusive");
    }
    let chap = [source.chap_auth_discovery, source.chap_auth_session].contains(&Some(true));
    match &source.secret_ref {
        None if chap => errors.required(format_args!("{at}.secretRef"), ""),
        Some(secret) if text(&secret.name).is_empty() => {
            errors.required(format_args!("{at}.secretRef.name"), "");
        }
        _ => {}
    }
    if let Some(name) = source.initiator_name.as_deref().filter(|name| !is_iscsi_name(name)) {
        errors.invalid(format_args!("{at}.initiatorname"), name, NOT_ISCSI);
    }
}

/// Upstream asks nothing of the secret for staging.
fn csi(source: &CSIPersistentVolumeSource, at: &str, errors: &mut ErrorList) {
    super::csi_driver::driver_name(&source.driver, &format!("{at}.driver"), errors);
    if source.volume_handle.is_empty() {
        errors.required(format_args!("{at}.volumeHandle"), "");
    }
    for (field, secret) in [
        ("controllerPublishSecretRef", &source.controller_publish_secret_ref),
        ("controllerExpandSecretRef", &source.controller_expand_secret_ref),
        ("nodePublishSecretRef", &source.node_publish_secret_ref),
        ("nodeExpandSecretRef", &source.node_expand_secret_ref),
    ] {
        secret.iter().for_each(|secret| self::secret(secret, &format!("{at}.{field}"), errors));
    }
}

/// Whoever makes the volume known is in no namespace: the secret's is said.
fn secret(secret: &SecretReference, at: &str, errors: &mut ErrorList) {
    required(names::dns_subdomain, text(&secret.name), format_args!("{at}.name"), errors);
    required(names::dns_label, text(&secret.namespace), format_args!("{at}.namespace"), errors);
}
