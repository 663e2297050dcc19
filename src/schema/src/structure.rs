//! What server-side apply asks of a schema.

use crate::{ListType, Schema, Type, table};
use api::apply::Structure;
use serde_json::Value;

impl Schema {
    /// The node at a path of fields, lists passed through.
    pub fn at(&self, path: &[&str]) -> Option<&Schema> {
        let mut node = self;
        for name in path {
            while let (Type::Array, Some(items)) = (node.kind, node.items.as_deref()) {
                node = items;
            }
            node = node.field(name)?;
        }
        Some(node)
    }
}

/// The metadata of every object has one structure, whatever its kind.
fn node<'s>(schema: &'s Schema, path: &[&str]) -> Option<&'s Schema> {
    match path {
        ["metadata", rest @ ..] => table::named("meta.v1.ObjectMeta")?.at(rest),
        path => schema.at(path),
    }
}

impl Structure for Schema {
    fn list(&self, path: &[&str]) -> api::apply::ListType {
        match node(self, path).map(|node| &node.list) {
            Some(ListType::Set) => api::apply::ListType::Set,
            Some(ListType::Map(keys)) => api::apply::ListType::Map(keys.clone()),
            Some(ListType::Atomic) | None => api::apply::ListType::Atomic,
        }
    }

    fn is_atomic(&self, path: &[&str]) -> bool {
        node(self, path)
            .is_some_and(|node| node.atomic || node.items.as_deref().is_some_and(|items| items.atomic))
    }

    fn default_of(&self, path: &[&str], key: &str) -> Option<Value> {
        node(self, path)?.items.as_deref()?.field(key)?.default.clone()
    }
}
