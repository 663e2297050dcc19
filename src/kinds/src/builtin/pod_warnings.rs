//! What is allowed in a pod, and most likely not meant: upstream's `pkg/api/pod/warnings.go`.

mod containers;
mod overlaps;
mod placement;
#[cfg(test)]
mod tests;

use super::names;
use crate::annotations::{APP_ARMOR, SECCOMP_OF_CONTAINER, SECCOMP_OF_POD};
use api::quantity::Quantity;
use containers::{containers, hidden_variables, ports};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec, SecurityContext, Volume};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
pub(super) use placement::{node_term, old_node_label};
use placement::{null_selectors, placement};
use std::collections::{BTreeMap, BTreeSet};

const DEAD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        r#"non-functional in v1.16+; use the "priorityClassName" field instead"#,
    ),
    ("security.alpha.kubernetes.io/sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        r#"non-functional in v1.11+; use the "sysctls" field instead"#,
    ),
];

/// Of a new pod.
pub(super) fn of_pod(pod: &Pod) -> Vec<String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let mut warnings = Vec::from_iter(bad_host_name(name, "the Pod's hostname"));
    if let Some(spec) = &pod.spec {
        of_spec(&pod.metadata, spec, "", &mut warnings);
    }
    warnings
}

/// Of an object that has pods made as `template` says, which stands `at` this place in it.
pub(crate) fn of_workload(
    metadata: &ObjectMeta,
    at: &str,
    template: &PodTemplateSpec,
    is_new: bool,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if is_new {
        let name = metadata.name.as_deref().unwrap_or_default();
        warnings.extend(bad_host_name(name, "Pod names and hostnames"));
    }
    let none = ObjectMeta::default();
    if let Some(spec) = &template.spec {
        of_spec(template.metadata.as_ref().unwrap_or(&none), spec, &format!("{at}."), &mut warnings);
    }
    warnings
}

fn bad_host_name(name: &str, used_in: &str) -> Option<String> {
    let why = names::dns_label(name).err()?;
    Some(format!(
        "metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended: [{why}]"
    ))
}

/// `at` is empty, or ends with a dot.
fn of_spec(metadata: &ObjectMeta, spec: &PodSpec, at: &str, warnings: &mut Vec<String>) {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    let annotations = metadata.annotations.as_ref().unwrap_or(&NONE);
    placement(spec, at, warnings);
    for (key, why) in DEAD_ANNOTATIONS {
        if annotations.contains_key(key) {
            warnings.push(format!("{at}metadata.annotations[{key}]: {why}"));
        }
    }
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    for (index, volume) in volumes.iter().enumerate() {
        if let Some((field, why)) = removed_volume(volume) {
            warnings.push(format!("{at}spec.volumes[{index}].{field}: {why}"));
        }
    }
    warnings.extend(overlaps::of_volumes(volumes));
    repeated_entries(spec, at, warnings);
    for resource in ["memory", "ephemeral-storage"] {
        fractional_bytes(spec.overhead.as_ref(), resource, &format!("{at}spec.overhead"), warnings);
    }
    seccomp_annotation(
        SECCOMP_OF_POD,
        spec.security_context.as_ref().is_some_and(|security| security.seccomp_profile.is_some()),
        annotations,
        at,
        warnings,
    );
    let pod_has_app_armor = spec.security_context.as_ref().is_some_and(|s| s.app_armor_profile.is_some());
    let containers = containers(spec, at);
    for container in &containers {
        let has = |of: fn(&SecurityContext) -> bool| container.security.is_some_and(of);
        let key = format!("{SECCOMP_OF_CONTAINER}{}", container.name);
        seccomp_annotation(
            &key,
            has(|security| security.seccomp_profile.is_some()),
            annotations,
            at,
            warnings,
        );
        let key = format!("{APP_ARMOR}{}", container.name);
        let has_app_armor = pod_has_app_armor || has(|security| security.app_armor_profile.is_some());
        if !has_app_armor && annotations.contains_key(&key) {
            let why = r#"deprecated since v1.30; use the "appArmorProfile" field instead"#;
            warnings.push(format!("{at}metadata.annotations[{key}]: {why}"));
        }
        for resource in ["memory", "ephemeral-storage"] {
            let resources = container.resources;
            let (limits, requests) =
                (resources.and_then(|r| r.limits.as_ref()), resources.and_then(|r| r.requests.as_ref()));
            fractional_bytes(limits, resource, &format!("{}.resources.limits", container.at), warnings);
            fractional_bytes(requests, resource, &format!("{}.resources.requests", container.at), warnings);
        }
        hidden_variables(container, warnings);
    }
    ports(&containers, warnings);
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        warnings.push(format!(
            "{at}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    if let Some(affinity) = &spec.affinity {
        null_selectors(affinity, &format!("{at}spec.affinity"), warnings);
    }
}

/// A kind of volume that upstream has given up, and since when.
fn removed_volume(volume: &Volume) -> Option<(&'static str, &'static str)> {
    let given = [
        (volume.photon_persistent_disk.is_some(), "photonPersistentDisk"),
        (volume.git_repo.is_some(), "gitRepo"),
        (volume.scale_io.is_some(), "scaleIO"),
        (volume.flocker.is_some(), "flocker"),
        (volume.storageos.is_some(), "storageOS"),
        (volume.quobyte.is_some(), "quobyte"),
        (volume.glusterfs.is_some(), "glusterfs"),
        (volume.cephfs.is_some(), "cephfs"),
        (volume.rbd.is_some(), "rbd"),
    ];
    let (_, field) = given.into_iter().find(|(is_given, _)| *is_given)?;
    Some((field, removed_since(field)?))
}

/// Of volumes of both sorts, by the names that upstream's warnings give them.
pub(super) fn removed_since(field: &str) -> Option<&'static str> {
    Some(match field {
        "photonPersistentDisk" => "deprecated in v1.11, non-functional in v1.16+",
        "gitRepo" => "deprecated in v1.11, and disabled by default in v1.33+",
        "scaleIO" => "deprecated in v1.16, non-functional in v1.22+",
        "flocker" | "storageOS" | "quobyte" => "deprecated in v1.22, non-functional in v1.25+",
        "glusterfs" => "deprecated in v1.25, non-functional in v1.26+",
        "cephfs" | "rbd" => "deprecated in v1.28, non-functional in v1.31+",
        _ => return None,
    })
}

/// Of lists that are merged by a key, a key twice is lost at the next apply.
fn repeated_entries(spec: &PodSpec, at: &str, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        if !seen.insert(&alias.ip) {
            warnings.push(format!("{at}spec.hostAliases[{index}].ip: duplicate ip {:?}", alias.ip));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, secret) in spec.image_pull_secrets.iter().flatten().enumerate() {
        let field = format!("{at}spec.imagePullSecrets[{index}].name");
        if !seen.insert(&secret.name) {
            warnings.push(format!("{field}: duplicate name {:?}", secret.name));
        }
        if secret.name.is_empty() {
            warnings.push(format!("{field}: invalid empty name \"\""));
        }
    }
}

fn seccomp_annotation(
    key: &str,
    has_field: bool,
    annotations: &BTreeMap<String, String>,
    at: &str,
    warnings: &mut Vec<String>,
) {
    if !has_field && annotations.contains_key(key) {
        let why = r#"non-functional in v1.27+; use the "seccompProfile" field instead"#;
        warnings.push(format!("{at}metadata.annotations[{key}]: {why}"));
    }
}

/// `128m` of memory is an eighth of a byte: somebody meant `128M`.
fn fractional_bytes(
    amounts: Option<&BTreeMap<String, Amount>>,
    resource: &str,
    at: &str,
    warnings: &mut Vec<String>,
) {
    let Some(given) = amounts.and_then(|amounts| amounts.get(resource)) else { return };
    let Ok(amount) = given.0.parse::<Quantity>() else { return };
    if amount.milli() % 1000 != 0 {
        warnings.push(format!(
            "{at}[{resource}]: fractional byte value \"{amount}\" is invalid, must be an integer"
        ));
    }
}
