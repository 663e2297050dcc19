//! What is where, and how an object is written: `12 3735928559` (its revision and the sum over the row) in a line of its own, and
//! then its JSON, so that a person can read it with `etcdctl get`, where it is not encrypted.

use crate::Resource;
use crate::log::row_sum;
use api::{Object, ObjectKey, ResourceVersion};
use bytes::Bytes;
use encryption::Encryption;
use std::sync::Arc;

/// The keys of one profile, and their values.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    encryption: Arc<Encryption>,
}

impl Keys {
    /// `prefix` ends with a slash.
    pub(super) fn new(prefix: &str, encryption: &Arc<Encryption>) -> Keys {
        Keys { prefix: prefix.to_owned(), encryption: encryption.clone() }
    }

    pub(super) fn encryption(&self) -> &Arc<Encryption> {
        &self.encryption
    }

    pub(super) fn everything(&self) -> Vec<u8> {
        self.prefix.clone().into_bytes()
    }

    /// Who writes here; it goes with his lease.
    pub(super) fn holder(&self) -> Vec<u8> {
        format!("{}holder", self.prefix).into_bytes()
    }

    pub(super) fn state(&self) -> Vec<u8> {
        format!("{}state", self.prefix).into_bytes()
    }

    pub(super) fn objects(&self) -> Vec<u8> {
        format!("{}objects/", self.prefix).into_bytes()
    }

    /// No resource and no namespace has a slash in it; what is of no namespace has an empty one.
    pub(super) fn object(&self, resource: &Resource, key: &ObjectKey) -> Vec<u8> {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        format!("{}objects/{resource}/{namespace}/{}", self.prefix, key.name).into_bytes()
    }

    pub(super) fn journals(&self) -> Vec<u8> {
        format!("{}journal/", self.prefix).into_bytes()
    }

    pub(super) fn journal(&self, ticket: &str) -> Vec<u8> {
        format!("{}journal/{ticket}/", self.prefix).into_bytes()
    }

    /// Numbers of the same length, so that they are listed in order.
    pub(super) fn part(&self, ticket: &str, part: usize) -> Vec<u8> {
        format!("{}journal/{ticket}/{part:08}", self.prefix).into_bytes()
    }

    /// The object that a key is about.
    pub(super) fn place(&self, key: &[u8]) -> Option<(Resource, ObjectKey)> {
        let path = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?.strip_prefix("objects/")?;
        let mut parts = path.splitn(3, '/');
        let (resource, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        Some((Resource::from(resource), ObjectKey::new(namespace, name)))
    }

    pub(super) fn value(&self, resource: &Resource, key: &ObjectKey, object: &Object) -> Vec<u8> {
        let sum = row_sum(resource, key, object.revision(), object.bytes());
        let mut value = format!("{} {sum}\n", object.revision()).into_bytes();
        value.extend_from_slice(&self.encryption.encrypt(resource.as_str(), key, object.bytes()));
        value
    }
}

/// An object's revision, the sum on record, and its JSON, which may be encrypted.
pub(super) fn parse(value: Vec<u8>) -> Option<(ResourceVersion, u64, Bytes)> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let (revision, sum) = std::str::from_utf8(&value[..end]).ok()?.split_once(' ')?;
    let (revision, sum) = (revision.parse().ok()?, sum.parse().ok()?);
    Some((ResourceVersion(revision), sum, Bytes::from(value).slice(end + 1..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let keys = Keys::new("/monopod/shop/", &Arc::default());
        for (resource, key) in [
            ("configmaps", ObjectKey::namespaced("default", "a")),
            ("nodes", ObjectKey::new(None, "monopod")),
            ("clusterroles.rbac.authorization.k8s.io", ObjectKey::new(None, "system:a/b")),
        ] {
            let place = (Resource::from(resource), key);
            assert_eq!(keys.place(&keys.object(&place.0, &place.1)), Some(place));
        }
        for stranger in
            ["/monopod/shop/objects/pods", "/monopod/shop/state", "/monopod/shopping/objects/a/b/c"]
        {
            assert_eq!(keys.place(stranger.as_bytes()), None, "{stranger}");
        }
    }
}
