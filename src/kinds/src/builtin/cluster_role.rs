use super::name_of;
use crate::{Cell, Column, Errors, Kind, Scope};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

const CREATED: Column = Column::new("Created At", "date", "When the object was created");

impl Kind for ClusterRole {
    const SINGULAR: &'static str = "clusterrole";
    const PLURAL: &'static str = "clusterroles";
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[Column::NAME, CREATED];

    fn validate_name(name: &str) -> Result<(), String> {
        super::names::path_segment(name)
    }
    fn validate(&self, errors: &mut Errors) {
        rules(self.rules.as_deref().unwrap_or_default(), false, errors);
    }
    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        vec![name_of(&self.metadata), created(&self.metadata)]
    }
}

/// RFC 3339, as upstream prints the date of RBAC's objects.
pub(super) fn created(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Cell {
    meta.creation_timestamp.as_ref().map(|t| t.0.to_string()).into()
}

pub(super) fn rules(rules: &[PolicyRule], namespaced: bool, errors: &mut Errors) {
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("rules[{index}]");
        let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
        if rule.verbs.is_empty() {
            errors.required(format!("{at}.verbs"), "verbs must contain at least one value");
        }
        if !empty(&rule.non_resource_urls) {
            if namespaced {
                let urls = rule.non_resource_urls.clone().unwrap_or_default();
                errors.invalid(
                    format!("{at}.nonResourceURLs"),
                    urls,
                    "namespaced rules cannot apply to non-resource URLs",
                );
            }
            continue;
        }
        if empty(&rule.api_groups) {
            errors.required(format!("{at}.apiGroups"), "resource rules must supply at least one api group");
        }
        if empty(&rule.resources) {
            errors.required(format!("{at}.resources"), "resource rules must supply at least one resource");
        }
    }
}
