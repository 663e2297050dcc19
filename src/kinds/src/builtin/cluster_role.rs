//! ClusterRoles, and the rules that Roles share with them: resources or URLs, never both in one rule.

use super::checks::{is_empty, label_selector, list};
use super::name_of;
use crate::{Cell, Column, ErrorList, Scope, TypedKind};
use k8s_openapi::api::rbac::v1::{AggregationRule, ClusterRole, PolicyRule};

const CREATED: Column = Column::new("Created At", "date", "When the object was created");

impl TypedKind for ClusterRole {
    const SINGULAR: &'static str = "clusterrole";
    const PLURAL: &'static str = "clusterroles";
    const CREATED_BY_UPDATE: bool = true;
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[Column::NAME, CREATED];

    fn validate_name(name: &str) -> Result<(), String> {
        super::names::path_segment(name)
    }
    fn validate(&self, errors: &mut ErrorList) {
        rules(list(&self.rules), false, errors);
        self.aggregation_rule.iter().for_each(|rule| aggregation(rule, errors));
    }
    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        vec![name_of(&self.metadata), created(&self.metadata)]
    }
}

/// RFC 3339, as upstream prints the date of RBAC's objects.
pub(super) fn created(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Cell {
    meta.creation_timestamp.as_ref().map(|t| t.0.to_string()).into()
}

pub(super) fn rules(rules: &[PolicyRule], namespaced: bool, errors: &mut ErrorList) {
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("rules[{index}]");
        if rule.verbs.is_empty() {
            errors.required(format_args!("{at}.verbs"), "verbs must contain at least one value");
        }
        let (groups, resources) = (list(&rule.api_groups), list(&rule.resources));
        let (urls, named) = (list(&rule.non_resource_urls), list(&rule.resource_names));
        if !urls.is_empty() {
            let field = format!("{at}.nonResourceURLs");
            if namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                errors.invalid(&field, urls.to_vec(), why);
            }
            if !groups.is_empty() || !resources.is_empty() || !named.is_empty() {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                errors.invalid(&field, urls.to_vec(), why);
            }
            continue;
        }
        if groups.is_empty() {
            errors.required(
                format_args!("{at}.apiGroups"),
                "resource rules must supply at least one api group",
            );
        }
        if resources.is_empty() {
            errors
                .required(format_args!("{at}.resources"), "resource rules must supply at least one resource");
        }
    }
}

/// Roles are gathered by the labels that they bear.
fn aggregation(rule: &AggregationRule, errors: &mut ErrorList) {
    let at = "aggregationRule.clusterRoleSelectors";
    let selectors = list(&rule.cluster_role_selectors);
    if selectors.is_empty() {
        errors.required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil");
    }
    for (index, selector) in selectors.iter().enumerate() {
        label_selector(Some(selector), &format!("{at}[{index}]"), errors);
        if is_empty(selector) {
            let value = serde_json::json!(selector);
            errors.invalid(format_args!("{at}[{index}]"), value, "must not be empty");
        }
    }
}
