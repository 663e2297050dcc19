//! An object on its way through the server, with its type erased.

use crate::{Cell, ErrorList, ScaleNumbers, Subresource, TypedKind};
use api::{REVISION_PLACEHOLDER, Status, Unstamped};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::any::Any;

/// An object of any kind: a Rust type, or [`crate::Unstructured`]. `old` arguments are always of the same kind.
pub trait Instance: Any + Send + Sync {
    fn meta(&self) -> &ObjectMeta;
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    fn set_defaults(&mut self);
    fn prepare_create(&mut self);
    fn prepare_update(&mut self, old: &dyn Instance);
    /// With what of the metadata it may not change.
    fn prepare_status_update(&mut self, old: &dyn Instance);
    fn prepare_subresource_update(&mut self, _subresource: Subresource, old: &dyn Instance) {
        self.prepare_update(old);
    }
    fn generation_changes(&self, old: &dyn Instance) -> bool;
    fn validate(&self, errors: &mut ErrorList);
    fn validate_create(&self, _errors: &mut ErrorList) {}
    fn validate_update(&self, old: &dyn Instance, errors: &mut ErrorList);
    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        None
    }
    fn validate_status_update(&self, _old: &dyn Instance, _errors: &mut ErrorList) {}
    fn warnings(&self, _old: Option<&dyn Instance>) -> Vec<String> {
        Vec::new()
    }
    fn validate_subresource_update(
        &self,
        _subresource: Subresource,
        old: &dyn Instance,
        errors: &mut ErrorList,
    ) {
        self.validate_update(old, errors);
    }
    fn field(&self, path: &str) -> String;
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell>;
    /// Whether nothing but the revision differs.
    fn same_as(&self, old: &dyn Instance) -> bool;
    /// The bytes that are stored, but with the revision that its metadata says.
    ///
    /// # Errors
    /// `InternalError`, where it can not be written.
    fn to_json(&self) -> Result<Vec<u8>, Status>;
    /// # Errors
    /// `InternalError`: see [`Unstamped::new`].
    fn encode(&self) -> Result<Unstamped, Status> {
        self.clone_box().encode_in_place()
    }
    /// The same, without a copy of what may be large: the object is changed meanwhile, and afterwards what it was.
    ///
    /// # Errors
    /// As [`Instance::encode`].
    fn encode_in_place(&mut self) -> Result<Unstamped, Status> {
        let revision = self.meta_mut().resource_version.replace(REVISION_PLACEHOLDER.to_owned());
        let json = self.to_json();
        self.meta_mut().resource_version = revision;
        Unstamped::new(json?)
    }
    fn clone_box(&self) -> Box<dyn Instance>;
    /// `None` for a kind that can not be scaled.
    fn scale(&self) -> Option<ScaleNumbers>;
    /// Wishes for so many; of what has a scale.
    fn set_replicas(&mut self, replicas: i32);
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl dyn Instance {
    pub fn downcast_ref<K: 'static>(&self) -> Option<&K> {
        self.as_any().downcast_ref()
    }

    pub fn downcast_mut<K: 'static>(&mut self) -> Option<&mut K> {
        self.as_any_mut().downcast_mut()
    }
}

impl<K: TypedKind> Instance for K {
    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.metadata_mut()
    }
    fn set_defaults(&mut self) {
        TypedKind::set_defaults(self);
    }
    fn prepare_create(&mut self) {
        TypedKind::prepare_create(self);
    }
    fn prepare_update(&mut self, old: &dyn Instance) {
        TypedKind::prepare_update(self, same_kind(old));
    }
    fn prepare_status_update(&mut self, old: &dyn Instance) {
        let old: &K = same_kind(old);
        K::keep_metadata(self.metadata_mut(), old.metadata());
        TypedKind::prepare_status_update(self, old);
    }
    fn generation_changes(&self, old: &dyn Instance) -> bool {
        TypedKind::generation_changes(self, same_kind(old))
    }
    fn validate(&self, errors: &mut ErrorList) {
        TypedKind::validate(self, errors);
    }
    fn validate_create(&self, errors: &mut ErrorList) {
        TypedKind::validate_create(self, errors);
    }
    fn validate_update(&self, old: &dyn Instance, errors: &mut ErrorList) {
        TypedKind::validate_update(self, same_kind(old), errors);
    }
    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        TypedKind::pod_template(self)
    }
    fn validate_status_update(&self, old: &dyn Instance, errors: &mut ErrorList) {
        TypedKind::validate_status_update(self, same_kind(old), errors);
    }
    fn validate_subresource_update(
        &self,
        subresource: Subresource,
        old: &dyn Instance,
        errors: &mut ErrorList,
    ) {
        TypedKind::validate_subresource_update(self, subresource, same_kind(old), errors);
    }
    fn prepare_subresource_update(&mut self, subresource: Subresource, old: &dyn Instance) {
        TypedKind::prepare_subresource_update(self, subresource, same_kind(old));
    }
    fn warnings(&self, old: Option<&dyn Instance>) -> Vec<String> {
        TypedKind::warnings(self, old.map(same_kind))
    }
    fn field(&self, path: &str) -> String {
        match path {
            "metadata.name" => self.metadata().name.clone().unwrap_or_default(),
            "metadata.namespace" => self.metadata().namespace.clone().unwrap_or_default(),
            path => TypedKind::field(self, path),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        TypedKind::row(self, now)
    }
    fn same_as(&self, old: &dyn Instance) -> bool {
        let old: &K = same_kind(old);
        if self.metadata().resource_version == old.metadata().resource_version {
            return self == old;
        }
        let mut copy = self.clone();
        copy.metadata_mut().resource_version.clone_from(&old.metadata().resource_version);
        copy == *old
    }
    fn to_json(&self) -> Result<Vec<u8>, Status> {
        serde_json::to_vec(self).map_err(Status::internal)
    }
    fn clone_box(&self) -> Box<dyn Instance> {
        Box::new(self.clone())
    }
    fn scale(&self) -> Option<ScaleNumbers> {
        TypedKind::scale(self)
    }
    fn set_replicas(&mut self, replicas: i32) {
        TypedKind::set_replicas(self, replicas);
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn same_kind<K: TypedKind>(other: &dyn Instance) -> &K {
    other.downcast_ref().expect("an update never changes the kind: the path chose the version for both")
}
