//! Whose turn it is among those who wait at a level: a set of queues. Pure: no clock, no tasks, and no seats (`pool.rs`).
//!
//! A flow is dealt a hand of queues by its hash and waits in the shortest of them (shuffle sharding), so that one that floods its
//! queues shares all of them with hardly any other. Queues take turns by start-time fair queuing: each request has a virtual
//! start, the end of the one before it in its queue or the present, whichever is later; the earliest goes first. The present is
//! the latest start of a request that has gone on.

use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queuing {
    pub(crate) queues: usize,
    /// How many queues a flow may choose from.
    pub(crate) hand: usize,
    /// The most that wait in one queue.
    pub(crate) length: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: T,
    width: u32,
    start: u64,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    /// Virtual: when the last of it ends.
    end: u64,
}

#[derive(Debug)]
pub(crate) struct QueueSet<T> {
    /// `None` where nobody can wait. Who did before that was said goes on waiting.
    queuing: Option<Queuing>,
    /// Those that say something: one that nobody waits in, and whose last has ended, is as one that was never used. An object
    /// may ask for millions.
    queues: BTreeMap<usize, Queue<T>>,
    /// Of whose first it is the turn.
    next: Option<usize>,
    waiting: usize,
    now: u64,
    /// The queue of the last request that came, where it has one.
    placed: Option<usize>,
}

/// One queue, as it is now.
#[derive(Debug)]
pub(crate) struct QueueState<T> {
    pub(crate) index: usize,
    /// Who waits, and for how many seats.
    pub(crate) waiting: Vec<(T, u32)>,
    /// Virtual: of the next.
    pub(crate) start: u64,
}

/// Above it only queues are told of that say something.
const MOST_TOLD: usize = 1024;

impl<T: Copy + PartialEq> QueueSet<T> {
    pub(crate) fn new(queuing: Option<Queuing>) -> Self {
        QueueSet { queuing, queues: BTreeMap::new(), next: None, waiting: 0, now: 0, placed: None }
    }

    /// Who waits stays where he is, and is let in from there.
    pub(crate) fn reconfigure(&mut self, queuing: Option<Queuing>) {
        self.queuing = queuing;
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn placed(&self) -> Option<usize> {
        self.placed
    }

    pub(crate) fn state(&self) -> Vec<QueueState<T>> {
        let first = self.queuing.map_or(0, |queuing| queuing.queues.min(MOST_TOLD));
        let others = self.queues.range(first..).map(|(index, _)| *index);
        let one = |index: usize| {
            let queue = self.queues.get(&index);
            let waiting = queue.into_iter().flat_map(|queue| &queue.waiting);
            let next = queue.map(|queue| queue.waiting.front().map_or(queue.end, |waiting| waiting.start));
            QueueState {
                index,
                waiting: waiting.map(|waiting| (waiting.ticket, waiting.width)).collect(),
                start: next.unwrap_or(0).max(self.now),
            }
        };
        (0..first).chain(others).map(one).collect()
    }

    /// How many seats the one wants whose turn it is.
    pub(crate) fn head(&self) -> Option<u32> {
        Some(self.queues.get(&self.next?)?.waiting.front()?.width)
    }

    /// A request of the flow goes on without waiting.
    pub(crate) fn pass(&mut self, flow: u64, width: u32) {
        self.placed = None;
        let Some(queuing) = self.queuing else { return };
        let chosen = self.choose(flow, queuing);
        self.placed = Some(chosen);
        let now = self.now;
        let queue = self.queue(chosen);
        let start = queue.end.max(now);
        queue.end = start + u64::from(width);
        self.advance(start);
    }

    /// Whether there is a place for it.
    pub(crate) fn wait(&mut self, flow: u64, width: u32, ticket: T) -> bool {
        let Some(queuing) = self.queuing else { return false };
        let chosen = self.choose(flow, queuing);
        self.placed = Some(chosen);
        let now = self.now;
        let queue = self.queue(chosen);
        if queue.waiting.len() >= queuing.length {
            return false;
        }
        let start = queue.end.max(now);
        queue.end = start + u64::from(width);
        let is_head = queue.waiting.is_empty();
        queue.waiting.push_back(Waiting { ticket, width, start });
        self.waiting += 1;
        if is_head {
            self.next = self.earliest();
        }
        true
    }

    /// The one whose turn it is waits no longer.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let head = self.queues.get_mut(&self.next?)?.waiting.pop_front()?;
        self.waiting -= 1;
        self.next = self.earliest();
        self.advance(head.start);
        Some(head.ticket)
    }

    /// It waits no longer; `false` where it did not.
    pub(crate) fn give_up(&mut self, ticket: T) -> bool {
        for queue in self.queues.values_mut() {
            if let Some(at) = queue.waiting.iter().position(|waiting| waiting.ticket == ticket) {
                queue.waiting.remove(at);
                self.waiting -= 1;
                self.next = self.earliest();
                return true;
            }
        }
        false
    }

    /// Nobody waits, and nothing runs: whoever comes next finds all queues alike.
    pub(crate) fn rest(&mut self) {
        self.queues.clear();
        (self.next, self.waiting) = (None, 0);
    }

    fn choose(&self, flow: u64, queuing: Queuing) -> usize {
        let length = |index: &usize| self.queues.get(index).map_or(0, |queue| queue.waiting.len());
        hand(flow, queuing).min_by_key(length).unwrap_or(0)
    }

    fn queue(&mut self, index: usize) -> &mut Queue<T> {
        let now = self.now;
        self.queues.entry(index).or_insert_with(|| Queue { waiting: VecDeque::new(), end: now })
    }

    fn earliest(&self) -> Option<usize> {
        let heads = self.queues.iter();
        let heads = heads.filter_map(|(index, queue)| Some((queue.waiting.front()?.start, *index)));
        heads.min().map(|(_, index)| index)
    }

    fn advance(&mut self, start: u64) {
        if start > self.now {
            let now = start;
            self.now = now;
            self.queues.retain(|_, queue| !queue.waiting.is_empty() || queue.end > now);
        }
    }
}

/// Upstream's `shufflesharding.Dealer`: so many queues out of all, none of them twice.
fn hand(flow: u64, queuing: Queuing) -> impl Iterator<Item = usize> {
    let Queuing { queues, hand, .. } = queuing;
    let (mut left, mut dealt) = (flow, Vec::<usize>::new());
    for number in 0..hand.min(queues) {
        let remaining = (queues - number) as u64;
        let mut card = usize::try_from(left % remaining).unwrap_or(0);
        left /= remaining;
        // the card's place among all: those that are dealt already are passed over
        let mut before = dealt.clone();
        before.sort_unstable();
        for taken in before {
            if card >= taken {
                card += 1;
            }
        }
        dealt.push(card);
    }
    dealt.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const QUEUING: Queuing = Queuing { queues: 64, hand: 6, length: 50 };

    #[test]
    fn a_hand_has_no_card_twice() {
        for flow in [0, 1, 7, u64::MAX, 0x1234_5678_9abc_def0] {
            let dealt: Vec<usize> = hand(flow, QUEUING).collect();
            let distinct: BTreeSet<usize> = dealt.iter().copied().collect();
            assert_eq!((dealt.len(), distinct.len()), (6, 6), "{dealt:?}");
            assert!(dealt.iter().all(|card| *card < 64));
        }
        let all = Queuing { queues: 4, hand: 8, length: 1 };
        assert_eq!(hand(99, all).collect::<BTreeSet<usize>>(), BTreeSet::from([0, 1, 2, 3]));
    }

    #[test]
    fn queues_tell_who_waits_in_them() {
        let queuing = Queuing { queues: 3, hand: 3, length: 2 };
        let mut set = QueueSet::new(Some(queuing));
        set.pass(1, 2);
        let first = set.placed().unwrap();
        assert!(
            set.wait(1, 4, 'a') && set.placed() == Some(first),
            "the first card of the hand is as short as others"
        );
        let told = |set: &QueueSet<char>| -> Vec<(usize, Vec<(char, u32)>, u64)> {
            set.state().into_iter().map(|queue| (queue.index, queue.waiting, queue.start)).collect()
        };
        let all = told(&set);
        assert_eq!(all.iter().map(|(index, ..)| *index).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(all[first], (first, vec![('a', 4)], 2), "behind the one that has gone on");
        set.reconfigure(None);
        set.pass(1, 1);
        assert_eq!((set.placed(), told(&set)), (None, vec![(first, vec![('a', 4)], 2)]));
        let many = QueueSet::<char>::new(Some(Queuing { queues: 10_000_000, ..queuing }));
        assert_eq!(many.state().len(), MOST_TOLD);
    }

    #[test]
    fn a_flow_that_had_the_level_for_itself_is_not_put_behind_for_it() {
        let mut set = QueueSet::new(Some(Queuing { hand: 1, ..QUEUING }));
        for _ in 0..1000 {
            set.pass(1, 1);
        }
        // two flows with a queue each, from now on at the same time
        for ticket in 0..3 {
            assert!(set.wait(1, 1, ticket) && set.wait(u64::MAX / 3, 1, 10 + ticket));
        }
        let turns: Vec<u64> = std::iter::from_fn(|| set.pop()).take(4).collect();
        assert_eq!(turns.iter().filter(|ticket| **ticket < 10).count(), 2, "{turns:?}");
    }

    #[test]
    fn queues_that_say_nothing_are_not_kept() {
        let mut set = QueueSet::<u64>::new(Some(Queuing { queues: 10_000_000, hand: 1, length: 1 }));
        for flow in 0..1000 {
            // one after the other, in one queue: the present goes on with it
            set.pass(7, 1);
            set.pass(flow * 7919, 1);
        }
        assert!(set.queues.len() <= 3, "{}", set.queues.len());
    }

    #[test]
    fn who_waits_goes_on_waiting_when_the_queues_change() {
        let mut set = QueueSet::new(Some(QUEUING));
        assert!(set.wait(1, 3, 'a') && set.wait(2, 1, 'b'));
        set.reconfigure(Some(Queuing { queues: 1, hand: 1, length: 1 }));
        assert!(set.wait(3, 5, 'c'));
        assert!(!set.wait(4, 1, 'd'), "the only queue is full");
        set.reconfigure(None);
        assert!(!set.wait(5, 1, 'e'));
        assert_eq!(set.waiting(), 3);
        let all: BTreeSet<char> = std::iter::from_fn(|| set.pop()).collect();
        assert_eq!((all, set.waiting(), set.head()), (BTreeSet::from(['a', 'b', 'c']), 0, None));
    }

    #[test]
    fn who_gives_up_is_not_there_any_more() {
        let mut set = QueueSet::new(Some(QUEUING));
        assert!(set.wait(1, 2, 'a') && set.wait(1, 7, 'b'));
        assert_eq!((set.give_up('a'), set.give_up('a')), (true, false));
        assert_eq!((set.waiting(), set.head()), (1, Some(7)));
        assert_eq!((set.pop(), set.pop()), (Some('b'), None));
    }
}
