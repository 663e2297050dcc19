//! Sets of fields.

use super::element::Element;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A set of paths, as a tree: `member` says that the path to this node is in the set itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) member: bool,
    pub(super) children: BTreeMap<Element, Fields>,
}

impl Fields {
    /// Of what is a value itself.
    pub(super) fn leaf() -> Fields {
        Fields { member: true, children: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Adds a subtree, if there is anything in it.
    pub(super) fn put(&mut self, element: Element, fields: Fields) {
        if !fields.is_empty() {
            self.children.insert(element, fields);
        }
    }

    pub(super) fn take(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let element = Element::Field((*first).to_owned());
        if rest.is_empty() {
            self.children.remove(&element);
        } else if let Some(child) = self.children.get_mut(&element) {
            child.take(rest);
            if child.is_empty() {
                self.children.remove(&element);
            }
        }
    }

    /// Adds what is in the other: a small one costs little, however large this is.
    pub(super) fn unite(&mut self, other: &Fields) {
        self.member |= other.member;
        for (element, theirs) in &other.children {
            match self.children.get_mut(element) {
                Some(mine) => mine.unite(theirs),
                None => drop(self.children.insert(element.clone(), theirs.clone())),
            }
        }
    }

    pub(super) fn intersection(&self, other: &Fields) -> Fields {
        let mut common = Fields { member: self.member && other.member, children: BTreeMap::new() };
        for (element, mine) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                common.put(element.clone(), mine.intersection(theirs));
            }
        }
        common
    }

    /// Takes out what is in the other. It takes as long as the smaller of both is: hundreds of entries lose the fields of one change.
    pub(super) fn subtract(&mut self, other: &Fields) {
        self.member &= !other.member;
        if self.children.len() <= other.children.len() {
            self.children.retain(|element, mine| {
                let Some(theirs) = other.children.get(element) else { return true };
                mine.subtract(theirs);
                !mine.is_empty()
            });
            return;
        }
        for (element, theirs) in &other.children {
            let Some(mine) = self.children.get_mut(element) else { continue };
            mine.subtract(theirs);
            if mine.is_empty() {
                self.children.remove(element);
            }
        }
    }

    /// Whether every path of the set is in one that is written as `fieldsV1`, which is not read for that. No for one that is there with
    /// other spaces in a key.
    pub(super) fn is_within(&self, written: &Value) -> bool {
        let Some(theirs) = written.as_object() else { return self.is_empty() };
        let is_member = || theirs.is_empty() || theirs.contains_key(".");
        (!self.member || is_member())
            && self.children.iter().all(|(element, mine)| {
                theirs.get(&element.encode()).is_some_and(|theirs| mine.is_within(theirs))
            })
    }

    /// Whether a path of the set may be in one that is written as `fieldsV1`. Yes where there is a key, which others may have written
    /// with other spaces. It takes as long as the smaller of both is.
    pub(super) fn may_meet(&self, written: &Value) -> bool {
        let Some(theirs) = written.as_object() else { return false };
        if self.member && (theirs.is_empty() || theirs.contains_key(".")) {
            return true;
        }
        if theirs.len() <= self.children.len() {
            return theirs.iter().any(|(name, below)| {
                let mine = Element::parse(name).and_then(|element| self.children.get(&element));
                mine.is_some_and(|mine| mine.may_meet(below))
            });
        }
        let has_keys = theirs.keys().any(|name| name.starts_with("k:") || name.starts_with("v:"));
        self.children.iter().any(|(element, mine)| match (theirs.get(&element.encode()), element) {
            (Some(theirs), _) => mine.may_meet(theirs),
            (None, Element::Field(_)) => false,
            (None, _) => has_keys,
        })
    }

    /// The paths in the set, as messages have them: the first, of `most` bytes but for the last. Each has all that is above it.
    pub(super) fn paths(&self, most: usize) -> Vec<String> {
        let (mut paths, mut left) = (Vec::new(), most);
        self.collect(String::new(), &mut paths, &mut left);
        paths
    }

    fn collect(&self, here: String, paths: &mut Vec<String>, left: &mut usize) {
        for (element, child) in &self.children {
            if *left == 0 {
                return;
            }
            child.collect(format!("{here}{element}"), paths, left);
        }
        if self.member && *left > 0 {
            *left = left.saturating_sub(here.len());
            paths.push(here);
        }
    }

    /// From `fieldsV1`; what can not be understood is left out.
    pub(super) fn decode(json: &Value) -> Fields {
        let mut fields = Fields::default();
        for (name, below) in json.as_object().into_iter().flatten() {
            if name == "." {
                fields.member = true;
            } else if let Some(element) = Element::parse(name) {
                let mut child = Fields::decode(below);
                child.member |= child.children.is_empty();
                fields.children.insert(element, child);
            }
        }
        fields
    }

    /// To `fieldsV1`.
    pub(super) fn encode(&self) -> Value {
        let mut json = Map::new();
        if self.member && !self.children.is_empty() {
            json.insert(".".to_owned(), Value::Object(Map::new()));
        }
        json.extend(self.children.iter().map(|(element, child)| (element.encode(), child.encode())));
        Value::Object(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(json: Value) -> Fields {
        Fields::decode(&json)
    }

    #[test]
    fn decode_then_encode_is_the_identity() {
        for given in [
            json!({}),
            json!({"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:replicas": {}}}),
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}}}),
            json!({"f:metadata": {"f:finalizers": {"v:\"a\"": {}}}}),
        ] {
            assert_eq!(fields(given.clone()).encode(), given);
        }
    }

    #[test]
    fn the_algebra_of_sets() {
        let a = fields(json!({"f:x": {}, "f:y": {".": {}, "f:z": {}}}));
        let b = fields(json!({"f:y": {"f:z": {}, "f:w": {}}}));
        let changed = |change: fn(&mut Fields, &Fields), by: &Fields| {
            let mut fields = a.clone();
            change(&mut fields, by);
            fields
        };
        let cases = [
            ("union", changed(Fields::unite, &b), json!({"f:x": {}, "f:y": {".": {}, "f:z": {}, "f:w": {}}})),
            ("intersection", a.intersection(&b), json!({"f:y": {"f:z": {}}})),
            ("difference", changed(Fields::subtract, &b), json!({"f:x": {}, "f:y": {}})),
            ("nothing is left of itself", changed(Fields::subtract, &a), json!({})),
            (
                "a little less",
                changed(Fields::subtract, &fields(json!({"f:x": {}}))),
                json!({"f:y": {".": {}, "f:z": {}}}),
            ),
        ];
        for (name, got, want) in cases {
            assert_eq!(got.encode(), want, "{name}");
        }
    }

    #[test]
    fn two_sets_are_compared_with_one_of_them_unread() {
        let key = r#"k:{"name": "a"}"#;
        let other_spaces = json!({"f:env": {key: {"f:value": {}}}});
        let cases = [
            // the set, the written one, whether it is within, whether they may meet
            (json!({}), json!({"f:x": {}}), true, false),
            (json!({}), Value::Null, true, false),
            (json!({"f:x": {}}), Value::Null, false, false),
            (json!({"f:x": {}}), json!({"f:x": {}, "f:y": {}}), true, true),
            (json!({"f:x": {}}), json!({"f:y": {}}), false, false),
            (json!({"f:x": {}}), json!({"f:x": {"f:y": {}}}), false, false),
            (json!({"f:x": {}}), json!({"f:x": {".": {}, "f:y": {}}}), true, true),
            (json!({"f:x": {"f:y": {}}}), json!({"f:x": {}}), false, false),
            (json!({"f:x": {"f:y": {}, "f:z": {}}}), json!({"f:x": {"f:y": {}}}), false, true),
            (json!({"f:env": {"k:{\"name\":\"a\"}": {"f:value": {}}}}), other_spaces, false, true),
            (json!({"f:env": {"v:\"a\"": {}}}), json!({"f:env": {"v:\"a\"": {}}}), true, true),
        ];
        for (set, written, is_within, may_meet) in cases {
            let set = fields(set);
            assert_eq!(
                (set.is_within(&written), set.may_meet(&written)),
                (is_within, may_meet),
                "{set:?} {written}"
            );
            // never no where they do
            assert!(may_meet || set.intersection(&Fields::decode(&written)).is_empty(), "{set:?} {written}");
        }
    }

    #[test]
    fn paths_as_messages_have_them() {
        let set = fields(
            json!({"f:spec": {"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:name": {}}}},
            "f:metadata": {"f:finalizers": {"v:\"a\"": {}}}}),
        );
        assert_eq!(
            set.paths(1000),
            [".metadata.finalizers[=\"a\"]", ".spec.ports[containerPort=80,protocol=\"TCP\"].name"]
        );
        assert_eq!(set.paths(1).len(), 1);
        assert!(set.paths(0).is_empty());
    }
}
