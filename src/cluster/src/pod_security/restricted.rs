//! What a pod must say of itself to be hardened by current practice.

use super::baseline::{adding_but, seccomp};
use super::subject::{Subject, Violation, containers, join_quoted, plural, setters, violation};
use k8s_openapi::api::core::v1::Volume;
use std::collections::BTreeSet;

pub(super) fn privilege_escalation(subject: &Subject<'_>) -> Option<Violation> {
    let bad =
        subject.containers_that(|c| c.security.and_then(|s| s.allow_privilege_escalation) != Some(false));
    if bad.is_empty() {
        return None;
    }
    let who = containers(&bad);
    violation(
        "allowPrivilegeEscalation != false",
        format!("{who} must set securityContext.allowPrivilegeEscalation=false"),
    )
}

/// From 1.25 on pods say for which system they are, and Windows has no such thing.
pub(super) fn privilege_escalation_1_25(subject: &Subject<'_>) -> Option<Violation> {
    if subject.is_windows() { None } else { privilege_escalation(subject) }
}

pub(super) fn capabilities(subject: &Subject<'_>) -> Option<Violation> {
    let keeps = subject.containers_that(|container| {
        let dropped = container.security.and_then(|s| s.capabilities.as_ref()?.drop.as_ref());
        !dropped.is_some_and(|dropped| dropped.iter().any(|name| name == "ALL"))
    });
    let mut details = Vec::new();
    if !keeps.is_empty() {
        details.push(format!(r#"{} must set securityContext.capabilities.drop=["ALL"]"#, containers(&keeps)));
    }
    if let Some((bad, added)) = adding_but(subject, &["NET_BIND_SERVICE"]) {
        details.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            containers(&bad),
            join_quoted(added)
        ));
    }
    if details.is_empty() { None } else { violation("unrestricted capabilities", details.join("; ")) }
}

pub(super) fn capabilities_1_25(subject: &Subject<'_>) -> Option<Violation> {
    if subject.is_windows() { None } else { capabilities(subject) }
}

pub(super) fn volumes(subject: &Subject<'_>) -> Option<Violation> {
    let bad: Vec<(&str, &str)> = subject
        .spec
        .volumes
        .iter()
        .flatten()
        .filter_map(|volume| Some((volume.name.as_str(), restricted_type(volume)?)))
        .collect();
    if bad.is_empty() {
        return None;
    }
    let types: BTreeSet<&str> = bad.iter().map(|(_, kind)| *kind).collect();
    let detail = format!(
        "{} {} {} {} {}",
        plural("volume", "volumes", bad.len()),
        join_quoted(bad.iter().map(|(name, _)| *name)),
        plural("uses", "use", bad.len()),
        plural("restricted volume type", "restricted volume types", types.len()),
        join_quoted(types)
    );
    violation("restricted volume types", detail)
}

/// `None` for the types that are allowed.
fn restricted_type(volume: &Volume) -> Option<&'static str> {
    let allowed = volume.config_map.is_some()
        || volume.csi.is_some()
        || volume.downward_api.is_some()
        || volume.empty_dir.is_some()
        || volume.ephemeral.is_some()
        || volume.persistent_volume_claim.is_some()
        || volume.projected.is_some()
        || volume.secret.is_some();
    if allowed {
        return None;
    }
    let types = [
        ("hostPath", volume.host_path.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("cephfs", volume.cephfs.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("fc", volume.fc.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("storageos", volume.storageos.is_some()),
    ];
    Some(types.into_iter().find(|(_, given)| *given).map_or("unknown", |(name, _)| name))
}

pub(super) fn run_as_non_root(subject: &Subject<'_>) -> Option<Violation> {
    const REASON: &str = "runAsNonRoot != true";
    let of_pod = subject.pod_security().and_then(|pod| pod.run_as_non_root);
    let said = |value: Option<bool>| {
        subject.containers_that(|c| c.security.and_then(|security| security.run_as_non_root) == value)
    };
    if let Some(who) = setters(of_pod == Some(false), &said(Some(false))) {
        return violation(REASON, format!("{who} must not set securityContext.runAsNonRoot=false"));
    }
    let silent = said(None);
    if of_pod == Some(true) || silent.is_empty() {
        return None;
    }
    violation(REASON, format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&silent)))
}

pub(super) fn run_as_user(subject: &Subject<'_>) -> Option<Violation> {
    let pod = subject.pod_security().and_then(|pod| pod.run_as_user) == Some(0);
    let bad = subject.containers_that(|c| c.security.and_then(|security| security.run_as_user) == Some(0));
    violation("runAsUser=0", format!("{} must not set runAsUser=0", setters(pod, &bad)?))
}

pub(super) fn seccomp_profile(subject: &Subject<'_>) -> Option<Violation> {
    const REASON: &str = "seccompProfile";
    let setting = seccomp(subject);
    if let Some(who) = setting.setters {
        let values = join_quoted(setting.values);
        return violation(
            REASON,
            format!("{who} must not set securityContext.seccompProfile.type to {values}"),
        );
    }
    if setting.pod_is_fine || setting.silent.is_empty() {
        return None;
    }
    let who = containers(&setting.silent);
    violation(
        REASON,
        format!(
            r#"pod or {who} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost""#
        ),
    )
}

pub(super) fn seccomp_profile_1_25(subject: &Subject<'_>) -> Option<Violation> {
    if subject.is_windows() { None } else { seccomp_profile(subject) }
}
