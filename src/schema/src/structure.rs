//! What server-side apply asks of a schema.

use crate::table::Link;
use crate::{IDENTITY, ListType, Schema, Type, table};
use api::apply::Structure;
use serde_json::Value;

impl Schema {
    /// The node at a path of fields, lists passed through.
    pub fn at(&self, path: &[&str]) -> Option<&Schema> {
        let mut node = self;
        for name in path {
            node = below_lists(node).field(name)?;
        }
        Some(node)
    }
}

/// What the items of a list are, however deep it is.
fn below_lists(mut node: &Schema) -> &Schema {
    while let (Type::Array, Some(items)) = (node.kind, node.items.as_deref()) {
        node = items;
    }
    node
}

/// The field that is last in the path, where the object above it has it by its own name.
fn own_field<'s>(schema: &'s Schema, path: &[&str]) -> Option<&'s Link> {
    let (name, above) = path.split_last()?;
    below_lists(node(schema, above)?).properties.get(*name)
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
        node(self, path)?.items.as_deref()?.field(key)?.default.as_deref().cloned()
    }

    fn declares(&self, path: &[&str]) -> bool {
        match path {
            ["apiVersion" | "kind" | "metadata"] => true,
            ["metadata", rest @ ..] => {
                table::named("meta.v1.ObjectMeta").is_none_or(|meta| declares(meta, rest))
            }
            path => declares(self, path),
        }
    }

    fn is_field(&self, path: &[&str]) -> bool {
        matches!(path, [name] if IDENTITY.contains(name)) || own_field(self, path).is_some()
    }

    fn is_always_there(&self, path: &[&str]) -> bool {
        matches!(path, ["metadata"]) || own_field(self, path).is_some_and(Link::is_always_there)
    }

    fn always_in(&self, path: &[&str]) -> Vec<&str> {
        let Some(node) = node(self, path) else { return Vec::new() };
        let fields = below_lists(node).properties.iter();
        fields.filter(|(_, link)| link.is_always_there()).map(|(name, _)| name.as_str()).collect()
    }
}

fn declares(schema: &Schema, path: &[&str]) -> bool {
    let mut node = schema;
    for (depth, name) in path.iter().enumerate() {
        node = below_lists(node);
        // an object of its own: with type and metadata, which are the same everywhere
        match *name {
            "metadata" if node.embedded => {
                let rest = &path[depth + 1..];
                return table::named("meta.v1.ObjectMeta").is_none_or(|meta| declares(meta, rest));
            }
            "apiVersion" | "kind" if node.embedded || node.properties.contains_key("metadata") => {
                return true;
            }
            _ => {}
        }
        match node.field(name) {
            Some(below) => node = below,
            // OpenAPI's object without properties is one of any
            None => {
                return node.preserve_unknown || node.kind != Type::Object || node.properties.is_empty();
            }
        }
    }
    true
}
