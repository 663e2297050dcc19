//! Caches for components: all objects of a kind, decoded once for everybody in the process. A cache begins when somebody first
//! asks for the kind, and from then on follows the store's events. What is read from it may be a moment old: who must know
//! what is there now asks [`Api`](crate::Api).

use crate::Cluster;
use crate::cache::{Cache, Decoder, Typed, downcast};
use crate::change::Change;
use ::api::{LabelSelector, ObjectKey};
use kinds::StoredKind;
use parking_lot::Mutex;
use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use store::Resource;
use tokio::sync::mpsc;

/// All objects of a kind, decoded once for everybody, kept current by the store's events. It is complete from the
/// moment it is handed out.
pub struct Informer<K> {
    cache: Arc<Cache>,
    /// What its objects are.
    kind: PhantomData<fn() -> K>,
}

/// First an `Added` for each object that exists, then each change in order.
pub struct Subscription<K> {
    changes: mpsc::UnboundedReceiver<Change<dyn Typed>>,
    kind: PhantomData<fn() -> K>,
}

#[derive(Default)]
pub(crate) struct Informers(Mutex<HashMap<TypeId, Arc<Cache>>>);

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Informer { cache: self.cache.clone(), kind: PhantomData }
    }
}

impl Change<dyn Typed> {
    fn downcast<K: StoredKind>(&self) -> Option<Change<K>> {
        Some(match self {
            Change::Added(object) => Change::Added(downcast(object)?),
            Change::Modified { old, new } => Change::Modified { old: downcast(old)?, new: downcast(new)? },
            Change::Deleted(object) => Change::Deleted(downcast(object)?),
        })
    }
}

impl<K: StoredKind> Subscription<K> {
    /// `None` when the cluster is gone.
    pub async fn next(&mut self) -> Option<Change<K>> {
        self.changes.recv().await?.downcast()
    }

    pub fn try_next(&mut self) -> Option<Change<K>> {
        self.changes.try_recv().ok()?.downcast()
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Change<K>>> {
        let change = ready!(self.changes.poll_recv(context));
        Poll::Ready(change.and_then(|change| change.downcast()))
    }
}

impl Cluster {
    /// The shared informer of a kind; made, with its task, when it is first asked for. Reads of components are not
    /// authorised one by one: an informer exists inside the process only.
    pub fn informer<K: StoredKind>(&self) -> Informer<K> {
        let mut informers = self.0.informers.0.lock();
        let cache = informers
            .entry(TypeId::of::<K>())
            .or_insert_with(|| Cache::start(self, Resource::from(&K::storage()), Decoder::of::<K>()));
        Informer { cache: cache.clone(), kind: PhantomData }
    }
}

impl<K: StoredKind> Informer<K> {
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.cache.objects().get(key).and_then(downcast)
    }

    /// In key order; `None` is all namespaces.
    pub fn list(&self, namespace: Option<&str>) -> Vec<Arc<K>> {
        let objects = self.cache.objects();
        match namespace {
            None => objects.values().filter_map(downcast).collect(),
            Some(namespace) => objects
                .range(ObjectKey::namespaced(namespace, "")..)
                .take_while(|(key, _)| key.namespace.as_deref() == Some(namespace))
                .filter_map(|(_, object)| downcast(object))
                .collect(),
        }
    }

    /// Those that the selector matches, in key order. Where it names a value of a label, it costs what those with that value are.
    pub fn select(&self, namespace: Option<&str>, labels: &LabelSelector) -> Vec<Arc<K>> {
        let none = BTreeMap::new();
        let mut found = match self.cache.ask(|index| index.may_match(namespace, labels)) {
            Some(keys) => self.some(keys),
            None => self.list(namespace),
        };
        found.retain(|object| labels.matches(object.metadata().labels.as_ref().unwrap_or(&none)));
        found
    }

    /// Those whose controller is of that kind and name, in key order.
    pub fn controlled_by(&self, namespace: Option<&str>, kind: &str, name: &str) -> Vec<Arc<K>> {
        self.some(self.cache.ask(|index| index.controlled_by(namespace, kind, name)))
    }

    fn some(&self, keys: impl IntoIterator<Item = ObjectKey>) -> Vec<Arc<K>> {
        let objects = self.cache.objects();
        keys.into_iter().filter_map(|key| objects.get(&key).and_then(downcast)).collect()
    }

    pub fn subscribe(&self) -> Subscription<K> {
        Subscription { changes: self.cache.subscribe(), kind: PhantomData }
    }
}
