//! ResourceQuotas: which resources and scopes may be counted together. What counts them is `quota` of this crate, who refuses
//! is `cluster`.

use super::checks::{judged, list};
use super::{fill, name_of, names, pod_validation};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age};
use api::quantity::canonical;
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec, ResourceQuotaStatus, ScopeSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

type Amounts = BTreeMap<String, Quantity>;

const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];
/// What is counted of pods by how well they are served, or how long.
const OF_PODS: [&str; 8] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "pods", "requests.cpu", "requests.memory", "count/pods"];
const OPPOSITES: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

impl TypedKind for ResourceQuota {
    const SINGULAR: &'static str = "resourcequota";
    const PLURAL: &'static str = "resourcequotas";
    const SHORT_NAMES: &'static [&'static str] = &["quota"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Request", "string", "What is used of what may be requested"),
        Column::new("Limit", "string", "What is used of what limits may be"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        if let Some(spec) = self.spec.as_mut() {
            fill::drop_empty(&mut spec.scopes);
            super::amounts::round_up_all(spec.hard.as_mut());
        }
    }

    super::spec_and_status!(ResourceQuotaStatus);

    fn validate(&self, errors: &mut ErrorList) {
        let Some(spec) = &self.spec else { return };
        amounts(spec.hard.as_ref(), "spec.hard", errors);
        scopes(spec, errors);
        if let Some(selector) = &spec.scope_selector {
            scope_selector(selector, errors);
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        let sorted = |quota: &Self| {
            let mut all = quota.spec.as_ref().and_then(|s| s.scopes.clone()).unwrap_or_default();
            all.sort();
            all
        };
        let (new, old) = (sorted(self), sorted(old));
        super::checks::immutable(&new, &old, "spec.scopes", errors);
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        let Some(status) = &self.status else { return };
        amounts(status.hard.as_ref(), "status.hard", errors);
        amounts(status.used.as_ref(), "status.used", errors);
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let (requests, limits) = used_of_hard(self.status.as_ref());
        vec![
            name_of(&self.metadata),
            requests.into(),
            limits.into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

/// `pods: 1/10, requests.cpu: 100m/1`, and the same of limits.
fn used_of_hard(status: Option<&ResourceQuotaStatus>) -> (String, String) {
    let none = Amounts::new();
    let hard = status.and_then(|s| s.hard.as_ref()).unwrap_or(&none);
    let used = status.and_then(|s| s.used.as_ref()).unwrap_or(&none);
    let written = |of: Option<&Quantity>| {
        of.map_or_else(|| "0".to_owned(), |of| canonical(&of.0).unwrap_or_else(|_| of.0.clone()))
    };
    let (limits, requests): (Vec<_>, Vec<_>) = hard
        .iter()
        .map(|(name, most)| (name, format!("{name}: {}/{}", written(used.get(name)), written(Some(most)))))
        .partition(|(name, _)| name.starts_with("limits."));
    let joined =
        |all: Vec<(&String, String)>| all.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", ");
    (joined(requests), joined(limits))
}

fn amounts(amounts: Option<&Amounts>, at: &str, errors: &mut ErrorList) {
    for (name, amount) in amounts.into_iter().flatten() {
        let at = format!("{at}[{name}]");
        judged(names::qualified, name, &at, errors);
        let is_known = pod_validation::STANDARD.contains(&name.as_str())
            || ["hugepages-", "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix));
        if !name.contains('/') && !is_known {
            errors.invalid(&at, name.as_str(), "must be a standard resource for quota");
        }
        pod_validation::amount(name, amount, &at, errors);
    }
}

fn scopes(spec: &ResourceQuotaSpec, errors: &mut ErrorList) {
    let scopes = list(&spec.scopes);
    let given = || serde_json::json!(scopes);
    let hard: Vec<&String> = spec.hard.iter().flatten().map(|(name, _)| name).collect();
    for scope in scopes {
        if !SCOPES.contains(&scope.as_str()) {
            errors.invalid("spec.scopes", given(), "unsupported scope");
        } else if hard.iter().any(|name| !applies(scope, name)) {
            errors.invalid("spec.scopes", given(), "unsupported scope applied to resource");
        }
    }
    if OPPOSITES.iter().any(|pair| pair.iter().all(|one| scopes.iter().any(|scope| scope == one))) {
        errors.invalid("spec.scopes", given(), "conflicting scopes");
    }
}

fn applies(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods" || resource == "count/pods",
        "NotBestEffort"
        | "Terminating"
        | "NotTerminating"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => {
            OF_PODS.contains(&resource)
                || resource.contains("ephemeral-storage")
                || resource.contains("hugepages-")
        }
        _ => resource.contains("persistentvolumeclaims") || resource.contains("requests.storage"),
    }
}

fn scope_selector(selector: &ScopeSelector, errors: &mut ErrorList) {
    const EXISTS_ONLY: [&str; 5] =
        ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];
    let at = "spec.scopeSelector.matchExpressions";
    for rule in list(&selector.match_expressions) {
        if !SCOPES.contains(&rule.scope_name.as_str()) {
            errors.invalid(format_args!("{at}.scopeName"), rule.scope_name.as_str(), "unsupported scope");
        }
        let operator = rule.operator.as_str();
        if EXISTS_ONLY.contains(&rule.scope_name.as_str()) && operator != "Exists" {
            let why = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            errors.invalid(format_args!("{at}.operator"), operator, why);
        }
        match (operator, list(&rule.values).is_empty()) {
            ("In" | "NotIn", true) => {
                errors.required(
                    format_args!("{at}.values"),
                    "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                );
            }
            ("Exists" | "DoesNotExist", false) => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.invalid(format_args!("{at}.values"), serde_json::json!(rule.values), why);
            }
            ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
            (other, _) => {
                errors.invalid(format_args!("{at}.operator"), other, "not a valid selector operator")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn quota(spec: Value) -> ResourceQuota {
        serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": spec})).unwrap()
    }

    #[test]
    fn quotas_are_judged_in_upstream_s_words() {
        let cases = [
            (
                "good",
                json!({"hard": {"pods": "3", "limits.cpu": "2", "count/deployments.apps": "1", "requests.example.com/gpu": "1"}}),
                "",
            ),
            (
                "unknown",
                json!({"hard": {"lambs": "3"}}),
                "spec.hard[lambs]: Invalid value: \"lambs\": must be a standard resource for quota",
            ),
            ("half a pod", json!({"hard": {"pods": "500m"}}), "must be an integer"),
            ("negative", json!({"hard": {"cpu": "-1"}}), "must be greater than or equal to 0"),
            ("scope", json!({"scopes": ["Lazy"]}), "unsupported scope"),
            (
                "a scope's resource",
                json!({"hard": {"services": "1"}, "scopes": ["Terminating"]}),
                "unsupported scope applied to resource",
            ),
            ("opposites", json!({"scopes": ["Terminating", "NotTerminating"]}), "conflicting scopes"),
            (
                "selector",
                json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}}),
                "must be at least one value",
            ),
        ];
        for (name, spec, want) in cases {
            let mut errors = ErrorList::default();
            quota(spec).validate(&mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            let said = said.join("; ");
            assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}: {said}");
        }
        let mut errors = ErrorList::default();
        quota(json!({"scopes": ["Terminating"]})).validate_update(&quota(json!({})), &mut errors);
        assert!(!errors.is_empty(), "scopes stay");
    }

    #[test]
    fn what_is_used_stands_beside_what_may_be() {
        let status: ResourceQuotaStatus = serde_json::from_value(json!({
            "hard": {"pods": "10", "requests.cpu": "1000m", "limits.cpu": "2"}, "used": {"pods": "1", "requests.cpu": "0.1"},
        }))
        .unwrap();
        let want = ("pods: 1/10, requests.cpu: 100m/1".to_owned(), "limits.cpu: 0/2".to_owned());
        assert_eq!(used_of_hard(Some(&status)), want);
    }
}
