//! After its start, and after a burst, the daemon is as small as before: what was freed goes back to the kernel, and what is held for clients that may
//! still come (events of watches, pages of lists) is held no longer than upstream's store holds it.

use api::ResourceVersion;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// Writes that leave something worth the walk through the allocator's lists, which takes some milliseconds.
const BURST: u64 = 1000;
/// Without a write; the node's lease is renewed less often.
const QUIET: Duration = Duration::from_secs(2);
/// Where it never gets quiet.
const LATEST: Duration = Duration::from_secs(60);
/// `--etcd-compaction-interval` of upstream's API server: who is longer away lists again.
pub(crate) const HELD: Duration = Duration::from_secs(5 * 60);

/// What can be let go.
pub(crate) trait Held: Send + 'static {
    /// What was freed goes back to the kernel, and code that nobody runs any more.
    fn give_back(&self) -> impl Future<Output = ()> + Send;
    /// Nobody has asked for what is older than that for [`HELD`].
    fn forget(&self, until: ResourceVersion);
}

/// What a burst has left, and when it is let go.
struct Old {
    until: ResourceVersion,
    due: Instant,
}

enum Woken {
    Burst,
    Due,
    Closed,
}

/// For as long as the store lives.
pub(crate) async fn keep_small(mut revisions: Receiver<ResourceVersion>, held: impl Held + Sync) {
    // each burst's own, the oldest first: one that comes while an earlier one is held is let go after its own time
    let mut held_back: VecDeque<Old> = VecDeque::new();
    let mut goes_on = quiet(&mut revisions).await;
    held.give_back().await;
    let mut last = *revisions.borrow_and_update();
    loop {
        let least = if goes_on { 1 } else { BURST };
        let is_burst = |now: &ResourceVersion| now.0.saturating_sub(last.0) >= least;
        let due = held_back.front().map(|old| old.due);
        let woken = tokio::select! {
            burst = revisions.wait_for(is_burst) => if burst.is_ok() { Woken::Burst } else { Woken::Closed },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Woken::Due,
        };
        match woken {
            Woken::Closed => return,
            Woken::Due => {
                held_back.pop_front().into_iter().for_each(|old| held.forget(old.until));
                held.give_back().await;
                continue;
            }
            Woken::Burst => {}
        }
        goes_on = quiet(&mut revisions).await;
        last = *revisions.borrow_and_update();
        held.give_back().await;
        held_back.push_back(Old { until: last, due: Instant::now() + HELD });
    }
}

/// Waits until nobody writes. Whether somebody does still, where it never gets quiet: what he writes, however little, is let go as
/// well.
async fn quiet(revisions: &mut Receiver<ResourceVersion>) -> bool {
    let latest = Instant::now() + LATEST;
    loop {
        match timeout_at(latest, timeout(QUIET, revisions.changed())).await {
            Ok(Ok(Ok(()))) => {}
            Ok(_) => return false,
            Err(_) => return true,
        }
    }
}

/// The store's and the cluster's.
pub(crate) struct OfCluster(pub(crate) cluster::Cluster);

impl Held for OfCluster {
    async fn give_back(&self) {
        let both = || {
            runtime::give_back_memory();
            runtime::let_go_of_code();
        };
        let _ = tokio::task::spawn_blocking(both).await;
    }

    fn forget(&self, until: ResourceVersion) {
        self.0.store().forget_events(until);
        if let Some(before) = std::time::Instant::now().checked_sub(HELD) {
            self.0.forget_pages(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::sync::watch;

    #[derive(Default, Clone)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl Held for Told {
        async fn give_back(&self) {
            self.0.lock().unwrap().push("give back".into());
        }

        fn forget(&self, until: ResourceVersion) {
            self.0.lock().unwrap().push(format!("forget until {until}"));
        }
    }

    impl Told {
        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_once_after_a_burst_and_not_for_less() {
        let (revise, revisions) = watch::channel(ResourceVersion(5));
        let told = Told::default();
        let task = tokio::spawn(keep_small(revisions, told.clone()));
        tokio::time::sleep(QUIET * 2).await;
        assert_eq!(told.take(), ["give back"], "what the start has left");
        let after = |to: u64| {
            revise.send_replace(ResourceVersion(to));
            tokio::time::sleep(QUIET * 2)
        };
        after(5 + BURST - 1).await;
        assert!(told.take().is_empty());
        after(5 + BURST).await;
        after(6 + BURST).await;
        assert_eq!(told.take(), ["give back"]);
        // later on, what was held for those who might have come
        tokio::time::sleep(HELD).await;
        assert_eq!(told.take(), [format!("forget until {}", 5 + BURST), "give back".to_owned()]);
        tokio::time::sleep(HELD * 3).await;
        assert!(told.take().is_empty(), "nothing is left to let go");
        // what came goes again while the first is still held: neither stays
        after(6 + 2 * BURST).await;
        after(6 + 3 * BURST).await;
        assert_eq!(told.take(), ["give back", "give back"]);
        tokio::time::sleep(HELD).await;
        let forgets = |count: u64| format!("forget until {}", 6 + count * BURST);
        let back = || "give back".to_owned();
        assert_eq!(told.take(), [forgets(2), back(), forgets(3), back()]);
        drop(revise);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn bursts_without_an_end_do_not_put_it_off_and_their_rest_is_let_go() {
        let (revise, revisions) = watch::channel(ResourceVersion(0));
        let told = Told::default();
        tokio::spawn(keep_small(revisions, told.clone()));
        tokio::time::sleep(QUIET * 2).await;
        for number in 1..=(3 * HELD.as_secs()) {
            revise.send_replace(ResourceVersion(number * BURST));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let end = 3 * HELD.as_secs() * BURST + 1;
        revise.send_replace(ResourceVersion(end));
        // one a minute, the first after the five that each is held
        let said = told.take();
        let forgotten = said.iter().filter(|what| what.starts_with("forget")).count() as u64;
        let minutes = 2 * HELD.as_secs() / LATEST.as_secs();
        assert!((minutes - 2..=minutes).contains(&forgotten), "{said:?}");
        tokio::time::sleep(HELD + LATEST * 2).await;
        assert!(told.take().contains(&format!("forget until {end}")));
    }
}
