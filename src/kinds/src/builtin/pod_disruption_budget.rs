//! PodDisruptionBudgets: how many of the selected pods must stay, or may go, as a number or as a part of all.

use super::checks::{label_selector, not_negative};
use super::deployment::{at_most_all, count_or_percent};
use super::name_of;
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const UNHEALTHY_POD_EVICTION_POLICIES: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];

impl TypedKind for PodDisruptionBudget {
    const SINGULAR: &'static str = "poddisruptionbudget";
    const PLURAL: &'static str = "poddisruptionbudgets";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SHORT_NAMES: &'static [&'static str] = &["pdb"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Min Available", "string", "How many pods must be available"),
        Column::new("Max Unavailable", "string", "How many pods may be unavailable"),
        Column::new("Allowed Disruptions", "integer", "How many pods may be disrupted now"),
        Column::AGE,
    ];

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        // Go writes these also where they are nought, and older clients take an object without them for none
        self.status = Some(PodDisruptionBudgetStatus {
            current_healthy: Some(0),
            desired_healthy: Some(0),
            disruptions_allowed: Some(0),
            expected_pods: Some(0),
            ..PodDisruptionBudgetStatus::default()
        });
    }
    super::spec_and_status!();

    fn validate(&self, errors: &mut ErrorList) {
        let Some(spec) = &self.spec else { return };
        if spec.min_available.is_some() && spec.max_unavailable.is_some() {
            let why = "minAvailable and maxUnavailable cannot be both set";
            errors.invalid("spec", serde_json::json!(spec), why);
        }
        amount(spec.min_available.as_ref(), "spec.minAvailable", errors);
        amount(spec.max_unavailable.as_ref(), "spec.maxUnavailable", errors);
        label_selector(spec.selector.as_ref(), "spec.selector", errors);
        super::checks::among_if_set(
            spec.unhealthy_pod_eviction_policy.as_deref(),
            &UNHEALTHY_POD_EVICTION_POLICIES,
            "spec.unhealthyPodEvictionPolicy",
            errors,
        );
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        let Some(status) = &self.status else { return };
        for (field, count) in [
            ("disruptionsAllowed", status.disruptions_allowed),
            ("currentHealthy", status.current_healthy),
            ("desiredHealthy", status.desired_healthy),
            ("expectedPods", status.expected_pods),
        ] {
            not_negative(count.unwrap_or(0).into(), format_args!("status.{field}"), errors);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = PodDisruptionBudgetSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        vec![
            name_of(&self.metadata),
            shown(spec.min_available.as_ref()),
            shown(spec.max_unavailable.as_ref()),
            self.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

fn amount(value: Option<&IntOrString>, at: &str, errors: &mut ErrorList) {
    count_or_percent(value, at, errors);
    at_most_all(value, at, errors);
}

fn shown(value: Option<&IntOrString>) -> Cell {
    match value {
        None => "N/A".into(),
        Some(IntOrString::Int(count)) => count.to_string().into(),
        Some(IntOrString::String(text)) => text.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn budget(spec: Value) -> PodDisruptionBudget {
        serde_json::from_value(json!({"metadata": {"name": "b"}, "spec": spec})).unwrap()
    }

    #[test]
    fn budgets_are_judged_in_upstream_s_words() {
        let cases = [
            ("a count", json!({"minAvailable": 1, "selector": {}}), ""),
            (
                "a percentage",
                json!({"maxUnavailable": "30%", "unhealthyPodEvictionPolicy": "AlwaysAllow"}),
                "",
            ),
            (
                "both",
                json!({"minAvailable": 1, "maxUnavailable": 1}),
                "minAvailable and maxUnavailable cannot be both set",
            ),
            (
                "negative",
                json!({"minAvailable": -1}),
                "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
            ),
            ("too much", json!({"maxUnavailable": "101%"}), "must not be greater than 100%"),
            ("no percentage", json!({"maxUnavailable": "some"}), "a valid percent string"),
            (
                "policy",
                json!({"unhealthyPodEvictionPolicy": "Never"}),
                "supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
            ("selector", json!({"selector": {"matchLabels": {"a": "?"}}}), "spec.selector.matchLabels"),
        ];
        for (name, spec, want) in cases {
            let mut errors = ErrorList::default();
            budget(spec).validate(&mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            let said = said.join("; ");
            assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}: {said}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_available() {
        let row = budget(json!({"maxUnavailable": "50%"})).row(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(row[1..4], [json!("N/A"), json!("50%"), json!(0)]);
    }

    #[test]
    fn a_new_one_counts_from_nought() {
        let mut made = budget(json!({"minAvailable": 1}));
        made.prepare_create();
        let want =
            json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
        assert_eq!(json!(made.status), want);
        assert_eq!(made.metadata.generation, Some(1));
    }
}
