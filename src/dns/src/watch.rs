//! Keeps the records as the cluster is. Sleeps until an object changes.

use crate::publish;
use crate::{DnsConfig, Records, ServiceRecords};
use ::api::ObjectKey;
use arc_swap::ArcSwap;
use cluster::{Change, Cluster, Subscription};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kinds::endpoints::service_of;
use kinds::key_of;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PAUSES_MS: [u64; 5] = [10, 100, 1000, 5000, 30_000];

/// The objects that names are made of, and those whose names are to be made again.
struct Book {
    records: Records,
    services: HashMap<ObjectKey, Arc<Service>>,
    /// By service, then by their own name.
    slices: HashMap<ObjectKey, BTreeMap<String, Arc<EndpointSlice>>>,
    stale: BTreeSet<ObjectKey>,
    /// Somebody touched what leads to us.
    disturbed: bool,
}

struct Feeds {
    namespaces: Subscription<Namespace>,
    services: Subscription<Service>,
    slices: Subscription<EndpointSlice>,
    /// Where addresses of services come from.
    ranges: watch::Receiver<Arc<[Ipv4Net]>>,
}

/// All that exists is in `shown` when it returns.
pub(crate) fn start(
    cluster: Cluster,
    config: DnsConfig,
    shown: Arc<ArcSwap<Records>>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let mut feeds = Feeds {
        namespaces: cluster.informer().subscribe(),
        services: cluster.informer().subscribe(),
        slices: cluster.informer().subscribe(),
        ranges: cluster.service_ranges(),
    };
    let mut book = Book::new(Records::clone(&shown.load()));
    book.ranges(&feeds.ranges.borrow_and_update());
    feeds.drain(&mut book);
    shown.store(book.current());
    tokio::spawn(async move {
        while let Some(true) = stop.run_until_cancelled(feeds.next(&mut book)).await {
            feeds.drain(&mut book);
            shown.store(book.current());
            if std::mem::take(&mut book.disturbed) {
                let (cluster, config, stop) = (cluster.clone(), config.clone(), stop.clone());
                tokio::spawn(async move { stop.run_until_cancelled(put_right(&cluster, &config)).await });
            }
        }
    })
}

/// A Service that was just deleted is seen here before its ClusterIP is free again: the first attempt may come too soon.
async fn put_right(cluster: &Cluster, config: &DnsConfig) {
    for pause in PAUSES_MS.map(Duration::from_millis) {
        match publish::publish(cluster, config).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, "the cluster's DNS service was changed, and is not yet put right")
            }
        }
        tokio::time::sleep(pause).await;
    }
    tracing::error!("the cluster's DNS service was changed, and can not be put right");
}

impl Feeds {
    /// Waits for one change; false when the cluster is gone.
    async fn next(&mut self, book: &mut Book) -> bool {
        tokio::select! {
            Some(change) = self.namespaces.next() => book.namespace(&change),
            Some(change) = self.services.next() => book.service(&change),
            Some(change) = self.slices.next() => book.slice(&change),
            Ok(()) = self.ranges.changed() => book.ranges(&self.ranges.borrow_and_update()),
            else => return false,
        }
        true
    }

    /// Whatever else has come by now: a rollout is one new index, not a hundred.
    fn drain(&mut self, book: &mut Book) {
        while let Some(change) = self.namespaces.try_next() {
            book.namespace(&change);
        }
        while let Some(change) = self.services.try_next() {
            book.service(&change);
        }
        while let Some(change) = self.slices.try_next() {
            book.slice(&change);
        }
    }
}

impl Book {
    fn new(records: Records) -> Self {
        Book {
            records,
            services: HashMap::new(),
            slices: HashMap::new(),
            stale: BTreeSet::new(),
            disturbed: false,
        }
    }

    fn ranges(&mut self, ranges: &[Ipv4Net]) {
        self.records.set_further_ranges(ranges);
    }

    fn namespace(&mut self, change: &Change<Namespace>) {
        let name = change.object().metadata.name.as_deref().unwrap_or_default();
        match change {
            Change::Added(_) => self.records.add_namespace(name),
            Change::Deleted(_) => self.records.remove_namespace(name),
            Change::Modified { .. } => {}
        }
    }

    fn service(&mut self, change: &Change<Service>) {
        let key = key_of(&change.object().metadata);
        match change {
            Change::Added(new) => drop(self.services.insert(key.clone(), new.clone())),
            Change::Modified { old, new } => {
                self.services.insert(key.clone(), new.clone());
                if old.spec == new.spec {
                    return;
                }
                self.disturbed |= publish::is_ours(&key);
            }
            Change::Deleted(_) => {
                self.services.remove(&key);
                self.disturbed |= publish::is_ours(&key);
            }
        }
        self.stale.insert(key);
    }

    fn slice(&mut self, change: &Change<EndpointSlice>) {
        match change {
            Change::Added(new) => self.hold(new),
            Change::Modified { old, new } => {
                self.release(old);
                self.hold(new);
            }
            Change::Deleted(old) => {
                self.release(old);
                self.disturbed |= publish::is_ours(&key_of(&old.metadata));
            }
        }
    }

    fn hold(&mut self, slice: &Arc<EndpointSlice>) {
        let Some(service) = service_of(slice) else { return };
        let name = slice.metadata.name.clone().unwrap_or_default();
        self.slices.entry(service.clone()).or_default().insert(name, slice.clone());
        self.stale.insert(service);
    }

    fn release(&mut self, slice: &EndpointSlice) {
        let Some(service) = service_of(slice) else { return };
        if let Some(slices) = self.slices.get_mut(&service) {
            slices.remove(slice.metadata.name.as_deref().unwrap_or_default());
            if slices.is_empty() {
                self.slices.remove(&service);
            }
        }
        self.stale.insert(service);
    }

    fn current(&mut self) -> Arc<Records> {
        for key in std::mem::take(&mut self.stale) {
            let slices = self.slices.get(&key).into_iter().flat_map(BTreeMap::values).map(Arc::as_ref);
            let service = self.services.get(&key);
            let records = service.and_then(|s| ServiceRecords::new(self.records.zone(), s, slices));
            self.records.set_service(&key, records);
        }
        Arc::new(self.records.clone())
    }
}
