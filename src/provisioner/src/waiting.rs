//! Who waits for what: a claim without a volume is looked at again when its source changes.

use crate::source::{self, Source};
use api::ObjectKey;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kinds::{key_of, volume};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The claims without a volume, by what they are to be copies of.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<HashMap<Source, BTreeSet<ObjectKey>>>>);

impl Waiting {
    /// Takes in what a claim is now, `is_there` or gone.
    pub(crate) fn see(&self, claim: &PersistentVolumeClaim, is_there: bool) {
        // its source never changes
        let Some(source) = source::of(claim) else { return };
        let mut all = self.0.lock();
        let key = key_of(&claim.metadata);
        if is_there && volume::volume_name(claim).is_empty() {
            all.entry(source).or_default().insert(key);
        } else if let Some(waiting) = all.get_mut(&source) {
            waiting.remove(&key);
            if waiting.is_empty() {
                all.remove(&source);
            }
        }
    }

    pub(crate) fn on(&self, source: &Source) -> Vec<ObjectKey> {
        let all = self.0.lock();
        all.get(source).into_iter().flatten().cloned().collect()
    }
}
