//! What of a pod may still change (`ValidatePodUpdate`).

use super::super::checks::{list, within};
use super::super::pod_defaults::{self, tidy};
use super::annotations::MIRROR;
use crate::ErrorList;
use crate::annotations::APP_ARMOR;
use k8s_openapi::api::core::v1::{
    Affinity, Container, NodeAffinity, NodeSelectorTerm, Pod, PodSpec, Toleration,
};
use serde_json::json;

const MESSAGE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Tells the changes that are not allowed. Where there are other containers than before, nothing else is told.
pub(in super::super) fn update(new: &Pod, old: &Pod, errors: &mut ErrorList) {
    annotations(new, old, errors);
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return };
    let as_many = |field: &str, new: &[Container], old: &[Container], errors: &mut ErrorList| {
        if new.len() != old.len() {
            errors.forbidden(field, "pod updates may not add or remove containers");
        }
        new.len() == old.len()
    };
    if !as_many("spec.containers", &new.containers, &old.containers, errors) {
        return;
    }
    let (init, before) = (list(&new.init_containers), list(&old.init_containers));
    if !as_many("spec.initContainers", init, before, errors) || !deadline(new, old, errors) {
        return;
    }
    tolerations(list(&new.tolerations), list(&old.tolerations), errors);
    for (index, gate) in list(&new.scheduling_gates).iter().enumerate() {
        if !list(&old.scheduling_gates).contains(gate) {
            errors.forbidden(
                format_args!("spec.schedulingGates[{index}].name"),
                format_args!("only deletion is allowed, but found new scheduling gate '{}'", gate.name),
            );
        }
    }
    the_rest_stays(new, old, errors);
}

/// Annotations that stay what they are.
pub(super) fn annotations(new: &Pod, old: &Pod, errors: &mut ErrorList) {
    let none = Default::default();
    let (new, old) = (
        new.metadata.annotations.as_ref().unwrap_or(&none),
        old.metadata.annotations.as_ref().unwrap_or(&none),
    );
    let mut tell = |key: &str, what: &str| {
        let field = format!("metadata.annotations[{key}]");
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(field, format_args!("may not {what} AppArmor annotations"));
        } else if key == MIRROR {
            errors.forbidden(field, format_args!("may not {what} mirror pod annotation"));
        }
    };
    for (key, _) in old.iter().filter(|(key, value)| new.get(*key) != Some(value)) {
        tell(key, "remove or update");
    }
    for key in new.keys().filter(|key| !old.contains_key(*key)) {
        tell(key, "add");
    }
}

/// It may come, and may come nearer.
fn deadline(new: &PodSpec, old: &PodSpec, errors: &mut ErrorList) -> bool {
    let field = "spec.activeDeadlineSeconds";
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            within(new, 0, i32::MAX.into(), field, errors);
            return false;
        }
        (Some(new), Some(old)) if new > old => {
            errors.invalid(field, new, "must be less than or equal to previous value");
            return false;
        }
        (None, Some(_)) => {
            errors.invalid(field, json!(null), "must not update from a positive integer to nil value");
        }
        _ => {}
    }
    true
}

fn tolerations(new: &[Toleration], old: &[Toleration], errors: &mut ErrorList) {
    let is_kept = |old: &Toleration| {
        new.iter().any(|new| Toleration { toleration_seconds: old.toleration_seconds, ..new.clone() } == *old)
    };
    if !old.iter().all(is_kept) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        errors.forbidden("spec.tolerations", why);
    }
}

/// Puts what may change back to what it was; whatever differs then may not.
fn the_rest_stays(new: &PodSpec, old: &PodSpec, errors: &mut ErrorList) {
    let (mut same, mut old) = (new.clone(), old.clone());
    tidy(&mut same);
    // it may have been stored before a default was known
    pod_defaults::pod(&mut old);
    tidy(&mut old);
    let pairs = same.containers.iter_mut().zip(&old.containers);
    let init = same.init_containers.iter_mut().flatten().zip(old.init_containers.iter().flatten());
    for (container, before) in pairs.chain(init) {
        container.image.clone_from(&before.image);
    }
    same.active_deadline_seconds = old.active_deadline_seconds;
    same.tolerations.clone_from(&old.tolerations);
    let was_negative = old.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0);
    if was_negative && same.termination_grace_period_seconds == Some(1) {
        same.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    if !list(&old.scheduling_gates).is_empty() {
        while_gated(&mut same, &old, errors);
    }
    same.scheduling_gates.clone_from(&old.scheduling_gates);
    if same != old {
        errors.forbidden("spec", MESSAGE);
    }
}

/// Until it is let go, a pod may be told more of where it must not run (KEP-3838).
fn while_gated(same: &mut PodSpec, old: &PodSpec, errors: &mut ErrorList) {
    let selector = same.node_selector.clone().unwrap_or_default();
    let kept = old.node_selector.iter().flatten().all(|(key, value)| selector.get(key) == Some(value));
    if !kept {
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.invalid("spec.nodeSelector", json!(selector), why);
    }
    same.node_selector.clone_from(&old.node_selector);
    let of = |spec: &PodSpec| spec.affinity.as_ref().and_then(|a| a.node_affinity.clone());
    let (new_affinity, old_affinity) = (of(same), of(old));
    if new_affinity != old_affinity {
        narrower(new_affinity.as_ref(), old_affinity.as_ref(), errors);
        same.affinity.get_or_insert_default().node_affinity = old_affinity;
    }
    let was_there = old.affinity.is_some();
    same.affinity.take_if(|affinity| !was_there && *affinity == Affinity::default());
}

fn narrower(new: Option<&NodeAffinity>, old: Option<&NodeAffinity>, errors: &mut ErrorList) {
    let terms = |affinity: Option<&NodeAffinity>| {
        let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.clone());
        required.map(|required| required.node_selector_terms).unwrap_or_default()
    };
    let (new, old) = (terms(new), terms(old));
    let at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    if !old.is_empty() && new.len() != old.len() {
        let why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return errors.invalid(at, json!(new), why);
    }
    for (index, (new, _)) in new.iter().zip(&old).enumerate().filter(|(_, (new, old))| !only_adds(new, old)) {
        let why = "only additions are allowed (no mutations or deletions)";
        errors.invalid(format_args!("{at}[{index}]"), json!(new), why);
    }
}

fn only_adds(new: &NodeSelectorTerm, old: &NodeSelectorTerm) -> bool {
    let (labels, fields) = (list(&new.match_expressions), list(&new.match_fields));
    let (old_labels, old_fields) = (list(&old.match_expressions), list(&old.match_fields));
    // a term that asks for nothing finds nothing: with a rule it would find more
    let still_empty =
        !(old_labels.is_empty() && old_fields.is_empty()) || (labels.is_empty() && fields.is_empty());
    still_empty && labels.starts_with(old_labels) && fields.starts_with(old_fields)
}
