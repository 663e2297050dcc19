//! StorageVersionMigrations: that every object of a resource shall be stored anew. The controller of the same name does it.

use super::checks::{immutable, optional, text};
use super::{conditions, name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind};
use k8s_openapi::api::storagemigration::v1::{StorageVersionMigration, StorageVersionMigrationStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{GroupResource, ObjectMeta};

const CONDITIONS: &str = "status.conditions";
const RUNNING: &str = "Running";
const SUCCEEDED: &str = "Succeeded";
const FAILED: &str = "Failed";

impl TypedKind for StorageVersionMigration {
    const SINGULAR: &'static str = "storageversionmigration";
    const PLURAL: &'static str = "storageversionmigrations";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Resource", "string", "Fully qualified resource to migrate")];

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        self.status = Some(StorageVersionMigrationStatus::default());
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn keep_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
        crate::keep_all_metadata(new, old);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
    fn validate(&self, errors: &mut ErrorList) {
        let at = "spec.resource";
        let of = self.of();
        match of.resource.as_str() {
            "" => errors.required(format_args!("{at}.resource"), "resource is required to be set"),
            resource => optional(names::dns_label_1035, resource, format_args!("{at}.resource"), errors),
        }
        optional(names::dns_subdomain, &of.group, format_args!("{at}.group"), errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        immutable(&self.spec, &old.spec, "spec", errors);
    }
    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        let (revision, before) = (self.revision(), old.revision());
        if !revision.is_empty() && !is_revision(revision) {
            let why = format_args!("resource version is not well formed: {revision}");
            errors.invalid("status.resourceVersion", revision, why);
        }
        let all = self.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions::validate(all, CONDITIONS, errors);
        if !before.is_empty() && before != revision {
            errors.invalid("status.resourceVersion", revision, super::IMMUTABLE);
        }
        let mut wrong = |why: &str| errors.invalid(CONDITIONS, serde_json::json!(all), why);
        if self.is(SUCCEEDED) && self.is(FAILED) {
            wrong("Both success and failed conditions cannot be true at the same time");
        }
        if self.is(SUCCEEDED) && self.is(RUNNING) {
            wrong("Running condition cannot be true when success condition is true");
        }
        if self.is(FAILED) && self.is(RUNNING) {
            wrong("Running condition cannot be true when failed condition is true");
        }
        if old.is(SUCCEEDED) && !self.is(SUCCEEDED) {
            wrong("Success condition cannot be set to false once it is true");
        }
        if old.is(FAILED) && !self.is(FAILED) {
            wrong("Failed condition cannot be set to false once it is true");
        }
    }
    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        let GroupResource { group, resource } = self.of();
        let shown = if group.is_empty() { resource } else { format!("{resource}.{group}") };
        vec![name_of(&self.metadata), shown.into()]
    }
}

/// A number as the store gives them: no sign, no zero in front.
fn is_revision(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

trait Ask {
    fn of(&self) -> GroupResource;
    fn is(&self, condition: &str) -> bool;
    fn revision(&self) -> &str;
}

impl Ask for StorageVersionMigration {
    fn of(&self) -> GroupResource {
        self.spec.as_ref().map(|spec| spec.resource.clone()).unwrap_or_default()
    }

    fn is(&self, condition: &str) -> bool {
        let all = self.status.iter().flat_map(|status| status.conditions.iter().flatten());
        all.into_iter().any(|known| known.type_ == condition && known.status == "True")
    }

    fn revision(&self) -> &str {
        self.status.as_ref().map_or("", |status| text(&status.resource_version))
    }
}
