//! What every controller is made of: informers that wake keys, a queue of them, workers, and an end.
//!
//! A controller says by [`Controller::watches`] and its neighbours which key a change is for, and hands
//! [`Controller::run`] the function that makes one key true. The rest is the same for all, and stands here.

use crate::{Change, Cluster, Subscription, WorkQueue};
use ::api::ObjectKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kinds::{StoredKind, TypedKind, key_of};
use std::fmt::{Debug, Display};
use std::future::{Future, poll_fn};
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Workers of a controller that does not say otherwise: its work is mostly waiting for the store.
const WORKERS: usize = 4;

/// What a queue can hold.
pub trait Key: Clone + Eq + Hash + Ord + Debug + Send + Sync + 'static {}

impl<T: Clone + Eq + Hash + Ord + Debug + Send + Sync + 'static> Key for T {}

/// A controller on its way to [`Controller::run`].
#[must_use = "a controller does nothing until it runs"]
pub struct Controller<T: Key = ObjectKey> {
    name: &'static str,
    cluster: Cluster,
    queue: WorkQueue<T>,
    workers: usize,
    sources: Vec<Source>,
    beside: Vec<BoxFuture<'static, ()>>,
}

/// Takes in what there is of one subscription; ready when it has ended.
type Source = Box<dyn FnMut(&mut Context<'_>) -> Poll<()> + Send>;

impl<T: Key> Controller<T> {
    /// `name` is for the log and the metrics.
    pub fn new(name: &'static str, cluster: &Cluster) -> Self {
        Controller {
            name,
            cluster: cluster.clone(),
            queue: WorkQueue::counted(cluster.metrics().queue(name)),
            workers: WORKERS,
            sources: Vec::new(),
            beside: Vec::new(),
        }
    }

    /// One key after the other: for those whose keys decide about the same thing.
    pub fn one_at_a_time(mut self) -> Self {
        self.workers = 1;
        self
    }

    /// For a reconciler that wakes keys itself, later or again.
    pub fn queue(&self) -> WorkQueue<T> {
        self.queue.clone()
    }

    /// `wake` hears of each object of the kind, and of each change in order, and adds to the queue what is to be looked at.
    pub fn watches<K: StoredKind>(
        mut self,
        mut wake: impl FnMut(&WorkQueue<T>, &Change<K>) + Send + 'static,
    ) -> Self {
        let (name, queue) = (self.name, self.queue.clone());
        let mut changes: Subscription<K> = self.cluster.informer().subscribe();
        self.sources.push(Box::new(move |context| {
            while let Some(change) = std::task::ready!(changes.poll_next(context)) {
                // one odd object must not make it deaf for all others
                if catch_unwind(AssertUnwindSafe(|| wake(&queue, &change))).is_err() {
                    let key = key_of(change.object().metadata());
                    tracing::error!(controller = name, kind = K::KIND, %key, "a change was not understood: panicked");
                }
            }
            Poll::Ready(())
        }));
        self
    }

    /// Something else that wakes keys, for as long as the controller runs.
    pub fn listens(mut self, listen: impl FnOnce(WorkQueue<T>) -> BoxFuture<'static, ()>) -> Self {
        self.beside.push(listen(self.queue.clone()));
        self
    }

    /// Keys that come later wait for times of day: when the clock is set, or the machine has slept, all of them are looked at anew.
    pub fn heeds_clock(self) -> Self {
        let mut clock_set = self.cluster.clock_set();
        self.listens(move |queue| {
            Box::pin(async move {
                while clock_set.changed().await.is_ok() {
                    queue.add_delayed();
                }
            })
        })
    }

    /// Hands each key to `reconcile`, until `stop`. A key whose work fails, or breaks, comes again with back-off.
    pub async fn run<R, F, E>(
        self,
        stop: CancellationToken,
        reconciler: R,
        reconcile: impl Fn(R, T) -> F + Clone + Send + 'static,
    ) where
        R: Clone + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + 'static,
    {
        let mut tasks = JoinSet::new();
        tasks.spawn(until(stop.clone(), hear(self.sources)));
        for listening in self.beside {
            tasks.spawn(until(stop.clone(), listening));
        }
        for _ in 0..self.workers {
            let (queue, stop) = (self.queue.clone(), stop.clone());
            tasks.spawn(work(self.name, queue, stop, reconciler.clone(), reconcile.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(panic) = ended.map_err(JoinError::into_panic) {
                // a controller that hears nothing any more would look as if it had nothing to do
                tasks.shutdown().await;
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Controller<ObjectKey> {
    /// Each object of the kind is a key.
    pub fn reconciles<K: StoredKind>(self) -> Self {
        self.watches::<K>(|queue, change| queue.add(key_of(change.object().metadata())))
    }

    /// A change of a `K` wakes the `Owner` that controls it.
    pub fn owns<Owner: TypedKind, K: TypedKind>(self) -> Self {
        self.watches::<K>(|queue, change| {
            let meta = change.object().metadata();
            let is_controller = |of: &&OwnerReference| of.controller == Some(true) && of.kind == Owner::KIND;
            if let Some(controller) = meta.owner_references.iter().flatten().find(is_controller) {
                queue.add(ObjectKey::new(meta.namespace.as_deref(), &controller.name));
            }
        })
    }
}

async fn until(stop: CancellationToken, task: impl Future<Output = ()>) {
    let _ = stop.run_until_cancelled(task).await;
}

/// All sources in one task; ends when all have.
async fn hear(mut sources: Vec<Source>) {
    poll_fn(|context| {
        sources.retain_mut(|source| source(context).is_pending());
        if sources.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// `stop` ends the waiting for a key; what was begun is finished.
async fn work<T: Key, R: Clone, F, E: Display>(
    name: &'static str,
    queue: WorkQueue<T>,
    stop: CancellationToken,
    reconciler: R,
    reconcile: impl Fn(R, T) -> F,
) where
    F: Future<Output = Result<(), E>>,
{
    while let Some(key) = stop.run_until_cancelled(queue.next()).await {
        match AssertUnwindSafe(reconcile(reconciler.clone(), key.clone())).catch_unwind().await {
            Ok(Ok(())) => queue.forget(&key),
            Ok(Err(error)) => {
                tracing::debug!(controller = name, ?key, %error, "reconcile failed, will try again");
                queue.add_rate_limited(key.clone());
            }
            // the other keys go on, and this one is not lost: what broke may be gone by then
            Err(_) => {
                tracing::error!(controller = name, ?key, "reconcile panicked, will try again");
                queue.add_rate_limited(key.clone());
            }
        }
        queue.done(&key);
    }
}
