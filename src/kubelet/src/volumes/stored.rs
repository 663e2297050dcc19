//! The values of a ConfigMap or Secret as bytes that are not copied, however many files they come to.

use bytes::Bytes;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;

type Find<T> = for<'a> fn(&'a T, &str) -> Option<&'a [u8]>;

pub(super) struct Stored<T> {
    object: Arc<T>,
    find: Find<T>,
}

impl<T: Send + Sync + 'static> Stored<T> {
    pub fn value(&self, key: &str) -> Option<Bytes> {
        (self.find)(&self.object, key)?;
        let value = Value { object: self.object.clone(), find: self.find, key: key.to_owned() };
        Some(Bytes::from_owner(value))
    }
}

/// Keeps the object as long as somebody has the bytes.
struct Value<T> {
    object: Arc<T>,
    find: Find<T>,
    key: String,
}

impl<T> AsRef<[u8]> for Value<T> {
    fn as_ref(&self) -> &[u8] {
        (self.find)(&self.object, &self.key).unwrap_or_default()
    }
}

pub(super) fn of_config_map(map: &Arc<ConfigMap>) -> Stored<ConfigMap> {
    Stored { object: map.clone(), find: in_config_map }
}

pub(super) fn keys_of_config_map(map: &ConfigMap) -> impl Iterator<Item = &String> {
    let text = map.data.iter().flat_map(BTreeMap::keys);
    text.chain(map.binary_data.iter().flat_map(BTreeMap::keys))
}

fn in_config_map<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a [u8]> {
    let binary = map.binary_data.as_ref().and_then(|data| data.get(key));
    let text = map.data.as_ref().and_then(|data| data.get(key));
    binary.map(|value| value.0.as_slice()).or(text.map(String::as_bytes))
}

pub(super) fn of_secret(secret: &Arc<Secret>) -> Stored<Secret> {
    Stored { object: secret.clone(), find: in_secret }
}

pub(super) fn keys_of_secret(secret: &Secret) -> impl Iterator<Item = &String> {
    secret.data.iter().flat_map(BTreeMap::keys)
}

fn in_secret<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice())
}
