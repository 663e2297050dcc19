//! Who goes first at the lock that the kernel has for all changes to network links.

use std::time::Duration;
use tokio::sync::watch;

/// Somebody always starts on a busy machine, and what ended must go at last.
const PATIENCE: Duration = Duration::from_millis(100);

/// The sandboxes that are on their way to a network. Taking a link away holds the kernel's lock for 20 ms, and a new link
/// would wait as long: who ends a sandbox lets those that begin go first.
#[derive(Default)]
pub struct Starts(watch::Sender<usize>);

/// One of them, until it is dropped.
pub struct Start<'a>(&'a Starts);

impl Starts {
    pub fn begin(&self) -> Start<'_> {
        self.0.send_modify(|count| *count += 1);
        Start(self)
    }

    /// Waits until there is none, but not for long.
    pub async fn yield_to_starts(&self) {
        let mut count = self.0.subscribe();
        // we hold the sender ourselves, and a wait that was too long is over as well
        let _ = tokio::time::timeout(PATIENCE, count.wait_for(|count| *count == 0)).await;
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn who_ends_waits_for_those_that_begin_but_not_for_ever() {
        let starts = Starts::default();
        assert!(starts.yield_to_starts().now_or_never().is_some(), "nobody begins");
        let (one, other) = (starts.begin(), starts.begin());
        let waits = starts.yield_to_starts();
        tokio::pin!(waits);
        assert!(waits.as_mut().now_or_never().is_none());
        drop(one);
        assert!(waits.as_mut().now_or_never().is_none(), "one of two");
        drop(other);
        waits.await;
        let _stuck = starts.begin();
        starts.yield_to_starts().await;
    }
}
