//! Caches for components: all objects of a kind, decoded once for everybody in the process. A cache begins when somebody first
//! asks for the kind, and from then on follows the store's events. What is read from it may be a moment old: who must know
//! what is there now asks [`Api`](crate::Api).

use crate::Cluster;
use crate::cache_index::CacheIndex;
use ::api::{LabelSelector, Object, ObjectKey};
use arc_swap::ArcSwap;
use imbl::OrdMap;
use kinds::StoredKind;
use parking_lot::Mutex;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use store::{EventKind, Resource};
use tokio::sync::mpsc;

/// What happened to one object of a kind.
#[derive(Debug, Clone)]
pub enum Change<K> {
    Added(Arc<K>),
    Modified { old: Arc<K>, new: Arc<K> },
    Deleted(Arc<K>),
}

/// All objects of a kind, decoded once for everybody, kept current by the store's events. It is complete from the
/// moment it is handed out.
pub struct Informer<K>(Arc<Cache<K>>);

struct Cache<K> {
    objects: ArcSwap<OrdMap<ObjectKey, Arc<K>>>,
    /// Held while a change is applied and handed out, so that a new subscriber misses nothing and sees nothing twice.
    subscribers: Mutex<Vec<mpsc::UnboundedSender<Change<K>>>>,
    /// Made when somebody first asks by labels or controllers. Locked after `subscribers`, and changed before a change is handed
    /// out: who hears of one finds it.
    index: Mutex<Option<CacheIndex>>,
}

/// First an `Added` for each object that exists, then each change in order.
pub struct Subscription<K>(mpsc::UnboundedReceiver<Change<K>>);

#[derive(Default)]
pub(crate) struct Informers(Mutex<HashMap<TypeId, Box<dyn Any + Send + Sync>>>);

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Informer(self.0.clone())
    }
}

impl<K> Change<K> {
    /// The object as it is now, or was last.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Change::Added(object) | Change::Deleted(object) | Change::Modified { new: object, .. } => object,
        }
    }

    /// As it was, where it was another, and as it is: whoever one of them concerns is concerned.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<K>> {
        let old = match self {
            Change::Modified { old, .. } => Some(old),
            Change::Added(_) | Change::Deleted(_) => None,
        };
        old.into_iter().chain([self.object()])
    }
}

impl<K> Subscription<K> {
    /// `None` when the cluster is gone.
    pub async fn next(&mut self) -> Option<Change<K>> {
        self.0.recv().await
    }

    pub fn try_next(&mut self) -> Option<Change<K>> {
        self.0.try_recv().ok()
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Change<K>>> {
        self.0.poll_recv(context)
    }
}

impl Cluster {
    /// The shared informer of a kind; made, with its task, when it is first asked for. Reads of components are not
    /// authorised one by one: an informer exists inside the process only.
    pub fn informer<K: StoredKind>(&self) -> Informer<K> {
        let mut informers = self.0.informers.0.lock();
        let known = informers.get(&TypeId::of::<K>()).and_then(|any| any.downcast_ref::<Informer<K>>());
        if let Some(informer) = known {
            return informer.clone();
        }
        let informer = self.start_informer::<K>();
        informers.insert(TypeId::of::<K>(), Box::new(informer.clone()));
        informer
    }

    fn start_informer<K: StoredKind>(&self) -> Informer<K> {
        let resource = Resource::from(&K::storage());
        let cache = Arc::new(Cache {
            objects: ArcSwap::default(),
            subscribers: Mutex::default(),
            index: Mutex::default(),
        });
        let mut position = relist(&cache, self, &resource);
        let (store, cluster) = (self.store().clone(), Arc::downgrade(&self.0));
        let filled = cache.clone();
        tokio::spawn(async move {
            loop {
                let Ok(mut watch) = store.watch(&resource, position) else {
                    let Some(cluster) = cluster.upgrade() else { return };
                    position = relist(&filled, &Cluster(cluster), &resource);
                    continue;
                };
                while let Ok(event) = watch.next().await {
                    position = event.object.revision();
                    filled.apply(event.kind, &event.object);
                }
                if cluster.strong_count() == 0 {
                    return;
                }
            }
        });
        Informer(cache)
    }
}

fn relist<K: StoredKind>(cache: &Cache<K>, cluster: &Cluster, resource: &Resource) -> ::api::ResourceVersion {
    let snapshot = cluster.store().snapshot();
    let now: OrdMap<ObjectKey, Arc<K>> =
        snapshot.list(resource, None, None).filter_map(|o| Some((o.key(), decode(o)?))).collect();
    cache.replace(now);
    snapshot.revision()
}

/// An object as components have it: without its managed fields, at which none of them looks. They are half of a small object, and
/// most of its memory: a map for each level. What is written without them keeps them.
pub(crate) fn typed<K: StoredKind>(object: &Object) -> Result<K, serde_json::Error> {
    object.decode_without_managed_fields()
}

fn decode<K: StoredKind>(object: &Object) -> Option<Arc<K>> {
    match typed::<K>(object) {
        Ok(typed) => Some(Arc::new(typed)),
        Err(error) => {
            tracing::error!(kind = K::KIND, key = %object.key(), %error, "stored object does not fit its kind");
            None
        }
    }
}

impl<K: StoredKind> Cache<K> {
    fn apply(&self, kind: EventKind, object: &Object) {
        let Some(new) = decode::<K>(object) else { return };
        let mut subscribers = self.subscribers.lock();
        let mut objects = OrdMap::clone(&self.objects.load());
        let old = match kind {
            EventKind::Deleted => objects.remove(&object.key()),
            _ => objects.insert(object.key(), new.clone()),
        };
        self.objects.store(Arc::new(objects));
        if let Some(index) = self.index.lock().as_mut() {
            let now = (!matches!(kind, EventKind::Deleted)).then(|| new.metadata());
            index.change(&object.key(), old.as_ref().map(|old| old.metadata()), now);
        }
        let change = match (kind, old) {
            (EventKind::Deleted, _) => Change::Deleted(new),
            (_, Some(old)) => Change::Modified { old, new },
            (_, None) => Change::Added(new),
        };
        subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
    }

    /// After a gap: what differs becomes changes.
    fn replace(&self, now: OrdMap<ObjectKey, Arc<K>>) {
        let mut subscribers = self.subscribers.lock();
        let before = self.objects.swap(Arc::new(now.clone()));
        // made anew by who asks next
        *self.index.lock() = None;
        let gone =
            before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, o)| Change::Deleted(o.clone()));
        let here = now.iter().filter_map(|(key, new)| match before.get(key) {
            None => Some(Change::Added(new.clone())),
            Some(old) if old.metadata().resource_version == new.metadata().resource_version => None,
            Some(old) => Some(Change::Modified { old: old.clone(), new: new.clone() }),
        });
        for change in gone.chain(here) {
            subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
        }
    }
}

impl<K: StoredKind> Cache<K> {
    fn ask<T>(&self, ask: impl FnOnce(&CacheIndex) -> T) -> T {
        {
            let known = self.index.lock();
            if let Some(index) = known.as_ref() {
                return ask(index);
            }
        }
        let _no_change = self.subscribers.lock();
        let mut index = self.index.lock();
        let objects = self.objects.load();
        let all = || CacheIndex::of(objects.iter().map(|(key, object)| (key, object.metadata())));
        let made: &CacheIndex = index.get_or_insert_with(all);
        ask(made)
    }

    fn some(&self, keys: impl IntoIterator<Item = ObjectKey>) -> Vec<Arc<K>> {
        let objects = self.objects.load();
        keys.into_iter().filter_map(|key| objects.get(&key).cloned()).collect()
    }
}

impl<K: StoredKind> Informer<K> {
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.0.objects.load().get(key).cloned()
    }

    /// In key order; `None` is all namespaces.
    pub fn list(&self, namespace: Option<&str>) -> Vec<Arc<K>> {
        let objects = self.0.objects.load();
        match namespace {
            None => objects.values().cloned().collect(),
            Some(namespace) => objects
                .range(ObjectKey::namespaced(namespace, "")..)
                .take_while(|(key, _)| key.namespace.as_deref() == Some(namespace))
                .map(|(_, object)| object.clone())
                .collect(),
        }
    }

    /// Those that the selector matches, in key order. Where it names a value of a label, it costs what those with that value are.
    pub fn select(&self, namespace: Option<&str>, labels: &LabelSelector) -> Vec<Arc<K>> {
        let none = std::collections::BTreeMap::new();
        let mut found = match self.0.ask(|index| index.may_match(namespace, labels)) {
            Some(keys) => self.0.some(keys),
            None => self.list(namespace),
        };
        found.retain(|object| labels.matches(object.metadata().labels.as_ref().unwrap_or(&none)));
        found
    }

    /// Those whose controller is of that kind and name, in key order.
    pub fn controlled_by(&self, namespace: Option<&str>, kind: &str, name: &str) -> Vec<Arc<K>> {
        self.0.some(self.0.ask(|index| index.controlled_by(namespace, kind, name)))
    }

    pub fn subscribe(&self) -> Subscription<K> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut subscribers = self.0.subscribers.lock();
        for object in self.0.objects.load().values() {
            let _ = sender.send(Change::Added(object.clone()));
        }
        subscribers.push(sender);
        Subscription(receiver)
    }
}
