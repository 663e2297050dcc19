//! What a namespace that is to go waits for, in upstream's words: pure.

use api::{GroupResource, Status};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NamespaceCondition, NamespaceStatus};
use kinds::whole_second;
use std::collections::{BTreeMap, BTreeSet};

/// What a round has not done away with: how many objects are there still, by resource, and by the finalizer that keeps them; what
/// was refused; which groups and versions did not tell what they have.
#[derive(Debug, Default)]
pub(super) struct Left {
    objects: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
    refusals: BTreeSet<String>,
    unknown: BTreeMap<String, String>,
}

impl Left {
    /// `finalizers` are those of all the `count` objects.
    pub(super) fn add<'f>(
        &mut self,
        resource: &GroupResource,
        count: usize,
        finalizers: impl IntoIterator<Item = &'f String>,
    ) {
        if count > 0 {
            self.objects.insert(format!("{}.{}", resource.resource, resource.group), count);
        }
        for finalizer in finalizers {
            *self.finalizers.entry(finalizer.clone()).or_default() += 1;
        }
    }

    pub(super) fn refused(&mut self, status: &Status) {
        self.refusals.insert(status.message.clone());
    }

    pub(super) fn not_told(&mut self, group: &str, version: &str, why: String) {
        self.unknown.insert(format!("{group}/{version}"), why);
    }

    pub(super) fn has_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    /// Whether nothing but time may mend it.
    pub(super) fn has_failed(&self) -> bool {
        !self.refusals.is_empty() || !self.unknown.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.has_objects() && !self.has_failed()
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

/// Type, whether it holds, reason, message.
fn all(left: &Left) -> [(&'static str, bool, &'static str, String); 5] {
    let listed = |counts: &BTreeMap<String, usize>, between: &str| {
        let each: Vec<String> = counts
            .iter()
            .map(|(what, count)| format!("{what} {between} {count} resource instances"))
            .collect();
        each.join(", ")
    };
    let told = |fails: bool, failed: (&'static str, String), well: (&'static str, &str)| match fails {
        true => failed,
        false => (well.0, well.1.to_owned()),
    };
    let discovery = told(
        !left.unknown.is_empty(),
        ("DiscoveryFailed", discovery_failed(&left.unknown)),
        ("ResourcesDiscovered", "All resources successfully discovered"),
    );
    let refusals: Vec<&str> = left.refusals.iter().map(String::as_str).collect();
    let deletion = told(
        !refusals.is_empty(),
        (
            "ContentDeletionFailed",
            format!(
                "Failed to delete all resource types, {} remaining: {}",
                refusals.len(),
                refusals.join(", ")
            ),
        ),
        ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    );
    let content = told(
        left.has_objects(),
        ("SomeResourcesRemain", format!("Some resources are remaining: {}", listed(&left.objects, "has"))),
        ("ContentRemoved", "All content successfully removed"),
    );
    let finalizers = told(
        !left.finalizers.is_empty(),
        (
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                listed(&left.finalizers, "in")
            ),
        ),
        ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
    );
    [
        ("NamespaceDeletionDiscoveryFailure", !left.unknown.is_empty(), discovery.0, discovery.1),
        (
            // no group and version is there but was read when it came
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        ("NamespaceDeletionContentFailure", !refusals.is_empty(), deletion.0, deletion.1),
        ("NamespaceContentRemaining", left.has_objects(), content.0, content.1),
        ("NamespaceFinalizersRemaining", !left.finalizers.is_empty(), finalizers.0, finalizers.1),
    ]
}

/// client-go's `ErrGroupDiscoveryFailed`, in the namespace controller's words.
fn discovery_failed(unknown: &BTreeMap<String, String>) -> String {
    let each: Vec<String> = unknown.iter().map(|(which, why)| format!("{which}: {why}")).collect();
    format!(
        "Discovery failed for some groups, {} failing: unable to retrieve the complete list of server APIs: {}",
        unknown.len(),
        each.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition<'a>(status: &'a NamespaceStatus, kind: &str) -> &'a NamespaceCondition {
        status.conditions.iter().flatten().find(|condition| condition.type_ == kind).unwrap()
    }

    #[test]
    fn what_stands_in_the_way_is_said() {
        let mut left = Left::default();
        assert!(left.is_empty());
        let keeps = "example.com/keeps".to_owned();
        left.add(&GroupResource::new("", "configmaps"), 2, [&keeps]);
        left.add(&GroupResource::new("apps", "deployments"), 0, []);
        left.refused(&Status::internal("failed calling webhook \"b\""));
        left.refused(&Status::internal("failed calling webhook \"a\""));
        left.not_told("example.com", "v1", "stale GroupVersion discovery: example.com/v1".to_owned());
        let mut status = NamespaceStatus::default();
        set(&mut status, &left, Timestamp::UNIX_EPOCH);
        let cases = [
            (
                "NamespaceDeletionDiscoveryFailure",
                "DiscoveryFailed",
                "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: \
                 example.com/v1: stale GroupVersion discovery: example.com/v1",
            ),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeletionFailed",
                "Failed to delete all resource types, 2 remaining: Internal error occurred: failed calling webhook \"a\", \
                 Internal error occurred: failed calling webhook \"b\"",
            ),
            (
                "NamespaceContentRemaining",
                "SomeResourcesRemain",
                "Some resources are remaining: configmaps. has 2 resource instances",
            ),
            (
                "NamespaceFinalizersRemaining",
                "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: example.com/keeps in 1 resource instances",
            ),
        ];
        for (kind, reason, message) in cases {
            let told = condition(&status, kind);
            let words = (told.reason.as_deref(), told.message.as_deref());
            assert_eq!((told.status.as_str(), words), ("True", (Some(reason), Some(message))), "{kind}");
        }
        set(&mut status, &Left::default(), Timestamp::UNIX_EPOCH);
        assert!(status.conditions.iter().flatten().all(|condition| condition.status == "False"));
    }
}
