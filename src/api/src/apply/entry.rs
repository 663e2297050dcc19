//! One entry of `metadata.managedFields`.

use super::Who;
use super::fields::Fields;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who neither says who he is nor has a program's name.
const UNKNOWN: &str = "unknown";
/// The only form of fields that there is.
const FIELDS_TYPE: &str = "FieldsV1";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    Apply,
    Update,
}

/// What one manager has of an object, by one operation on it or on one subresource. Its fields stay as they are written until
/// somebody changes one of them: most entries of an object have nothing to do with a change, and are never read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    pub operation: Operation,
    #[serde(default)]
    pub api_version: String,
    /// RFC 3339, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    #[serde(default)]
    pub fields_type: String,
    #[serde(default)]
    pub fields_v1: Value,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

impl Entry {
    pub(super) fn new(who: Who<'_>, operation: Operation) -> Entry {
        Entry {
            manager: name(who).to_owned(),
            operation,
            api_version: who.api_version.to_owned(),
            time: Some(who.now.to_owned()),
            fields_type: FIELDS_TYPE.to_owned(),
            fields_v1: Value::Null,
            subresource: who.subresource.unwrap_or_default().to_owned(),
        }
    }

    /// One that somebody else has written, with its fields as they are written here: other spaces in a key make no other set, and an
    /// element that nobody knows is left out. `None` where it is no entry (upstream's `DecodeManagedFields`).
    pub fn normalized(self) -> Option<Entry> {
        let is_known = !self.api_version.is_empty() && self.fields_type == FIELDS_TYPE;
        let is_whole = is_known && (self.fields_v1.is_null() || is_set(&self.fields_v1));
        if !is_whole {
            return None;
        }
        let fields_v1 = self.fields().encode();
        Some(Entry { fields_v1, ..self })
    }

    pub(super) fn is(&self, who: Who<'_>, operation: Operation) -> bool {
        self.manager == name(who)
            && self.operation == operation
            && self.subresource == who.subresource.unwrap_or_default()
            && (operation == Operation::Apply || self.api_version == who.api_version)
    }

    /// Whether anything is left that it has.
    pub(super) fn has_fields(&self) -> bool {
        self.fields_v1.as_object().is_some_and(|fields| !fields.is_empty())
    }

    pub(super) fn fields(&self) -> Fields {
        Fields::decode(&self.fields_v1)
    }

    /// What it has of these belongs to somebody else now, or is gone.
    pub(super) fn lose(&mut self, lost: &Fields) {
        if lost.may_meet(&self.fields_v1) {
            let mut fields = self.fields();
            fields.subtract(lost);
            self.fields_v1 = fields.encode();
        }
    }

    /// It has set some and removed others, now: a new value of what it has already counts as well, a removal alone does not.
    pub(super) fn change(&mut self, set: &Fields, removed: &Fields, now: &str) {
        if !set.is_empty() {
            self.time = Some(now.to_owned());
        }
        if set.is_within(&self.fields_v1) && !removed.may_meet(&self.fields_v1) {
            return;
        }
        let mut fields = self.fields();
        fields.subtract(removed);
        fields.unite(set);
        self.fields_v1 = fields.encode();
    }

    /// Appliers first, then by age, and by name where two wrote within a second.
    pub(super) fn place(&self) -> (bool, Option<&str>, [&str; 3]) {
        let Entry { manager, operation, api_version, time, subresource, .. } = self;
        (
            *operation == Operation::Update,
            time.as_deref(),
            [manager, api_version, subresource].map(String::as_str),
        )
    }

    /// As a conflict names its owner.
    pub(super) fn title(&self) -> String {
        let Entry { manager, operation, api_version, time, subresource, .. } = self;
        let mut title = format!("{manager:?}");
        if !subresource.is_empty() {
            title += &format!(" with subresource {subresource:?}");
        }
        if *operation == Operation::Update {
            title += &format!(" using {api_version}");
            title += &time.as_ref().map(|time| format!(" at {time}")).unwrap_or_default();
        }
        title
    }
}

fn name<'w>(who: Who<'w>) -> &'w str {
    if who.manager.is_empty() { UNKNOWN } else { who.manager }
}

/// Whether it may be a set of fields: objects all the way down.
fn is_set(written: &Value) -> bool {
    written.as_object().is_some_and(|below| below.values().all(is_set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_write_is_read_once() {
        let spaces = json!({"f:env": {"k:{\"name\": \"a\"}": {".": {}, "f:value": {}}}});
        let without = json!({"f:env": {"k:{\"name\":\"a\"}": {".": {}, "f:value": {}}}});
        for (name, api_version, fields_type, given, want) in [
            ("as it is written here", "v1", "FieldsV1", json!({"f:a": {}}), Some(json!({"f:a": {}}))),
            ("with other spaces", "v1", "FieldsV1", spaces, Some(without)),
            (
                "an element of a later version",
                "v1",
                "FieldsV1",
                json!({"f:a": {}, "x:b": {}}),
                Some(json!({"f:a": {}})),
            ),
            ("no fields", "v1", "FieldsV1", Value::Null, Some(json!({}))),
            ("a text", "v1", "FieldsV1", json!("f:a"), None),
            ("a text further down", "v1", "FieldsV1", json!({"f:a": {"f:b": "c"}}), None),
            ("null further down", "v1", "FieldsV1", json!({"f:a": null}), None),
            ("no version", "", "FieldsV1", json!({"f:a": {}}), None),
            ("of another form", "v1", "FieldsV2", json!({"f:a": {}}), None),
            ("of no form", "v1", "", json!({"f:a": {}}), None),
        ] {
            let who = Who { manager: "m", subresource: None, api_version, now: "2026-01-01T00:00:00Z" };
            let entry = Entry {
                fields_type: fields_type.to_owned(),
                fields_v1: given,
                ..Entry::new(who, Operation::Update)
            };
            assert_eq!(entry.normalized().map(|entry| entry.fields_v1), want, "{name}");
        }
    }
}
