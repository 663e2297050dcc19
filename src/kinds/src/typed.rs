//! The strategy of those kinds that are Rust types.

use crate::{
    Decoded, FieldValidation, Instance, ResourceInfo, SchemaRef, Strategy, TypedKind, Version, decode,
};
use api::{Gvk, Object, Status};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

pub(crate) struct Typed<K> {
    gvk: Gvk,
    schema: SchemaRef,
    kind: PhantomData<fn() -> K>,
}

/// The version of a built-in kind that has a Rust type.
pub fn version_of<K: TypedKind>() -> Arc<Version> {
    let info = K::info();
    let (gvk, schema) = (info.gvk.clone(), SchemaRef::of(&info.gvk));
    let strategy = Typed::<K> { gvk, schema: schema.clone(), kind: PhantomData };
    Arc::new(with_facts_of::<K>(info, schema, K::FIELDS, Box::new(strategy)))
}

/// What `K` says of itself, under these names and with this strategy.
pub(crate) fn with_facts_of<K: TypedKind>(
    info: ResourceInfo,
    schema: SchemaRef,
    selectable_fields: &'static [&'static str],
    strategy: Box<dyn Strategy>,
) -> Version {
    Version {
        info,
        schema,
        columns: Cow::Borrowed(K::COLUMNS),
        selectable_fields: selectable_fields.iter().map(|path| Cow::Borrowed(*path)).collect(),
        graceful_deletion: K::GRACEFUL_DELETION,
        orphans_by_default: K::ORPHANS_BY_DEFAULT,
        created_by_update: K::CREATED_BY_UPDATE,
        updated_unconditionally: K::UPDATED_UNCONDITIONALLY,
        deprecation: K::DEPRECATION.map(Cow::Borrowed),
        custom: None,
        strategy,
    }
}

impl<K: TypedKind> Strategy for Typed<K> {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        K::validate_name(name)
    }
    fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        let (object, warnings) = decode::decode::<K>(&self.gvk, &self.schema, json, strictness)?;
        Ok(Decoded { instance: Box::new(object), warnings })
    }
    /// Of built-in kinds it is one place.
    fn replicas_path(&self) -> Option<Vec<&str>> {
        Some(vec!["spec", "replicas"])
    }
    fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status> {
        let typed: K =
            object.decode().map_err(|e| Status::internal(format!("stored {}: {e}", object.key())))?;
        Ok(Box::new(typed))
    }
}
