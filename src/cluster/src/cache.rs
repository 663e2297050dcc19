//! What informers read: all objects of a kind, decoded once, kept current by the store's events. A cache does not know the type of
//! its objects. One piece of code serves all kinds, and [`Informer`](crate::Informer) gives their type back: written out for each
//! of eighty kinds it was a twentieth of the program.

use crate::Cluster;
use crate::cache_index::CacheIndex;
use crate::change::Change;
use ::api::{Object, ObjectKey, ResourceVersion};
use arc_swap::ArcSwap;
use imbl::OrdMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::StoredKind;
use parking_lot::{Mutex, MutexGuard};
use std::any::Any;
use std::sync::Arc;
use store::{EventKind, Resource};
use tokio::sync::mpsc;

/// An object, as the type of its kind.
pub(crate) trait Typed: Any + Send + Sync {
    fn meta(&self) -> &ObjectMeta;
}

impl<K: StoredKind> Typed for K {
    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }
}

/// The object as what it is; `None` where it is of another kind than `K`.
pub(crate) fn downcast<K: StoredKind>(object: &Arc<dyn Typed>) -> Option<Arc<K>> {
    let object: Arc<dyn Any + Send + Sync> = object.clone();
    object.downcast().ok()
}

/// An object as components have it: without its managed fields, at which none of them looks. They are half of a small object, and
/// most of its memory: a map for each level. What is written without them keeps them.
pub(crate) fn typed<K: StoredKind>(object: &Object) -> Result<K, serde_json::Error> {
    object.decode_without_managed_fields()
}

/// How a kind's stored objects become its type.
pub(crate) struct Decoder {
    kind: &'static str,
    decode: fn(&Object) -> Result<Arc<dyn Typed>, serde_json::Error>,
}

impl Decoder {
    pub fn of<K: StoredKind>() -> Self {
        Decoder { kind: K::KIND, decode: |object| Ok(Arc::new(typed::<K>(object)?)) }
    }

    fn decode(&self, object: &Object) -> Option<Arc<dyn Typed>> {
        let decoded = (self.decode)(object);
        decoded
            .inspect_err(|error| {
                let (kind, key) = (self.kind, object.key());
                tracing::error!(kind, %key, %error, "stored object does not fit its kind");
            })
            .ok()
    }
}

pub(crate) type Objects = OrdMap<ObjectKey, Arc<dyn Typed>>;

pub(crate) struct Cache {
    decoder: Decoder,
    objects: ArcSwap<Objects>,
    /// Held while a change is applied and handed out, so that a new subscriber misses nothing and sees nothing twice.
    subscribers: Mutex<Vec<mpsc::UnboundedSender<Change<dyn Typed>>>>,
    /// Made when somebody first asks by labels or controllers. Locked after `subscribers`, and changed before a change is handed
    /// out: who hears of one finds it.
    index: Mutex<Option<CacheIndex>>,
}

impl Cache {
    /// Complete from the moment it is there; followed as long as the cluster is.
    pub fn start(cluster: &Cluster, resource: Resource, decoder: Decoder) -> Arc<Cache> {
        let cache = Arc::new(Cache {
            decoder,
            objects: ArcSwap::default(),
            subscribers: Mutex::default(),
            index: Mutex::default(),
        });
        let position = cache.relist(cluster, &resource);
        tokio::spawn(cache.clone().follow(cluster, resource, position));
        cache
    }

    fn follow(
        self: Arc<Self>,
        cluster: &Cluster,
        resource: Resource,
        mut position: ResourceVersion,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (store, cluster) = (cluster.store().clone(), Arc::downgrade(&cluster.0));
        async move {
            loop {
                let Ok(mut watch) = store.watch(&resource, position) else {
                    let Some(cluster) = cluster.upgrade() else { return };
                    position = self.relist(&Cluster(cluster), &resource);
                    continue;
                };
                while let Ok(event) = watch.next().await {
                    position = event.object.revision();
                    self.apply(event.kind, &event.object);
                }
                if cluster.strong_count() == 0 {
                    return;
                }
            }
        }
    }

    fn relist(&self, cluster: &Cluster, resource: &Resource) -> ResourceVersion {
        let snapshot = cluster.store().snapshot();
        let all = snapshot.list(resource, None, None);
        let now = all.filter_map(|object| Some((object.key(), self.decoder.decode(object)?))).collect();
        self.replace(now);
        snapshot.revision()
    }

    fn apply(&self, kind: EventKind, object: &Object) {
        let Some(new) = self.decoder.decode(object) else { return };
        let mut subscribers = self.subscribers.lock();
        let mut objects = Objects::clone(&self.objects.load());
        let old = match kind {
            EventKind::Deleted => objects.remove(&object.key()),
            _ => objects.insert(object.key(), new.clone()),
        };
        self.objects.store(Arc::new(objects));
        if let Some(index) = self.index.lock().as_mut() {
            let now = (!matches!(kind, EventKind::Deleted)).then(|| new.meta());
            index.change(&object.key(), old.as_ref().map(|old| old.meta()), now);
        }
        let change = match (kind, old) {
            (EventKind::Deleted, _) => Change::Deleted(new),
            (_, Some(old)) => Change::Modified { old, new },
            (_, None) => Change::Added(new),
        };
        subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
    }

    /// After a gap: what differs becomes changes.
    fn replace(&self, now: Objects) {
        let mut subscribers = self.subscribers.lock();
        let before = self.objects.swap(Arc::new(now.clone()));
        // made anew by who asks next
        *self.index.lock() = None;
        let gone =
            before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, o)| Change::Deleted(o.clone()));
        let here = now.iter().filter_map(|(key, new)| match before.get(key) {
            None => Some(Change::Added(new.clone())),
            Some(old) if old.meta().resource_version == new.meta().resource_version => None,
            Some(old) => Some(Change::Modified { old: old.clone(), new: new.clone() }),
        });
        for change in gone.chain(here) {
            subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
        }
    }

    pub fn objects(&self) -> Arc<Objects> {
        self.objects.load_full()
    }

    /// Asks the index for keys, and makes it where there is none.
    pub fn ask<T>(&self, ask: impl FnOnce(&CacheIndex) -> T) -> T {
        if let Some(index) = self.index.lock().as_ref() {
            return ask(index);
        }
        ask(&self.make_index())
    }

    fn make_index(&self) -> parking_lot::MappedMutexGuard<'_, CacheIndex> {
        let _no_change = self.subscribers.lock();
        MutexGuard::map(self.index.lock(), |index| {
            let objects = self.objects.load();
            index.get_or_insert_with(|| {
                CacheIndex::of(objects.iter().map(|(key, object)| (key, object.meta())))
            })
        })
    }

    /// First an `Added` for each object that exists, then each change in order.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Change<dyn Typed>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut subscribers = self.subscribers.lock();
        for object in self.objects.load().values() {
            let _ = sender.send(Change::Added(object.clone()));
        }
        subscribers.push(sender);
        receiver
    }
}
