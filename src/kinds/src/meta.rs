//! What is checked of every object's metadata, whatever its kind.

use crate::builtin::names;
use crate::{Errors, Handler, Scope};
use api::ObjectKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

const ANNOTATIONS_MAX: usize = 256 * 1024; // bytes, all keys and values together

/// Where the object is among those of its kind.
pub fn key_of(meta: &ObjectMeta) -> ObjectKey {
    ObjectKey::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
}

pub fn validate_meta(handler: &dyn Handler, meta: &ObjectMeta, errors: &mut Errors) {
    if let Some(prefix) = meta.generate_name.as_deref().filter(|p| !p.is_empty())
        && let Err(why) = handler.validate_name(prefix.trim_end_matches(['-', '.']))
    {
        errors.invalid("metadata.generateName", prefix, why);
    }
    let name = meta.name.as_deref().unwrap_or_default();
    if name.is_empty() {
        errors.required("metadata.name", "name or generateName is required");
    } else if let Err(why) = handler.validate_name(name) {
        errors.invalid("metadata.name", name, why);
    }
    if handler.info().scope == Scope::Namespaced {
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
    annotations(meta.annotations.as_ref(), errors);
    for (index, finalizer) in meta.finalizers.iter().flatten().enumerate() {
        if let Err(why) = names::qualified(finalizer) {
            errors.invalid(format!("metadata.finalizers[{index}]"), finalizer.as_str(), why);
        }
    }
    owners(meta, errors);
}

pub fn labels(labels: Option<&BTreeMap<String, String>>, field: &str, errors: &mut Errors) {
    for (key, value) in labels.into_iter().flatten() {
        if let Err(why) = names::qualified(key) {
            errors.invalid(field, key.as_str(), why);
        }
        if let Err(why) = names::label_value(value) {
            errors.invalid(field, value.as_str(), why);
        }
    }
}

fn annotations(annotations: Option<&BTreeMap<String, String>>, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        if let Err(why) = names::qualified(&key.to_lowercase()) {
            errors.invalid("metadata.annotations", key.as_str(), why);
        }
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_MAX {
        errors.too_long("metadata.annotations", ANNOTATIONS_MAX);
    }
}

fn owners(meta: &ObjectMeta, errors: &mut Errors) {
    let field = "metadata.ownerReferences";
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    for (index, owner) in owners.iter().enumerate() {
        for (part, value) in [
            ("apiVersion", &owner.api_version),
            ("kind", &owner.kind),
            ("name", &owner.name),
            ("uid", &owner.uid),
        ] {
            if value.is_empty() {
                errors.invalid(format!("{field}[{index}].{part}"), "", "must not be empty");
            }
        }
    }
    if owners.iter().filter(|owner| owner.controller == Some(true)).count() > 1 {
        errors.invalid(field, owners.len(), "Only one reference can have Controller set to true");
    }
}

pub fn validate_meta_update(new: &ObjectMeta, old: &ObjectMeta, errors: &mut Errors) {
    let before = old.finalizers.as_deref().unwrap_or_default();
    let added: Vec<&String> = new.finalizers.iter().flatten().filter(|f| !before.contains(f)).collect();
    if old.deletion_timestamp.is_some() && !added.is_empty() {
        let why = "no new finalizers can be added if the object is being deleted, found new finalizers ";
        let each: Vec<String> = added.iter().map(|f| format!("{f:?}")).collect();
        errors.forbidden("metadata.finalizers", format!("{why}[]string{{{}}}", each.join(", ")));
    }
}
