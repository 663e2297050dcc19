//! What is asked of volumes and of the claims to them alike, and how both are printed.

use super::checks::{among_if_set, judged, text};
use super::names;
use crate::ErrorList;
use crate::annotations::STORAGE_CLASS;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{NodeSelectorTerm, VolumeNodeAffinity};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use std::fmt::Display;

/// As kubectl abbreviates them, and in its order.
const MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];
const ALONE: &str = "ReadWriteOncePod";
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
pub(super) const STORAGE: &str = "storage";

pub(super) fn access_modes(modes: &[String], at: &str, missing: &str, errors: &mut ErrorList) {
    if modes.is_empty() {
        errors.required(at, missing);
    }
    let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", ALONE];
    for mode in modes.iter().filter(|mode| !known.contains(&mode.as_str())) {
        errors.not_supported(at, mode.as_str(), &known);
    }
    let is_alone = |mode: &String| mode == ALONE;
    let is_shared = |mode: &String| mode != ALONE && known.contains(&mode.as_str());
    if modes.iter().any(is_alone) && modes.iter().any(is_shared) {
        errors.forbidden(at, "may not use ReadWriteOncePod with other access modes");
    }
}

pub(super) fn volume_mode(mode: &Option<String>, at: &str, errors: &mut ErrorList) {
    among_if_set(mode.as_deref(), &VOLUME_MODES, format_args!("{at}.volumeMode"), errors);
}

/// Empty is no class, and good.
pub(super) fn class_name(name: &Option<String>, field: impl Display, errors: &mut ErrorList) {
    if !text(name).is_empty() {
        judged(names::dns_subdomain, text(name), field, errors);
    }
}

pub(super) fn positive(amount: &Amount, field: impl Display, errors: &mut ErrorList) {
    match amount.0.parse::<Quantity>() {
        Ok(parsed) if parsed.is_negative() || parsed.is_zero() => {
            errors.invalid(field, amount.0.as_str(), "must be greater than zero");
        }
        Ok(_) => {}
        Err(why) => errors.invalid(field, amount.0.as_str(), why),
    }
}

/// Whether the nodes are named by it.
pub(super) fn node_affinity(
    affinity: Option<&VolumeNodeAffinity>,
    at: &str,
    check_term: fn(&NodeSelectorTerm, &str, &mut ErrorList),
    errors: &mut ErrorList,
) -> bool {
    let Some(affinity) = affinity else { return false };
    let Some(required) = &affinity.required else {
        errors.required(format_args!("{at}.required"), "must specify required node constraints");
        return true;
    };
    let at = format!("{at}.required.nodeSelectorTerms");
    if required.node_selector_terms.is_empty() {
        errors.required(&at, "must have at least one node selector term");
    }
    for (index, term) in required.node_selector_terms.iter().enumerate() {
        check_term(term, &format!("{at}[{index}]"), errors);
    }
    true
}

/// `RWO,ROX`
pub(super) fn modes_word(modes: &[String]) -> String {
    let has = |long: &str| modes.iter().any(|mode| mode == long);
    let words: Vec<&str> = MODES.iter().filter(|(long, _)| has(long)).map(|(_, short)| *short).collect();
    words.join(",")
}

pub(super) fn storage_of(amounts: &Option<BTreeMap<String, Amount>>) -> Option<&Amount> {
    amounts.as_ref()?.get(STORAGE)
}

pub(super) fn unset(field: &Option<String>) -> String {
    field.clone().unwrap_or_else(|| "<unset>".to_owned())
}

/// What goes is shown as that, whatever phase it is in.
pub(super) fn phase_word(meta: &ObjectMeta, phase: Option<&String>) -> String {
    match meta.deletion_timestamp {
        Some(_) => "Terminating".to_owned(),
        None => phase.cloned().unwrap_or_default(),
    }
}

pub(super) fn class_word(meta: &ObjectMeta, class: &Option<String>) -> String {
    let old = meta.annotations.as_ref().and_then(|all| all.get(STORAGE_CLASS));
    old.cloned().unwrap_or_else(|| class.clone().unwrap_or_default())
}

pub(super) fn old_class_warning(meta: &ObjectMeta) -> Option<String> {
    let has = meta.annotations.as_ref().is_some_and(|all| all.contains_key(STORAGE_CLASS));
    has.then(|| {
        format!(
            "metadata.annotations[{STORAGE_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
        )
    })
}
