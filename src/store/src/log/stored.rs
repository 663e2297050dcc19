//! Objects as they are stored: under a key where the configuration says so. Sums are over the JSON, so they are the same under every
//! key and under none.

use super::{OpenError, Record, names, row_sum};
use crate::Resource;
use crate::root::Root;
use api::{Object, ObjectKey, ResourceVersion};
use bytes::Bytes;
use encryption::{DecryptError, Decrypted, Encryption};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

pub(super) type Place = (Resource, ObjectKey);

/// Reads what a back end has, and remembers what is to be written anew and what can not be decrypted.
pub(super) struct Reader {
    encryption: Arc<Encryption>,
    pub(super) stale: Vec<Place>,
    refused: BTreeMap<DecryptError, BTreeSet<Place>>,
}

/// What could be decrypted.
pub(super) struct Found {
    pub(super) sum: u32,
    /// `None` where it is none.
    pub(super) object: Option<Object>,
}

impl Reader {
    pub(super) fn new(encryption: &Arc<Encryption>) -> Reader {
        Reader { encryption: encryption.clone(), stale: Vec::new(), refused: BTreeMap::new() }
    }

    /// `None` where it can not be decrypted: `refusal` tells of it.
    pub(super) fn read(&mut self, place: &Place, revision: ResourceVersion, stored: Bytes) -> Option<Found> {
        let (resource, key) = place;
        let decrypted = self.encryption.decrypt(resource.as_str(), key, &stored);
        let (json, is_stale) = match decrypted {
            Ok(Decrypted { json: Cow::Owned(json), is_stale }) => (Bytes::from(json), is_stale),
            Ok(Decrypted { json: Cow::Borrowed(_), is_stale }) => (stored, is_stale),
            Err(why) => {
                self.refused.entry(why).or_default().insert(place.clone());
                return None;
            }
        };
        if is_stale {
            self.stale.push(place.clone());
        }
        let sum = row_sum(resource, key, revision, &json);
        Some(Found { sum, object: Object::from_stored(json, revision).ok() })
    }

    /// # Errors
    /// What could not be decrypted, and why. Nothing may be changed then: it is all there, for who has the key.
    pub(super) fn refusal(&self, place: &dyn Display) -> Result<(), OpenError> {
        if self.refused.is_empty() {
            return Ok(());
        }
        let named = |(resource, key): &Place| format!("{resource} {key}");
        let told = |(why, places): (&DecryptError, &BTreeSet<Place>)| {
            format!("{} can not be read: {why}", names(places.iter().map(named)))
        };
        let what: Vec<String> = self.refused.iter().map(told).collect();
        Err(OpenError::Undecryptable { place: place.to_string(), what: what.join("; ") })
    }
}

/// What writes these objects anew, as they are.
pub(super) fn records_at(root: &Root, places: Vec<Place>) -> Vec<Record> {
    let record = |(resource, key): Place| {
        let object = root.resources.get(&resource)?.get(&key)?.clone();
        Some(Record {
            resource,
            key,
            revision: object.revision(),
            previous: Some(object.clone()),
            object: Some(object),
        })
    };
    places.into_iter().filter_map(record).collect()
}

pub(super) fn note(place: &dyn Display, renewed: usize) -> Option<String> {
    let objects = if renewed == 1 { "1 object is" } else { &format!("{renewed} objects are") };
    (renewed > 0)
        .then(|| format!("{place}: {objects} stored anew, as the encryption configuration has it now"))
}
