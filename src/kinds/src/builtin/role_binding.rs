//! RoleBindings, and what they have in common with ClusterRoleBindings: the role stays, subjects are completed and judged,
//! columns.

use super::checks::{optional, required, text};
use super::{fill, name_of, names};
use crate::{Cell, Column, ErrorList, TypedKind, age};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) const BINDING_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("Role", "string", "The role that is bound"),
    Column::AGE,
    Column::wide("Users", "string", "Users in the role binding"),
    Column::wide("Groups", "string", "Groups in the role binding"),
    Column::wide("ServiceAccounts", "string", "Service accounts in the role binding"),
];

impl TypedKind for RoleBinding {
    const SINGULAR: &'static str = "rolebinding";
    const PLURAL: &'static str = "rolebindings";
    const CREATED_BY_UPDATE: bool = true;
    const COLUMNS: &'static [Column] = BINDING_COLUMNS;

    fn validate_name(name: &str) -> Result<(), String> {
        super::names::path_segment(name)
    }
    fn set_defaults(&mut self) {
        default_subjects(self.subjects.as_deref_mut(), &mut self.role_ref);
    }
    fn validate(&self, errors: &mut ErrorList) {
        validate_binding(&self.role_ref, self.subjects.as_deref(), &["Role", "ClusterRole"], true, errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        role_stays(&self.role_ref, &old.role_ref, errors);
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        binding_row(&self.metadata, &self.role_ref, self.subjects.as_deref(), now)
    }
}

pub(super) fn binding_row(
    meta: &ObjectMeta,
    role: &RoleRef,
    subjects: Option<&[Subject]>,
    now: jiff::Timestamp,
) -> Vec<Cell> {
    let role = format!("{}/{}", role.kind, role.name);
    let mut cells = vec![name_of(meta), role.into(), age(meta.creation_timestamp.as_ref(), now)];
    cells.extend(subject_columns(subjects));
    cells
}

pub(super) fn role_stays(new: &RoleRef, old: &RoleRef, errors: &mut ErrorList) {
    if new != old {
        errors.invalid("roleRef", serde_json::json!(new), "cannot change roleRef");
    }
}

pub(super) fn default_subjects(subjects: Option<&mut [Subject]>, role: &mut RoleRef) {
    fill::text(&mut role.api_group, GROUP);
    for subject in
        subjects.unwrap_or_default().iter_mut().filter(|s| ["User", "Group"].contains(&s.kind.as_str()))
    {
        fill::text(&mut subject.api_group, GROUP);
    }
}

/// A binding in a namespace finds service accounts there; one of the cluster must be told where.
pub(super) fn validate_binding(
    role: &RoleRef,
    subjects: Option<&[Subject]>,
    kinds: &[&str],
    namespaced: bool,
    errors: &mut ErrorList,
) {
    if text(&role.api_group) != GROUP {
        errors.not_supported("roleRef.apiGroup", text(&role.api_group), &[GROUP]);
    }
    if !kinds.contains(&role.kind.as_str()) {
        errors.not_supported("roleRef.kind", role.kind.as_str(), kinds);
    }
    required(names::path_segment, &role.name, "roleRef.name", errors);
    for (index, subject) in subjects.unwrap_or_default().iter().enumerate() {
        validate_subject(subject, namespaced, &format!("subjects[{index}]"), errors);
    }
}

fn validate_subject(subject: &Subject, namespaced: bool, at: &str, errors: &mut ErrorList) {
    let (name, group) = (subject.name.as_str(), text(&subject.api_group));
    if name.is_empty() {
        errors.required(format_args!("{at}.name"), "");
    }
    match subject.kind.as_str() {
        "ServiceAccount" => {
            optional(names::dns_subdomain, name, format_args!("{at}.name"), errors);
            if !group.is_empty() {
                errors.not_supported(format_args!("{at}.apiGroup"), group, &[""]);
            }
            if !namespaced && text(&subject.namespace).is_empty() {
                errors.required(format_args!("{at}.namespace"), "");
            }
        }
        kind @ ("User" | "Group") => {
            if name.is_empty() {
                let why = format!("{} name cannot be empty", kind.to_lowercase());
                errors.invalid(format_args!("{at}.name"), name, why);
            }
            if group != GROUP {
                errors.not_supported(format_args!("{at}.apiGroup"), group, &[GROUP]);
            }
        }
        other => {
            let known = ["ServiceAccount", "User", "Group"];
            errors.not_supported(format_args!("{at}.kind"), other, &known);
        }
    }
}

fn subject_columns(subjects: Option<&[Subject]>) -> [Cell; 3] {
    let of = |kind: &str| {
        let named = subjects.unwrap_or_default().iter().filter(|s| s.kind == kind);
        let names: Vec<String> = named
            .map(|s| match s.namespace.as_deref() {
                Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{}", s.name),
                _ => s.name.clone(),
            })
            .collect();
        Cell::from(names.join(", "))
    };
    [of("User"), of("Group"), of("ServiceAccount")]
}
