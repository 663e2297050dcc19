//! The pods of a StatefulSet: each has a number, and by it a name, a host name and claims that outlive it. Pure.

use crate::history::REVISION_LABEL;
use crate::owner::controller_reference;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};

const NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
const INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

pub(super) fn start(set: &StatefulSet) -> i32 {
    let ordinals = set.spec.ordinals.as_ref();
    ordinals.and_then(|ordinals| ordinals.start).unwrap_or(0)
}

pub(super) fn wanted(set: &StatefulSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

pub(super) fn pod_name(set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{ordinal}", set.metadata.name.as_deref().unwrap_or_default())
}

/// `None` for a pod whose name is not one of the set's.
pub(super) fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let (parent, number) = pod.metadata.name.as_deref()?.rsplit_once('-')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (digits && Some(parent) == set.metadata.name.as_deref()).then(|| number.parse().ok())?
}

pub(super) fn revision(pod: &Pod) -> &str {
    let labels = pod.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(REVISION_LABEL)).map(String::as_str).unwrap_or_default()
}

/// By which others find the pod of one number: its own Service, or a balancer of shards.
fn identity(name: &str, ordinal: i32) -> [(String, String); 2] {
    [(NAME_LABEL.to_owned(), name.to_owned()), (INDEX_LABEL.to_owned(), ordinal.to_string())]
}

/// The labels of its number as they should be, where its name's is another or missing: upstream's `identityMatches`.
pub(super) fn lost_identity(set: &StatefulSet, pod: &Pod) -> Option<[(String, String); 2]> {
    let (ordinal, name) = (ordinal(set, pod)?, pod.metadata.name.as_ref()?);
    let told = pod.metadata.labels.as_ref().and_then(|labels| labels.get(NAME_LABEL));
    (told != Some(name)).then(|| identity(name, ordinal))
}

pub(super) fn claim_templates(set: &StatefulSet) -> &[PersistentVolumeClaim] {
    let templates = set.spec.volume_claim_templates.as_deref();
    templates.unwrap_or_default()
}

fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    format!("{}-{}", template.metadata.name.as_deref().unwrap_or_default(), pod_name(set, ordinal))
}

/// The claims that the pod of this number needs: they are found by the set's labels.
pub(super) fn claims(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let selected = set.spec.selector.match_labels.clone();
    let each = claim_templates(set).iter().map(|template| {
        let mut claim = template.clone();
        claim.metadata.name = Some(claim_name(set, template, ordinal));
        claim.metadata.namespace.clone_from(&set.metadata.namespace);
        let labels = claim.metadata.labels.get_or_insert_default();
        labels.extend(selected.clone().unwrap_or_default());
        claim.status = None;
        claim
    });
    each.collect()
}

pub(super) fn pod_of(set: &StatefulSet, template: &PodTemplateSpec, ordinal: i32, revision: &str) -> Pod {
    let template = template.clone();
    let mut pod = Pod { metadata: template.metadata.unwrap_or_default(), spec: template.spec, status: None };
    let name = pod_name(set, ordinal);
    pod.metadata.name = Some(name.clone());
    pod.metadata.generate_name = Some(format!("{}-", set.metadata.name.as_deref().unwrap_or_default()));
    pod.metadata.namespace.clone_from(&set.metadata.namespace);
    pod.metadata.owner_references = Some(vec![controller_reference(set)]);
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.extend(identity(&name, ordinal));
    labels.insert(REVISION_LABEL.to_owned(), revision.to_owned());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(name);
    spec.subdomain = set.spec.service_name.clone().filter(|s| !s.is_empty());
    let claimed: Vec<Volume> = claim_templates(set).iter().map(|claim| volume(set, claim, ordinal)).collect();
    if !claimed.is_empty() {
        let volumes = spec.volumes.get_or_insert_default();
        // a claim takes the place of a volume of its name
        volumes.retain(|volume| !claimed.iter().any(|claim| claim.name == volume.name));
        volumes.extend(claimed);
    }
    pod
}

fn volume(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> Volume {
    let claim = PersistentVolumeClaimVolumeSource {
        claim_name: claim_name(set, template, ordinal),
        ..PersistentVolumeClaimVolumeSource::default()
    };
    Volume {
        name: template.metadata.name.clone().unwrap_or_default(),
        persistent_volume_claim: Some(claim),
        ..Volume::default()
    }
}
