//! The tasks that write what was decided, of which so many go on at once.

use api::Status;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Pods that are written at once, so that they share the store's commits; of a burst of pods the others wait with what was
/// decided of them, which is little, and hold up no decision.
pub(crate) const MOST_WRITES: usize = 64;
/// What takes longer waits for a webhook, and goes on without its place: however many hang, in each second so many others
/// begin.
pub(crate) const LONGEST_PLACE: Duration = Duration::from_secs(1);

pub(crate) struct Writes {
    tasks: TaskTracker,
    places: Arc<Semaphore>,
}

impl Default for Writes {
    fn default() -> Self {
        Writes { tasks: TaskTracker::new(), places: Arc::new(Semaphore::new(MOST_WRITES)) }
    }
}

impl Writes {
    /// `then` hears how it went. Whoever calls does not wait.
    pub(crate) fn begin<F>(
        &self,
        write: impl FnOnce() -> F + Send + 'static,
        then: impl FnOnce(Result<(), Status>) + Send + 'static,
    ) where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let places = self.places.clone();
        self.tasks.spawn(async move {
            // closed where the scheduler ends: what has not begun does not begin any more
            let Ok(place) = places.acquire_owned().await else { return };
            // on its own: where it panics the pod is tried again all the same
            let mut writing = tokio::spawn(write());
            let written = match tokio::time::timeout(LONGEST_PLACE, &mut writing).await {
                Ok(written) => written,
                Err(_) => {
                    drop(place);
                    writing.await
                }
            };
            then(written.unwrap_or_else(|broken| Err(Status::internal(broken))));
        });
    }

    /// What has begun is finished.
    pub(crate) async fn end(&self) {
        self.places.close();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
