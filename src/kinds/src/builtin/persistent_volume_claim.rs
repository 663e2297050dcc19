//! PersistentVolumeClaims: what is wished for of storage, and what it was bound to.

use super::amounts::round_up_all;
use super::checks::{IMMUTABLE, judged, label_selector, list, optional, required, text};
use super::volume_checks::{
    STORAGE, access_modes, class_name, class_word, modes_word, old_class_warning, phase_word, positive,
    storage_of, unset, volume_mode,
};
use super::{claim_status, fill, name_of, names};
use crate::annotations::STORAGE_CLASS;
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age};
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, TypedLocalObjectReference,
    TypedObjectReference,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use serde_json::json;

const UPDATE: &str = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
/// What may be a source of data without a group of its own.
const CORE_SOURCE: &str = "PersistentVolumeClaim";

impl TypedKind for PersistentVolumeClaim {
    const SINGULAR: &'static str = "persistentvolumeclaim";
    const PLURAL: &'static str = "persistentvolumeclaims";
    const SHORT_NAMES: &'static [&'static str] = &["pvc"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Status", "string", "Whether it is bound"),
        Column::new("Volume", "string", "The volume that it is bound to"),
        Column::new("Capacity", "string", "How much the volume holds"),
        Column::new("Access Modes", "string", "How the volume may be mounted"),
        Column::new("StorageClass", "string", "The class that is asked for"),
        Column::new("VolumeAttributesClass", "string", "The class of the volume's attributes"),
        Column::AGE,
        Column::wide("VolumeMode", "string", "Whether it is a file system or a device"),
    ];

    fn set_defaults(&mut self) {
        fill::text(&mut self.status.get_or_insert_default().phase, "Pending");
        spec_defaults(self.spec.get_or_insert_default());
        round_up_all(self.status.as_mut().and_then(|status| status.capacity.as_mut()));
    }
    fn prepare_create(&mut self) {
        self.status = Some(PersistentVolumeClaimStatus {
            phase: Some("Pending".to_owned()),
            ..PersistentVolumeClaimStatus::default()
        });
        self.spec.iter_mut().for_each(both_sources);
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
        self.spec.iter_mut().for_each(both_sources);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn validate(&self, errors: &mut ErrorList) {
        let none = PersistentVolumeClaimSpec::default();
        spec(self.spec.as_ref().unwrap_or(&none), "spec", errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        let none = PersistentVolumeClaimSpec::default();
        let (new, before) = (self.spec.as_ref().unwrap_or(&none), old.spec.as_ref().unwrap_or(&none));
        if frozen(new, before, is_bound(self)) != *before {
            errors.forbidden("spec", UPDATE);
        }
        let least = storage_of(&old.status.clone().unwrap_or_default().capacity).and_then(parsed);
        if let (Some(new), Some(before)) = (request(new), request(before))
            && new < before
            // a growth that failed may be taken back, but what is there is never made smaller
            && new <= least.unwrap_or_default()
        {
            errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
        }
        if new.volume_mode != before.volume_mode {
            errors.invalid("volumeMode", json!(new.volume_mode), IMMUTABLE);
        }
        attributes_class(new, old, errors);
        old_class(self, old, errors);
    }
    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        let none = PersistentVolumeClaimStatus::default();
        let before = old.status.as_ref().unwrap_or(&none);
        claim_status::update(self.status.as_ref().unwrap_or(&none), before, errors);
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        let fraction = self.spec.as_ref().and_then(|spec| fraction(spec, "spec"));
        old_class_warning(&self.metadata).into_iter().chain(fraction).collect()
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let spec = self.spec.clone().unwrap_or_default();
        let status = self.status.clone().unwrap_or_default();
        let volume = text(&spec.volume_name);
        let has_volume = !volume.is_empty();
        let capacity = storage_of(&status.capacity).filter(|_| has_volume);
        let modes = if has_volume { modes_word(list(&status.access_modes)) } else { String::new() };
        let zero = if has_volume { "0" } else { "" };
        vec![
            name_of(&self.metadata),
            phase_word(&self.metadata, status.phase.as_ref()).into(),
            volume.into(),
            capacity.map_or(zero, |amount| amount.0.as_str()).into(),
            modes.into(),
            class_word(&self.metadata, &spec.storage_class_name).into(),
            unset(&spec.volume_attributes_class_name).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
            unset(&spec.volume_mode).into(),
        ]
    }
}

/// Half a byte is asked for: upstream's `GetWarningsForPersistentVolumeClaimSpec`.
pub(super) fn fraction(spec: &PersistentVolumeClaimSpec, at: &str) -> Option<String> {
    let asked = storage_of(&spec.resources.as_ref()?.requests)?;
    let exact = parsed(asked)?;
    (Quantity::from_units(exact.value()) != exact).then(|| {
        format!(
            "{at}.resources.requests[storage]: fractional byte value {:?} is invalid, must be an integer",
            asked.0
        )
    })
}

pub(super) fn spec_defaults(spec: &mut PersistentVolumeClaimSpec) {
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
    if let Some(resources) = &mut spec.resources {
        round_up_all(resources.requests.as_mut());
        round_up_all(resources.limits.as_mut());
    }
}

fn parsed(amount: &Amount) -> Option<Quantity> {
    amount.0.parse().ok()
}

fn request(spec: &PersistentVolumeClaimSpec) -> Option<Quantity> {
    storage_of(&spec.resources.as_ref()?.requests).and_then(parsed)
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
}

/// A class that the volume has got can be changed for another, and no longer be taken back.
fn attributes_class(new: &PersistentVolumeClaimSpec, old: &PersistentVolumeClaim, errors: &mut ErrorList) {
    let field = "spec.volumeAttributesClassName";
    let is_applied = old.status.as_ref().is_some_and(|s| s.current_volume_attributes_class_name.is_some());
    let before = old.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    let class = new.volume_attributes_class_name.as_deref();
    if !is_applied || class == before {
        return;
    }
    let current = "when status.currentVolumeAttributesClassName is not nil";
    match class {
        None => errors.forbidden(field, format_args!("update to nil is forbidden {current}")),
        Some("") => errors.forbidden(field, format_args!("update to empty string is forbidden {current}")),
        Some(_) => {}
    }
}

/// The annotation that named the class before there was a field stays, or goes where the field says the same.
fn old_class(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim, errors: &mut ErrorList) {
    let said = |claim: &PersistentVolumeClaim| {
        claim.metadata.annotations.as_ref().and_then(|all| all.get(STORAGE_CLASS)).cloned()
    };
    let class =
        |claim: &PersistentVolumeClaim| claim.spec.as_ref().and_then(|s| s.storage_class_name.clone());
    let (now, before) = (said(new), said(old));
    let moved = before.is_some() && class(old).is_none() && class(new) == before && now.is_none();
    let (now, before) = (now.unwrap_or_default(), before.unwrap_or_default());
    if now != before && !moved {
        errors.invalid(format_args!("metadata.annotations.{STORAGE_CLASS}"), now, IMMUTABLE);
    }
}

/// The new spec, with what may change put back to what it was.
fn frozen(
    new: &PersistentVolumeClaimSpec,
    old: &PersistentVolumeClaimSpec,
    is_bound: bool,
) -> PersistentVolumeClaimSpec {
    let mut same = new.clone();
    if text(&old.volume_name).is_empty() {
        same.volume_name.clone_from(&old.volume_name);
    }
    // a class that was not set may be given later: a default that came after the claim
    if old.storage_class_name.is_none() {
        same.storage_class_name = None;
    }
    if is_bound {
        if let (Some(amounts), Some(before)) = (
            same.resources.as_mut().and_then(|resources| resources.requests.as_mut()),
            old.resources.as_ref().and_then(|resources| storage_of(&resources.requests)),
        ) {
            amounts.insert(STORAGE.to_owned(), before.clone());
        }
        same.volume_attributes_class_name.clone_from(&old.volume_attributes_class_name);
    }
    same
}

/// Upstream's `NormalizeDataSources`: the two fields say the same, as far as both can.
fn both_sources(spec: &mut PersistentVolumeClaimSpec) {
    match (&spec.data_source, &spec.data_source_ref) {
        (Some(old), None) => {
            let of = old.clone();
            let reference = TypedObjectReference {
                api_group: of.api_group,
                kind: of.kind,
                name: of.name,
                namespace: None,
            };
            spec.data_source_ref = Some(reference);
        }
        (None, Some(new)) if text(&new.namespace).is_empty() => {
            let of = new.clone();
            let reference =
                TypedLocalObjectReference { api_group: of.api_group, kind: of.kind, name: of.name };
            spec.data_source = Some(reference);
        }
        _ => {}
    }
}

/// Upstream's `ValidatePersistentVolumeClaimSpec`.
pub(super) fn spec(spec: &PersistentVolumeClaimSpec, at: &str, errors: &mut ErrorList) {
    let modes = list(&spec.access_modes);
    access_modes(modes, &format!("{at}.accessModes"), "at least 1 access mode is required", errors);
    label_selector(spec.selector.as_ref(), &format!("{at}.selector"), errors);
    storage(spec, &format!("{at}.resources"), errors);
    class_name(&spec.storage_class_name, format_args!("{at}.storageClassName"), errors);
    volume_mode(&spec.volume_mode, at, errors);
    data_sources(spec, at, errors);
    if let Some(class) = spec.volume_attributes_class_name.as_deref().filter(|class| !class.is_empty()) {
        judged(names::dns_subdomain, class, format_args!("{at}.volumeAttributesClassName"), errors);
    }
}

fn storage(spec: &PersistentVolumeClaimSpec, at: &str, errors: &mut ErrorList) {
    let field = format!("{at}[{STORAGE}]");
    let asked = spec.resources.as_ref().and_then(|resources| storage_of(&resources.requests));
    let Some(asked) = asked else {
        return errors.required(field, "");
    };
    positive(asked, field, errors);
}

fn data_sources(spec: &PersistentVolumeClaimSpec, at: &str, errors: &mut ErrorList) {
    if let Some(source) = &spec.data_source {
        let at = format!("{at}.dataSource");
        data_source(&source.name, &source.kind, text(&source.api_group), &at, errors);
    }
    if let Some(source) = &spec.data_source_ref {
        let field = format!("{at}.dataSourceRef");
        data_source(&source.name, &source.kind, text(&source.api_group), &field, errors);
        let namespace = text(&source.namespace);
        optional(names::dns_label, namespace, format_args!("{field}.namespace"), errors);
        if !text(&source.namespace).is_empty() && spec.data_source.is_some() {
            let why = "may not be specified when dataSourceRef.namespace is specified";
            errors.invalid(format_args!("{at}.dataSource"), json!(spec.data_source), why);
        }
    }
    if let (Some(old), Some(new)) = (&spec.data_source, &spec.data_source_ref) {
        let same =
            old.name == new.name && old.kind == new.kind && text(&old.api_group) == text(&new.api_group);
        if !same && text(&new.namespace).is_empty() {
            errors.invalid(at, json!({"dataSource": old, "dataSourceRef": new}), "must match dataSourceRef");
        }
    }
}

fn data_source(name: &str, kind: &str, group: &str, at: &str, errors: &mut ErrorList) {
    for (field, value) in [("name", name), ("kind", kind)] {
        if value.is_empty() {
            errors.required(format_args!("{at}.{field}"), "");
        }
    }
    if group.is_empty() && kind != CORE_SOURCE {
        let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.invalid(at, kind, why);
    }
    if !group.is_empty() {
        required(names::dns_subdomain, group, format_args!("{at}.apiGroup"), errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_of_attributes_that_the_volume_has_is_not_taken_back() {
        let claim = |class: Option<&str>, current: Option<&str>| -> PersistentVolumeClaim {
            serde_json::from_value(json!({"metadata": {"name": "c"},
                "spec": {"volumeAttributesClassName": class},
                "status": {"phase": "Bound", "currentVolumeAttributesClassName": current}}))
            .unwrap()
        };
        let cases = [
            ("another", Some("slow"), Some("quick"), ""),
            ("none", None, Some("quick"), "update to nil is forbidden when status."),
            ("an empty one", Some(""), Some("quick"), "update to empty string is forbidden when status."),
            ("none, before the volume has it", None, None, ""),
        ];
        for (name, class, current, want) in cases {
            let mut errors = ErrorList::default();
            claim(class, current).validate_update(&claim(Some("quick"), current), &mut errors);
            let said: Vec<String> = errors.into_causes().into_iter().map(|cause| cause.message).collect();
            let said = said.join("; ");
            assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}: {said}");
        }
    }
}
