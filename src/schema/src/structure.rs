//! What server-side apply asks of a schema.

use crate::{ListType, Schema, Type};
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
fn metadata_list(path: &[&str]) -> Option<api::apply::ListType> {
    match path {
        ["metadata", "ownerReferences"] => Some(api::apply::ListType::map(&["uid"])),
        ["metadata", "finalizers"] => Some(api::apply::ListType::Set),
        ["metadata", ..] => Some(api::apply::ListType::Atomic),
        _ => None,
    }
}

impl Structure for Schema {
    fn list(&self, path: &[&str]) -> api::apply::ListType {
        if let Some(known) = metadata_list(path) {
            return known;
        }
        match self.at(path).map(|node| &node.list) {
            Some(ListType::Set) => api::apply::ListType::Set,
            Some(ListType::Map(keys)) => api::apply::ListType::Map(keys.clone()),
            Some(ListType::Atomic) | None => api::apply::ListType::Atomic,
        }
    }

    fn is_atomic(&self, path: &[&str]) -> bool {
        if matches!(path, ["metadata", ..]) {
            return matches!(path, ["metadata", "ownerReferences"]);
        }
        self.at(path).is_some_and(|node| node.atomic || node.items.as_deref().is_some_and(|i| i.atomic))
    }

    fn default_of(&self, path: &[&str], key: &str) -> Option<Value> {
        self.at(path)?.items.as_deref()?.field(key)?.default.clone()
    }
}
