//! What of an object's fields differs between two versions of it.

use super::Structure;
use super::element::Element;
use super::fields::Fields;
use super::parts::{Item, Items, Parts};
use serde_json::{Map, Value};

/// What is different in a new version of an object.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: Fields,
    pub(super) changed: Fields,
    pub(super) removed: Fields,
}

/// As upstream's typed `Compare` does. An object, a map or a list that is new is there itself, beside its parts (`".": {}`); one that
/// was there before, or that Go always has, gets and loses parts only.
///
/// # Errors
/// An item without its key.
pub(super) fn compare(old: &Value, new: &Value, structure: &dyn Structure) -> Result<Difference, String> {
    differ(Some(old), Some(new), &mut Vec::new(), structure)
}

/// All fields of a new object: upstream compares it with an empty one of its kind.
///
/// # Errors
/// An item without its key.
pub(super) fn fields_of_new(object: &Value, structure: &dyn Structure) -> Result<Fields, String> {
    Ok(differ(None, Some(object), &mut Vec::new(), structure)?.set())
}

/// Of what is there in both versions; `None` where nothing is in it.
fn differ<'v>(
    old: Option<&'v Value>,
    new: Option<&'v Value>,
    path: &mut Vec<&'v str>,
    structure: &dyn Structure,
) -> Result<Difference, String> {
    let parts = |value: Option<&'v Value>| match value {
        Some(value) => Parts::of(value, path, structure),
        None => Ok(Parts::Empty),
    };
    let (before, after) = (parts(old)?, parts(new)?);
    let mut difference = Difference::default();
    difference.changed.member = match (&before, &after) {
        (Parts::Whole, _) | (_, Parts::Whole) | (Parts::Empty, Parts::Empty) => is_another(old, new),
        _ => false,
    };
    difference.compare_fields(before.fields(), after.fields(), path, structure)?;
    difference.compare_items(&before.into_items(), &after.into_items(), path, structure)?;
    Ok(difference)
}

fn is_another(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old != new,
        (Some(value), None) | (None, Some(value)) => !is_zero(value),
        (None, None) => false,
    }
}

/// What Go has where nothing is said: a struct with nothing in it, no list, zero.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_set) => !is_set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) => false,
        Value::Object(fields) => fields.is_empty(),
    }
}

/// All of what is in one version only: itself, what is in it, and what Go has in a struct of its type whatever is said.
fn whole<'v>(value: &'v Value, path: &mut Vec<&'v str>, structure: &dyn Structure) -> Result<Fields, String> {
    let mut fields = Fields::leaf();
    match Parts::of(value, path, structure)? {
        Parts::Whole => return Ok(fields),
        Parts::Empty => {}
        Parts::Named(named) => {
            for (name, value) in named {
                path.push(name);
                fields.children.insert(field(name), whole(value, path, structure)?);
                path.pop();
            }
        }
        Parts::Items(items) => {
            for (element, item) in items {
                let below = whole_item(&item, path, structure)?;
                fields.children.insert(element, below);
            }
        }
    }
    if value.is_object() {
        for name in structure.always_in(path) {
            fields.children.entry(field(name)).or_insert_with(Fields::leaf);
        }
    }
    Ok(fields)
}

fn whole_item<'v>(
    item: &Item<'v>,
    path: &mut Vec<&'v str>,
    structure: &dyn Structure,
) -> Result<Fields, String> {
    match *item {
        Item::One(item) => whole(item, path, structure),
        Item::Several(_) => Ok(Fields::leaf()),
    }
}

impl Difference {
    fn compare_fields<'v>(
        &mut self,
        old: Option<&'v Map<String, Value>>,
        new: Option<&'v Map<String, Value>>,
        path: &mut Vec<&'v str>,
        structure: &dyn Structure,
    ) -> Result<(), String> {
        for (name, before) in old.into_iter().flatten() {
            if new.is_none_or(|new| !new.contains_key(name)) {
                path.push(name);
                match structure.is_always_there(path) {
                    true => self.put(field(name), differ(Some(before), None, path, structure)?),
                    false => self.removed.put(field(name), whole(before, path, structure)?),
                }
                path.pop();
            }
        }
        for (name, after) in new.into_iter().flatten() {
            let before = old.and_then(|old| old.get(name));
            // as most of an object is: two values are compared sooner than they are taken apart
            if before == Some(after) {
                continue;
            }
            path.push(name);
            match before.is_some() || structure.is_always_there(path) {
                true => self.put(field(name), differ(before, Some(after), path, structure)?),
                false => self.added.put(field(name), whole(after, path, structure)?),
            }
            path.pop();
        }
        Ok(())
    }

    fn compare_items<'v>(
        &mut self,
        old: &Items<'v>,
        new: &Items<'v>,
        path: &mut Vec<&'v str>,
        structure: &dyn Structure,
    ) -> Result<(), String> {
        for (element, before) in old {
            if !new.contains_key(element) {
                self.removed.put(element.clone(), whole_item(before, path, structure)?);
            }
        }
        for (element, after) in new {
            let below = match (old.get(element), after) {
                (Some(before), after) if before == after => continue,
                (Some(&Item::One(before)), &Item::One(after)) => {
                    differ(Some(before), Some(after), path, structure)?
                }
                (Some(Item::Several(_)), Item::Several(_)) => {
                    Difference { changed: Fields::leaf(), ..Difference::default() }
                }
                (Some(before), after) => Difference {
                    removed: whole_item(before, path, structure)?,
                    added: whole_item(after, path, structure)?,
                    ..Difference::default()
                },
                (None, after) => {
                    Difference { added: whole_item(after, path, structure)?, ..Difference::default() }
                }
            };
            self.put(element.clone(), below);
        }
        Ok(())
    }

    fn put(&mut self, element: Element, below: Difference) {
        self.added.put(element.clone(), below.added);
        self.changed.put(element.clone(), below.changed);
        self.removed.put(element, below.removed);
    }

    pub(super) fn set(&self) -> Fields {
        let mut set = self.added.clone();
        set.unite(&self.changed);
        set
    }
}

fn field(name: &str) -> Element {
    Element::Field(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sample;
    use super::*;
    use serde_json::json;

    fn difference(old: &Value, new: &Value) -> [Value; 3] {
        let Difference { added, changed, removed } = compare(old, new, &Sample).unwrap();
        [added, changed, removed].map(|fields| fields.encode())
    }

    #[test]
    fn what_is_left_alone_is_not_judged() {
        let env = json!([{"value": "x"}]);
        let (old, new) = (json!({"replicas": 1, "env": env}), json!({"replicas": 2, "env": env}));
        assert_eq!(difference(&old, &new), [json!({}), json!({"f:replicas": {}}), json!({})]);
        let another = json!({"replicas": 1, "env": [{"value": "y"}]});
        assert!(compare(&old, &another, &Sample).unwrap_err().contains("omits key field \"name\""));
    }

    #[test]
    fn what_differs() {
        let none = || json!({});
        let item = |name: &str| format!("k:{{\"name\":\"{name}\"}}");
        let (a, b) = (item("a"), item("b"));
        for (name, old, new, want) in [
            ("a value", json!({"a": 1}), json!({"a": 2}), [none(), json!({"f:a": {}}), none()]),
            (
                "values come and go",
                json!({"a": 1}),
                json!({"b": 1}),
                [json!({"f:b": {}}), none(), json!({"f:a": {}})],
            ),
            (
                "a map comes",
                json!({}),
                json!({"m": {"a": {"b": 1}, "c": {}}}),
                [json!({"f:m": {".": {}, "f:a": {".": {}, "f:b": {}}, "f:c": {}}}), none(), none()],
            ),
            (
                "a map gets a field and loses one",
                json!({"m": {"a": 1}}),
                json!({"m": {"b": 1}}),
                [json!({"f:m": {"f:b": {}}}), none(), json!({"f:m": {"f:a": {}}})],
            ),
            (
                "a map that was empty gets a field",
                json!({"m": {}}),
                json!({"m": {"b": 1}}),
                [json!({"f:m": {"f:b": {}}}), none(), none()],
            ),
            (
                "a map goes",
                json!({"m": {"a": 1}}),
                json!({}),
                [none(), none(), json!({"f:m": {".": {}, "f:a": {}}})],
            ),
            (
                "a list comes",
                json!({}),
                json!({"env": [{"name": "a", "value": "1"}]}),
                [json!({"f:env": {".": {}, &a: {".": {}, "f:name": {}, "f:value": {}}}}), none(), none()],
            ),
            (
                "items differ, come and go",
                json!({"env": [{"name": "a", "value": "1"}, {"name": "b"}]}),
                json!({"env": [{"name": "a", "value": "2"}, {"name": "c"}]}),
                [
                    json!({"f:env": {item("c"): {".": {}, "f:name": {}}}}),
                    json!({"f:env": {&a: {"f:value": {}}}}),
                    json!({"f:env": {&b: {".": {}, "f:name": {}}}}),
                ],
            ),
            (
                "an atomic list comes, another differs",
                json!({"args": ["a"]}),
                json!({"args": ["b"], "command": ["c"]}),
                [json!({"f:command": {}}), json!({"f:args": {}}), none()],
            ),
            (
                "a set gets a value",
                json!({"finalizers": ["a"]}),
                json!({"finalizers": ["a", "b"]}),
                [json!({"f:finalizers": {"v:\"b\"": {}}}), none(), none()],
            ),
            (
                "a value becomes a map",
                json!({"m": "x"}),
                json!({"m": {"a": 1}}),
                [json!({"f:m": {"f:a": {}}}), json!({"f:m": {}}), none()],
            ),
        ] {
            assert_eq!(difference(&old, &new), want, "{name}");
        }
    }

    #[test]
    fn what_go_always_has_nobody_adds() {
        let none = || json!({});
        let template =
            json!({"template": {"metadata": {"labels": {"a": "b"}}, "sources": [], "seen": "now"}});
        let parts = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}});
        let inside =
            json!({"f:metadata": {".": {}, "f:labels": {".": {}, "f:a": {}}}, "f:seen": {}, "f:sources": {}});
        for (name, old, new, want) in [
            (
                "with a struct by value comes what is in it",
                json!({}),
                template.clone(),
                [
                    json!({"f:template": parts}),
                    json!({"f:template": {"f:seen": {}, "f:sources": {}}}),
                    none(),
                ],
            ),
            (
                "and goes",
                template.clone(),
                json!({}),
                [
                    none(),
                    json!({"f:template": {"f:seen": {}, "f:sources": {}}}),
                    json!({"f:template": parts}),
                ],
            ),
            (
                "an empty one is none, nor is zero anything",
                json!({}),
                json!({"template": {"metadata": {}, "seen": ""}}),
                [none(), none(), none()],
            ),
            (
                "in what is new it is new",
                json!({}),
                json!({"m": template.clone()}),
                [json!({"f:m": {".": {}, "f:template": with_member(&inside)}}), none(), none()],
            ),
            (
                "and there though nothing is said of it",
                json!({}),
                json!({"m": {"template": {}}}),
                [
                    json!({"f:m": {".": {}, "f:template": {".": {}, "f:metadata": {}, "f:seen": {}, "f:sources": {}}}}),
                    none(),
                    none(),
                ],
            ),
        ] {
            assert_eq!(difference(&old, &new), want, "{name}");
        }
    }

    fn with_member(fields: &Value) -> Value {
        let mut fields = fields.clone();
        fields["."] = json!({});
        fields
    }

    #[test]
    fn items_with_one_key_have_one_owner() {
        let none = || json!({});
        let key = "k:{\"name\":\"a\"}";
        let one = json!({"env": [{"name": "a", "value": "1"}]});
        let two =
            |second: &str| json!({"env": [{"name": "a", "value": "1"}, {"name": "a", "value": second}]});
        let (item, both) =
            (json!({"f:env": {key: {".": {}, "f:name": {}, "f:value": {}}}}), json!({"f:env": {key: {}}}));
        for (name, old, new, want) in [
            ("a second one comes", one.clone(), two("2"), [both.clone(), none(), item.clone()]),
            ("it differs", two("2"), two("3"), [none(), both.clone(), none()]),
            ("it stays", two("2"), two("2"), [none(), none(), none()]),
            ("it goes", two("2"), one, [item, none(), both]),
        ] {
            assert_eq!(difference(&old, &new), want, "{name}");
        }
    }
}
