use super::name_of;
use super::role_binding::{default_subjects, subject_columns, validate_binding};
use crate::{Cell, Column, Errors, Kind, Scope, age};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;

impl Kind for ClusterRoleBinding {
    const SINGULAR: &'static str = "clusterrolebinding";
    const PLURAL: &'static str = "clusterrolebindings";
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = super::role_binding::BINDING_COLUMNS;

    fn validate_name(name: &str) -> Result<(), String> {
        super::names::path_segment(name)
    }
    fn set_defaults(&mut self) {
        default_subjects(self.subjects.as_deref_mut(), &mut self.role_ref);
    }
    fn validate(&self, errors: &mut Errors) {
        validate_binding(&self.role_ref, self.subjects.as_deref(), &["ClusterRole"], errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if self.role_ref != old.role_ref {
            errors.invalid("roleRef", serde_json::json!(self.role_ref), "cannot change roleRef");
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let mut cells = vec![
            name_of(&self.metadata),
            format!("{}/{}", self.role_ref.kind, self.role_ref.name).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ];
        cells.extend(subject_columns(self.subjects.as_deref()));
        cells
    }
}
