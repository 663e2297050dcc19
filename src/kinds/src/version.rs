//! One version of a kind, which is all that routes, admission and storage know of what they serve.

use crate::{Column, Decoded, ErrorList, FieldValidation, Instance, ResourceInfo, Strategy, Subresource};
use api::{Object, ResourceVersion, Status};
use bytes::Bytes;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::WebhookClientConfig;
use schema::Schema;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

/// A version of a kind, as its paths serve it: what serves any kind works on this. What can be said of it is data; what it
/// does is its [`Strategy`].
pub struct Version {
    pub(crate) info: ResourceInfo,
    pub(crate) schema: SchemaRef,
    pub(crate) columns: Cow<'static, [Column]>,
    /// What a field selector may name, besides the name and the namespace.
    pub(crate) selectable_fields: Vec<Cow<'static, str>>,
    pub(crate) graceful_deletion: bool,
    pub(crate) orphans_by_default: bool,
    pub(crate) created_by_update: bool,
    pub(crate) updated_unconditionally: bool,
    pub(crate) deprecation: Option<Cow<'static, str>>,
    /// Of a kind that a CustomResourceDefinition defines.
    pub(crate) custom: Option<Custom>,
    pub(crate) strategy: Box<dyn Strategy>,
}

/// What a definition brings along, and the program has of its own kinds in other ways.
pub(crate) struct Custom {
    /// As it was written, in JSON: a tree of values would take some tens of times as much.
    pub(crate) published_schema: Arc<str>,
    /// `GROUP/VERSION`
    pub(crate) stored_version: String,
    pub(crate) conversion: Option<Conversion>,
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

/// Of the table of types, or of a definition.
#[derive(Clone)]
pub enum SchemaRef {
    Table(&'static Schema),
    Own(Arc<Schema>),
}

impl Deref for SchemaRef {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        match self {
            SchemaRef::Table(schema) => schema,
            SchemaRef::Own(schema) => schema,
        }
    }
}

impl SchemaRef {
    /// The schema of a built-in kind.
    ///
    /// # Panics
    /// On a kind that the table has not; every test that starts with the built-in kinds would see it.
    pub(crate) fn of(gvk: &api::Gvk) -> Self {
        let named =
            schema::table::type_of(&gvk.group, &gvk.version, &gvk.kind).and_then(schema::table::named);
        SchemaRef::Table(named.unwrap_or_else(|| panic!("assets/kubernetes/types.tsv has no {gvk:?}")))
    }
}

impl Version {
    pub fn info(&self) -> &ResourceInfo {
        &self.info
    }

    /// What the fields of its objects are: server-side apply takes them apart by it.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What a field selector may name beside `metadata.name` and `metadata.namespace`.
    pub fn selectable_fields(&self) -> impl Iterator<Item = &str> {
        self.selectable_fields.iter().map(|path| &**path)
    }

    /// Whether a field selector may name the path; `metadata.name` and `metadata.namespace` are everybody's.
    pub fn selects_by(&self, path: &str) -> bool {
        self.selectable_fields.iter().any(|known| known == path)
    }

    /// What is said of a path that it does not select by.
    pub fn refuse_selector(&self, path: &str) -> String {
        match !self.selectable_fields.is_empty() || self.custom.is_some() {
            true => format!("field label not supported: {path}"),
            // upstream's words of a kind that has no list of its own
            false => {
                format!(
                    "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                )
            }
        }
    }

    pub fn graceful_deletion(&self) -> bool {
        self.graceful_deletion
    }

    /// Whether what its objects own stays when a deletion does not say what shall become of it.
    pub fn orphans_by_default(&self) -> bool {
        self.orphans_by_default
    }

    /// Whether a PUT of what is not there creates it.
    pub fn created_by_update(&self) -> bool {
        self.created_by_update
    }

    /// Whether a PUT may leave out which revision it replaces.
    pub fn updated_unconditionally(&self) -> bool {
        self.updated_unconditionally
    }

    /// A warning for everybody who touches the version.
    pub fn deprecation(&self) -> Option<&str> {
        self.deprecation.as_deref()
    }

    /// How objects become those of another version, where a webhook says it. What is stored is then of the version that it
    /// names itself, and [`Version::decode_stored`] takes only what is of this one.
    pub fn conversion(&self) -> Option<&Conversion> {
        self.custom.as_ref().and_then(|custom| custom.conversion.as_ref())
    }

    /// `GROUP/VERSION` in which objects of the kind are stored, where a definition says it.
    pub fn stored_version(&self) -> Option<&str> {
        self.custom.as_ref().map(|custom| custom.stored_version.as_str())
    }

    /// The OpenAPI schema that a definition brought along, in JSON; the built-in kinds' are made with the program.
    pub fn published_schema(&self) -> Option<&str> {
        self.custom.as_ref().map(|custom| &*custom.published_schema)
    }

    /// How lists are merged by a strategic merge patch; `None` for kinds that take none, as custom ones.
    pub fn merge_keys(&self) -> Option<&Schema> {
        if self.custom.is_none() { Some(&self.schema) } else { None }
    }

    /// # Errors
    /// Why it is no good name, in upstream's words.
    pub fn validate_name(&self, name: &str) -> Result<(), String> {
        self.strategy.validate_name(name)
    }

    /// What this version asks beside what every version of the kind asks; `old` on an update.
    pub fn validate_version(&self, new: &dyn Instance, old: Option<&dyn Instance>, errors: &mut ErrorList) {
        self.strategy.validate_version(new, old, errors);
    }

    /// A client's JSON.
    ///
    /// # Errors
    /// `BadRequest`, as [`FieldValidation`] says.
    pub fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        self.strategy.decode(json, strictness)
    }

    /// # Errors
    /// `InternalError` where what is stored does not fit the type.
    pub fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status> {
        self.strategy.decode_stored(object)
    }

    /// `old` as it would be stored now. Zeros and empty lists that a client had said were stored once, where Go leaves them out: who
    /// writes the object has them no more, and has changed nothing by it. `None` where there are none, and of custom kinds.
    pub fn without_zeros(&self, old: &dyn Instance) -> Option<Box<dyn Instance>> {
        let schema = self.merge_keys()?;
        let json = old.to_json().ok()?;
        if !schema::check(&json, schema).ok()?.zeros {
            return None;
        }
        let mut value: Value = serde_json::from_slice(&json).ok()?;
        schema::drop_zeros(&mut value, schema);
        let json = serde_json::to_vec(&value).ok()?;
        let object = Object::from_stored(json.into(), ResourceVersion(0)).ok()?;
        let mut old = self.decode_stored(&object).ok()?;
        old.set_defaults();
        Some(old)
    }

    /// The stored bytes as this version shows them.
    pub fn present(&self, bytes: &Bytes) -> Bytes {
        self.strategy.present(bytes)
    }

    /// The fields on the way to the number that the scale of its objects shows, where it has a scale.
    pub fn replicas_path(&self) -> Option<Vec<&str>> {
        self.info.has_subresource(Subresource::Scale).then(|| self.strategy.replicas_path())?
    }

    /// For what is read of the store to be converted: the defaults that its definition has by now for the version that it is
    /// stored in. [`Version::present`] and [`Version::decode_stored`] have done it.
    pub fn complete_stored(&self, object: &mut Value) {
        self.strategy.complete_stored(object);
    }
}
