//! ClusterRoleBindings: as RoleBindings, but to ClusterRoles only, and a service account is named with its namespace.

use super::role_binding::{binding_row, default_subjects, role_stays, validate_binding};
use crate::{Cell, Column, ErrorList, Scope, TypedKind};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;

impl TypedKind for ClusterRoleBinding {
    const SINGULAR: &'static str = "clusterrolebinding";
    const PLURAL: &'static str = "clusterrolebindings";
    const CREATED_BY_UPDATE: bool = true;
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = super::role_binding::BINDING_COLUMNS;

    fn validate_name(name: &str) -> Result<(), String> {
        super::names::path_segment(name)
    }
    fn set_defaults(&mut self) {
        default_subjects(self.subjects.as_deref_mut(), &mut self.role_ref);
    }
    fn validate(&self, errors: &mut ErrorList) {
        validate_binding(&self.role_ref, self.subjects.as_deref(), &["ClusterRole"], false, errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        role_stays(&self.role_ref, &old.role_ref, errors);
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        binding_row(&self.metadata, &self.role_ref, self.subjects.as_deref(), now)
    }
}
