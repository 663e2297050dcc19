use crate::Resource;
use api::{Object, ResourceVersion};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One change. The object of a deletion is the last one, stamped with the deletion's revision.
#[derive(Debug, Clone)]
pub struct Event {
    pub kind: EventKind,
    pub object: Object,
    pub previous: Option<Object>,
}

/// The wanted events are no longer held: list again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct TooOld {
    pub asked: ResourceVersion,
    pub oldest: ResourceVersion,
}

/// The newest events of every resource. Watchers hold a place in them and no queue of their own.
pub(crate) struct Windows {
    size: usize,
    opened_at: ResourceVersion,
    of: Mutex<HashMap<Resource, Arc<Window>>>,
}

struct Window {
    size: usize,
    events: RwLock<Events>,
    /// The store's revision, as far as this resource's watchers have been told.
    newest: watch::Sender<ResourceVersion>,
}

struct Events {
    /// Everything above this revision is held.
    complete_after: ResourceVersion,
    ring: VecDeque<Arc<Event>>,
}

/// A reader's place among the events of one resource.
pub struct Watch {
    window: Arc<Window>,
    newest: watch::Receiver<ResourceVersion>,
    seen: ResourceVersion,
}

impl Windows {
    pub(crate) fn new(size: usize, opened_at: ResourceVersion) -> Self {
        Windows { size, opened_at, of: Mutex::default() }
    }

    fn of(&self, resource: &Resource) -> Arc<Window> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            Arc::new(Window {
                size: self.size,
                events: RwLock::new(Events { complete_after: self.opened_at, ring: VecDeque::new() }),
                newest: watch::Sender::new(self.opened_at),
            })
        };
        of.entry(resource.clone()).or_insert_with(fresh).clone()
    }

    pub(crate) fn watch(&self, resource: &Resource, after: ResourceVersion) -> Result<Watch, TooOld> {
        let window = self.of(resource);
        window.check(after)?;
        Ok(Watch { newest: window.newest.subscribe(), window, seen: after })
    }

    /// In the order of their revisions. Must be called after the root that holds them is shown.
    pub(crate) fn publish(&self, events: Vec<(Resource, Event)>) {
        let mut touched: HashMap<Resource, (Arc<Window>, ResourceVersion)> = HashMap::new();
        for (resource, event) in events {
            let revision = event.object.revision();
            let (window, newest) =
                touched.entry(resource).or_insert_with_key(|resource| (self.of(resource), revision));
            *newest = revision;
            window.push(event);
        }
        for (window, newest) in touched.into_values() {
            window.newest.send_replace(newest);
        }
    }
}

impl Window {
    fn push(&self, event: Event) {
        let mut events = self.events.write().unwrap_or_else(PoisonError::into_inner);
        if events.ring.len() == self.size
            && let Some(dropped) = events.ring.pop_front()
        {
            events.complete_after = dropped.object.revision();
        }
        events.ring.push_back(Arc::new(event));
    }

    fn check(&self, after: ResourceVersion) -> Result<(), TooOld> {
        let oldest = self.events.read().unwrap_or_else(PoisonError::into_inner).complete_after;
        if after < oldest { Err(TooOld { asked: after, oldest }) } else { Ok(()) }
    }

    fn first_after(&self, seen: ResourceVersion) -> Result<Option<Arc<Event>>, TooOld> {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        if seen < events.complete_after {
            return Err(TooOld { asked: seen, oldest: events.complete_after });
        }
        let at = events.ring.partition_point(|event| event.object.revision() <= seen);
        Ok(events.ring.get(at).cloned())
    }
}

impl Watch {
    /// # Errors
    /// The reader was too slow.
    pub async fn next(&mut self) -> Result<Event, TooOld> {
        loop {
            self.newest.mark_unchanged();
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            if self.newest.changed().await.is_err() {
                // the store is gone with the process; nothing will come any more
                std::future::pending::<()>().await;
            }
        }
    }

    /// # Errors
    /// The reader was too slow.
    pub fn try_next(&mut self) -> Result<Option<Event>, TooOld> {
        let Some(event) = self.window.first_after(self.seen)? else { return Ok(None) };
        self.seen = event.object.revision();
        Ok(Some(Event::clone(&event)))
    }

    /// Every event up to this revision was returned: for bookmarks.
    pub fn progress(&self) -> ResourceVersion {
        let newest = *self.newest.borrow();
        match self.window.first_after(self.seen) {
            Ok(None) => newest.max(self.seen),
            _ => self.seen,
        }
    }
}
