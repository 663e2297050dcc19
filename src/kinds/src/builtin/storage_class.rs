//! StorageClasses: who makes volumes, and how.

use super::checks::{IMMUTABLE, among, judged, list, text};
use super::pod_warnings::old_node_label;
use super::{fill, names};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use std::collections::BTreeMap;

const DEFAULTS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const RECLAIM_POLICIES: [&str; 2] = ["Delete", "Retain"];
const BINDING_MODES: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];
const MOST_PARAMETERS: usize = 512;
const PARAMETERS_LONGEST: usize = 256 * 1024; // bytes, all keys and values together

impl TypedKind for StorageClass {
    const SINGULAR: &'static str = "storageclass";
    const PLURAL: &'static str = "storageclasses";
    const SHORT_NAMES: &'static [&'static str] = &["sc"];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Provisioner", "string", "Who makes its volumes"),
        Column::new("ReclaimPolicy", "string", "What becomes of a volume when its claim goes"),
        Column::new("VolumeBindingMode", "string", "When its volumes are made and bound"),
        Column::new("AllowVolumeExpansion", "boolean", "Whether its volumes may grow"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        fill::text(&mut self.reclaim_policy, "Delete");
        self.volume_binding_mode.get_or_insert_with(|| "Immediate".to_owned());
    }
    fn validate(&self, errors: &mut ErrorList) {
        provisioner(&self.provisioner, "provisioner", errors);
        parameters(self.parameters.as_ref(), errors);
        among(text(&self.reclaim_policy), &RECLAIM_POLICIES, "reclaimPolicy", errors);
        match self.volume_binding_mode.as_deref() {
            None => errors.required("volumeBindingMode", ""),
            Some(mode) => among(mode, &BINDING_MODES, "volumeBindingMode", errors),
        }
        for (index, term) in list(&self.allowed_topologies).iter().enumerate() {
            topology(term, &format!("allowedTopologies[{index}]"), errors);
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if self.parameters != old.parameters {
            errors.forbidden("parameters", "updates to parameters are forbidden.");
        }
        if self.provisioner != old.provisioner {
            errors.forbidden("provisioner", "updates to provisioner are forbidden.");
        }
        if self.reclaim_policy != old.reclaim_policy {
            errors.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.");
        }
        if self.volume_binding_mode != old.volume_binding_mode {
            errors.invalid("volumeBindingMode", json!(self.volume_binding_mode), IMMUTABLE);
        }
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        let terms = list(&self.allowed_topologies).iter().enumerate();
        let rules = terms.flat_map(|(term, of)| {
            let rules = list(&of.match_label_expressions).iter().enumerate();
            rules.map(move |(index, rule)| (term, index, rule.key.as_str()))
        });
        let old = rules.filter_map(|(term, index, key)| {
            let why = old_node_label(key)?;
            Some(format!("allowedTopologies[{term}].matchLabelExpressions[{index}].key: {why}"))
        });
        old.collect()
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let mut name = text(&self.metadata.name).to_owned();
        if is_default(&self.metadata) {
            name.push_str(" (default)");
        }
        vec![
            name.into(),
            self.provisioner.clone().into(),
            self.reclaim_policy.as_deref().unwrap_or("Delete").into(),
            self.volume_binding_mode.as_deref().unwrap_or("Immediate").into(),
            self.allow_volume_expansion.unwrap_or(false).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

/// Whether claims that name no class are of this one.
pub fn is_default(meta: &ObjectMeta) -> bool {
    let annotations = meta.annotations.as_ref();
    DEFAULTS.iter().any(|key| annotations.and_then(|all| all.get(*key)).is_some_and(|value| value == "true"))
}

fn provisioner(name: &str, field: &str, errors: &mut ErrorList) {
    if name.is_empty() {
        return errors.required(field, "");
    }
    if let Err(why) = names::qualified(&name.to_lowercase()) {
        errors.invalid(field, name, why);
    }
}

fn parameters(given: Option<&BTreeMap<String, String>>, errors: &mut ErrorList) {
    let Some(given) = given else { return };
    if given.len() > MOST_PARAMETERS {
        errors.too_long("parameters", MOST_PARAMETERS);
        return;
    }
    for key in given.keys().filter(|key| key.is_empty()) {
        errors.invalid("parameters", key.as_str(), "field can not be empty.");
    }
    let size: usize = given.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > PARAMETERS_LONGEST {
        errors.too_long("parameters", PARAMETERS_LONGEST);
    }
}

fn topology(term: &TopologySelectorTerm, at: &str, errors: &mut ErrorList) {
    let rules = list(&term.match_label_expressions);
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("{at}.matchLabelExpressions[{index}]");
        if rule.values.is_empty() {
            errors.required(format_args!("{at}.values"), "");
        }
        for (index, value) in rule.values.iter().enumerate() {
            if rule.values[..index].contains(value) {
                errors.duplicate(format_args!("{at}.values[{index}]"), value.as_str());
            }
        }
        judged(names::qualified, &rule.key, format_args!("{at}.key"), errors);
        if rules[..index].iter().any(|other| other.key == rule.key) {
            errors.duplicate(format_args!("{at}.key"), rule.key.as_str());
        }
    }
}
