//! The keys that wait for a controller: see [`crate::Controller`].

use crate::metrics::QueueMetrics;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

const FIRST_RETRY: Duration = Duration::from_millis(5); // client-go's per-item exponential limiter
/// A key that is to come later still comes then as well: whoever works on it looks at the time. A client may ask for more
/// seconds than a clock can count.
const LONGEST_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);
const LAST_RETRY: Duration = Duration::from_secs(1000);

/// Keys that wait for work. A key waits once however often it is added, is never worked on twice at the same time,
/// and comes again when it was added during the work.
pub struct WorkQueue<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    wake: Notify,
}

struct State<T> {
    ready: VecDeque<T>,
    /// With the time at which each was added.
    waiting: HashMap<T, Instant>,
    /// With the time at which the work began.
    working: HashMap<T, Instant>,
    later: BTreeSet<(Instant, T)>,
    failures: HashMap<T, u32>,
    metrics: Arc<QueueMetrics>,
}

impl<T> Clone for WorkQueue<T> {
    fn clone(&self) -> Self {
        WorkQueue(self.0.clone())
    }
}

impl<T: Clone + Eq + Hash + Ord + Send + 'static> Default for WorkQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone + Eq + Hash + Ord + Send + 'static> WorkQueue<T> {
    /// What it does is told nobody.
    pub fn new() -> Self {
        Self::counted(Arc::default())
    }

    pub(crate) fn counted(metrics: Arc<QueueMetrics>) -> Self {
        let state = State {
            ready: VecDeque::new(),
            waiting: Default::default(),
            working: Default::default(),
            later: BTreeSet::new(),
            failures: HashMap::new(),
            metrics,
        };
        WorkQueue(Arc::new(Shared { state: Mutex::new(state), wake: Notify::new() }))
    }

    pub fn add(&self, key: T) {
        self.locked(|state| state.enqueue(key));
        self.0.wake.notify_one();
    }

    pub fn add_after(&self, key: T, delay: Duration) {
        self.locked(|state| {
            state.metrics.retries.fetch_add(1, Ordering::Relaxed);
            state.later.insert((Instant::now() + delay.min(LONGEST_DELAY), key));
        });
        self.0.wake.notify_one();
    }

    /// What is to come later comes now.
    pub(crate) fn add_delayed(&self) {
        self.locked(|state| {
            while let Some((_, key)) = state.later.pop_first() {
                state.enqueue(key);
            }
        });
        // there may be work for everybody; and for who does not wait yet
        self.0.wake.notify_waiters();
        self.0.wake.notify_one();
    }

    /// After a delay that doubles with each failure, until [`WorkQueue::forget`].
    pub fn add_rate_limited(&self, key: T) {
        let failures = self.locked(|state| {
            let count = state.failures.entry(key.clone()).or_default();
            *count += 1;
            *count
        });
        let delay = FIRST_RETRY.saturating_mul(1 << (failures - 1).min(20)).min(LAST_RETRY);
        self.add_after(key, delay);
    }

    pub fn forget(&self, key: &T) {
        self.locked(|state| state.failures.remove(key));
    }

    /// Waits for a key; it must be given back with [`WorkQueue::done`].
    pub async fn next(&self) -> T {
        loop {
            let notified = self.0.wake.notified();
            let due = match self.locked(State::take) {
                Ok(key) => return key,
                Err(due) => due,
            };
            match due {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, notified).await;
                }
                None => notified.await,
            }
        }
    }

    pub fn done(&self, key: &T) {
        self.locked(|state| {
            if let Some(began) = state.working.remove(key) {
                state.metrics.work.observe_time(began.elapsed());
            }
            if state.waiting.contains_key(key) {
                state.make_ready(key.clone());
            }
        });
        self.0.wake.notify_one();
    }

    fn locked<R>(&self, act: impl FnOnce(&mut State<T>) -> R) -> R {
        act(&mut self.0.state.lock())
    }
}

impl<T: Clone + Eq + Hash + Ord> State<T> {
    fn enqueue(&mut self, key: T) {
        if self.waiting.contains_key(&key) {
            return;
        }
        self.waiting.insert(key.clone(), Instant::now());
        self.metrics.adds.fetch_add(1, Ordering::Relaxed);
        if !self.working.contains_key(&key) {
            self.make_ready(key);
        }
    }

    fn make_ready(&mut self, key: T) {
        self.ready.push_back(key);
        self.metrics.depth.fetch_add(1, Ordering::Relaxed);
    }

    /// The next key, or when the first delayed one is due.
    fn take(&mut self) -> Result<T, Option<Instant>> {
        let now = Instant::now();
        while let Some((at, key)) = self.later.first().cloned() {
            if at > now {
                break;
            }
            self.later.pop_first();
            self.enqueue(key);
        }
        match self.ready.pop_front() {
            Some(key) => {
                self.metrics.depth.fetch_sub(1, Ordering::Relaxed);
                if let Some(added) = self.waiting.remove(&key) {
                    self.metrics.waits.observe_time(now.saturating_duration_since(added));
                }
                self.working.insert(key.clone(), now);
                Ok(key)
            }
            None => Err(self.later.first().map(|(at, _)| *at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_added_twice_is_worked_on_once_and_again_when_added_during_the_work() {
        let queue = WorkQueue::new();
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.next().await, "a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.next().await, "b", "a is still being worked on");
        queue.done(&"a");
        assert_eq!(queue.next().await, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_beyond_all_time_holds_back_nobody_else() {
        let queue = WorkQueue::new();
        queue.add_after("a", Duration::MAX);
        queue.add("b");
        assert_eq!(queue.next().await, "b");
        queue.done(&"b");
        assert_eq!(queue.next().await, "a", "it is looked at sooner");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_key_comes_back_later_each_time() {
        let queue = WorkQueue::new();
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..3 {
            queue.add_rate_limited("a");
            let key = queue.next().await;
            waits.push(start.elapsed().as_millis());
            queue.done(&key);
        }
        assert_eq!(waits, [5, 15, 35]);
    }
}
