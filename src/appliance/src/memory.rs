//! After a burst the daemon is as small as before it.

use api::ResourceVersion;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout, timeout_at};

/// Writes that leave something worth the walk through the allocator's lists, which takes some milliseconds.
const BURST: u64 = 1000;
/// Without a write; the node's lease is renewed less often.
const QUIET: Duration = Duration::from_secs(2);
/// Where it never gets quiet.
const LATEST: Duration = Duration::from_secs(60);

/// For as long as the store lives.
pub(crate) async fn keep_small(mut revisions: Receiver<ResourceVersion>, give_back: fn()) {
    let mut last = *revisions.borrow();
    while revisions.wait_for(|now| now.0.saturating_sub(last.0) >= BURST).await.is_ok() {
        let latest = Instant::now() + LATEST;
        while let Ok(Ok(Ok(()))) = timeout_at(latest, timeout(QUIET, revisions.changed())).await {}
        last = *revisions.borrow_and_update();
        let _ = tokio::task::spawn_blocking(give_back).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::watch;

    static GIVEN: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_once_after_a_burst_and_not_for_less() {
        let (revise, revisions) = watch::channel(ResourceVersion(5));
        let task = tokio::spawn(keep_small(revisions, || _ = GIVEN.fetch_add(1, Ordering::SeqCst)));
        tokio::task::yield_now().await; // it has seen where the store begins
        let after = |to: u64| {
            revise.send_replace(ResourceVersion(to));
            tokio::time::sleep(QUIET * 2)
        };
        after(5 + BURST - 1).await;
        assert_eq!(GIVEN.load(Ordering::SeqCst), 0);
        after(5 + BURST).await;
        after(6 + BURST).await;
        drop(revise);
        task.await.unwrap();
        assert_eq!(GIVEN.load(Ordering::SeqCst), 1);
    }
}
