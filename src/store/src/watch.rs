//! The newest events of every resource. Watchers hold a place in them and no queue of their own, so that a slow one costs
//! nothing: it finds its place gone and lists again.

use crate::{Options, Resource, Shared};
use api::{Object, ResourceVersion};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::watch;

/// Held whatever they weigh, so that a watcher of large objects can keep up.
const SMALLEST_WINDOW: usize = 32;

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

pub(crate) struct Windows {
    limits: Options,
    opened_at: ResourceVersion,
    of: Mutex<HashMap<Resource, Arc<Window>>>,
    published: Arc<AtomicU64>,
    /// Of those who watch everything.
    touched: Mutex<Vec<Weak<Touched>>>,
}

/// The resources that have events which one who watches everything has not seen.
struct Touched {
    resources: Mutex<BTreeSet<Resource>>,
    woken: watch::Sender<()>,
}

struct Window {
    events: RwLock<Events>,
    woken: watch::Sender<()>,
}

struct Events {
    limits: Options,
    /// Everything above this revision is held.
    complete_after: ResourceVersion,
    ring: VecDeque<Arc<Event>>,
    bytes: usize,
}

/// A reader's place among the events of one resource.
pub struct Watch {
    window: Arc<Window>,
    woken: watch::Receiver<()>,
    seen: ResourceVersion,
    /// Events of all resources up to this revision are in their windows.
    published: Arc<AtomicU64>,
}

impl Windows {
    pub(crate) fn new(limits: &Options, opened_at: ResourceVersion) -> Self {
        let published = Arc::new(AtomicU64::new(opened_at.0));
        let (limits, of, touched) = (limits.clone(), Mutex::default(), Mutex::default());
        Windows { limits, opened_at, of, published, touched }
    }

    /// A window that is made late has still missed nothing: the first event of its resource makes it.
    fn of(&self, resource: &Resource) -> Arc<Window> {
        let mut of = self.of.lock();
        of.entry(resource.clone())
            .or_insert_with(|| Arc::new(Window::new(&self.limits, self.opened_at)))
            .clone()
    }

    pub(crate) fn watch(&self, resource: &Resource, after: ResourceVersion) -> Result<Watch, TooOld> {
        let window = self.of(resource);
        window.first_after(after)?;
        Ok(Watch { woken: window.woken.subscribe(), window, seen: after, published: self.published.clone() })
    }

    /// The events of `resource` above `after` and up to `until`, which were all published; the oldest first.
    pub(crate) fn between(
        &self,
        resource: &Resource,
        after: ResourceVersion,
        until: ResourceVersion,
    ) -> Result<Vec<Arc<Event>>, TooOld> {
        let window = self.of(resource);
        let events = window.events.read();
        let above = events.above(after)?;
        Ok(above.take_while(|event| event.object.revision() <= until).cloned().collect())
    }

    /// In the order of their revisions, up to `revision`. Must be called after the root that holds them is shown: who hears
    /// of an object can also read it. `held` is called when all are in their windows, and before anybody hears of them.
    pub(crate) fn publish(
        &self,
        events: Vec<(Resource, Event)>,
        revision: ResourceVersion,
        held: impl FnOnce(),
    ) {
        let mut touched: HashMap<Resource, Vec<Event>> = HashMap::new();
        for (resource, event) in events {
            touched.entry(resource).or_default().push(event);
        }
        let (resources, touched): (Vec<Resource>, Vec<_>) =
            touched.into_iter().map(|(of, events)| (of.clone(), (self.of(&of), events))).unzip();
        let windows: Vec<_> = touched.into_iter().map(|(window, events)| window.push(events)).collect();
        held();
        self.published.store(revision.0, Ordering::Release);
        for window in windows {
            window.woken.send_replace(());
        }
        self.touch(&resources);
    }

    /// After the events are in their windows: who takes a resource up finds them.
    fn touch(&self, resources: &[Resource]) {
        self.touched.lock().retain(|follower| {
            let Some(touched) = follower.upgrade() else { return false };
            touched.all().extend(resources.iter().cloned());
            touched.woken.send_replace(());
            true
        });
    }

    /// Whoever has events already may have some above the follower's revision.
    fn follow(&self) -> Arc<Touched> {
        let touched = Arc::new(Touched { resources: Mutex::default(), woken: watch::Sender::new(()) });
        self.touched.lock().push(Arc::downgrade(&touched));
        let known = self.of.lock();
        touched.all().extend(known.keys().cloned());
        drop(known);
        touched
    }
}

impl Windows {
    /// Lets go of the events up to `revision`, as if they had fallen out of their windows. A watcher that has seen them, or that
    /// had nothing to see, does not notice.
    pub(crate) fn forget(&self, revision: ResourceVersion) {
        let windows: Vec<_> = self.of.lock().values().cloned().collect();
        for window in windows {
            window.events.write().forget(revision);
        }
    }
}

impl Window {
    fn new(limits: &Options, opened_at: ResourceVersion) -> Self {
        let (limits, ring) = (limits.clone(), VecDeque::new());
        let events = Events { limits, complete_after: opened_at, ring, bytes: 0 };
        Window { events: RwLock::new(events), woken: watch::Sender::new(()) }
    }

    fn push(self: Arc<Self>, fresh: Vec<Event>) -> Arc<Self> {
        let mut events = self.events.write();
        for event in fresh {
            events.push(Arc::new(event));
        }
        drop(events);
        self
    }

    fn first_after(&self, seen: ResourceVersion) -> Result<Option<Arc<Event>>, TooOld> {
        self.events.read().first_after(seen)
    }
}

impl Events {
    fn push(&mut self, event: Arc<Event>) {
        self.bytes += weight(&event);
        self.ring.push_back(event);
        while self.is_over_full() {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(dropped) = self.ring.pop_front() else { return };
        self.bytes -= weight(&dropped);
        self.complete_after = dropped.object.revision();
    }

    fn forget(&mut self, revision: ResourceVersion) {
        while self.ring.front().is_some_and(|event| event.object.revision() <= revision) {
            self.drop_oldest();
        }
        self.ring.shrink_to(self.ring.len() * 2);
    }

    fn is_over_full(&self) -> bool {
        let (held, limits) = (self.ring.len(), &self.limits);
        held > limits.window || (held > SMALLEST_WINDOW && self.bytes > limits.window_bytes)
    }

    fn first_after(&self, seen: ResourceVersion) -> Result<Option<Arc<Event>>, TooOld> {
        Ok(self.above(seen)?.next().cloned())
    }

    fn above(&self, seen: ResourceVersion) -> Result<impl Iterator<Item = &Arc<Event>>, TooOld> {
        if seen < self.complete_after {
            return Err(TooOld { asked: seen, oldest: self.complete_after });
        }
        let at = self.ring.partition_point(|event| event.object.revision() <= seen);
        Ok(self.ring.range(at..))
    }
}

/// `previous` is mostly the object of an event before, and its bytes are shared; of what is deleted they are held by nobody else.
fn weight(event: &Event) -> usize {
    let gone = event.previous.as_ref().filter(|_| event.kind == EventKind::Deleted);
    event.object.bytes().len() + gone.map_or(0, |object| object.bytes().len())
}

impl Watch {
    /// Waits for the next event. May be dropped at any point without losing one.
    ///
    /// # Errors
    /// The reader was too slow.
    pub async fn next(&mut self) -> Result<Event, TooOld> {
        loop {
            // before looking, so that what comes while looking wakes the wait
            self.woken.mark_unchanged();
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            let changed = self.woken.changed().await;
            debug_assert!(changed.is_ok(), "the window that this watch holds keeps the sender");
        }
    }

    /// The next event, if it is there already.
    ///
    /// # Errors
    /// The reader was too slow.
    pub fn try_next(&mut self) -> Result<Option<Event>, TooOld> {
        let Some(event) = self.window.first_after(self.seen)? else { return Ok(None) };
        self.seen = event.object.revision();
        Ok(Some(Event::clone(&event)))
    }

    /// Every event of this resource up to this revision was returned: for bookmarks. Rises with the writes to other resources
    /// too.
    pub fn progress(&self) -> ResourceVersion {
        let published = ResourceVersion(self.published.load(Ordering::Acquire));
        match self.window.first_after(self.seen) {
            Ok(None) => published.max(self.seen),
            _ => self.seen,
        }
    }
}

impl Touched {
    fn all(&self) -> parking_lot::MutexGuard<'_, BTreeSet<Resource>> {
        self.resources.lock()
    }
}

/// A reader's place among the events of all resources. It costs what is written, and not the number of resources: only those
/// that have something new are looked at. The events of one resource come in their order; what is between two is not told.
pub struct WatchAll {
    shared: Arc<Shared>,
    touched: Arc<Touched>,
    woken: watch::Receiver<()>,
    after: ResourceVersion,
    of: HashMap<Resource, Watch>,
    /// May have more.
    current: Option<Resource>,
}

impl WatchAll {
    pub(crate) fn new(shared: &Arc<Shared>, after: ResourceVersion) -> Self {
        let touched = shared.windows.follow();
        let woken = touched.woken.subscribe();
        WatchAll { shared: shared.clone(), touched, woken, after, of: HashMap::new(), current: None }
    }

    /// Waits for the next event. May be dropped at any point without losing one.
    ///
    /// # Errors
    /// The reader was too slow.
    pub async fn next(&mut self) -> Result<(Resource, Event), TooOld> {
        loop {
            // before looking, so that what comes while looking wakes the wait
            self.woken.mark_unchanged();
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            let changed = self.woken.changed().await;
            debug_assert!(changed.is_ok(), "the list of what is touched keeps the sender");
        }
    }

    /// The next event, if it is there already.
    ///
    /// # Errors
    /// The reader was too slow.
    pub fn try_next(&mut self) -> Result<Option<(Resource, Event)>, TooOld> {
        loop {
            let next = self.current.take().or_else(|| self.touched.all().pop_first());
            let Some(resource) = next else { return Ok(None) };
            if let Some(event) = self.watch(&resource)?.try_next()? {
                self.current = Some(resource.clone());
                return Ok(Some((resource, event)));
            }
        }
    }

    fn watch(&mut self, resource: &Resource) -> Result<&mut Watch, TooOld> {
        if !self.of.contains_key(resource) {
            let watch = self.shared.windows.watch(resource, self.after)?;
            self.of.insert(resource.clone(), watch);
        }
        Ok(self.of.get_mut(resource).expect("it was put there"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{REVISION_PLACEHOLDER, Unstamped};

    #[tokio::test]
    async fn nobody_is_woken_before_all_is_held() {
        let windows = Windows::new(&Options::default(), ResourceVersion(0));
        let (maps, pods) = (Resource::from("configmaps"), Resource::from("pods"));
        let mut watch = windows.watch(&maps, ResourceVersion(0)).unwrap();
        let event = |revision| {
            let json =
                serde_json::json!({"metadata": {"name": "a", "resourceVersion": REVISION_PLACEHOLDER}});
            let draft = Unstamped::new(json.to_string().into_bytes()).unwrap();
            let object = draft.stamp(ResourceVersion(revision));
            Event { kind: EventKind::Added, object, previous: None }
        };
        let events = vec![(maps.clone(), event(1)), (pods.clone(), event(2))];
        let mut is_held = false;
        windows.publish(events, ResourceVersion(2), || {
            for (resource, revision) in [(&maps, 1), (&pods, 2)] {
                let held = windows.between(resource, ResourceVersion(0), ResourceVersion(2)).unwrap();
                assert_eq!(held.len(), 1, "{resource}");
                assert_eq!(held[0].object.revision(), ResourceVersion(revision));
            }
            assert!(!watch.woken.has_changed().unwrap());
            is_held = true;
        });
        assert!(is_held && watch.woken.has_changed().unwrap());
        assert_eq!(watch.next().await.unwrap().object.revision(), ResourceVersion(1));
    }
}
