//! What a namespace that is to go waits for, in upstream's words: pure.

use api::{GroupResource, Object};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NamespaceCondition, NamespaceStatus};
use kinds::whole_second;
use std::collections::BTreeMap;

/// How many objects are there still: by resource, and by the finalizer that keeps them.
#[derive(Debug, Default)]
pub(super) struct Left {
    objects: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

impl Left {
    pub(super) fn add(&mut self, resource: &GroupResource, objects: &[Object]) {
        if !objects.is_empty() {
            self.objects.insert(format!("{}.{}", resource.resource, resource.group), objects.len());
        }
        for finalizer in objects.iter().flat_map(|object| &object.meta().finalizers) {
            *self.finalizers.entry(finalizer.clone()).or_default() += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

/// A condition's time moves only when its status does.
pub(super) fn set(status: &mut NamespaceStatus, left: &Left, now: Timestamp) {
    for (kind, holds, reason, message) in all(left) {
        let value = if holds { "True" } else { "False" };
        let conditions = status.conditions.get_or_insert_default();
        let before = conditions.iter().position(|c| c.type_ == kind).map(|at| conditions.remove(at));
        let same = before.filter(|c| c.status == value).and_then(|c| c.last_transition_time);
        conditions.push(NamespaceCondition {
            type_: kind.to_owned(),
            status: value.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: same.or_else(|| Some(whole_second(now))),
        });
    }
}

/// Type, whether it holds, reason, message. All kinds are known and all deletions were accepted, or nobody came this far.
fn all(left: &Left) -> [(&'static str, bool, &'static str, String); 5] {
    let listed = |counts: &BTreeMap<String, usize>, between: &str| {
        let each: Vec<String> = counts
            .iter()
            .map(|(what, count)| format!("{what} {between} {count} resource instances"))
            .collect();
        each.join(", ")
    };
    let content = match left.objects.is_empty() {
        true => ("ContentRemoved", "All content successfully removed".to_owned()),
        false => {
            ("SomeResourcesRemain", format!("Some resources are remaining: {}", listed(&left.objects, "has")))
        }
    };
    let finalizers = match left.finalizers.is_empty() {
        true => ("ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned()),
        false => {
            let which = listed(&left.finalizers, "in");
            let message = format!("Some content in the namespace has finalizers remaining: {which}");
            ("SomeFinalizersRemain", message)
        }
    };
    [
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        ("NamespaceContentRemaining", !left.objects.is_empty(), content.0, content.1),
        ("NamespaceFinalizersRemaining", !left.finalizers.is_empty(), finalizers.0, finalizers.1),
    ]
}
