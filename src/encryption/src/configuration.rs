//! The file, as upstream's `EncryptionConfiguration` has it, and upstream's words for what can not be meant.

use crate::cipher::Cipher;
use crate::{Encryption, Pattern, Provider};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

const VERSION: &str = "apiserver.config.k8s.io/v1";
const KIND: &str = "EncryptionConfiguration";
/// What upstream keeps in etcd beside the objects of its API.
const NO_RESOURCES: [&str; 3] = ["apiserveripinfo", "serviceipallocations", "servicenodeportallocations"];

#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("{0}")]
    Unreadable(String),
    #[error("its apiVersion is {0:?} and not {VERSION}")]
    Version(String),
    #[error("its kind is {0:?} and not {KIND}")]
    Kind(String),
    #[error("{field}: {why}")]
    Invalid { field: String, why: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    resources: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    providers: Vec<ProviderFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderFile {
    aesgcm: Option<Keys>,
    aescbc: Option<Keys>,
    secretbox: Option<Keys>,
    identity: Option<Identity>,
    kms: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    #[serde(default)]
    name: String,
    /// In base64.
    #[serde(default)]
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {}

/// A provider with keys: its name, the lengths of its secrets in bytes, and its cipher.
struct Kind {
    name: &'static str,
    lengths: &'static [usize],
    cipher: fn(&[u8]) -> Option<Cipher>,
}

const AESGCM: Kind = Kind { name: "aesgcm", lengths: &[16, 24, 32], cipher: Cipher::aes_gcm };
const AESCBC: Kind = Kind { name: "aescbc", lengths: &[16, 24, 32], cipher: Cipher::aes_cbc };
const SECRETBOX: Kind = Kind { name: "secretbox", lengths: &[32], cipher: Cipher::secretbox };

impl Encryption {
    /// From YAML or JSON.
    ///
    /// # Errors
    /// What is no such file, and what can not be meant, by field. No secret is in it.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        // a snippet of the file in an error may be a secret
        let options = serde_saphyr::options! { with_snippet: false };
        let file: File = serde_saphyr::from_str_with_options(text, options)
            .map_err(|e| ConfigurationError::Unreadable(without_secrets(&e.to_string())))?;
        if file.api_version != VERSION {
            return Err(ConfigurationError::Version(file.api_version));
        }
        if file.kind != KIND {
            return Err(ConfigurationError::Kind(file.kind));
        }
        if file.resources.is_empty() {
            return Err(required("resources", "resources"));
        }
        let mut rules = BTreeMap::<Pattern, Vec<Provider>>::new();
        for (index, rule) in file.resources.iter().enumerate() {
            let field = format!("resources[{index}]");
            let patterns = patterns(&format!("{field}.resources"), &rule.resources)?;
            let providers = providers(&format!("{field}.providers"), &rule.providers)?;
            for pattern in patterns {
                let wider = [Pattern { resource: "*".to_owned(), ..pattern.clone() }, Pattern::new("*.*")];
                if let Some(masks) =
                    wider.iter().find(|wider| **wider != pattern && rules.contains_key(wider))
                {
                    let why = format!(
                        "resource {:?} is masked by earlier rule {:?}",
                        pattern.to_string(),
                        masks.to_string()
                    );
                    return Err(invalid(&field, why));
                }
                // one that stands in several rules has the providers of all
                rules.entry(pattern).or_default().extend(providers.iter().cloned());
            }
        }
        Ok(Encryption { rules })
    }
}

fn patterns(field: &str, resources: &[String]) -> Result<Vec<Pattern>, ConfigurationError> {
    if resources.is_empty() {
        return Err(required(field, field));
    }
    let patterns: Vec<Pattern> = resources.iter().map(|resource| Pattern::new(resource)).collect();
    let is_any = |pattern: &Pattern| pattern.resource == "*" && pattern.group == "*";
    for (at, one) in patterns.iter().enumerate() {
        for other in &patterns[..at] {
            if one == other {
                return Err(invalid(field, "the same resource cannot be specified multiple times"));
            }
            let is_wide = one.resource == "*" || other.resource == "*";
            if is_any(one) || is_any(other) || (one.group == other.group && is_wide) {
                return Err(invalid(
                    field,
                    "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they \
                     will be masked",
                ));
            }
        }
    }
    for (index, (text, pattern)) in resources.iter().zip(&patterns).enumerate() {
        if let Some(why) = no_resource(text, pattern) {
            return Err(invalid(&format!("{field}[{index}]"), why));
        }
    }
    Ok(patterns)
}

fn no_resource(text: &str, pattern: &Pattern) -> Option<&'static str> {
    if text.to_lowercase() != text {
        return Some("resource name should not contain capital letters");
    }
    if text == "*" {
        return Some(
            "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
        );
    }
    if NO_RESOURCES.contains(&text) {
        return Some("resources which do not have REST API/s cannot be encrypted");
    }
    match (pattern.resource.as_str(), pattern.group.as_str()) {
        (_, "events.k8s.io") => Some(
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file",
        ),
        (_, "extensions") => Some("'extensions' group has been removed and cannot be used for encryption"),
        ("*", "*") => None,
        (_, "*") => Some("encrypting the same resource across groups is not supported"),
        _ => None,
    }
}

fn providers(field: &str, files: &[ProviderFile]) -> Result<Vec<Provider>, ConfigurationError> {
    if files.is_empty() {
        return Err(required(field, field));
    }
    let mut providers = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let field = format!("{field}[{index}]");
        let given = [
            file.kms.is_some(),
            file.aesgcm.is_some(),
            file.aescbc.is_some(),
            file.secretbox.is_some(),
            file.identity.is_some(),
        ];
        match given.iter().filter(|given| **given).count() {
            1 => {}
            0 => {
                return Err(invalid(
                    &field,
                    "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity",
                ));
            }
            _ => {
                return Err(invalid(
                    &field,
                    "more than one provider specified in a single element, should split into different list elements",
                ));
            }
        }
        if file.kms.is_some() {
            return Err(invalid(
                &format!("{field}.kms"),
                "keys that a KMS plugin holds can not be used here: give the key itself, to aesgcm, aescbc or secretbox",
            ));
        }
        let with_keys = [(AESGCM, &file.aesgcm), (AESCBC, &file.aescbc), (SECRETBOX, &file.secretbox)];
        for (kind, keys) in with_keys {
            let Some(Keys { keys }) = keys else { continue };
            providers.extend(kind.providers(&format!("{field}.{}.keys", kind.name), keys)?);
        }
        if file.identity.is_some() {
            providers.push(Provider { prefix: String::new(), cipher: None });
        }
    }
    Ok(providers)
}

impl Kind {
    fn providers(&self, field: &str, keys: &[Key]) -> Result<Vec<Provider>, ConfigurationError> {
        if keys.is_empty() {
            return Err(required(field, "keys"));
        }
        let provider = |(index, key): (usize, &Key)| {
            let field = format!("{field}[{index}]");
            if key.name.is_empty() {
                return Err(invalid(&format!("{field}.name"), "name is a mandatory field for a key"));
            }
            let cipher = self.cipher_of(&format!("{field}.secret"), &key.secret)?;
            Ok(Provider { prefix: format!("k8s:enc:{}:v1:{}:", self.name, key.name), cipher: Some(cipher) })
        };
        keys.iter().enumerate().map(provider).collect()
    }

    fn cipher_of(&self, field: &str, secret: &str) -> Result<Cipher, ConfigurationError> {
        if secret.is_empty() {
            return Err(invalid(field, "secret is a mandatory field for a key"));
        }
        let one_line: String = secret.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
        let Ok(secret) = STANDARD.decode(one_line) else {
            return Err(invalid(field, "secrets must be base64 encoded"));
        };
        if !self.lengths.contains(&secret.len()) {
            let lengths: Vec<String> = self.lengths.iter().map(usize::to_string).collect();
            let (length, lengths) = (secret.len(), lengths.join(" "));
            let why =
                format!("secret is not of the expected length, got {length}, expected one of [{lengths}]");
            return Err(invalid(field, why));
        }
        (self.cipher)(&secret).ok_or_else(|| {
            let (length, name) = (secret.len(), self.name);
            invalid(
                field,
                format!("secrets of {length} bytes can not be used here for {name}: take one of 16 or 32"),
            )
        })
    }
}

/// A secret whose name was forgotten is taken for the name of a field, which is told: of 16 bytes it has 22 letters in base64 and more.
fn without_secrets(said: &str) -> String {
    const LONGEST_NAME: usize = 20;
    let is_of_base64 = |letter: char| letter.is_ascii_alphanumeric() || "+/=-_".contains(letter);
    said.split_inclusive(|letter: char| !is_of_base64(letter))
        .map(|piece| {
            let word = piece.trim_end_matches(|letter: char| !is_of_base64(letter));
            if word.len() > LONGEST_NAME { piece.replacen(word, "…", 1) } else { piece.to_owned() }
        })
        .collect()
}

fn required(field: &str, what: &str) -> ConfigurationError {
    invalid(field, format!("at least one {what} is required"))
}

fn invalid(field: &str, why: impl Into<String>) -> ConfigurationError {
    ConfigurationError::Invalid { field: field.to_owned(), why: why.into() }
}
