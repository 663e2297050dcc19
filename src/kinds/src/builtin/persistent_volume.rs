//! PersistentVolumes: pieces of storage, each bound to one claim at most.

use super::amounts::round_up_all;
use super::checks::{IMMUTABLE, among, judged, list, text};
use super::persistent_volume_source::{source, sources};
use super::pod_validation::term_of_volume;
use super::pod_warnings::{node_term, removed_since};
use super::volume_checks::{
    STORAGE, access_modes, class_name, class_word, modes_word, node_affinity, old_class_warning, phase_word,
    positive, storage_of, unset, volume_mode,
};
use super::{fill, name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec, PersistentVolumeStatus};
use serde_json::json;

const RECLAIM_POLICIES: [&str; 3] = ["Delete", "Recycle", "Retain"];

impl TypedKind for PersistentVolume {
    const SINGULAR: &'static str = "persistentvolume";
    const PLURAL: &'static str = "persistentvolumes";
    const SHORT_NAMES: &'static [&'static str] = &["pv"];
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Capacity", "string", "How much it holds"),
        Column::new("Access Modes", "string", "How it may be mounted"),
        Column::new("Reclaim Policy", "string", "What becomes of it when its claim goes"),
        Column::new("Status", "string", "Whether it is bound"),
        Column::new("Claim", "string", "The claim that it is bound to"),
        Column::new("StorageClass", "string", "The class that it is of"),
        Column::new("VolumeAttributesClass", "string", "The class of its attributes"),
        Column::new("Reason", "string", "Why it is in a failed state"),
        Column::AGE,
        Column::wide("VolumeMode", "string", "Whether it is a file system or a device"),
    ];

    fn set_defaults(&mut self) {
        fill::text(&mut self.status.get_or_insert_default().phase, "Pending");
        let spec = self.spec.get_or_insert_default();
        fill::text(&mut spec.persistent_volume_reclaim_policy, "Retain");
        spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
        round_up_all(spec.capacity.as_mut());
        if let Some(path) = &mut spec.host_path {
            path.type_.get_or_insert_default();
        }
        if let Some(iscsi) = &mut spec.iscsi {
            fill::text(&mut iscsi.iscsi_interface, "default");
        }
        if let Some(reference) = &mut spec.claim_ref {
            fill::text(&mut reference.api_version, "v1");
            fill::text(&mut reference.kind, "PersistentVolumeClaim");
        }
    }
    fn prepare_create(&mut self) {
        self.status = Some(PersistentVolumeStatus {
            phase: Some("Pending".to_owned()),
            last_phase_transition_time: Some(crate::whole_second(jiff::Timestamp::now())),
            ..PersistentVolumeStatus::default()
        });
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
        let none = PersistentVolumeStatus::default();
        let before = old.status.as_ref().unwrap_or(&none);
        let status = self.status.get_or_insert_default();
        // whoever gives a time of its own knows better
        if status.phase == before.phase {
            if status.last_phase_transition_time.is_none() {
                status.last_phase_transition_time.clone_from(&before.last_phase_transition_time);
            }
        } else if status.last_phase_transition_time == before.last_phase_transition_time {
            status.last_phase_transition_time = Some(crate::whole_second(jiff::Timestamp::now()));
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        let none = PersistentVolumeSpec::default();
        spec(self.spec.as_ref().unwrap_or(&none), "spec", errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        let (Some(new), Some(old)) = (&self.spec, &old.spec) else { return };
        let (mut source, before) = (sources(new), sources(old));
        // upstream lets a secret be named later by which the volume is made larger
        if let (Some(csi), Some(was)) = (source.get_mut("csi"), before.get("csi"))
            && was.get("controllerExpandSecretRef").is_none()
        {
            csi.as_object_mut().map(|csi| csi.remove("controllerExpandSecretRef"));
        }
        if source != before {
            let why = "spec.persistentvolumesource is immutable after creation";
            errors.forbidden("spec.persistentvolumesource", why);
        }
        if new.volume_mode != old.volume_mode {
            errors.invalid("volumeMode", json!(new.volume_mode), IMMUTABLE);
        }
        if old.node_affinity.is_some() && new.node_affinity != old.node_affinity {
            let why = "field is immutable, except for updating from beta label to GA";
            errors.invalid("nodeAffinity", json!(new.node_affinity), why);
        }
        if old.volume_attributes_class_name.is_some() && new.volume_attributes_class_name.is_none() {
            let why = "update from non-nil value to nil is forbidden";
            errors.forbidden("spec.volumeAttributesClassName", why);
        }
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        let recycled = text(&policy(self)) == "Recycle";
        let recycle = recycled.then(|| {
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".to_owned()
        });
        let mut warnings: Vec<String> =
            old_class_warning(&self.metadata).into_iter().chain(recycle).collect();
        if let Some(spec) = &self.spec {
            of_nodes_and_source(spec, &mut warnings);
        }
        warnings
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = PersistentVolumeSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        let status = self.status.clone().unwrap_or_default();
        let claim =
            spec.claim_ref.as_ref().map(|claim| format!("{}/{}", text(&claim.namespace), text(&claim.name)));
        vec![
            name_of(&self.metadata),
            storage_of(&spec.capacity).map(|amount| amount.0.clone()).unwrap_or_default().into(),
            modes_word(list(&spec.access_modes)).into(),
            text(&spec.persistent_volume_reclaim_policy).into(),
            phase_word(&self.metadata, status.phase.as_ref()).into(),
            claim.unwrap_or_default().into(),
            class_word(&self.metadata, &spec.storage_class_name).into(),
            unset(&spec.volume_attributes_class_name).into(),
            status.reason.unwrap_or_default().into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
            unset(&spec.volume_mode).into(),
        ]
    }
}

fn of_nodes_and_source(spec: &PersistentVolumeSpec, warnings: &mut Vec<String>) {
    let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    for (index, term) in required.iter().flat_map(|required| &required.node_selector_terms).enumerate() {
        let at = format!("spec.nodeAffinity.required.nodeSelectorTerms[{index}]");
        node_term(term, false, &at, warnings);
    }
    let given = sources(spec);
    let named = given.keys().map(|field| if field == "storageos" { "storageOS" } else { field.as_str() });
    for field in named {
        if let Some(since) = removed_since(field) {
            warnings.push(format!("spec.{field}: {since}"));
        }
    }
}

fn policy(volume: &PersistentVolume) -> Option<String> {
    volume.spec.as_ref()?.persistent_volume_reclaim_policy.clone()
}

/// Upstream's `ValidatePersistentVolumeSpec`.
pub(super) fn spec(spec: &PersistentVolumeSpec, at: &str, errors: &mut ErrorList) {
    access_modes(list(&spec.access_modes), &format!("{at}.accessModes"), "", errors);
    capacity(spec, &format!("{at}.capacity"), errors);
    let policy = text(&spec.persistent_volume_reclaim_policy);
    if !policy.is_empty() {
        let field = format!("{at}.persistentVolumeReclaimPolicy");
        among(policy, &RECLAIM_POLICIES, &field, errors);
        if policy == "Recycle" && spec.host_path.as_ref().is_some_and(|path| is_root(&path.path)) {
            errors.forbidden(field, "may not be 'recycle' for a hostPath mount of '/'");
        }
    }
    let affinity = spec.node_affinity.as_ref();
    let named = node_affinity(affinity, &format!("{at}.nodeAffinity"), term_of_volume, errors);
    source(spec, named, at, errors);
    class_name(&spec.storage_class_name, format_args!("{at}.storageClassName"), errors);
    volume_mode(&spec.volume_mode, at, errors);
    if let Some(class) = &spec.volume_attributes_class_name {
        let field = format!("{at}.volumeAttributesClassName");
        match class.as_str() {
            "" => errors.required(field, "an empty string is disallowed"),
            class => judged(names::dns_subdomain, class, field, errors),
        }
        if spec.csi.is_none() {
            errors.required(
                format_args!("{at}.csi"),
                "has to be specified when using volumeAttributesClassName",
            );
        }
    }
}

fn is_root(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| part.is_empty() || part == ".")
}

fn capacity(spec: &PersistentVolumeSpec, at: &str, errors: &mut ErrorList) {
    let given = spec.capacity.as_ref().filter(|amounts| !amounts.is_empty());
    let Some(given) = given else {
        errors.required(at, "");
        return errors.not_supported(at, json!({}), &[STORAGE]);
    };
    if !given.contains_key(STORAGE) || given.len() > 1 {
        errors.not_supported(at, json!(given), &[STORAGE]);
    }
    for (name, amount) in given {
        positive(amount, format_args!("{at}[{name}]"), errors);
    }
}
