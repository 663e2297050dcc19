//! What `status` says of a definition.

use crate::names::Conflict;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub const ESTABLISHED: &str = "Established";
pub const NAMES_ACCEPTED: &str = "NamesAccepted";
pub const TERMINATING: &str = "Terminating";
pub const NON_STRUCTURAL: &str = "NonStructuralSchema";
/// Holds a definition until the last of its objects is gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// How far the deletion of a definition's objects is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    Going,
    Done,
}

pub fn is_true(definition: &CustomResourceDefinition, kind: &str) -> bool {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == kind && c.status == "True")
}

/// The status after the names were looked at, and the schema (`structural` says why it is none). `None` where nothing is
/// new.
pub fn after_acceptance(
    definition: &CustomResourceDefinition,
    conflict: Option<&Conflict>,
    structural: Result<(), &str>,
    now: &Time,
) -> Option<CustomResourceDefinitionStatus> {
    let old = definition.status.clone().unwrap_or_default();
    let mut new = old.clone();
    match conflict {
        None => {
            new.accepted_names = Some(definition.spec.names.clone());
            set(&mut new, NAMES_ACCEPTED, true, "NoConflicts", "no conflicts found", now);
            set(
                &mut new,
                ESTABLISHED,
                true,
                "InitialNamesAccepted",
                "the initial names have been accepted",
                now,
            );
        }
        Some(conflict) => {
            set(&mut new, NAMES_ACCEPTED, false, conflict.reason, &conflict.message, now);
            // one that was served goes on with the names that it has
            if !is_true(definition, ESTABLISHED) {
                set(&mut new, ESTABLISHED, false, "NotAccepted", "not all names are accepted", now);
            }
        }
    }
    match structural {
        Ok(()) => {
            if let Some(conditions) = new.conditions.as_mut() {
                conditions.retain(|c| c.type_ != NON_STRUCTURAL);
            }
        }
        Err(why) => set(&mut new, NON_STRUCTURAL, true, "Violations", why, now),
    }
    let stored = definition.spec.versions.iter().find(|version| version.storage).map(|version| &version.name);
    let known = new.stored_versions.get_or_insert_default();
    if let Some(stored) = stored.filter(|stored| !known.contains(stored)) {
        known.push(stored.clone());
    }
    (new != old).then_some(new)
}

/// The status of one that is not served as there is no memory for it: `why` in words. `None` where nothing is new.
pub fn without_memory(
    definition: &CustomResourceDefinition,
    why: &str,
    now: &Time,
) -> Option<CustomResourceDefinitionStatus> {
    let old = definition.status.clone().unwrap_or_default();
    let mut new = old.clone();
    set(&mut new, ESTABLISHED, false, "InsufficientMemory", why, now);
    (new != old).then_some(new)
}

/// The status while the objects go, and when they are gone.
pub fn while_deleting(
    definition: &CustomResourceDefinition,
    cleanup: Cleanup,
    now: &Time,
) -> Option<CustomResourceDefinitionStatus> {
    let old = definition.status.clone().unwrap_or_default();
    let mut new = old.clone();
    match cleanup {
        Cleanup::Going => set(
            &mut new,
            TERMINATING,
            true,
            "InstanceDeletionInProgress",
            "CustomResource deletion is in progress",
            now,
        ),
        Cleanup::Done => {
            set(&mut new, TERMINATING, false, "InstanceDeletionCompleted", "removed all instances", now);
        }
    }
    (new != old).then_some(new)
}

/// The time of a condition is that of its last change.
fn set(
    status: &mut CustomResourceDefinitionStatus,
    kind: &str,
    is: bool,
    reason: &str,
    message: &str,
    now: &Time,
) {
    let value = if is { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let found = conditions.iter_mut().find(|c| c.type_ == kind);
    let at = match &found {
        Some(known) if known.status == value => known.last_transition_time.clone(),
        _ => Some(now.clone()),
    };
    let new = CustomResourceDefinitionCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: at,
        ..CustomResourceDefinitionCondition::default()
    };
    match found {
        Some(known) => *known = new,
        None => conditions.push(new),
    }
}
