//! Secrets: `stringData` becomes data, a type wants the keys that it is for, and no error repeats a value.

use super::checks::{immutable, text};
use super::{fill, name_of, pem};
use crate::{Cell, Column, ErrorList, TypedKind, age};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

const LARGEST: usize = 1024 * 1024; // bytes of all values
const TLS: &str = "kubernetes.io/tls";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

impl TypedKind for Secret {
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
        fill::text(&mut self.type_, "Opaque");
        for (key, text) in self.string_data.take().into_iter().flatten() {
            self.data.get_or_insert_default().insert(key, ByteString(text.into_bytes()));
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
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
        of_type(self, errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        immutable(&self.type_, &old.type_, "type", errors);
        if old.immutable == Some(true) {
            if self.immutable != Some(true) {
                errors.forbidden("immutable", "field is immutable when `immutable` is set");
            }
            if self.data != old.data {
                errors.forbidden("data", "field is immutable when `immutable` is set");
            }
        }
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        let data = self.data.as_ref().filter(|_| text(&self.type_) == TLS);
        let value = |key: &str| data.and_then(|data| data.get(key)).map(|value| value.0.as_slice());
        let pair = value("tls.crt").zip(value("tls.key"));
        pair.and_then(|(certificate, key)| no_pair(certificate, key)).into_iter().collect()
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

/// What is there for a purpose has what the purpose needs.
fn of_type(secret: &Secret, errors: &mut ErrorList) {
    let value = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| &value.0);
    let must_have = |key: &str, errors: &mut ErrorList| {
        if value(key).is_none() {
            errors.required(format_args!("data[{key}]"), "");
        }
    };
    match text(&secret.type_) {
        "kubernetes.io/service-account-token" => {
            let notes = secret.metadata.annotations.as_ref();
            if notes.and_then(|notes| notes.get(ACCOUNT_NAME)).is_none_or(String::is_empty) {
                errors.required(format_args!("metadata.annotations[{ACCOUNT_NAME}]"), "");
            }
        }
        "kubernetes.io/dockercfg" => registries(".dockercfg", value(".dockercfg"), errors),
        "kubernetes.io/dockerconfigjson" => {
            registries(".dockerconfigjson", value(".dockerconfigjson"), errors);
        }
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            ["username", "password"].into_iter().for_each(|key| must_have(key, errors));
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(Vec::is_empty) => {
            errors.required("data[ssh-privatekey]", "");
        }
        TLS => {
            ["tls.crt", "tls.key"].into_iter().for_each(|key| must_have(key, errors));
        }
        _ => {}
    }
}

/// JSON, of which nothing is told: it holds passwords.
/// What Go's `X509KeyPair` says of texts that are no certificate and no key. Whether the key is the certificate's is not asked.
fn no_pair(certificate: &[u8], key: &[u8]) -> Option<String> {
    let labels = |text: &[u8]| -> Vec<String> {
        pem::blocks(&String::from_utf8_lossy(text)).into_iter().map(|block| block.label).collect()
    };
    let is_key = |label: &str| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY");
    let certificates = labels(certificate);
    if !certificates.iter().any(|label| label == "CERTIFICATE") {
        return Some(match certificates.as_slice() {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [one] if one.ends_with("PRIVATE KEY") => "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_owned(),
            others => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]",
                others.join(" ")
            ),
        });
    }
    let keys = labels(key);
    if keys.iter().any(|label| is_key(label)) {
        return None;
    }
    Some(match keys.as_slice() {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [one] if one == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        others => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]",
            others.join(" ")
        ),
    })
}

fn registries(key: &str, value: Option<&Vec<u8>>, errors: &mut ErrorList) {
    let Some(value) = value else { return errors.required(format_args!("data[{key}]"), "") };
    if let Err(why) = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(value) {
        errors.invalid(format_args!("data[{key}]"), "<secret contents redacted>", why);
    }
}
