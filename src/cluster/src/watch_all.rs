//! For those who follow everything: each object of each kind that is served, whatever comes and goes meanwhile.

use crate::watch::too_old;
use crate::{Cluster, WatchEvent};
use ::api::{Object, Status};
use kinds::{Handler, Registry};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use store::{EventKind, Resource};

/// First what exists, then each change. Of a kind that comes to be served later, what exists by then; one that goes is followed
/// no more. An object may be told once more as it was a moment before: the newest comes last.
pub struct WatchAll {
    cluster: Cluster,
    kinds: Arc<Registry>,
    /// By where their objects are stored: of several versions and groups of one kind, one.
    handlers: HashMap<Resource, Arc<dyn Handler>>,
    existing: VecDeque<(Arc<dyn Handler>, Object)>,
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
            handlers: HashMap::new(),
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
    pub fn try_next(&mut self) -> Result<Option<(Arc<dyn Handler>, WatchEvent)>, Status> {
        loop {
            self.follow_kinds();
            if let Some((handler, object)) = self.existing.pop_front() {
                return Ok(Some((handler, WatchEvent::Added(object))));
            }
            let Some((resource, event)) = self.changes.try_next().map_err(|e| too_old(&e))? else {
                return Ok(None);
            };
            if !self.handlers.contains_key(&resource) {
                // a kind is served before its first object is written, but perhaps since the last look
                self.follow_kinds();
            }
            let Some(handler) = self.handlers.get(&resource) else { continue };
            let told = match event.kind {
                EventKind::Added => WatchEvent::Added(event.object),
                EventKind::Modified => WatchEvent::Modified(event.object),
                EventKind::Deleted => WatchEvent::Deleted(event.object),
            };
            return Ok(Some((handler.clone(), told)));
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
        let mut handlers: HashMap<Resource, Arc<dyn Handler>> = HashMap::new();
        for handler in kinds.iter() {
            let stored = Resource::from(&handler.info().storage);
            handlers.entry(stored).or_insert_with(|| kinds.stored_version_of(handler));
        }
        let snapshot = self.cluster.store().snapshot();
        for (resource, handler) in handlers.iter().filter(|(of, _)| !self.handlers.contains_key(*of)) {
            let objects = snapshot.list(resource, None, None).cloned();
            self.existing.extend(objects.map(|object| (handler.clone(), object)));
        }
        self.handlers = handlers;
    }
}
