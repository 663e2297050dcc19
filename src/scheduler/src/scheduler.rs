//! What the loop that decides and those who write share.

use crate::Profiles;
use crate::cache::Cache;
use crate::config::scheduler_name;
use crate::hints::Event;
use crate::metrics::Metrics;
use crate::write_tasks::Writes;
use cluster::metrics::{Collector, Exposition};
use cluster::{Api, Client, Recorder, WorkQueue};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Somebody is to be tried; the cache says who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Turn;

pub(crate) struct Scheduler {
    pub(crate) client: Client,
    pub(crate) pods: Api<Pod>,
    pub(crate) claims: Api<PersistentVolumeClaim>,
    pub(crate) volumes: Api<PersistentVolume>,
    /// By the profile's name.
    recorders: HashMap<String, Recorder>,
    queue: WorkQueue<Turn>,
    cache: Mutex<Cache>,
    /// When the queue wakes us.
    alarm: Mutex<Option<Instant>>,
    pub(crate) writes: Writes,
    pub(crate) metrics: Metrics,
}

impl Collector for Scheduler {
    fn collect(&self, out: &mut Exposition) {
        let pending = self.cache().queue.pending();
        self.metrics.collect(out, pending);
    }
}

impl Scheduler {
    pub(crate) fn new(client: &Client, queue: WorkQueue<Turn>, profiles: Arc<Profiles>) -> Self {
        let recorder = |name: &str| (name.to_owned(), client.recorder(name, None));
        Scheduler {
            client: client.clone(),
            pods: client.api(),
            claims: client.api(),
            volumes: client.api(),
            recorders: profiles.names().map(recorder).collect(),
            queue,
            metrics: Metrics::new(&profiles),
            cache: Mutex::new(Cache::new(profiles)),
            alarm: Mutex::default(),
            writes: Writes::default(),
        }
    }

    /// Events about a pod, or about those that go for it, are of its profile.
    pub(crate) fn tell(&self, of: &Pod, tell: impl FnOnce(&Recorder)) {
        if let Some(recorder) = self.recorders.get(scheduler_name(of)) {
            tell(recorder);
        }
    }

    pub(crate) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock()
    }

    pub(crate) fn notice(&self, event: &Event) {
        self.note_change(|cache, now| cache.notice(event, now));
    }

    pub(crate) fn note_change(&self, change: impl FnOnce(&mut Cache, Instant)) {
        let now = Instant::now();
        let mut cache = self.cache();
        change(&mut cache, now);
        self.call_next(&cache, now);
    }

    /// Somebody is to be tried now, or later.
    pub(crate) fn call_next(&self, cache: &Cache, now: Instant) {
        if cache.queue.is_ready(now) {
            return self.queue.add(Turn);
        }
        let Some(due) = cache.queue.due() else { return };
        let mut alarm = self.alarm.lock();
        if alarm.is_none_or(|set| set <= now || due < set) {
            *alarm = Some(due);
            self.queue.add_after(Turn, due.saturating_duration_since(now));
        }
    }
}
