//! What is wrong with an object, collected.

use api::Cause;
use serde_json::Value;
use std::fmt::Display;

/// Collects what is wrong with an object, in upstream's words (`field.ErrorList`).
#[derive(Debug, Default)]
pub struct ErrorList {
    causes: Vec<Cause>,
}

/// Of a value that is too large to be shown in a message, so many characters are.
const LONGEST_SHOWN: usize = 1024;

impl ErrorList {
    pub fn required(&mut self, field: impl Display, why: &str) {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        self.push("FieldValueRequired", field, message);
    }

    pub fn invalid(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        self.push("FieldValueInvalid", field, format!("Invalid value: {}: {why}", shown(&value.into())));
    }

    /// A value of the wrong type: `Invalid value: "string": …`, as upstream's schema validation words it.
    pub fn wrong_type(&mut self, field: impl Display, found: &str, why: impl Display) {
        self.push("FieldValueTypeInvalid", field, format!("Invalid value: {found:?}: {why}"));
    }

    pub fn duplicate(&mut self, field: impl Display, value: impl Into<Value>) {
        self.push("FieldValueDuplicate", field, format!("Duplicate value: {}", shown(&value.into())));
    }

    /// A duplicate that needs a word more.
    pub fn duplicate_because(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        self.push("FieldValueDuplicate", field, format!("Duplicate value: {}: {why}", shown(&value.into())));
    }

    pub fn not_supported<S>(&mut self, field: impl Display, value: impl Into<Value>, supported: &[S])
    where
        S: Clone + Into<Value>,
    {
        let each: Vec<String> = supported.iter().map(|one| shown(&one.clone().into())).collect();
        let value = shown(&value.into());
        let message = format!("Unsupported value: {value}: supported values: {}", each.join(", "));
        self.push("FieldValueNotSupported", field, message);
    }

    pub fn forbidden(&mut self, field: impl Display, why: impl Display) {
        self.push("FieldValueForbidden", field, format!("Forbidden: {why}"));
    }

    pub fn not_found(&mut self, field: impl Display, value: impl Into<Value>) {
        self.push("FieldValueNotFound", field, format!("Not found: {}", shown(&value.into())));
    }

    pub fn not_found_because(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        self.push("FieldValueNotFound", field, format!("Not found: {}: {why}", shown(&value.into())));
    }

    pub fn too_long(&mut self, field: impl Display, most: impl Display) {
        self.push("FieldValueTooLong", field, format!("Too long: may not be more than {most} bytes"));
    }

    pub fn too_many(&mut self, field: impl Display, count: usize, most: impl Display) {
        let most = most.to_string();
        let items = if most == "1" { "item" } else { "items" };
        self.push("FieldValueTooMany", field, format!("Too many: {count}: must have at most {most} {items}"));
    }

    /// Takes back what was wrong before too: an object that was stored under laxer rules can still be changed, and
    /// deleted.
    pub fn forgive(&mut self, before: &ErrorList) {
        self.causes.retain(|cause| !before.causes.contains(cause));
    }

    pub fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        self.causes.extend(causes);
    }

    pub fn append(&mut self, mut other: ErrorList) {
        self.causes.append(&mut other.causes);
    }

    pub fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.causes.len()
    }

    pub fn into_causes(self) -> Vec<Cause> {
        self.causes
    }

    pub fn push(&mut self, reason: &str, field: impl Display, message: String) {
        let field = match field.to_string() {
            root if root.is_empty() => "<nil>".to_owned(),
            field => field,
        };
        self.causes.push(Cause { reason: reason.to_owned(), message, field });
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
