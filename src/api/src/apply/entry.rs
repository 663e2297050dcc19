//! One entry of `metadata.managedFields`.

use super::Who;
use super::fields::Fields;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who neither says who he is nor has a program's name.
const UNKNOWN: &str = "unknown";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    Apply,
    Update,
}

/// What one manager has of an object, by one door. Its fields stay as they are written until somebody changes one of them: most
/// entries of an object have nothing to do with a change, and are never read.
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
            fields_type: "FieldsV1".to_owned(),
            fields_v1: Value::Null,
            subresource: who.subresource.unwrap_or_default().to_owned(),
        }
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

    /// It has set some and removed others, now.
    pub(super) fn change(&mut self, set: &Fields, removed: &Fields, now: &str) {
        if set.is_within(&self.fields_v1) && !removed.may_meet(&self.fields_v1) {
            return;
        }
        let before = self.fields();
        let mut fields = before.clone();
        fields.unite(set);
        fields.subtract(removed);
        if fields != before {
            self.time = Some(now.to_owned());
            self.fields_v1 = fields.encode();
        }
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
