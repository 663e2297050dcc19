//! Whose layers are downloaded and unpacked at a time. A registry may be slow, or somebody's own and slow on purpose: a byte now and then
//! keeps a download for ever, and whoever may name images would stop everybody's pulls by one that never ends. So a registry has a
//! number of turns of its own, and where there are none left for another one, who has had most for long enough loses one.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Of one registry, over all pulls from it: Docker's number of layers at a time.
const OF_A_REGISTRY: usize = 3;
/// Of all together: each may want 128 MiB to be unpacked.
const MOST: usize = 6;
/// Who has waited for so long takes a turn from a registry that has at least two more than his.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who has none at all takes one, after so long, from a registry that has but one.
const LONG: Duration = Duration::from_secs(600);

/// All turns of a store.
#[derive(Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    /// Something has changed for those who wait.
    freed: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    held: Vec<Held>,
    /// How many wait, by registry.
    waiting: HashMap<String, usize>,
}

struct Held {
    number: u64,
    registry: String,
    since: Instant,
    passed: Arc<AtomicU64>,
    lost: Arc<Notify>,
}

/// The right to bring a layer, until it is dropped.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    number: u64,
    passed: Arc<AtomicU64>,
    lost: Arc<Notify>,
}

impl Turns {
    /// Where nobody has to wait.
    pub(crate) fn try_take(self: &Arc<Self>, registry: &str) -> Option<Turn> {
        let mut state = self.state.lock();
        if !state.has_room(registry) {
            return None;
        }
        let (passed, lost) = (Arc::<AtomicU64>::default(), Arc::<Notify>::default());
        let number = state.next;
        state.next += 1;
        let (registry, since) = (registry.to_owned(), Instant::now());
        state.held.push(Held { number, registry, since, passed: passed.clone(), lost: lost.clone() });
        Some(Turn { turns: self.clone(), number, passed, lost })
    }

    pub(crate) async fn take(self: &Arc<Self>, registry: &str) -> Turn {
        let _waiting = Waiting::new(self, registry);
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(turn) = self.try_take(registry) {
                return turn;
            }
            if timeout(PATIENCE, freed).await.is_err() {
                self.make_room(registry);
            }
        }
    }

    fn make_room(&self, registry: &str) {
        if let Some(slowest) = self.state.lock().slowest_for(registry, Instant::now()) {
            slowest.lost.notify_one();
        }
    }
}

impl State {
    fn held_by(&self, registry: &str) -> usize {
        self.held.iter().filter(|held| held.registry == registry).count()
    }

    /// Where there is any, those who have fewer come first.
    fn has_room(&self, registry: &str) -> bool {
        let own = self.held_by(registry);
        own < OF_A_REGISTRY
            && self.held.len() < MOST
            && !self.waiting.keys().any(|other| self.held_by(other) < own)
    }

    /// Who loses his turn, so that this registry has one.
    fn slowest_for(&self, registry: &str, now: Instant) -> Option<&Held> {
        let own = self.held_by(registry);
        let busiest = self.held.iter().map(|held| self.held_by(&held.registry)).max().unwrap_or(0);
        let least = match own {
            _ if self.held.len() < MOST => return None,
            own if own + 1 < busiest => PATIENCE,
            0 => LONG,
            _ => return None,
        };
        let is_long = |held: &&Held| now.duration_since(held.since) >= least;
        let of_busiest = self.held.iter().filter(|held| self.held_by(&held.registry) == busiest);
        of_busiest.filter(is_long).min_by_key(|held| held.pace(now))
    }
}

impl Held {
    /// Bytes a second.
    fn pace(&self, now: Instant) -> u64 {
        self.passed.load(Ordering::Relaxed) / now.duration_since(self.since).as_secs().max(1)
    }
}

impl Turn {
    /// Where to write down how many bytes of the layer have come.
    pub(crate) fn passed(&self) -> Arc<AtomicU64> {
        self.passed.clone()
    }

    /// Another registry has waited for too long.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.state.lock().held.retain(|held| held.number != self.number);
        self.turns.freed.notify_waiters();
    }
}

struct Waiting<'a> {
    turns: &'a Turns,
    registry: &'a str,
}

impl<'a> Waiting<'a> {
    fn new(turns: &'a Turns, registry: &'a str) -> Self {
        *turns.state.lock().waiting.entry(registry.to_owned()).or_default() += 1;
        Waiting { turns, registry }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state.lock();
        if let Some(count) = state.waiting.get_mut(self.registry) {
            *count -= 1;
        }
        state.waiting.retain(|_, count| *count > 0);
        drop(state);
        // others have let it go first
        self.turns.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn take_all(turns: &Arc<Turns>, registry: &str) -> Vec<Turn> {
        std::iter::from_fn(|| turns.try_take(registry)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_never_ends_is_in_nobodys_way() {
        let turns = Arc::new(Turns::default());
        let slow = take_all(&turns, "slow.test");
        assert_eq!(slow.len(), OF_A_REGISTRY);
        assert!(timeout(2 * LONG, turns.take("slow.test")).await.is_err(), "its own wait");
        let other = timeout(Duration::ZERO, turns.take("other.test")).await;
        assert!(other.is_ok(), "others do not");
        drop(slow);
        assert!(timeout(Duration::ZERO, turns.take("slow.test")).await.is_ok());
        assert!(turns.state.lock().waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_of_the_busiest_loses_its_turn() {
        for (name, held, waits, want) in [
            ("two of three each", &["a", "a", "a", "b", "b", "b"][..], PATIENCE, Some(4)),
            ("the busiest", &["a", "a", "a", "b", "c", "d"], PATIENCE, Some(2)),
            ("one each, too soon", &["a", "b", "c", "d", "e", "f"], PATIENCE, None),
            ("one each", &["a", "b", "c", "d", "e", "f"], LONG, Some(4)),
        ] {
            let turns = Arc::new(Turns::default());
            let mut held: Vec<Turn> =
                held.iter().map(|registry| turns.try_take(registry).expect(name)).collect();
            for (turn, bytes) in held.iter().zip([50_000, 60_000, 40_000, 30_000, 10_000, 20_000]) {
                turn.passed().store(bytes, Ordering::Relaxed);
            }
            // another one of the busiest waits as well, and longer
            let again = tokio::spawn({
                let turns = turns.clone();
                async move { turns.take("a").await }
            });
            let waiting = tokio::spawn({
                let turns = turns.clone();
                async move { turns.take("new").await }
            });
            tokio::time::sleep(waits + Duration::from_secs(1)).await;
            let lost = held.iter().position(|turn| turn.lost().now_or_never().is_some());
            assert_eq!(lost, want, "{name}");
            if let Some(lost) = lost {
                drop(held.remove(lost));
                let turn = timeout(Duration::from_secs(1), waiting).await.expect(name).unwrap();
                assert!(!again.is_finished(), "{name}: who has none comes first");
                drop((turn, held));
                again.await.unwrap();
            }
        }
    }
}
