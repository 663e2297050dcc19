//! What is checked of every object's metadata, whatever its kind.

use crate::builtin::names;
use crate::managed_fields::validate_managed_fields;
use crate::{ErrorList, Scope, Version};
use api::ObjectKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use std::collections::{BTreeMap, BTreeSet, HashSet};

const ANNOTATIONS_MAX: usize = 256 * 1024; // bytes, all keys and values together

/// Where the object is among those of its kind.
pub fn key_of(meta: &ObjectMeta) -> ObjectKey {
    ObjectKey::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
}

/// As upstream writes times: what is below a second is cut off.
pub fn whole_second(at: jiff::Timestamp) -> Time {
    Time(jiff::Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Puts back all of the metadata that an update of `status` could change: upstream's rule for custom resources.
pub fn keep_all_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.labels.clone_from(&old.labels);
    new.annotations.clone_from(&old.annotations);
    new.finalizers.clone_from(&old.finalizers);
    new.owner_references.clone_from(&old.owner_references);
}

pub fn validate_meta(version: &Version, meta: &ObjectMeta, errors: &mut ErrorList) {
    if let Some(prefix) = meta.generate_name.as_deref().filter(|p| !p.is_empty())
        && let Err(why) = version.validate_name(prefix.trim_end_matches(['-', '.']))
    {
        errors.invalid("metadata.generateName", prefix, why);
    }
    let name = meta.name.as_deref().unwrap_or_default();
    if name.is_empty() {
        errors.required("metadata.name", "name or generateName is required");
    } else if let Err(why) = version.validate_name(name) {
        errors.invalid("metadata.name", name, why);
    }
    if version.info().scope == Scope::Namespaced {
        match meta.namespace.as_deref().unwrap_or_default() {
            "" => errors.required("metadata.namespace", ""),
            namespace => {
                if let Err(why) = names::dns_label(namespace) {
                    errors.invalid("metadata.namespace", namespace, why);
                }
            }
        }
    }
    labels(meta.labels.as_ref(), "metadata.labels", errors);
    annotations(meta.annotations.as_ref(), "metadata.annotations", errors);
    let own = meta.finalizers.as_deref().unwrap_or_default();
    finalizers(own, "metadata.finalizers", errors);
    let is_extension =
        version.info().gvk.group == "apiextensions.k8s.io" || version.published_schema().is_some();
    if !is_extension {
        standard_finalizers(own, "metadata.finalizers", errors);
    }
    owners(meta, errors);
    validate_managed_fields(meta.managed_fields.as_deref().unwrap_or_default(), errors);
}

/// Those names that were there before names had to have a prefix.
const OLD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

pub(crate) fn finalizers(finalizers: &[String], field: &str, errors: &mut ErrorList) {
    for finalizer in finalizers {
        if let Err(why) = names::qualified(finalizer) {
            errors.invalid(field, finalizer.as_str(), why);
        }
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.invalid(field, finalizers.to_vec(), why);
    }
}

/// The core's own rule: it does not hold for what is defined by others, nor for the definitions themselves.
/// Of custom resources, which may have any: those that are new and that somebody else may call the same.
pub(crate) fn finalizer_warnings(new: &ObjectMeta, old: Option<&ObjectMeta>) -> Vec<String> {
    let before: HashSet<&String> =
        old.and_then(|old| old.finalizers.as_ref()).into_iter().flatten().collect();
    let is_odd = |name: &&String| {
        !before.contains(name) && !name.contains('/') && !OLD_FINALIZERS.contains(&name.as_str())
    };
    let added: BTreeSet<&String> = new.finalizers.iter().flatten().filter(is_odd).collect();
    let why = "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other \
               finalizer writers";
    added.into_iter().map(|name| format!("metadata.finalizers: {name:?}: {why}")).collect()
}

pub(crate) fn standard_finalizers(finalizers: &[String], field: &str, errors: &mut ErrorList) {
    for (index, finalizer) in finalizers.iter().enumerate() {
        if !finalizer.contains('/') && !OLD_FINALIZERS.contains(&finalizer.as_str()) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(format_args!("{field}[{index}]"), finalizer.as_str(), why);
        }
    }
}

pub fn labels(labels: Option<&BTreeMap<String, String>>, field: &str, errors: &mut ErrorList) {
    for (key, value) in labels.into_iter().flatten() {
        if let Err(why) = names::qualified(key) {
            errors.invalid(field, key.as_str(), why);
        }
        if let Err(why) = names::label_value(value) {
            errors.invalid(field, value.as_str(), why);
        }
    }
}

pub(crate) fn annotations(
    annotations: Option<&BTreeMap<String, String>>,
    field: &str,
    errors: &mut ErrorList,
) {
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        if let Err(why) = names::qualified(&key.to_lowercase()) {
            errors.invalid(field, key.as_str(), why);
        }
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_MAX {
        errors.too_long(field, ANNOTATIONS_MAX);
    }
}

/// They fill what a message shows of a value: all of them once more for each of them would be hours of work.
const OWNERS_SHOWN: usize = 32;

/// Written where it is told.
struct Shown<'o>(&'o [OwnerReference]);

impl From<Shown<'_>> for serde_json::Value {
    fn from(Shown(owners): Shown<'_>) -> Self {
        serde_json::json!(owners)
    }
}

fn owners(meta: &ObjectMeta, errors: &mut ErrorList) {
    let field = "metadata.ownerReferences";
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let mut controller: Option<String> = None;
    for owner in owners {
        let version = owner.api_version.rsplit('/').next().unwrap_or_default();
        if version.is_empty() {
            let why = "version must not be empty";
            errors.invalid(format_args!("{field}.apiVersion"), owner.api_version.as_str(), why);
        }
        for (part, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
            if value.is_empty() {
                errors.invalid(format_args!("{field}.{part}"), "", "must not be empty");
            }
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            errors.invalid(field, serde_json::json!(owner), why);
        }
        if owner.controller == Some(true) {
            let this = format!("{}/{}", owner.kind, owner.name);
            if let Some(first) = &controller {
                errors.invalid(
                    field,
                    Shown(&owners[..owners.len().min(OWNERS_SHOWN)]),
                    format_args!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    ),
                );
            }
            controller.get_or_insert(this);
        }
    }
}

pub fn validate_meta_update(new: &ObjectMeta, old: &ObjectMeta, errors: &mut ErrorList) {
    if old.deletion_timestamp.is_none() {
        return;
    }
    // each may be as long as a body
    let before: HashSet<&String> = old.finalizers.iter().flatten().collect();
    let added: Vec<&String> = new.finalizers.iter().flatten().filter(|f| !before.contains(f)).collect();
    if !added.is_empty() {
        let why = "no new finalizers can be added if the object is being deleted, found new finalizers ";
        let each: Vec<String> = added.iter().map(|f| format!("{f:?}")).collect();
        errors.forbidden("metadata.finalizers", format!("{why}[]string{{{}}}", each.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finalizers_that_another_may_have_chosen_too_are_told_once() {
        let with = |finalizers: &[&str]| ObjectMeta {
            finalizers: Some(finalizers.iter().map(|name| (*name).to_owned()).collect()),
            ..ObjectMeta::default()
        };
        let new = with(&["z.example.com", "a.example.com", "example.com/held", "foregroundDeletion"]);
        let told = |name: &str| {
            format!(
                "metadata.finalizers: \"{name}\": prefer a domain-qualified finalizer name including a path (/) to avoid \
                 accidental conflicts with other finalizer writers"
            )
        };
        assert_eq!(finalizer_warnings(&new, None), [told("a.example.com"), told("z.example.com")]);
        let old = with(&["z.example.com"]);
        assert_eq!(finalizer_warnings(&new, Some(&old)), [told("a.example.com")]);
    }

    /// Each of them by itself would be ten thousand million comparisons, and some hours of writing lists.
    #[test]
    fn many_owners_and_finalizers_are_judged_in_time_that_grows_with_their_number() {
        let finalizers = |from: usize| Some((from..from + 100_000).map(|n| format!("a/{n:06}")).collect());
        let owner = |n: usize| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: format!("pod-{n}"),
            uid: n.to_string(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let old = ObjectMeta {
            deletion_timestamp: Some(Time(jiff::Timestamp::UNIX_EPOCH)),
            finalizers: finalizers(100_000),
            ..ObjectMeta::default()
        };
        let new = ObjectMeta {
            finalizers: finalizers(0),
            owner_references: Some((0..15_000).map(owner).collect()),
            ..old.clone()
        };
        let begun = std::time::Instant::now();
        let mut errors = ErrorList::default();
        owners(&new, &mut errors);
        assert_eq!(errors.len(), 14_999);
        validate_meta_update(&new, &old, &mut errors);
        assert_eq!(errors.len(), 15_000);
        assert!(finalizer_warnings(&new, Some(&old)).is_empty());
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_second_controller_is_shown_with_all_owners() {
        let owner = |name: &str| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: name.to_owned(),
            uid: "u".to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let meta =
            ObjectMeta { owner_references: Some(vec![owner("a"), owner("b")]), ..ObjectMeta::default() };
        let mut errors = ErrorList::default();
        owners(&meta, &mut errors);
        let told: Vec<String> = errors.into_causes().into_iter().map(|cause| cause.message).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("Found \"true\" in references for Pod/a and Pod/b"), "{told:?}");
        assert!(told[0].contains("\"name\":\"a\"") && told[0].contains("\"name\":\"b\""), "{told:?}");
    }
}
