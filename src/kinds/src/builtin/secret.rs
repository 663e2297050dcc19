use super::name_of;
use crate::{Cell, Column, Errors, Kind, age};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

const LARGEST: usize = 1024 * 1024; // bytes of all values

impl Kind for Secret {
    const SINGULAR: &'static str = "secret";
    const PLURAL: &'static str = "secrets";
    const FIELDS: &'static [&'static str] = &["type"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Type", "string", "What the data is for"),
        Column::new("Data", "string", "Number of entries"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        self.type_.get_or_insert_with(|| "Opaque".to_owned());
        for (key, text) in self.string_data.take().into_iter().flatten() {
            self.data.get_or_insert_default().insert(key, ByteString(text.into_bytes()));
        }
    }
    fn validate(&self, errors: &mut Errors) {
        let mut size = 0;
        for (key, value) in self.data.iter().flatten() {
            if let Err(why) = super::names::config_key(key) {
                errors.invalid(format!("data[{key}]"), key.as_str(), why);
            }
            size += value.0.len();
        }
        if size > LARGEST {
            errors.too_long("data", LARGEST);
        }
        for key in required_keys(self.type_.as_deref().unwrap_or_default()) {
            if !self.data.as_ref().is_some_and(|data| data.contains_key(*key)) {
                errors.required(format!("data[{key}]"), "");
            }
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if self.type_ != old.type_ {
            errors.invalid("type", self.type_.clone().unwrap_or_default(), "field is immutable");
        }
        if old.immutable == Some(true) {
            if self.immutable != Some(true) {
                errors.forbidden("immutable", "field is immutable when `immutable` is set");
            }
            if self.data != old.data {
                errors.forbidden("data", "field is immutable when `immutable` is set");
            }
        }
    }
    fn field(&self, path: &str) -> String {
        match path {
            "type" => self.type_.clone().unwrap_or_default(),
            _ => String::new(),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![
            name_of(&self.metadata),
            self.field("type").into(),
            self.data.as_ref().map_or(0, |d| d.len()).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

fn required_keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        _ => &[],
    }
}
