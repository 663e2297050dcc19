//! Roles: rules of one namespace, judged as those of ClusterRoles are.

use super::cluster_role::{created, rules};
use super::name_of;
use crate::{Cell, Column, ErrorList, TypedKind};
use k8s_openapi::api::rbac::v1::Role;

impl TypedKind for Role {
    const SINGULAR: &'static str = "role";
    const PLURAL: &'static str = "roles";
    const CREATED_BY_UPDATE: bool = true;
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Created At", "date", "When the object was created")];

    fn validate_name(name: &str) -> Result<(), String> {
        super::names::path_segment(name)
    }
    fn validate(&self, errors: &mut ErrorList) {
        rules(self.rules.as_deref().unwrap_or_default(), true, errors);
    }
    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        vec![name_of(&self.metadata), created(&self.metadata)]
    }
}
