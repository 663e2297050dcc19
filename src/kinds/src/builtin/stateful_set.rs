//! StatefulSets: pods with numbers.

use super::checks::{label_selector, not_negative};
use super::name_of;
use super::persistent_volume_claim::fraction;
use super::pod_validation::template;
use super::pod_warnings;
use super::workloads::{at_least_zero, collisions, container_cells, counts, finds_template};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age, scale, selectors};
use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetSpec, StatefulSetStatus,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, PersistentVolumeClaimVolumeSource,
    PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::HashSet;

const HISTORY: i32 = 10;
const UPDATE: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

impl TypedKind for StatefulSet {
    const SINGULAR: &'static str = "statefulset";
    const PLURAL: &'static str = "statefulsets";
    const SHORT_NAMES: &'static [&'static str] = &["sts"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Scale, Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Ready", "string", "Ready and wanted pods"),
        Column::AGE,
        Column::wide("Containers", "string", "Names of the containers"),
        Column::wide("Images", "string", "Images of the containers"),
    ];

    fn set_defaults(&mut self) {
        let spec = &mut self.spec;
        spec.replicas.get_or_insert(1);
        spec.revision_history_limit.get_or_insert(HISTORY);
        spec.pod_management_policy.get_or_insert_with(|| "OrderedReady".to_owned());
        let strategy = spec.update_strategy.get_or_insert_default();
        let kind = strategy.type_.get_or_insert_with(|| "RollingUpdate".to_owned());
        if kind == "RollingUpdate" {
            let rolling =
                strategy.rolling_update.get_or_insert_with(RollingUpdateStatefulSetStrategy::default);
            rolling.partition.get_or_insert(0);
            rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
        }
        let retention = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
        retention.when_deleted.get_or_insert_with(|| "Retain".to_owned());
        retention.when_scaled.get_or_insert_with(|| "Retain".to_owned());
        for claim in spec.volume_claim_templates.iter_mut().flatten() {
            super::persistent_volume_claim::spec_defaults(claim.spec.get_or_insert_default());
            let status = claim.status.get_or_insert_with(PersistentVolumeClaimStatus::default);
            status.phase.get_or_insert_with(|| "Pending".to_owned());
        }
        super::pod_defaults::template(&mut spec.template);
    }

    super::spec_and_status!(StatefulSetStatus);

    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("spec.template", &self.spec.template))
    }
    super::scaled!(|spec| scale::told(&spec.selector), |status| Some(status.replicas));
    /// Its pods are called after it, and a pod's name is its host name.
    fn validate_name(name: &str) -> Result<(), String> {
        super::names::dns_label(name)
    }
    fn validate(&self, errors: &mut ErrorList) {
        let spec = &self.spec;
        match spec.pod_management_policy.as_deref().unwrap_or_default() {
            "OrderedReady" | "Parallel" => {}
            other => {
                let field = "spec.podManagementPolicy";
                errors.invalid(field, other, "must be 'OrderedReady' or 'Parallel'");
            }
        }
        strategy(spec, errors);
        retention(spec, errors);
        at_least_zero("spec.replicas", spec.replicas, errors);
        at_least_zero("spec.minReadySeconds", spec.min_ready_seconds, errors);
        let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start);
        at_least_zero("spec.ordinals.start", start, errors);
        selected(spec, errors);
        template(&with_claims(spec), "spec.template", "StatefulSet", errors);
    }

    /// Nobody looked at these before, and they can not be changed: only new ones are judged.
    fn validate_create(&self, errors: &mut ErrorList) {
        let none = PersistentVolumeClaimSpec::default();
        for (index, claim) in self.spec.volume_claim_templates.iter().flatten().enumerate() {
            let spec = claim.spec.as_ref().unwrap_or(&none);
            let at = format!("spec.volumeClaimTemplates[{index}].spec");
            super::persistent_volume_claim::spec(spec, &at, errors);
        }
        let service = self.spec.service_name.as_deref().unwrap_or_default();
        super::checks::optional(super::names::dns_label, service, "spec.serviceName", errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        let old = &old.spec;
        let mut same = self.spec.clone();
        same.replicas = old.replicas;
        same.ordinals.clone_from(&old.ordinals);
        same.template.clone_from(&old.template);
        same.update_strategy.clone_from(&old.update_strategy);
        same.revision_history_limit = old.revision_history_limit;
        same.min_ready_seconds = old.min_ready_seconds;
        let retention = &old.persistent_volume_claim_retention_policy;
        same.persistent_volume_claim_retention_policy.clone_from(retention);
        if same != *old {
            errors.forbidden("spec", UPDATE);
        }
    }

    fn warnings(&self, old: Option<&Self>) -> Vec<String> {
        let spec = &self.spec;
        let mut warnings = match old {
            Some(old) if !self.generation_changes(old) => return Vec::new(),
            old => pod_warnings::of_workload(&self.metadata, "spec.template", &spec.template, old.is_none()),
        };
        for (index, claim) in spec.volume_claim_templates.iter().flatten().enumerate() {
            let at = format!("spec.volumeClaimTemplates[{index}]");
            warnings.extend(claim.spec.as_ref().and_then(|claim| fraction(claim, &at)));
        }
        if spec.revision_history_limit.is_some_and(|limit| limit < 0) {
            warnings.push(
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                    .to_owned(),
            );
        }
        warnings
    }

    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        let Some(status) = &self.status else { return };
        let each = [
            ("readyReplicas", status.ready_replicas),
            ("currentReplicas", status.current_replicas),
            ("updatedReplicas", status.updated_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        counts(status.replicas, &each, "status.readyReplicas", errors);
        not_negative(status.observed_generation.unwrap_or(0), "status.observedGeneration", errors);
        let before = old.status.as_ref().and_then(|status| status.collision_count);
        collisions(status.collision_count, before, errors);
    }

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let spec = &self.spec;
        let ready = self.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        let mut cells = vec![
            name_of(&self.metadata),
            format!("{ready}/{}", spec.replicas.unwrap_or(0)).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ];
        cells.extend(container_cells(spec.template.spec.as_ref().map(|pod| &pod.containers)));
        cells
    }
}

/// The template as its pods have it: mounts may name the claims.
fn with_claims(spec: &StatefulSetSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    let volumes = template.spec.get_or_insert_default().volumes.get_or_insert_default();
    // of one name the last
    let mut taken = HashSet::new();
    let claims = spec.volume_claim_templates.iter().flatten().rev();
    let mut claims: Vec<&str> = claims
        .map(|claim| claim.metadata.name.as_deref().unwrap_or_default())
        .filter(|name| taken.insert(*name))
        .collect();
    claims.reverse();
    volumes.retain(|volume| !taken.contains(volume.name.as_str()));
    volumes.extend(claims.into_iter().map(claim_volume));
    template
}

fn claim_volume(name: &str) -> Volume {
    let source = PersistentVolumeClaimVolumeSource {
        claim_name: name.to_owned(),
        ..PersistentVolumeClaimVolumeSource::default()
    };
    Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

fn selected(spec: &StatefulSetSpec, errors: &mut ErrorList) {
    label_selector(Some(&spec.selector), "spec.selector", errors);
    match selectors::from_object(&spec.selector) {
        // what is wrong has been told; upstream tells the whole once more, without words
        Err(_) => {
            let message = format!("Invalid value: {}", serde_json::json!(spec.selector));
            errors.push("FieldValueInvalid", "spec.selector", message);
        }
        Ok(selector) => {
            if selector.requirements.is_empty() {
                let value = serde_json::json!(spec.selector);
                errors.invalid("spec.selector", value, "empty selector is invalid for statefulset");
            }
            finds_template(&spec.template, |labels| selector.matches(labels), errors);
        }
    }
}

fn strategy(spec: &StatefulSetSpec, errors: &mut ErrorList) {
    let field = "spec.updateStrategy";
    let strategy = spec.update_strategy.clone().unwrap_or_default();
    match strategy.type_.as_deref().unwrap_or_default() {
        "OnDelete" => {
            if let Some(rolling) = &strategy.rolling_update {
                let value = serde_json::json!(rolling);
                let why = "only allowed for updateStrategy 'RollingUpdate'";
                errors.invalid(format!("{field}.rollingUpdate"), value, why);
            }
        }
        "RollingUpdate" => {
            let Some(rolling) = &strategy.rolling_update else { return };
            at_least_zero(&format!("{field}.rollingUpdate.partition"), rolling.partition, errors);
            let at = format!("{field}.rollingUpdate.maxUnavailable");
            super::deployment::count_or_percent(rolling.max_unavailable.as_ref(), &at, errors);
            if super::deployment::amount(rolling.max_unavailable.as_ref()) == Some(0) {
                errors.invalid(&at, serde_json::json!(rolling.max_unavailable), "cannot be 0");
            }
            super::deployment::at_most_all(rolling.max_unavailable.as_ref(), &at, errors);
        }
        _ => {
            let value = serde_json::json!(strategy);
            errors.invalid(field, value, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

fn retention(spec: &StatefulSetSpec, errors: &mut ErrorList) {
    let Some(policy) = &spec.persistent_volume_claim_retention_policy else { return };
    for (name, value) in [("whenScaled", &policy.when_scaled), ("whenDeleted", &policy.when_deleted)] {
        let value = value.as_deref().unwrap_or_default();
        if !["Retain", "Delete"].contains(&value) {
            let field = format!("spec.persistentVolumeClaimRetentionPolicy.{name}");
            errors.not_supported(field, value, &["Retain", "Delete"]);
        }
    }
}
