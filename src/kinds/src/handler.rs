use crate::{Cell, Column, Errors, FieldValidation, Kind, ResourceInfo, decode};
use api::{Object, REVISION_PLACEHOLDER, Status, Unstamped};
use bytes::Bytes;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::WebhookClientConfig;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schema::Schema;
use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

/// A kind with its type erased: what serves any kind works on this. Custom resources are handlers without a type.
pub trait Handler: Send + Sync + 'static {
    fn info(&self) -> &ResourceInfo;
    fn columns(&self) -> &[Column];
    /// Whether a field selector may name the path; `metadata.name` and `metadata.namespace` are everybody's.
    fn selects_by(&self, path: &str) -> bool;
    /// What is said of a path that it does not select by.
    fn refuse_selector(&self, path: &str) -> String {
        format!("field label not supported: {path}")
    }
    fn graceful_deletion(&self) -> bool;
    fn orphans_by_default(&self) -> bool;
    /// A warning for everybody who touches the kind.
    fn deprecation(&self) -> Option<&str> {
        None
    }
    /// How objects become those of another version, where a webhook says it. What is stored is then of the version that it
    /// names itself, and [`Handler::decode_stored`] takes only what is of this one.
    fn conversion(&self) -> Option<&Conversion> {
        None
    }
    /// The OpenAPI schema that a definition brought along; the built-in kinds' are made with the program.
    fn published_schema(&self) -> Option<&serde_json::Value> {
        None
    }
    fn validate_name(&self, name: &str) -> Result<(), String>;

    /// What this version of the kind asks beside what every version asks; `old` on an update.
    fn validate_version(&self, _new: &dyn Instance, _old: Option<&dyn Instance>, _errors: &mut Errors) {}

    /// A client's JSON.
    ///
    /// # Errors
    /// `BadRequest`, as [`FieldValidation`] says.
    fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status>;
    /// # Errors
    /// `InternalError` where what is stored does not fit the type.
    fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status>;
    /// The stored bytes as this version of the kind shows them; the same bytes for all but the second faces of events and autoscalers.
    fn present(&self, bytes: &Bytes) -> Bytes {
        bytes.clone()
    }
    /// What the fields of its objects are: server-side apply takes them apart by it.
    fn schema(&self) -> &Schema;
    /// How lists are merged by a strategic merge patch; `None` for kinds that take none, as custom ones.
    fn merge_keys(&self) -> Option<&Schema> {
        Some(self.schema())
    }
}

/// The webhook that converts between the versions of a kind.
#[derive(Debug, Clone)]
pub struct Conversion {
    pub client: WebhookClientConfig,
    /// Of `ConversionReview`, the better first.
    pub review_versions: Vec<String>,
    /// `GROUP/VERSION` in which objects are stored.
    pub stored_version: String,
}

pub struct Decoded {
    pub instance: Box<dyn Instance>,
    /// One text for each unknown field.
    pub warnings: Vec<String>,
}

/// A typed object with its type erased. `old` arguments are always of the same kind.
pub trait Instance: Any + Send + Sync {
    fn meta(&self) -> &ObjectMeta;
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    fn set_defaults(&mut self);
    fn prepare_create(&mut self);
    fn prepare_update(&mut self, old: &dyn Instance);
    /// With what of the metadata it may not change.
    fn prepare_status_update(&mut self, old: &dyn Instance);
    fn prepare_part_update(&mut self, _part: &str, old: &dyn Instance) {
        self.prepare_update(old);
    }
    fn generation_changes(&self, old: &dyn Instance) -> bool;
    fn validate(&self, errors: &mut Errors);
    fn validate_create(&self, _errors: &mut Errors) {}
    fn validate_update(&self, old: &dyn Instance, errors: &mut Errors);
    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        None
    }
    fn validate_status_update(&self, _old: &dyn Instance, _errors: &mut Errors) {}
    fn warnings(&self, _old: Option<&dyn Instance>) -> Vec<String> {
        Vec::new()
    }
    fn validate_part_update(&self, _part: &str, old: &dyn Instance, errors: &mut Errors) {
        self.validate_update(old, errors);
    }
    fn field(&self, path: &str) -> String;
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell>;
    /// Whether nothing but the revision differs.
    fn same_as(&self, old: &dyn Instance) -> bool;
    /// # Errors
    /// `InternalError`: see [`Unstamped::new`].
    fn encode(&self) -> Result<Unstamped, Status>;
    fn clone_box(&self) -> Box<dyn Instance>;
    /// The scale of a kind whose definition says where its numbers are.
    fn scale_by_path(&self) -> Option<Scale> {
        None
    }
    /// Sets the wanted number there; `false` where there is no such place.
    fn set_scale_by_path(&mut self, _replicas: i32) -> bool {
        false
    }
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

impl<K: Kind> Instance for K {
    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.metadata_mut()
    }
    fn set_defaults(&mut self) {
        Kind::set_defaults(self);
    }
    fn prepare_create(&mut self) {
        Kind::prepare_create(self);
    }
    fn prepare_update(&mut self, old: &dyn Instance) {
        Kind::prepare_update(self, same_kind(old));
    }
    fn prepare_status_update(&mut self, old: &dyn Instance) {
        let old: &K = same_kind(old);
        K::keep_metadata(self.metadata_mut(), old.metadata());
        Kind::prepare_status_update(self, old);
    }
    fn generation_changes(&self, old: &dyn Instance) -> bool {
        Kind::generation_changes(self, same_kind(old))
    }
    fn validate(&self, errors: &mut Errors) {
        Kind::validate(self, errors);
    }
    fn validate_create(&self, errors: &mut Errors) {
        Kind::validate_create(self, errors);
    }
    fn validate_update(&self, old: &dyn Instance, errors: &mut Errors) {
        Kind::validate_update(self, same_kind(old), errors);
    }
    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Kind::pod_template(self)
    }
    fn validate_status_update(&self, old: &dyn Instance, errors: &mut Errors) {
        Kind::validate_status_update(self, same_kind(old), errors);
    }
    fn validate_part_update(&self, part: &str, old: &dyn Instance, errors: &mut Errors) {
        Kind::validate_part_update(self, part, same_kind(old), errors);
    }
    fn prepare_part_update(&mut self, part: &str, old: &dyn Instance) {
        Kind::prepare_part_update(self, part, same_kind(old));
    }
    fn warnings(&self, old: Option<&dyn Instance>) -> Vec<String> {
        Kind::warnings(self, old.map(same_kind))
    }
    fn field(&self, path: &str) -> String {
        match path {
            "metadata.name" => self.metadata().name.clone().unwrap_or_default(),
            "metadata.namespace" => self.metadata().namespace.clone().unwrap_or_default(),
            path => Kind::field(self, path),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        Kind::row(self, now)
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
    fn encode(&self) -> Result<Unstamped, Status> {
        let mut copy = self.clone();
        copy.metadata_mut().resource_version = Some(REVISION_PLACEHOLDER.to_owned());
        Unstamped::new(serde_json::to_vec(&copy).map_err(Status::internal)?)
    }
    fn clone_box(&self) -> Box<dyn Instance> {
        Box::new(self.clone())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn same_kind<K: Kind>(other: &dyn Instance) -> &K {
    other.downcast_ref().expect("an update never changes the kind: the path chose the handler for both")
}

struct Typed<K> {
    info: ResourceInfo,
    schema: &'static Schema,
    kind: PhantomData<fn() -> K>,
}

/// The handler of a built-in kind.
pub fn handler_of<K: Kind>() -> Arc<dyn Handler> {
    let info = K::info();
    Arc::new(Typed::<K> { schema: schema_of(&info.gvk), info, kind: PhantomData })
}

/// The schema of a built-in kind.
pub(crate) fn schema_of(gvk: &api::Gvk) -> &'static Schema {
    let named = schema::table::type_of(&gvk.group, &gvk.version, &gvk.kind).and_then(schema::table::named);
    named.unwrap_or_else(|| panic!("assets/kubernetes/types.tsv has no {gvk:?}"))
}

impl<K: Kind> Handler for Typed<K> {
    fn info(&self) -> &ResourceInfo {
        &self.info
    }
    fn schema(&self) -> &Schema {
        self.schema
    }
    fn columns(&self) -> &[Column] {
        K::COLUMNS
    }
    fn selects_by(&self, path: &str) -> bool {
        K::FIELDS.contains(&path)
    }
    fn refuse_selector(&self, path: &str) -> String {
        // upstream's words of a kind that has no list of its own
        match K::FIELDS {
            [] => format!(
                "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ),
            _ => format!("field label not supported: {path}"),
        }
    }
    fn graceful_deletion(&self) -> bool {
        K::GRACEFUL_DELETION
    }
    fn orphans_by_default(&self) -> bool {
        K::ORPHANS_BY_DEFAULT
    }
    fn deprecation(&self) -> Option<&str> {
        K::DEPRECATION
    }
    fn validate_name(&self, name: &str) -> Result<(), String> {
        K::validate_name(name)
    }
    fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        let (object, warnings) = decode::decode::<K>(&self.info.gvk, self.schema, json, strictness)?;
        Ok(Decoded { instance: Box::new(object), warnings })
    }
    fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status> {
        let typed: K =
            object.decode().map_err(|e| Status::internal(format!("stored {}: {e}", object.key())))?;
        Ok(Box::new(typed))
    }
}
