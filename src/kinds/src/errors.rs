use api::Cause;
use serde_json::Value;
use std::fmt::Display;

/// Collects what is wrong with an object, in upstream's words (`field.ErrorList`).
#[derive(Debug, Default)]
pub struct Errors {
    causes: Vec<Cause>,
}

impl Errors {
    pub fn required(&mut self, field: impl Display, why: &str) {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        self.push("FieldValueRequired", field, message);
    }

    pub fn invalid(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        self.push("FieldValueInvalid", field, format!("Invalid value: {}: {why}", value.into()));
    }

    pub fn duplicate(&mut self, field: impl Display, value: impl Into<Value>) {
        self.push("FieldValueDuplicate", field, format!("Duplicate value: {}", value.into()));
    }

    pub fn not_supported(&mut self, field: impl Display, value: impl Into<Value>, supported: &[&str]) {
        let each: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let message = format!("Unsupported value: {}: supported values: {}", value.into(), each.join(", "));
        self.push("FieldValueNotSupported", field, message);
    }

    pub fn forbidden(&mut self, field: impl Display, why: impl Display) {
        self.push("FieldValueForbidden", field, format!("Forbidden: {why}"));
    }

    pub fn not_found(&mut self, field: impl Display, value: impl Into<Value>) {
        self.push("FieldValueNotFound", field, format!("Not found: {}", value.into()));
    }

    pub fn too_long(&mut self, field: impl Display, most: usize) {
        self.push("FieldValueTooLong", field, format!("Too long: may not be more than {most} bytes"));
    }

    pub fn too_many(&mut self, field: impl Display, count: usize, most: usize) {
        let items = if most == 1 { "item" } else { "items" };
        self.push("FieldValueTooMany", field, format!("Too many: {count}: must have at most {most} {items}"));
    }

    /// A duplicate that needs a word more.
    pub fn duplicate_because(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        self.push("FieldValueDuplicate", field, format!("Duplicate value: {}: {why}", value.into()));
    }

    pub fn not_found_because(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        self.push("FieldValueNotFound", field, format!("Not found: {}: {why}", value.into()));
    }

    /// Takes back what was wrong before too: an object that was stored under laxer rules can still be changed, and
    /// deleted.
    pub fn forgive(&mut self, before: &Errors) {
        self.causes.retain(|cause| !before.causes.contains(cause));
    }

    pub fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        self.causes.extend(causes);
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

    fn push(&mut self, reason: &str, field: impl Display, message: String) {
        self.causes.push(Cause { reason: reason.to_owned(), message, field: field.to_string() });
    }
}
