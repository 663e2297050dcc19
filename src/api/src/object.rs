//! An object as it is stored and sent: bytes of JSON, and the metadata that is read out of them once.

use crate::footprint::{Survey, survey};
use crate::{ObjectKey, ResourceVersion, Status};
use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A committed object: its encoded JSON, exactly as a client reads it, and the metadata that everybody asks for.
/// Cloning is cheap; nothing is decoded again on the way to a socket.
#[derive(Clone)]
pub struct Object {
    bytes: Bytes,
    meta: Arc<Meta>,
    revision: ResourceVersion,
    survey: Survey,
}

/// An encoded object that waits for its revision. The JSON is held in two halves around the place where the
/// revision's digits go, so that stamping is one copy.
#[derive(Clone)]
pub struct Unstamped {
    head: Bytes,
    tail: Bytes,
    meta: Arc<Meta>,
    /// Of the two halves put together.
    survey: Survey,
}

/// The parsed part of `metadata`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "empty_is_none")]
    pub namespace: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
    #[serde(deserialize_with = "or_default")]
    pub generation: i64,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<OwnerRef>,
    #[serde(deserialize_with = "or_default")]
    pub finalizers: Vec<String>,
    pub deletion_timestamp: Option<String>,
    pub deletion_grace_period_seconds: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerRef {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: Option<bool>,
    pub block_owner_deletion: Option<bool>,
}

#[derive(Deserialize)]
struct OnlyMeta {
    #[serde(default)]
    metadata: Meta,
}

/// What stands in `metadata.resourceVersion` of JSON that is given to [`Unstamped::new`].
pub const REVISION_PLACEHOLDER: &str = "\u{1}rv\u{1}";
const PLACEHOLDER_IN_JSON: &[u8] = br#""\u0001rv\u0001""#;

/// By name only: the bytes may be a Secret's, and must never reach a log.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} at {})", self.key(), self.revision)
    }
}

impl fmt::Debug for Unstamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unstamped({})", self.key())
    }
}

impl Unstamped {
    /// `json` is an object in which `metadata.resourceVersion` is [`REVISION_PLACEHOLDER`].
    ///
    /// # Errors
    /// `InternalError` where the placeholder is missing or the metadata can not be read; `BadRequest` where a client
    /// wrote the placeholder into the object, so that there are two places.
    pub fn new(json: Vec<u8>) -> Result<Self, Status> {
        let mut places = memmem::find_iter(&json, PLACEHOLDER_IN_JSON);
        let at = places
            .next()
            .ok_or_else(|| Status::internal("encoded object has no place for its resourceVersion"))?;
        if places.next().is_some() {
            return Err(Status::bad_request("control characters that no object may hold"));
        }
        let OnlyMeta { metadata } =
            serde_json::from_slice(&json).map_err(|e| Status::internal(format!("encoded object: {e}")))?;
        // between the quotation marks
        let (from, to) = (at + 1, at + PLACEHOLDER_IN_JSON.len() - 1);
        let survey = survey(&json).shifted(from, -((to - from) as isize));
        let json = Bytes::from(json);
        Ok(Unstamped { head: json.slice(..from), tail: json.slice(to..), meta: Arc::new(metadata), survey })
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    pub fn key(&self) -> ObjectKey {
        self.meta.key()
    }

    /// Bytes of JSON that it comes to, at most.
    #[expect(clippy::len_without_is_empty, reason = "no object is empty")]
    pub fn len(&self) -> usize {
        const LONGEST_REVISION: usize = 20; // digits of u64::MAX
        self.head.len() + LONGEST_REVISION + self.tail.len()
    }

    /// The object as of this revision; 0 for one that was never stored: it has none.
    pub fn stamp(self, revision: ResourceVersion) -> Object {
        let mut digits = [0u8; 20];
        let digits = if revision.0 == 0 { &[][..] } else { write_decimal(revision.0, &mut digits) };
        let mut bytes = BytesMut::with_capacity(self.head.len() + digits.len() + self.tail.len());
        bytes.put_slice(&self.head);
        bytes.put_slice(digits);
        bytes.put_slice(&self.tail);
        let survey = self.survey.shifted(self.head.len(), digits.len() as isize);
        Object { bytes: bytes.freeze(), meta: self.meta, revision, survey }
    }
}

impl Object {
    /// From the store's log: bytes that were stamped with `revision` before.
    ///
    /// # Errors
    /// Where the bytes are no JSON object with metadata.
    pub fn from_stored(bytes: Bytes, revision: ResourceVersion) -> Result<Self, serde_json::Error> {
        let OnlyMeta { metadata } = serde_json::from_slice(&bytes)?;
        let survey = survey(&bytes);
        Ok(Object { bytes, meta: Arc::new(metadata), revision, survey })
    }

    /// The encoded JSON.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// About how many bytes of memory it takes where it is decoded: [`footprint`](crate::footprint()) of its JSON, counted once.
    pub fn footprint(&self) -> usize {
        self.survey.footprint
    }

    /// The bytes of `metadata.managedFields` in its JSON, which the footprint leaves out.
    pub fn managed_fields_size(&self) -> usize {
        self.survey.managed_fields.len()
    }

    pub fn revision(&self) -> ResourceVersion {
        self.revision
    }

    pub fn key(&self) -> ObjectKey {
        self.meta.key()
    }

    /// # Errors
    /// Where the stored JSON does not fit the type: a defect, or a state file of another version.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }

    /// As if `metadata.managedFields` were `null`: whoever writes back what is read so says nothing of them, where an empty list would
    /// throw them away. They are a third of an object's JSON and, each level of them a map, half of the work of decoding it.
    ///
    /// # Errors
    /// As [`Object::decode`].
    pub fn decode_without_managed_fields<T: serde::de::DeserializeOwned>(
        &self,
    ) -> Result<T, serde_json::Error> {
        let Range { start, end } = self.survey.managed_fields;
        if start == end {
            return self.decode();
        }
        let (before, after) = (&self.bytes[..start as usize], &self.bytes[end as usize..]);
        serde_json::from_slice(&[before, &b"null"[..], after].concat())
    }
}

impl Meta {
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_deref(), &self.name)
    }

    pub fn controller(&self) -> Option<&OwnerRef> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }

    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

fn empty_is_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.filter(|text| !text.is_empty()))
}

fn write_decimal(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &buffer[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamping_puts_the_revision_where_the_placeholder_was() {
        let json = serde_json::json!({"metadata": {"name": "web", "namespace": "default",
            "resourceVersion": REVISION_PLACEHOLDER}, "spec": {"x": 1}});
        let object = Unstamped::new(serde_json::to_vec(&json).unwrap()).unwrap().stamp(ResourceVersion(1204));
        let back: serde_json::Value = object.decode().unwrap();
        assert_eq!(back["metadata"]["resourceVersion"], "1204");
        assert_eq!(back["spec"]["x"], 1);
        assert_eq!(object.key().to_string(), "default/web");
    }

    #[test]
    fn what_was_never_stored_has_no_revision() {
        let json = serde_json::json!({"metadata": {"name": "web", "resourceVersion": REVISION_PLACEHOLDER}});
        let object = Unstamped::new(serde_json::to_vec(&json).unwrap()).unwrap().stamp(ResourceVersion(0));
        assert_eq!(object.decode::<serde_json::Value>().unwrap()["metadata"]["resourceVersion"], "");
    }

    #[test]
    fn managed_fields_are_left_out_wherever_they_stand() {
        let managed = r#""managedFields":[{"fieldsV1":{"f:spec":{}},"manager":"]"}]"#;
        let revision = r#""resourceVersion":"\u0001rv\u0001""#;
        for metadata in [
            format!("{managed},{revision}"),
            format!("{revision},{managed}"),
            format!(r#""name":"web",{managed},"namespace":"default",{revision}"#),
            format!(r#""managedFields":[],{revision}"#),
            format!(r#""managedFields":null,{revision}"#),
            revision.to_owned(),
        ] {
            let json = format!(r#"{{"metadata":{{{metadata}}},"spec":{{"x":1}}}}"#);
            let stamped = Unstamped::new(json.into_bytes()).unwrap().stamp(ResourceVersion(1204));
            let again = Object::from_stored(stamped.bytes().clone(), stamped.revision()).unwrap();
            for object in [stamped, again] {
                let mut want: serde_json::Value = object.decode().unwrap();
                if want["metadata"]["managedFields"].is_array() {
                    want["metadata"]["managedFields"] = serde_json::Value::Null;
                }
                let got: serde_json::Value = object.decode_without_managed_fields().unwrap();
                assert_eq!(got, want, "{metadata}");
            }
        }
    }

    #[test]
    fn an_object_without_a_place_for_its_revision_is_refused() {
        assert!(Unstamped::new(br#"{"metadata":{"name":"web"}}"#.to_vec()).is_err());
    }
}
