//! Upstream's PodSecurity: pods that their namespace's labels forbid are refused; of templates, and of pods under `warn`,
//! the client is warned; so is who labels a namespace in which there are pods that the new label would refuse.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::pod_security::{Level, LevelVersion, Policy, evaluate};
use crate::reservations::Reservations;
use crate::{Cluster, Remarks, Target};
use ::api::{ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Namespace, Pod, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{Instance, Subresource, TypedKind};
use std::collections::BTreeMap;
use store::Resource;

/// Upstream looks at no more when a namespace is labelled.
const MOST_PODS: usize = 3000;
/// Upstream's keys in the audit log.
const ENFORCED: &str = "pod-security.kubernetes.io/enforce-policy";
const VIOLATIONS: &str = "pod-security.kubernetes.io/audit-violations";
const SECCOMP_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";

pub(super) struct PodSecurity;

#[async_trait]
impl Plugin for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        let has_template = || review.new_object().is_some_and(|new| new.pod_template().is_some());
        step == Step::Validate
            && (review.writes::<Pod>() || review.writes_whole::<Namespace>() || has_template())
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let Some(new) = review.new_object() else { return Ok(()) };
        let asked = review.asked;
        judge(asked.cluster, asked.target, new, review.old_object(), asked.remarks)
    }
}

fn judge(
    cluster: &Cluster,
    target: &Target,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
    remarks: &Remarks,
) -> Result<(), Status> {
    if let Some(pod) = new.downcast_ref::<Pod>() {
        // subresources that change what runs are named here when there are some
        let judged = matches!(target.subresource, None | Some(Subresource::EphemeralContainers));
        let before = old.and_then(|old| old.downcast_ref::<Pod>());
        if judged && before.is_none_or(|old| is_significant(pod, old)) {
            return review_pod(cluster, target, pod, remarks);
        }
        return Ok(());
    }
    if target.subresource.is_some() {
        return Ok(());
    }
    if let Some(namespace) = new.downcast_ref::<Namespace>() {
        let before = old.and_then(|old| old.downcast_ref::<Namespace>());
        return review_namespace(cluster, namespace, before, remarks);
    }
    if let Some((_, template)) = new.pod_template().filter(|_| remarks.is_heard()) {
        remark_on_template(cluster, target, template, remarks);
    }
    Ok(())
}

fn review_pod(cluster: &Cluster, target: &Target, pod: &Pod, remarks: &Remarks) -> Result<(), Status> {
    let policy = policy_of(cluster, target);
    let none = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    remarks.annotate(ENFORCED, policy.enforce.to_string());
    audit(policy.audit, &pod.metadata, spec, remarks);
    if let Some(found) = evaluate(policy.enforce, &pod.metadata, spec) {
        let why = format!("violates PodSecurity \"{}\": {}", policy.enforce, found.details());
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        return Err(Status::forbidden(&target.group_resource(), name, why));
    }
    warn(policy.warn, &pod.metadata, spec, remarks);
    Ok(())
}

fn remark_on_template(cluster: &Cluster, target: &Target, template: &PodTemplateSpec, remarks: &Remarks) {
    let policy = policy_of(cluster, target);
    let (no_metadata, no_spec) = (ObjectMeta::default(), PodSpec::default());
    let metadata = template.metadata.as_ref().unwrap_or(&no_metadata);
    let spec = template.spec.as_ref().unwrap_or(&no_spec);
    audit(policy.audit, metadata, spec, remarks);
    warn(policy.warn, metadata, spec, remarks);
}

/// Of what is forbidden under `audit` the audit log alone hears.
fn audit(policy: LevelVersion, metadata: &ObjectMeta, spec: &PodSpec, remarks: &Remarks) {
    if !remarks.is_audited() {
        return;
    }
    if let Some(found) = evaluate(policy, metadata, spec) {
        let told = format!("would violate PodSecurity \"{policy}\": {}", found.details());
        remarks.annotate(VIOLATIONS, told);
    }
}

fn warn(policy: LevelVersion, metadata: &ObjectMeta, spec: &PodSpec, remarks: &Remarks) {
    if !remarks.is_heard() {
        return;
    }
    if let Some(found) = evaluate(policy, metadata, spec) {
        remarks.warn(format!("would violate PodSecurity \"{policy}\": {}", found.details()));
    }
}

/// Labels that make no sense are the fault of who wrote them, and no reason to let pods in.
fn policy_of(cluster: &Cluster, target: &Target) -> Policy {
    let key = ObjectKey::cluster(target.namespace.as_deref().unwrap_or_default());
    let stored = cluster.store().snapshot().get(&Resource::from(&Namespace::info().storage), &key);
    Policy::of(stored.as_ref().map(|namespace| &namespace.meta().labels)).0
}

fn review_namespace(
    cluster: &Cluster,
    new: &Namespace,
    old: Option<&Namespace>,
    remarks: &Remarks,
) -> Result<(), Status> {
    let (policy, errors) = Policy::of(new.metadata.labels.as_ref());
    let causes = errors.into_causes();
    let name = new.metadata.name.as_deref().unwrap_or_default();
    let (before, known) = match old {
        Some(old) => {
            let (policy, errors) = Policy::of(old.metadata.labels.as_ref());
            (policy, errors.into_causes())
        }
        None => (Policy::default(), Vec::new()),
    };
    // labels that were wrong already do not hold up an update of something else
    if !causes.is_empty() && causes != known {
        return Err(Status::invalid(&Namespace::info().gvk, name, causes));
    }
    let (enforce, before) = (policy.enforce, before.enforce);
    let may_refuse_more = enforce.minor != before.minor || enforce.level > before.level;
    if old.is_some() && enforce.level != Level::Privileged && may_refuse_more && remarks.is_heard() {
        remarks.warn_all(pods_that_violate(cluster, name, enforce));
    }
    Ok(())
}

/// Upstream's `EvaluatePodsInNamespace`: pods with the same faults are told of in one line.
fn pods_that_violate(cluster: &Cluster, namespace: &str, enforce: LevelVersion) -> Vec<String> {
    let snapshot = cluster.store().snapshot();
    let pods = || snapshot.list(&Resource::from(&Pod::info().storage), Some(namespace), None);
    let total = pods().count();
    let mut by_fault: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pod in pods().take(MOST_PODS).filter_map(|object| object.decode::<Pod>().ok()) {
        let found = evaluate(enforce, &pod.metadata, pod.spec.as_ref().unwrap_or(&PodSpec::default()));
        if let Some(found) = found {
            by_fault.entry(found.reasons()).or_default().push(pod.metadata.name.unwrap_or_default());
        }
    }
    let mut told = Vec::new();
    if total > MOST_PODS {
        told.push(format!(
            "new PodSecurity enforce level only checked against the first {MOST_PODS} of {total} existing pods"
        ));
    }
    if !by_fault.is_empty() {
        told.push(format!(
            "existing pods in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{enforce}\""
        ));
    }
    let mut lines: Vec<String> = by_fault.into_iter().map(|(fault, pods)| of_pods(&pods, &fault)).collect();
    lines.sort_unstable();
    told.extend(lines);
    told
}

fn of_pods(pods: &[String], fault: &str) -> String {
    let first = pods.iter().min().cloned().unwrap_or_default();
    match pods.len() {
        1 => format!("{first}: {fault}"),
        2 => format!("{first} (and 1 other pod): {fault}"),
        more => format!("{first} (and {} other pods): {fault}", more - 1),
    }
}

/// Whether an update changes what is judged: of what may change in a pod that is images, containers, and annotations.
fn is_significant(new: &Pod, old: &Pod) -> bool {
    let annotation =
        |pod: &Pod, key: &str| pod.metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned();
    let images = |pod: &Pod| -> Vec<(String, Option<String>)> {
        let spec = pod.spec.as_ref();
        let plain = spec.into_iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
        let plain = plain.map(|container| (container.name.clone(), container.image.clone()));
        let ephemeral = spec.into_iter().flat_map(|s| s.ephemeral_containers.iter().flatten());
        plain.chain(ephemeral.map(|container| (container.name.clone(), container.image.clone()))).collect()
    };
    let after = images(new);
    let keys = after.iter().map(|(name, _)| format!("{SECCOMP_CONTAINER_ANNOTATION}{name}"));
    let mut keys = keys.chain([SECCOMP_ANNOTATION.to_owned()]);
    after != images(old) || keys.any(|key| annotation(new, &key) != annotation(old, &key))
}
