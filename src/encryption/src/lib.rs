//! Encryption at rest: what an `EncryptionConfiguration` (apiserver.config.k8s.io) says of which resources are stored under which
//! keys, and how an object's JSON becomes what is stored, and that the JSON. Pure, but for the nonces, which are random.
//!
//! What is stored says by whom: `k8s:enc:aesgcm:v1:KEY:`, and then the nonce and the ciphertext, as upstream has it. What is not
//! encrypted is the JSON itself. Not here: keys that a KMS holds, and files that are read again while the daemon runs. Read
//! [`Encryption::decrypt`] first.

#![forbid(unsafe_code)]

mod cipher;
mod configuration;

pub use configuration::ConfigurationError;

use api::ObjectKey;
use cipher::Cipher;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// What every stored value begins with that is encrypted.
const ENCRYPTED: &[u8] = b"k8s:enc:";

/// Which resources are stored under which keys. The default encrypts nothing, and reads nothing that is encrypted.
#[derive(Default)]
pub struct Encryption {
    rules: BTreeMap<Pattern, Vec<Provider>>,
}

/// `secrets`, `deployments.apps`, `*.apps`, `*.` (the core group) or `*.*`, in two parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    resource: String,
    group: String,
}

/// One key of a provider, or nothing at all (`identity`). The first one of a resource encrypts, all of them decrypt.
#[derive(Clone)]
struct Provider {
    /// `k8s:enc:aesgcm:v1:KEY:`; empty for `identity`.
    prefix: String,
    cipher: Option<Cipher>,
}

/// What was stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Decrypted<'s> {
    pub json: Cow<'s, [u8]>,
    /// It would be stored in another form now: under another key, or under one at all, or under none.
    pub is_stale: bool,
}

/// Why something that is stored can not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecryptError {
    #[error(
        "encrypted by {provider} with the key {key:?}, which the encryption configuration does not have for it"
    )]
    UnknownKey { provider: String, key: String },
    /// The key is there.
    #[error(
        "the key {key:?} of {provider} does not decrypt it: it was encrypted with another secret, or was changed since"
    )]
    Refused { provider: String, key: String },
    #[error("not encrypted, and the encryption configuration has no `identity` for it")]
    Plain,
}

impl Encryption {
    /// The JSON of an object as it is to be stored.
    pub fn encrypt<'j>(&self, resource: &str, key: &ObjectKey, json: &'j [u8]) -> Cow<'j, [u8]> {
        match self.providers(resource) {
            [Provider { prefix, cipher: Some(cipher) }, ..] => {
                let mut stored = prefix.as_bytes().to_vec();
                cipher.encrypt(&place(resource, key), json, &mut stored);
                Cow::Owned(stored)
            }
            _ => Cow::Borrowed(json),
        }
    }

    /// What `encrypt` was given, by this configuration or an earlier one.
    ///
    /// # Errors
    /// No provider of the resource has the key; the key does not decrypt it.
    pub fn decrypt<'s>(
        &self,
        resource: &str,
        key: &ObjectKey,
        stored: &'s [u8],
    ) -> Result<Decrypted<'s>, DecryptError> {
        let providers = self.providers(resource);
        if !stored.starts_with(ENCRYPTED) {
            let identity = providers.iter().position(|provider| provider.cipher.is_none());
            // what no rule is about is stored as it is
            let at = identity.or(providers.is_empty().then_some(0)).ok_or(DecryptError::Plain)?;
            return Ok(Decrypted { json: Cow::Borrowed(stored), is_stale: at != 0 });
        }
        let mut has_key = false;
        for (at, provider) in providers.iter().enumerate() {
            let Some(cipher) = &provider.cipher else { continue };
            let Some(sealed) = stored.strip_prefix(provider.prefix.as_bytes()) else { continue };
            has_key = true;
            // two keys may have one name while they are changed
            if let Some(json) = cipher.decrypt(&place(resource, key), sealed) {
                return Ok(Decrypted { json: Cow::Owned(json), is_stale: at != 0 });
            }
        }
        let (provider, key) = names(stored);
        Err(match has_key {
            true => DecryptError::Refused { provider, key },
            false => DecryptError::UnknownKey { provider, key },
        })
    }

    /// The same for configurations that store everything in the same form, as far as resources and names of keys tell; 0 for
    /// the default. Nobody learns a secret from it.
    pub fn fingerprint(&self) -> u32 {
        self.rules.iter().filter_map(|(pattern, providers)| Some((pattern, providers.first()?))).fold(
            0,
            |sum, (pattern, first)| {
                let text = format!("{pattern}\n{}\n", first.prefix);
                // FNV-1a, which is the same on every machine and in every version
                text.bytes()
                    .fold(sum ^ 0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
            },
        )
    }

    /// The narrowest pattern wins, wherever it stands.
    fn providers(&self, resource: &str) -> &[Provider] {
        if self.rules.is_empty() {
            return &[];
        }
        let exact = Pattern::new(resource);
        let of_group = Pattern { resource: "*".to_owned(), group: exact.group.clone() };
        [exact, of_group, Pattern::new("*.*")]
            .iter()
            .find_map(|pattern| self.rules.get(pattern))
            .map_or(&[], Vec::as_slice)
    }
}

/// Without the keys.
impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixes = |providers: &[Provider]| -> Vec<String> {
            providers.iter().map(|provider| provider.prefix.clone()).collect()
        };
        f.debug_map()
            .entries(self.rules.iter().map(|(pattern, providers)| (pattern.to_string(), prefixes(providers))))
            .finish()
    }
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        let (resource, group) = text.split_once('.').unwrap_or((text, ""));
        Pattern { resource: resource.to_owned(), group: group.to_owned() }
    }
}

/// As it is typed.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.resource.as_str(), self.group.as_str()) {
            ("*", "") => f.write_str("*."),
            (resource, "") => f.write_str(resource),
            (resource, group) => write!(f, "{resource}.{group}"),
        }
    }
}

/// Where an object is stored, as upstream names it in etcd: a ciphertext that was moved to another place is refused.
fn place(resource: &str, key: &ObjectKey) -> String {
    match &key.namespace {
        Some(namespace) => format!("/registry/{resource}/{namespace}/{}", key.name),
        None => format!("/registry/{resource}/{}", key.name),
    }
}

/// The provider and the key that a stored value names.
fn names(stored: &[u8]) -> (String, String) {
    let mut parts = stored[ENCRYPTED.len()..].split(|byte| *byte == b':');
    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (provider, _version, key) = (part(), part(), part());
    (provider, key)
}

#[cfg(test)]
mod tests;
