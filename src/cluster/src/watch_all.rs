//! For those who follow everything: each object of each kind that is served, whatever comes and goes meanwhile.

use crate::watch::too_old;
use crate::{Cluster, WatchEvent};
use ::api::{Object, Status};
use kinds::{Registry, Version};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use store::{EventKind, Resource};

/// First what exists, then each change. Of a kind that comes to be served later, what exists by then; one that goes is followed
/// no more. An object may be told once more as it was a moment before: the newest comes last.
pub struct WatchAll {
    cluster: Cluster,
    kinds: Arc<Registry>,
    /// Of each kind one version, by where its objects are stored.
    versions: HashMap<Resource, Arc<Version>>,
    existing: VecDeque<(Arc<Version>, Object)>,
    changes: store::WatchAll,
}

impl Cluster {
    /// Inside the process only: it is not authorised.
    pub fn watch_all(&self) -> WatchAll {
        // what is written from here on is a change, also where it is found to exist
        let changes = self.store().watch_all(self.store().revision());
        let kinds = self.registry();
        let mut all = WatchAll {
            cluster: self.clone(),
            kinds: kinds.clone(),
            versions: HashMap::new(),
            existing: VecDeque::new(),
            changes,
        };
        all.serve(&kinds);
        all
    }
}

impl WatchAll {
    /// What is there already, without waiting.
    ///
    /// # Errors
    /// `Expired` when the reader was too slow: it must begin again.
    pub fn try_next(&mut self) -> Result<Option<(Arc<Version>, WatchEvent)>, Status> {
        loop {
            self.follow_kinds();
            if let Some((version, object)) = self.existing.pop_front() {
                return Ok(Some((version, WatchEvent::Added(object))));
            }
            let Some((resource, event)) = self.changes.try_next().map_err(|e| too_old(&e))? else {
                return Ok(None);
            };
            if !self.versions.contains_key(&resource) {
                // a kind is served before its first object is written, but perhaps since the last look
                self.follow_kinds();
            }
            let Some(version) = self.versions.get(&resource) else { continue };
            let told = match event.kind {
                EventKind::Added => WatchEvent::Added(event.object),
                EventKind::Modified => WatchEvent::Modified(event.object),
                EventKind::Deleted => WatchEvent::Deleted(event.object),
            };
            return Ok(Some((version.clone(), told)));
        }
    }

    fn follow_kinds(&mut self) {
        let kinds = self.cluster.registry();
        if !Arc::ptr_eq(&kinds, &self.kinds) {
            self.serve(&kinds);
            self.kinds = kinds;
        }
    }

    fn serve(&mut self, kinds: &Registry) {
        let of_kinds = kinds.kinds().map(|kind| (Resource::from(&kind.storage), kind.stored().clone()));
        let versions: HashMap<Resource, Arc<Version>> = of_kinds.collect();
        let snapshot = self.cluster.store().snapshot();
        for (resource, version) in versions.iter().filter(|(of, _)| !self.versions.contains_key(*of)) {
            let objects = snapshot.list(resource, None, None).cloned();
            self.existing.extend(objects.map(|object| (version.clone(), object)));
        }
        self.versions = versions;
    }
}
