//! ConfigMaps: keys that are names of files, a mebibyte of values, and nothing that changes once they are immutable.

use crate::{Cell, Column, ErrorList, TypedKind, age};
use k8s_openapi::api::core::v1::ConfigMap;

const LARGEST: usize = 1024 * 1024; // bytes of all values

impl TypedKind for ConfigMap {
    const SINGULAR: &'static str = "configmap";
    const PLURAL: &'static str = "configmaps";
    const SHORT_NAMES: &'static [&'static str] = &["cm"];
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Data", "string", "Number of entries"), Column::AGE];

    fn validate(&self, errors: &mut ErrorList) {
        let mut size = 0;
        for (key, value) in self.data.iter().flatten() {
            if let Err(why) = super::names::config_key(key) {
                errors.invalid(format!("data[{key}]"), key.as_str(), why);
            }
            size += value.len();
        }
        for (key, value) in self.binary_data.iter().flatten() {
            if let Err(why) = super::names::config_key(key) {
                errors.invalid(format!("binaryData[{key}]"), key.as_str(), why);
            }
            if self.data.as_ref().is_some_and(|data| data.contains_key(key)) {
                errors.invalid(
                    format!("data[{key}]"),
                    key.as_str(),
                    "duplicate of key present in binaryData",
                );
            }
            size += value.0.len();
        }
        if size > LARGEST {
            // so Go writes a path without a name
            errors.too_long("[]", LARGEST);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if old.immutable != Some(true) {
            return;
        }
        if self.immutable != Some(true) {
            errors.forbidden("immutable", "field is immutable when `immutable` is set");
        }
        if self.data != old.data {
            errors.forbidden("data", "field is immutable when `immutable` is set");
        }
        if self.binary_data != old.binary_data {
            errors.forbidden("binaryData", "field is immutable when `immutable` is set");
        }
    }

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let entries =
            self.data.as_ref().map_or(0, |d| d.len()) + self.binary_data.as_ref().map_or(0, |d| d.len());
        let name = self.metadata.name.clone().unwrap_or_default();
        vec![name.into(), entries.into(), age(self.metadata.creation_timestamp.as_ref(), now)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_too_large_is_told_in_upstreams_words() {
        let data = [("a".to_owned(), "x".repeat(LARGEST + 1))].into();
        let mut errors = ErrorList::default();
        ConfigMap { data: Some(data), ..ConfigMap::default() }.validate(&mut errors);
        let told =
            errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message));
        assert_eq!(told.collect::<Vec<_>>(), ["[]: Too long: may not be more than 1048576 bytes"]);
    }
}
