//! Server-side apply: who set which field, and what becomes of an object when one of them says anew what it wants.
//!
//! Upstream's model (KEP-555): every manager has a set of fields; a field that one of them wants otherwise than it is
//! belongs to nobody else or is a conflict. `fields.rs` is such a set; `applied.rs` finds that of a configuration, and `compare.rs` what
//! differs between two versions of an object, by the parts of a value (`parts.rs`). `merge.rs` puts what is wanted over what is,
//! `managers.rs` keeps `metadata.managedFields`, in which each manager has an entry (`entry.rs`).
//! Pure: JSON in, JSON out.
//!
//! Read [`apply`] first.

mod applied;
mod compare;
mod element;
mod entry;
mod fields;
mod managers;
mod merge;
mod misfits;
mod parts;

pub use entry::{Entry, Operation};
pub use managers::{ApplyError, Conflict, Who, apply, create, update};
pub use misfits::misfits;

/// How a list of an object is to be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListType {
    /// One value, which one manager has as a whole.
    Atomic,
    /// Plain values, each of which somebody may have put there.
    Set,
    /// Objects that are told apart by these fields.
    Map(Vec<String>),
}

impl ListType {
    pub fn map(keys: &[&str]) -> Self {
        ListType::Map(keys.iter().map(|key| (*key).to_owned()).collect())
    }
}

/// What the fields of a kind are, found by a field's path from the object's root, list items left out:
/// `spec.template.spec.containers`.
pub trait Structure: Send + Sync {
    fn list(&self, path: &[&str]) -> ListType;
    /// Whether the object at the path (or the items of the list there) is one value, as a selector is.
    fn is_atomic(&self, path: &[&str]) -> bool;
    /// The value of a key field that an item of the list at the path leaves out.
    fn default_of(&self, path: &[&str], key: &str) -> Option<serde_json::Value>;
    /// Whether an object has the field at the path, or may have any there.
    fn declares(&self, path: &[&str]) -> bool;
    /// Whether the last of the path is a field of the object above it, and no key of a map.
    fn is_field(&self, path: &[&str]) -> bool;
    /// Whether Go has the field at the path in every object above it, also where nothing is in it.
    fn is_always_there(&self, path: &[&str]) -> bool;
    /// The fields that it has in every object at the path.
    fn always_in(&self, path: &[&str]) -> Vec<&str>;
}

/// `live` with everything that `wanted` says, whoever owns it: what a mutating admission policy does.
///
/// # Errors
/// Two items with one key, and items without one.
pub fn merged(
    live: &serde_json::Value,
    wanted: &serde_json::Value,
    structure: &dyn Structure,
) -> Result<serde_json::Value, String> {
    merge::merge(live, wanted, &mut Vec::new(), structure)
}

/// Where a value has parts that can only be replaced as a whole: `.spec.containers[0].args`.
pub fn atomics(value: &serde_json::Value, structure: &dyn Structure) -> Vec<String> {
    let mut found = Vec::new();
    find_atomics(value, &mut Vec::new(), "", structure, &mut found);
    found
}

fn find_atomics<'v>(
    value: &'v serde_json::Value,
    path: &mut Vec<&'v str>,
    shown: &str,
    structure: &dyn Structure,
    found: &mut Vec<String>,
) {
    match value {
        serde_json::Value::Object(fields) => {
            if !path.is_empty() && structure.is_atomic(path) {
                found.push(shown.to_owned());
            }
            for (name, value) in fields {
                path.push(name);
                find_atomics(value, path, &format!("{shown}.{name}"), structure, found);
                path.pop();
            }
        }
        serde_json::Value::Array(items) => {
            if structure.list(path) == ListType::Atomic {
                found.push(shown.to_owned());
                return;
            }
            for (index, item) in items.iter().enumerate() {
                find_atomics(item, path, &format!("{shown}[{index}]"), structure, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Sample;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_can_only_be_replaced_as_a_whole_is_found() {
        let cases = [
            (json!({"spec": {"replicas": 1, "labels": {"a": "b"}}}), vec![]),
            (json!({"spec": {"containers": [{"name": "a", "env": [{"name": "x"}]}]}}), vec![]),
            (
                json!({"spec": {"containers": [{"name": "a", "args": ["x"]}]}}),
                vec![".spec.containers[0].args"],
            ),
            (json!({"spec": {"selector": {"a": "b"}}}), vec![".spec.selector"]),
        ];
        for (value, want) in cases {
            assert_eq!(atomics(&value, &Sample), want, "{value}");
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use serde_json::Value;

    /// Enough of a Deployment for the tests.
    pub(crate) struct Sample;

    impl Structure for Sample {
        fn list(&self, path: &[&str]) -> ListType {
            match path {
                [.., "ports"] => ListType::map(&["containerPort", "protocol"]),
                [.., "containers" | "env"] => ListType::map(&["name"]),
                [.., "finalizers"] => ListType::Set,
                _ => ListType::Atomic,
            }
        }
        fn is_atomic(&self, path: &[&str]) -> bool {
            matches!(path, [.., "selector"])
        }
        fn default_of(&self, _: &[&str], key: &str) -> Option<Value> {
            (key == "protocol").then(|| "TCP".into())
        }
        fn declares(&self, path: &[&str]) -> bool {
            !matches!(path, [.., "undeclared" | "other"])
        }
        fn is_field(&self, path: &[&str]) -> bool {
            !matches!(path, [.., "free", _])
        }
        fn is_always_there(&self, path: &[&str]) -> bool {
            match path {
                [.., "template", name] => self.always_in(&["template"]).contains(name),
                path => matches!(path, ["metadata" | "spec"] | [.., "template"]),
            }
        }
        fn always_in(&self, path: &[&str]) -> Vec<&str> {
            match path {
                [.., "template"] => vec!["metadata", "seen", "sources"],
                _ => Vec::new(),
            }
        }
    }
}
