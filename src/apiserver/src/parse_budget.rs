//! How much is parsed at a time, and where. What is in a body becomes some hundred times its size in memory, for as long as the
//! request is worked on: all bodies together may have so many values, and who comes later waits. Long work does not hold up
//! the other clients: it has a thread of its own.

use crate::body::{self, MOST_VALUES};
use crate::incoming::BodySeat;
use crate::leftovers::Leftovers;
use api::Status;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Of all bodies that are worked on.
const MOST_AT_ONCE: usize = 2 * MOST_VALUES;
/// A text counts as one value for each of so many bytes: it is copied a few times, and a value is some kilobytes.
const BYTES_OF_VALUE: usize = 300;
/// Less than this is parsed in a few milliseconds, where it is.
const LONG_BODY: usize = 128 * 1024;
const LONG_VALUES: usize = 10_000;
/// After this many values the allocator holds tens of megabytes that nobody uses.
const LEFTOVER_VALUES: usize = 30_000;

pub(crate) struct ParseBudget {
    permits: Arc<Semaphore>,
    leftovers: Leftovers,
}

impl ParseBudget {
    pub(crate) fn new(leftovers: Leftovers) -> Self {
        ParseBudget { permits: Arc::new(Semaphore::new(MOST_AT_ONCE)), leftovers }
    }

    /// Does what reads the body, when there is room for it. Until then it has its places among those that were sent. `is_long` is work
    /// of which the body's size says nothing.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        media: &str,
        body: &[u8],
        seat: Option<BodySeat>,
        is_long: bool,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let is_json = media.is_empty() || media.contains("json") || media == "*/*";
        let values = if is_json { body::count_values(body)? } else { body::guess_values(body) };
        let permits = u32::try_from(values.max(body.len() / BYTES_OF_VALUE)).unwrap_or(u32::MAX);
        let turn = self.permits.clone().acquire_many_owned(permits);
        let permits = match seat {
            Some(seat) => seat.hold(turn).await?,
            None => turn.await,
        };
        let _permits = permits.map_err(Status::internal)?;
        if !is_long && body.len() < LONG_BODY && values < LONG_VALUES {
            return work.await;
        }
        let handle = Handle::current();
        let done = tokio::task::spawn_blocking(move || handle.block_on(work)).await;
        if values >= LEFTOVER_VALUES {
            self.leftovers.give_back_soon();
        }
        done.map_err(Status::internal)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leftovers::{MOST_DELAYS, QUIET};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn list_of(values: usize) -> Vec<u8> {
        format!("[{}0]", "0,".repeat(values)).into_bytes()
    }

    #[tokio::test]
    async fn long_bodies_leave_the_event_loop_and_short_ones_stay() {
        let here = std::thread::current().id();
        for (name, body, is_long, stays) in [
            ("short", list_of(10), false, true),
            ("short, and long work", list_of(10), true, false),
            ("many values", list_of(LONG_VALUES), false, false),
            ("long", format!("\"{}\"", "x".repeat(LONG_BODY)).into_bytes(), false, false),
        ] {
            let budget = ParseBudget::new(Leftovers::new(|| {}));
            let on = budget
                .run("", &body, None, is_long, async { Ok(std::thread::current().id()) })
                .await
                .unwrap();
            assert_eq!(on == here, stays, "{name}");
        }
    }

    #[tokio::test]
    async fn who_comes_when_too_much_is_parsed_waits() {
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let budget = ParseBudget::new(Leftovers::new(|| {}));
        let work = || async {
            MOST.fetch_max(1 + AT_ONCE.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            AT_ONCE.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        let body = list_of(MOST_VALUES / 2);
        let all = (0..12).map(|_| budget.run("application/json", &body, None, false, work()));
        assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(MOST.load(Ordering::SeqCst), 3, "each has a little over a quarter");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_once_after_large_bodies() {
        static GIVEN: AtomicUsize = AtomicUsize::new(0);
        let budget = ParseBudget::new(Leftovers::new(|| _ = GIVEN.fetch_add(1, Ordering::SeqCst)));
        for values in [LEFTOVER_VALUES, LEFTOVER_VALUES, 5] {
            budget.run("", &list_of(values), None, false, async { Ok(()) }).await.unwrap();
        }
        tokio::time::sleep(QUIET * 3).await;
        assert_eq!(GIVEN.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_without_an_end_do_not_put_it_off() {
        static GIVEN: AtomicUsize = AtomicUsize::new(0);
        let budget = ParseBudget::new(Leftovers::new(|| _ = GIVEN.fetch_add(1, Ordering::SeqCst)));
        for _ in 0..=2 * (MOST_DELAYS + 2) {
            budget.run("", &list_of(LEFTOVER_VALUES), None, false, async { Ok(()) }).await.unwrap();
            tokio::time::sleep(QUIET / 2).await;
        }
        assert_eq!(GIVEN.load(Ordering::SeqCst), 1, "while they come");
        tokio::time::sleep(QUIET * 3).await;
        assert_eq!(GIVEN.load(Ordering::SeqCst), 2, "and after the last one");
    }
}
