//! Which events are written, and as what: upstream's `EventCorrelator`. Pure, and without a clock of its own.
//!
//! Those that differ in nothing are one, which is counted. Of those about an object that differ in their words only, all from
//! the tenth on are one, while they come. And of an object 25 may be written at once, and then one in five minutes: what never
//! gets well does not fill the store. What is remembered is bounded, and is hashes.

use crate::event::{EventType, Said, shortened};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;
use tokio::time::Instant;

/// Of each sort; upstream's `maxLruCacheEntries`.
const REMEMBERED: usize = 4096;
/// Upstream's `defaultAggregateMaxEvents`, and `defaultAggregateIntervalInSeconds`.
const SIMILAR: usize = 10;
const QUIET: Duration = Duration::from_secs(600);
/// Upstream's `defaultSpamBurst`, and `defaultSpamQPS`.
const BURST: u32 = 25;
const REFILL: Duration = Duration::from_secs(300);

const COMBINED: &str = "(combined from similar events): ";

/// An event as it is to be stored. Where it was told more than once, it may be there already.
#[derive(Debug, Clone)]
pub(crate) struct Correlated {
    pub(crate) said: Said,
    /// When it was told first, by which it is named.
    pub(crate) first: Timestamp,
    pub(crate) count: i32,
}

/// Of one who tells.
#[derive(Default)]
pub(crate) struct Correlator {
    similar: Lru<Similar>,
    observed: Lru<Observed>,
    buckets: Lru<Bucket>,
    hasher: RandomState,
}

/// The words of events that are alike but for them.
struct Similar {
    messages: Vec<u64>,
    last: Instant,
}

struct Observed {
    first: Timestamp,
    count: i32,
}

/// How many events there may be at once.
struct Bucket {
    left: u32,
    refilled: Instant,
}

impl Correlator {
    /// `None` where there are too many of its object. How much time passes, `now` says: clocks of the wall are set.
    pub(crate) fn correlate(&mut self, mut said: Said, now: Instant) -> Option<Correlated> {
        let about = &said.about;
        let object = self.hash((&about.api_version, &about.kind, &about.namespace, &about.name, &about.uid));
        let alike = self.hash((object, said.kind == EventType::Warning, said.reason));
        let message = self.hash((&about.field_path, &said.message));
        let similar = self.similar.get(alike, || Similar { messages: Vec::new(), last: now });
        let same = match similar.is_one_of_many(message, now) {
            true => {
                said.message = shortened(format!("{COMBINED}{}", said.message));
                alike
            }
            false => self.hash((alike, message)),
        };
        let observed = self.observed.get(same, || Observed { first: said.at, count: 0 });
        observed.count = observed.count.saturating_add(1);
        let (first, count) = (observed.first, observed.count);
        let bucket = self.buckets.get(object, || Bucket { left: BURST, refilled: now });
        bucket.take(now).then_some(Correlated { said, first, count })
    }

    fn hash(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }
}

impl Similar {
    /// Those that were there before there were many are still told by themselves.
    fn is_one_of_many(&mut self, message: u64, now: Instant) -> bool {
        if now.saturating_duration_since(self.last) > QUIET {
            self.messages.clear();
        }
        self.last = now;
        if self.messages.contains(&message) {
            return false;
        }
        if self.messages.len() + 1 >= SIMILAR {
            return true;
        }
        self.messages.push(message);
        false
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled);
        let more = u32::try_from(elapsed.as_secs() / REFILL.as_secs()).unwrap_or(BURST);
        if self.left.saturating_add(more) >= BURST {
            (self.left, self.refilled) = (BURST, now);
        } else {
            self.left += more;
            self.refilled += REFILL * more;
        }
        let taken = self.left.checked_sub(1);
        self.left = taken.unwrap_or(0);
        taken.is_some()
    }
}

/// What was asked for last.
struct Lru<V> {
    /// With the turn at which it was.
    values: HashMap<u64, (u64, V)>,
    turns: BTreeMap<u64, u64>,
    turn: u64,
}

impl<V> Default for Lru<V> {
    fn default() -> Self {
        Lru { values: HashMap::new(), turns: BTreeMap::new(), turn: 0 }
    }
}

impl<V> Lru<V> {
    fn get(&mut self, key: u64, make: impl FnOnce() -> V) -> &mut V {
        if self.values.len() >= REMEMBERED
            && !self.values.contains_key(&key)
            && let Some((_, oldest)) = self.turns.pop_first()
        {
            self.values.remove(&oldest);
        }
        self.turn += 1;
        let (turn, value) = self.values.entry(key).or_insert_with(|| (self.turn, make()));
        let before = std::mem::replace(turn, self.turn);
        self.turns.remove(&before);
        self.turns.insert(self.turn, key);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Subject;

    /// The clock is the test's.
    struct Teller {
        correlator: Correlator,
        now: Instant,
    }

    impl Teller {
        fn new() -> Self {
            Teller { correlator: Correlator::default(), now: Instant::now() }
        }

        fn tell(
            &mut self,
            name: &str,
            reason: &'static str,
            message: impl ToString,
        ) -> Option<(String, i32)> {
            let about = Subject { name: Some(name.to_owned()), ..Subject::default() };
            let at = Timestamp::UNIX_EPOCH;
            let said = Said { about, kind: EventType::Warning, reason, message: message.to_string(), at };
            self.correlator.correlate(said, self.now).map(|written| (written.said.message, written.count))
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
        }
    }

    #[test]
    fn what_is_the_same_is_counted() {
        let mut teller = Teller::new();
        for count in 1..4 {
            assert_eq!(teller.tell("a", "Failed", "why"), Some(("why".to_owned(), count)));
            teller.pass(QUIET * 2);
        }
        for (name, reason, message) in
            [("b", "Failed", "why"), ("a", "Pulled", "why"), ("a", "Failed", "else")]
        {
            assert_eq!(teller.tell(name, reason, message), Some((message.to_owned(), 1)), "{name} {reason}");
        }
    }

    #[test]
    fn from_the_tenth_on_what_is_alike_is_one() {
        let mut teller = Teller::new();
        for n in 1..10 {
            assert_eq!(teller.tell("a", "Failed", n), Some((n.to_string(), 1)));
        }
        for n in 10..13 {
            assert_eq!(teller.tell("a", "Failed", n), Some((format!("{COMBINED}{n}"), n - 9)));
        }
        assert_eq!(teller.tell("a", "Failed", 1), Some(("1".to_owned(), 2)), "which was there before");
        assert_eq!(teller.tell("a", "Pulled", 1), Some(("1".to_owned(), 1)), "for another reason");
        assert_eq!(teller.tell("b", "Failed", 1), Some(("1".to_owned(), 1)), "of another");
        teller.pass(QUIET);
        assert_eq!(teller.tell("a", "Failed", 20), Some((format!("{COMBINED}20"), 4)));
        teller.pass(QUIET + Duration::from_secs(1));
        assert_eq!(teller.tell("a", "Failed", 21), Some(("21".to_owned(), 1)), "they had ceased");
        (0..9).for_each(|n| drop(teller.tell("c", "Failed", n)));
        let (long, _) = teller.tell("c", "Failed", "x".repeat(1024)).unwrap();
        assert!(long.starts_with(COMBINED) && long.len() == 1024, "{long}");
    }

    #[test]
    fn of_an_object_there_are_few_and_then_one_at_a_time() {
        let mut teller = Teller::new();
        let told = |teller: &mut Teller, name: &str, times: usize| {
            (0..times).filter(|_| teller.tell(name, "Failed", "why").is_some()).count()
        };
        assert_eq!(told(&mut teller, "a", 100), 25);
        assert_eq!(told(&mut teller, "b", 1), 1, "of another");
        teller.pass(REFILL - Duration::from_secs(1));
        assert_eq!(told(&mut teller, "a", 10), 0);
        teller.pass(Duration::from_secs(1));
        assert_eq!(teller.tell("a", "Failed", "why"), Some(("why".to_owned(), 111)), "all are counted");
        assert_eq!(told(&mut teller, "a", 10), 0);
        teller.pass(REFILL * 3);
        assert_eq!(told(&mut teller, "a", 10), 3);
        teller.pass(REFILL * 1000);
        assert_eq!(told(&mut teller, "a", 100), 25, "no more than at first");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut teller = Teller::new();
        for n in 0..3 * REMEMBERED {
            teller.tell("kept", "Failed", "why");
            assert!(teller.tell(&n.to_string(), "Failed", n).is_some());
        }
        let Correlator { similar, observed, buckets, .. } = &teller.correlator;
        let all = [
            (similar.values.len(), similar.turns.len()),
            (observed.values.len(), observed.turns.len()),
            (buckets.values.len(), buckets.turns.len()),
        ];
        assert_eq!(all, [(REMEMBERED, REMEMBERED); 3]);
        assert_eq!(teller.tell("kept", "Failed", "why"), None, "what is asked for is not forgotten");
        assert_eq!(teller.tell("0", "Failed", 0), Some(("0".to_owned(), 1)));
    }
}
