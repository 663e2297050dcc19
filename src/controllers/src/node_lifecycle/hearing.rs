//! When nodes were last heard of, by a clock that stands still while the machine sleeps.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Upstream's `--node-monitor-grace-period`.
pub(super) const GRACE: Duration = Duration::from_secs(50);
/// Who looks so much later than he meant to was held up himself, and so was the node that this process is: nobody can say then who
/// was silent.
const HELD_UP: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Hearing(Mutex<HashMap<String, Instant>>);

impl Hearing {
    pub(super) fn heard(&self, node: &str) {
        self.lock().insert(node.to_owned(), Instant::now());
    }

    pub(super) fn forget(&self, node: &str) {
        self.lock().remove(node);
    }

    /// For how long it may be silent still; `None` where it was silent for too long. It counts from when somebody began to listen.
    pub(super) fn left(&self, node: &str) -> Option<Duration> {
        let now = Instant::now();
        let mut all = self.lock();
        let heard = all.entry(node.to_owned()).or_insert(now);
        let silent = now.saturating_duration_since(*heard);
        if silent > GRACE + HELD_UP {
            *heard = now;
            return Some(GRACE);
        }
        GRACE.checked_sub(silent).filter(|left| !left.is_zero())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_node_is_silent_after_its_time_and_not_for_a_time_when_nobody_listened() {
        let hearing = Hearing::default();
        assert_eq!(hearing.left("n"), Some(GRACE), "nobody has listened yet");
        advance(Duration::from_secs(20)).await;
        assert_eq!(hearing.left("n"), Some(Duration::from_secs(30)));
        hearing.heard("n");
        advance(GRACE).await;
        assert_eq!(hearing.left("n"), None);
        advance(Duration::from_secs(3600)).await;
        assert_eq!(hearing.left("n"), Some(GRACE), "this process stood still");
        advance(GRACE).await;
        assert_eq!(hearing.left("n"), None, "and the node did not come back with it");
        hearing.forget("n");
        assert_eq!(hearing.left("n"), Some(GRACE));
    }
}
