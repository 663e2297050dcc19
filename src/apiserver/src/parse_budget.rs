//! How much is parsed at a time, and where. What is in a body becomes some hundred times its size in memory, for as long as the
//! request is worked on, and so does the stored object that it changes, be the body as short as it may: all together may have so many
//! values, and who comes later waits. Long work does not hold up the other clients: it has a thread of its own, and what is short does
//! not wait behind it.

use crate::body::{self, MOST_VALUES};
use crate::incoming::BodySeat;
use crate::leftovers::Leftovers;
use api::{Object, Status};
use cri::blocking_while_wanted;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of all long bodies that are worked on, with what they change.
const MOST_AT_ONCE: usize = 2 * MOST_VALUES;
/// Of all short ones: some hundred, as people send them.
const MOST_SHORT: usize = MOST_VALUES / 2;
/// Of large stored objects that are shown in another form.
const MOST_READ: usize = MOST_VALUES;
/// Of answers that are made into another form, for which all of one is decoded once, and nothing else becomes of it.
pub(crate) const MOST_ANSWERED: usize = 10 * MOST_VALUES;
/// Lists of the rules that somebody has.
const MOST_RULES: usize = 1;
/// Of the process's 512, for short bodies with long work: where none is left, it is done where it is.
const MOST_THREADS: usize = 128;
/// A text counts as one value for each of so many bytes: it is copied a few times, and a value is some kilobytes.
const BYTES_OF_VALUE: usize = 300;
/// What a value of a stored object has of its [footprint](Object::footprint).
const FOOTPRINT_OF_VALUE: usize = 150;
/// Managed fields: `"f:a":{},`.
const BYTES_OF_MANAGED_FIELD: usize = 10;
/// Less than this is parsed in a few milliseconds, where it is.
const LONG_BODY: usize = 128 * 1024;
const LONG_VALUES: usize = 3000;
/// After this many values the allocator holds tens of megabytes that nobody uses.
const LEFTOVER_VALUES: usize = 30_000;

#[derive(Clone)]
pub(crate) struct ParseBudget {
    long: Arc<Semaphore>,
    short: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    rules: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    leftovers: Leftovers,
}

/// What there is to do beside reading a body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside {
    /// Work of which no size says anything.
    pub(crate) is_long: bool,
    /// The [weight](weight_of) of the stored object that is changed.
    pub(crate) stored: usize,
}

/// As how many values a stored object counts where it is decoded, by what was counted when it was stored.
pub(crate) fn weight_of(object: &Object) -> usize {
    object.footprint() / FOOTPRINT_OF_VALUE
        + object.managed_fields_size() / BYTES_OF_MANAGED_FIELD
        + object.bytes().len() / BYTES_OF_VALUE
}

impl ParseBudget {
    pub(crate) fn new(leftovers: Leftovers) -> Self {
        let of = |most| Arc::new(Semaphore::new(most));
        ParseBudget {
            long: of(MOST_AT_ONCE),
            short: of(MOST_SHORT),
            reads: of(MOST_READ),
            answers: of(MOST_ANSWERED),
            rules: of(MOST_RULES),
            threads: of(MOST_THREADS),
            leftovers,
        }
    }

    /// Does what reads the body, when there is room for it. Until then it has its places among those that were sent.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        media: &str,
        body: &[u8],
        seat: Option<BodySeat>,
        beside: Beside,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let is_json = media.is_empty() || media.contains("json") || media == "*/*";
        let values = if is_json { body::count_values(body)? } else { body::guess_values(body) };
        let all = values.max(body.len() / BYTES_OF_VALUE) + beside.stored;
        let is_short = body.len() < LONG_BODY && values < LONG_VALUES && beside.stored < LONG_VALUES;
        // what is more than all that there is has it for itself
        let (lane, most) = if is_short { (&self.short, MOST_SHORT) } else { (&self.long, MOST_AT_ONCE) };
        let turn = lane.clone().acquire_many_owned(permits(all, most));
        let turn = match seat {
            Some(seat) => seat.hold(turn).await?,
            None => turn.await,
        };
        let turn = turn.map_err(Status::internal)?;
        // it keeps a thread while it waits for a webhook too
        let thread = self.threads.clone().try_acquire_owned().ok();
        if is_short && (!beside.is_long || thread.is_none()) {
            drop(thread);
            let done = work.await;
            drop(turn);
            return done;
        }
        let handle = Handle::current();
        let work = move || {
            // until it has ended, also where nobody waits for it any more
            let _held = (turn, thread);
            handle.block_on(work)
        };
        let done = tokio::task::spawn_blocking(work).await;
        if values + beside.stored >= LEFTOVER_VALUES {
            self.leftovers.give_back_soon();
        }
        done.map_err(Status::internal)?
    }

    /// Does what decodes a stored object: a short one where it is; for any other there are turns, and a thread. The turn lasts until that
    /// has ended, also where nobody waits for it any more.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        object: &Object,
        read: impl FnOnce(&Object) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        if object.bytes().len() < LONG_BODY {
            return read(object);
        }
        let weight = weight_of(object);
        let turn = self.reads.clone().acquire_many_owned(permits(weight, MOST_READ)).await;
        let (turn, object) = (turn.map_err(Status::internal)?, object.clone());
        let done = blocking_while_wanted(move |_| {
            let _turn = turn;
            read(&object)
        });
        let done = done.await.map_err(Status::internal)?;
        if weight >= LEFTOVER_VALUES {
            self.leftovers.give_back_soon();
        }
        done
    }

    /// A turn to decode an answer of so many values; `None` where those are more than any may have.
    pub(crate) async fn of_answer(&self, values: usize) -> Option<OwnedSemaphorePermit> {
        if values > MOST_ANSWERED {
            return None;
        }
        self.answers.clone().acquire_many_owned(permits(values, MOST_ANSWERED)).await.ok()
    }

    /// A turn to list the rules that somebody has, with which nothing else waits. `None` never comes: nobody closes it.
    pub(crate) async fn of_rules(&self) -> Option<OwnedSemaphorePermit> {
        self.rules.clone().acquire_owned().await.ok()
    }
}

/// As [`ParseBudget::read`], for who may have a turn already: one within another could wait for itself.
pub(crate) async fn read_in_turn<T: Send + 'static>(
    turns: Option<&ParseBudget>,
    object: &Object,
    read: impl FnOnce(&Object) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    match turns {
        Some(budget) => budget.read(object, read).await,
        None => read(object),
    }
}

fn permits(values: usize, most: usize) -> u32 {
    u32::try_from(values.min(most)).unwrap_or(u32::MAX)
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
        for (name, body, is_long, stored, stays) in [
            ("short", list_of(10), false, 0, true),
            ("short, and long work", list_of(10), true, 0, false),
            ("many values", list_of(LONG_VALUES), false, 0, false),
            ("long", format!("\"{}\"", "x".repeat(LONG_BODY)).into_bytes(), false, 0, false),
            ("short, of a small object", list_of(10), false, LONG_VALUES - 1, true),
            ("short, of a large object", list_of(10), false, LONG_VALUES, false),
        ] {
            let budget = ParseBudget::new(Leftovers::new(|| {}));
            let on = budget
                .run("", &body, None, Beside { is_long, stored }, async { Ok(std::thread::current().id()) })
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
        let all = (0..12).map(|_| budget.run("application/json", &body, None, Beside::default(), work()));
        assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(MOST.load(Ordering::SeqCst), 3, "each has a little over a quarter");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_once_after_large_bodies() {
        static GIVEN: AtomicUsize = AtomicUsize::new(0);
        let budget = ParseBudget::new(Leftovers::new(|| _ = GIVEN.fetch_add(1, Ordering::SeqCst)));
        for values in [LEFTOVER_VALUES, LEFTOVER_VALUES, 5] {
            budget.run("", &list_of(values), None, Beside::default(), async { Ok(()) }).await.unwrap();
        }
        tokio::time::sleep(QUIET * 3).await;
        assert_eq!(GIVEN.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_without_an_end_do_not_put_it_off() {
        static GIVEN: AtomicUsize = AtomicUsize::new(0);
        let budget = ParseBudget::new(Leftovers::new(|| _ = GIVEN.fetch_add(1, Ordering::SeqCst)));
        for _ in 0..=2 * (MOST_DELAYS + 2) {
            budget
                .run("", &list_of(LEFTOVER_VALUES), None, Beside::default(), async { Ok(()) })
                .await
                .unwrap();
            tokio::time::sleep(QUIET / 2).await;
        }
        assert_eq!(GIVEN.load(Ordering::SeqCst), 1, "while they come");
        tokio::time::sleep(QUIET * 3).await;
        assert_eq!(GIVEN.load(Ordering::SeqCst), 2, "and after the last one");
    }

    /// The object of a few bytes of JSON for each value, and of many values.
    fn stored(values: usize) -> Object {
        let list = "{},".repeat(values);
        let json = format!(
            r#"{{"metadata":{{"name":"a","resourceVersion":{}}},"list":[{list}{{}}]}}"#,
            serde_json::json!(api::REVISION_PLACEHOLDER)
        );
        api::Unstamped::new(json.into_bytes()).unwrap().stamp(api::ResourceVersion(7))
    }

    #[test]
    fn a_stored_object_weighs_about_what_its_text_would() {
        for values in [100, 10_000, 100_000] {
            let weight = weight_of(&stored(values));
            assert!((values..4 * values).contains(&weight), "{values} weigh {weight}");
        }
    }

    #[tokio::test]
    async fn short_changes_of_a_large_object_take_turns_and_hold_up_no_others() {
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let budget = ParseBudget::new(Leftovers::new(|| {}));
        let work = || async {
            MOST.fetch_max(1 + AT_ONCE.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            AT_ONCE.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        let body = list_of(3);
        for (name, stored, want) in
            [("half of all", MOST_VALUES - 100, 2), ("more than there is", 10 * MOST_AT_ONCE, 1)]
        {
            let beside = Beside { is_long: false, stored };
            let all = (0..8).map(|_| budget.run("", &body, None, beside, work()));
            assert!(futures::future::join_all(all).await.iter().all(Result::is_ok), "{name}");
            assert_eq!(MOST.swap(0, Ordering::SeqCst), want, "{name}");
        }
        let _all = budget.long.clone().acquire_many_owned(permits(usize::MAX, MOST_AT_ONCE)).await.unwrap();
        budget.run("", &body, None, Beside::default(), async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn large_objects_are_read_in_turns_beside_the_event_loop() {
        let budget = ParseBudget::new(Leftovers::new(|| {}));
        let here = std::thread::current().id();
        for (name, values, stays) in [("small", 10, true), ("large", LONG_BODY / 2, false)] {
            let on = budget.read(&stored(values), |_| Ok(std::thread::current().id())).await.unwrap();
            assert_eq!(on == here, stays, "{name}");
        }
        let turn = budget.reads.clone().acquire_many_owned(permits(usize::MAX, MOST_READ)).await.unwrap();
        let large = stored(LONG_BODY);
        let waits = budget.read(&large, |_| Ok(()));
        assert!(
            tokio::time::timeout(Duration::from_millis(20), waits).await.is_err(),
            "it waits for its turn"
        );
        assert!(read_in_turn(None, &large, |_| Ok(())).await.is_ok(), "and who has one does not");
        drop(turn);
        read_in_turn(Some(&budget), &large, |_| Ok(())).await.unwrap();
        assert_eq!(budget.reads.available_permits(), MOST_READ);
    }

    #[tokio::test]
    async fn answers_are_decoded_in_turns_and_to_a_bound() {
        let budget = ParseBudget::new(Leftovers::new(|| {}));
        assert!(budget.of_answer(MOST_ANSWERED + 1).await.is_none());
        let turns = [MOST_ANSWERED / 2, MOST_ANSWERED / 2].map(|values| budget.of_answer(values));
        let turns = futures::future::join_all(turns).await;
        assert!(turns.iter().all(Option::is_some));
        let waits = budget.of_answer(1);
        assert!(tokio::time::timeout(Duration::from_millis(20), waits).await.is_err(), "for its turn");
        drop(turns);
        assert!(budget.of_answer(MOST_ANSWERED).await.is_some());
    }

    #[tokio::test]
    async fn rules_are_listed_one_after_the_other_and_hold_up_nothing_else() {
        let budget = ParseBudget::new(Leftovers::new(|| {}));
        let turn = budget.of_rules().await;
        let waits =
            async || tokio::time::timeout(Duration::from_millis(20), budget.of_rules()).await.is_err();
        assert!(turn.is_some() && waits().await);
        assert!(budget.of_answer(MOST_ANSWERED).await.is_some());
        drop(turn);
        assert!(!waits().await);
    }

    #[tokio::test]
    async fn where_no_thread_is_left_short_bodies_need_none() {
        let budget = ParseBudget::new(Leftovers::new(|| {}));
        let here = std::thread::current().id();
        let _all = budget.threads.clone().acquire_many_owned(MOST_THREADS as u32).await.unwrap();
        let beside = Beside { is_long: true, stored: 0 };
        for (name, body, stays) in [("short", list_of(10), true), ("long", list_of(LONG_VALUES), false)] {
            let on =
                budget.run("", &body, None, beside, async { Ok(std::thread::current().id()) }).await.unwrap();
            assert_eq!(on == here, stays, "{name}");
        }
    }

    #[tokio::test]
    async fn a_turn_lasts_until_the_work_has_ended() {
        let budget = ParseBudget::new(Leftovers::new(|| {}));
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go_on, goes_on) = tokio::sync::oneshot::channel::<()>();
        let work = async move {
            let _ = begun.send(());
            let _ = goes_on.await;
            Ok(())
        };
        let running = budget.clone();
        let beside = Beside { is_long: false, stored: MOST_AT_ONCE };
        let request = tokio::spawn(async move { running.run("", b"{}", None, beside, work).await });
        has_begun.await.unwrap();
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        assert_eq!(budget.long.available_permits(), 0, "nobody waits, and it goes on");
        drop(go_on);
        let all = budget.long.acquire_many(MOST_AT_ONCE as u32);
        assert!(tokio::time::timeout(Duration::from_secs(60), all).await.is_ok());
    }
}
