//! What an extension API server says, in a document of version 2 of its own, of the version that it serves for the cluster: its paths
//! below that version, and the definitions to which they lead. They are put beside ours in the one document, as upstream's aggregator
//! does (`MergeSpecsIgnorePathConflictRenamingDefinitionsAndTags`).

use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Where version 2 has its definitions.
const DEFINITIONS: &str = "#/definitions/";
/// In bytes: what is more is no part of the document, which all clients get.
const LARGEST: usize = 4 << 20;

/// By name, in JSON without white space.
#[derive(Debug, PartialEq)]
pub struct Extension {
    /// `apis/GROUP/VERSION`
    pub(crate) root: String,
    /// Of the document that it was made of.
    pub(crate) source: u64,
    paths: BTreeMap<String, String>,
    definitions: BTreeMap<String, String>,
}

impl Extension {
    /// Of its document; `None` for what is none, says nothing of `root` (`apis/GROUP/VERSION`), or says too much.
    pub fn of(document: &[u8], root: &str) -> Option<Self> {
        let whole: BTreeMap<String, &RawValue> = serde_json::from_slice(document).ok()?;
        let is_below = |path: &str| {
            let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(root));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut left = LARGEST;
        let mut taken = |raw: &RawValue| -> Option<String> {
            let text = serde_json::from_str::<Value>(raw.get()).ok()?.to_string();
            left = left.checked_sub(text.len())?;
            Some(text)
        };
        let (mut paths, mut definitions, mut open) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (path, item) in part(&whole, "paths").into_iter().filter(|(path, _)| is_below(path)) {
            let item = taken(item)?;
            open.extend(references(&item));
            paths.insert(path, item);
        }
        if paths.is_empty() {
            return None;
        }
        let all = part(&whole, "definitions");
        while let Some(name) = open.pop() {
            let Some(definition) = all.get(&name).filter(|_| !definitions.contains_key(&name)) else {
                continue;
            };
            let definition = taken(definition)?;
            open.extend(references(&definition));
            definitions.insert(name, definition);
        }
        Some(Extension { root: root.to_owned(), source: hash_of(document), paths, definitions })
    }

    /// Whether it was made of this document.
    pub fn is_of(&self, document: &[u8]) -> bool {
        self.source == hash_of(document)
    }
}

fn hash_of(document: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    document.hash(&mut hasher);
    hasher.finish()
}

fn part<'d>(whole: &BTreeMap<String, &'d RawValue>, name: &str) -> BTreeMap<String, &'d RawValue> {
    let raw: Option<&'d RawValue> = whole.get(name).copied();
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// In a text. A quotation mark within a string has a backslash before it.
fn references(json: &str) -> Vec<String> {
    let each = json.split("\"$ref\":\"#/definitions/").skip(1);
    each.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

type Named = Vec<(String, Value)>;

/// Paths and definitions that are put beside `own` definitions, each of which is as `shown` says. Of two that have a name but are not
/// the same the later one gets another.
pub(crate) fn beside(
    own: &BTreeMap<String, String>,
    shown: fn(&str) -> Value,
    extensions: &[Arc<Extension>],
) -> (Named, Named) {
    let mut paths = Vec::new();
    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    for extension in extensions {
        let (mut names, mut fresh) = (BTreeMap::new(), Vec::new());
        for (name, text) in &extension.definitions {
            let Ok(value) = serde_json::from_str::<Value>(text) else { continue };
            let of_own = own.get(name).map(|schema| shown(schema) == value);
            match of_own.or_else(|| definitions.get(name).map(|known| *known == value)) {
                Some(true) => {}
                None => fresh.push((name.clone(), value)),
                Some(false) => {
                    let is_free = |free: &String| {
                        !own.contains_key(free)
                            && !definitions.contains_key(free)
                            && !extension.definitions.contains_key(free)
                    };
                    let free = (2_u64..).map(|number| format!("{name}_v{number}")).find(is_free);
                    let free = free.unwrap_or_else(|| name.clone());
                    names.insert(name.as_str(), free.clone());
                    fresh.push((free, value));
                }
            }
        }
        definitions.extend(fresh.into_iter().map(|(name, value)| (name, renamed(value, &names))));
        paths.extend(extension.paths.iter().filter_map(|(path, text)| {
            let item = serde_json::from_str(text).ok()?;
            Some((path.clone(), renamed(item, &names)))
        }));
    }
    (paths, definitions.into_iter().collect())
}

fn renamed(value: Value, names: &BTreeMap<&str, String>) -> Value {
    match value {
        Value::Object(fields) => {
            let each = fields.into_iter().map(|(field, value)| {
                let name =
                    value.as_str().filter(|_| field == "$ref").and_then(|to| to.strip_prefix(DEFINITIONS));
                match name.and_then(|name| names.get(name)) {
                    Some(to) => (field, format!("{DEFINITIONS}{to}").into()),
                    None => (field, renamed(value, names)),
                }
            });
            each.collect()
        }
        Value::Array(items) => items.into_iter().map(|item| renamed(item, names)).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROOT: &str = "apis/wardle.example.com/v1alpha1";

    fn document(size: &str) -> Value {
        let list = json!({"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/FlunderList"}}}}});
        json!({
            "swagger": "2.0",
            "paths": {
                "/apis/wardle.example.com/v1alpha1/flunders": list,
                "/apis/wardle.example.com/v1alpha10/flunders": list,
                "/apis/wardle.example.com/": {"get": {}},
                "/healthz": {"get": {"schema": {"$ref": "#/definitions/Health"}}},
            },
            "definitions": {
                "FlunderList": {"properties": {"items": {"items": {"$ref": "#/definitions/Flunder"}}}},
                "Flunder": {"properties": {
                    "metadata": {"$ref": "#/definitions/Meta"},
                    "size": {"type": size},
                    "next": {"$ref": "#/definitions/Flunder"},
                    "gone": {"$ref": "#/definitions/Gone"},
                }},
                "Meta": {"type": "object"},
                "Health": {"type": "string"},
            },
        })
    }

    fn extension(document: &Value, root: &str) -> Option<Arc<Extension>> {
        // as servers write it for people
        Extension::of(serde_json::to_string_pretty(document).unwrap().as_bytes(), root).map(Arc::new)
    }

    #[test]
    fn a_part_has_its_paths_and_what_they_lead_to() {
        let part = extension(&document("string"), ROOT).unwrap();
        assert_eq!(part.paths.keys().collect::<Vec<_>>(), ["/apis/wardle.example.com/v1alpha1/flunders"]);
        assert_eq!(part.definitions.keys().collect::<Vec<_>>(), ["Flunder", "FlunderList", "Meta"]);
        assert!(extension(&document("string"), "apis/other.example.com/v1").is_none());
        assert!(
            extension(&json!([]), ROOT).is_none() && Extension::of(b"404 page not found", ROOT).is_none()
        );
        let mut large = document("string");
        large["definitions"]["Meta"]["description"] = "x".repeat(LARGEST).into();
        assert!(extension(&large, ROOT).is_none());
        let text = document("string").to_string();
        let part = Extension::of(text.as_bytes(), ROOT).unwrap();
        assert!(part.is_of(text.as_bytes()) && !part.is_of(b"{}"));
    }

    #[test]
    fn two_of_a_name_that_are_not_the_same_get_two_names() {
        let own = BTreeMap::from([
            ("Meta".to_owned(), r#"{"type":"object"}"#.to_owned()),
            ("Flunder".to_owned(), r#"{"type":"string"}"#.to_owned()),
            ("Flunder_v2".to_owned(), r#"{"type":"string"}"#.to_owned()),
        ]);
        let shown = |text: &str| serde_json::from_str(text).unwrap();
        let (one, other) = (document("string"), document("integer"));
        let another = json!({"paths": {"/apis/a/v1/x": {"get": {"$ref": "#/definitions/Meta"}}}, "definitions": {"Meta": {"type": "object"}}});
        let parts = [
            extension(&one, ROOT).unwrap(),
            extension(&other, ROOT).unwrap(),
            extension(&another, "apis/a/v1").unwrap(),
        ];
        let (paths, definitions) = beside(&own, shown, &parts);
        let definitions: BTreeMap<String, Value> = definitions.into_iter().collect();
        let names: Vec<&String> = definitions.keys().collect();
        assert_eq!(names, ["FlunderList", "FlunderList_v2", "Flunder_v3", "Flunder_v4"]);
        let item = |list: &str| definitions[list]["properties"]["items"]["items"]["$ref"].clone();
        assert_eq!(item("FlunderList"), "#/definitions/Flunder_v3");
        assert_eq!(item("FlunderList_v2"), "#/definitions/Flunder_v4");
        let flunder = &definitions["Flunder_v4"]["properties"];
        assert_eq!(
            (&flunder["size"]["type"], &flunder["next"]["$ref"]),
            (&json!("integer"), &json!("#/definitions/Flunder_v4"))
        );
        assert_eq!(flunder["metadata"]["$ref"], "#/definitions/Meta", "that is the same for all");
        let answers: Vec<&Value> =
            paths.iter().map(|(_, item)| &item["get"]["responses"]["200"]["schema"]["$ref"]).collect();
        assert_eq!(answers[..2], ["#/definitions/FlunderList", "#/definitions/FlunderList_v2"]);
        assert_eq!(paths[2].1["get"]["$ref"], "#/definitions/Meta");
    }
}
