//! Layers that are on their way, so that who wants one that another pull brings joins it.

use crate::Digest;
use crate::error::Result;
use crate::progress::{Fanout, Progress};
use futures::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Gives the layer's size. All who want the same layer poll the same future; when the last one stops, so does it.
pub(crate) type SharedJob = Shared<BoxFuture<'static, Result<u64>>>;

/// A layer on its way. Who wants it from elsewhere, or as another blob, does not wait for this one: it may be a registry that never
/// answers, and a blob that is not what it is said to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LayerKey {
    pub(crate) chain: Digest,
    pub(crate) blob: Digest,
    /// A registry, by its name, or one of its repositories.
    pub(crate) from: String,
}

/// Layers that are on their way.
#[derive(Default)]
pub(crate) struct LayerJobs(Mutex<HashMap<LayerKey, Running>>);

struct Running {
    job: WeakShared<BoxFuture<'static, Result<u64>>>,
    /// The job's own: a layer that is done keeps nobody waiting for more to be told.
    watchers: Weak<Fanout>,
}

impl LayerJobs {
    /// Joins whoever brings the layer already, or else begins to: `bring` tells all who join.
    pub(crate) fn join(
        &self,
        key: &LayerKey,
        progress: Arc<dyn Progress>,
        bring: impl FnOnce(Arc<Fanout>) -> SharedJob,
    ) -> SharedJob {
        let mut running = self.0.lock();
        running.retain(|_, running| running.job.upgrade().is_some_and(|job| job.peek().is_none()));
        if let Some((job, watchers)) =
            running.get(key).and_then(|r| Some((r.job.upgrade()?, r.watchers.upgrade()?)))
        {
            watchers.join(&key.blob, progress);
            return job;
        }
        let watchers = Arc::new(Fanout::default());
        watchers.join(&key.blob, progress);
        let known = Arc::downgrade(&watchers);
        let job = bring(watchers);
        if let Some(weak) = job.downgrade() {
            running.insert(key.clone(), Running { job: weak, watchers: known });
        }
        job
    }
}
