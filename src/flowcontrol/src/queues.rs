//! Whose turn it is: a set of queues over a number of seats. Pure: no clock, no tasks.
//!
//! A flow is dealt a hand of queues by its hash and waits in the shortest of them (shuffle sharding), so that one that floods its
//! queues shares all of them with hardly any other. Queues take turns by start-time fair queuing: each request has a virtual
//! start, the end of the one before it in its queue or the present, whichever is later; the earliest goes first.

use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queuing {
    pub(crate) queues: usize,
    /// How many queues a flow may choose from.
    pub(crate) hand: usize,
    /// The most that wait in one queue.
    pub(crate) length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// With so many seats.
    Runs(u32),
    /// It is told when it has them.
    Waits,
    /// All its queues are full, or there are none.
    Rejected,
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
    seats: u32,
    taken: u32,
    queuing: Option<Queuing>,
    /// Those that say something: one that nobody waits in, and whose last has ended, is as one that was never used. An object
    /// may ask for millions.
    queues: BTreeMap<usize, Queue<T>>,
    waiting: usize,
    /// The virtual start of the last that got its seats.
    now: u64,
}

impl<T: Copy + PartialEq> QueueSet<T> {
    pub(crate) fn new(seats: u32, queuing: Option<Queuing>) -> Self {
        QueueSet { seats, taken: 0, queuing, queues: BTreeMap::new(), waiting: 0, now: 0 }
    }

    /// One that wants more seats than there are gets all of them; where there are none, it waits or is refused.
    pub(crate) fn arrive(&mut self, flow: u64, width: u32, ticket: T) -> Arrival {
        let width = width.clamp(1, self.seats.max(1));
        let Some(queuing) = self.queuing else {
            return match self.taken + width <= self.seats {
                true => self.run(width),
                false => Arrival::Rejected,
            };
        };
        let length = |index: &usize| self.queues.get(index).map_or(0, |queue| queue.waiting.len());
        let chosen = hand(flow, queuing).min_by_key(length).unwrap_or(0);
        let is_idle = self.waiting == 0 && self.taken + width <= self.seats;
        let now = self.now;
        let queue = self.queues.entry(chosen).or_insert_with(|| Queue { waiting: VecDeque::new(), end: now });
        let start = queue.end.max(now);
        if is_idle {
            queue.end = start + u64::from(width);
            return self.run(width);
        }
        if queue.waiting.len() >= queuing.length {
            return Arrival::Rejected;
        }
        queue.end = start + u64::from(width);
        queue.waiting.push_back(Waiting { ticket, width, start });
        self.waiting += 1;
        Arrival::Waits
    }

    fn run(&mut self, width: u32) -> Arrival {
        self.taken += width;
        Arrival::Runs(width)
    }

    /// So many seats are free, as many as were given; who may go on now, and with how many.
    pub(crate) fn leave(&mut self, width: u32) -> Vec<(T, u32)> {
        self.taken = self.taken.saturating_sub(width);
        self.dispatch()
    }

    /// It waits no longer: whom that lets go on. `None` where it has its seats already.
    pub(crate) fn give_up(&mut self, ticket: T) -> Option<Vec<(T, u32)>> {
        for queue in self.queues.values_mut() {
            if let Some(at) = queue.waiting.iter().position(|waiting| waiting.ticket == ticket) {
                queue.waiting.remove(at);
                self.waiting -= 1;
                // others may have waited for a wide one
                return Some(self.dispatch());
            }
        }
        None
    }

    pub(crate) fn resize(&mut self, seats: u32) -> Vec<(T, u32)> {
        self.seats = seats;
        self.dispatch()
    }

    pub(crate) fn queuing(&self) -> Option<Queuing> {
        self.queuing
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn taken(&self) -> u32 {
        self.taken
    }

    fn dispatch(&mut self) -> Vec<(T, u32)> {
        let mut released = Vec::new();
        loop {
            let heads = self.queues.iter();
            let next = heads.filter_map(|(index, queue)| Some((queue.waiting.front()?.start, *index))).min();
            let Some((start, index)) = next else { break };
            let Some(queue) = self.queues.get_mut(&index) else { break };
            // one that is wide is not passed by narrow ones for ever: all wait until it has its seats
            let width = queue.waiting.front().map_or(1, |head| head.width).min(self.seats.max(1));
            if self.taken + width > self.seats {
                break;
            }
            let Some(head) = queue.waiting.pop_front() else { break };
            self.waiting -= 1;
            self.taken += width;
            self.now = self.now.max(start);
            released.push((head.ticket, width));
        }
        let now = self.now;
        self.queues.retain(|_, queue| !queue.waiting.is_empty() || queue.end > now);
        released
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
    fn a_flood_holds_up_only_itself() {
        let mut set = QueueSet::new(2, Some(QUEUING));
        assert_eq!(set.arrive(1, 1, 0), Arrival::Runs(1));
        assert_eq!(set.arrive(1, 1, 1), Arrival::Runs(1));
        let mut rejected = 0;
        for ticket in 2..1000 {
            rejected += usize::from(set.arrive(1, 1, ticket) == Arrival::Rejected);
        }
        assert_eq!((set.waiting(), rejected), (300, 698), "six queues of fifty");
        assert_eq!(set.arrive(u64::MAX / 3, 1, 5000), Arrival::Waits);
        // two flows, two requests: whoever floods has had his turns
        let released: Vec<i32> = (0..7).flat_map(|_| set.leave(1)).map(|(ticket, _)| ticket).collect();
        assert!(released.contains(&5000), "{released:?}");
        assert_eq!(set.taken(), 2);
    }

    #[test]
    fn a_wide_request_waits_for_all_its_seats_and_is_not_passed() {
        let mut set = QueueSet::new(3, Some(Queuing { queues: 1, hand: 1, length: 10 }));
        assert_eq!(set.arrive(1, 2, 'a'), Arrival::Runs(2));
        assert_eq!(set.arrive(1, 9, 'b'), Arrival::Waits);
        assert_eq!(set.arrive(1, 1, 'c'), Arrival::Waits);
        assert_eq!(set.leave(2), [('b', 3)], "all there are");
        assert_eq!(set.leave(3), [('c', 1)]);
    }

    #[test]
    fn who_gives_up_is_let_in_no_more() {
        let mut set = QueueSet::new(1, Some(QUEUING));
        set.arrive(1, 1, 'a');
        set.arrive(2, 1, 'b');
        assert_eq!((set.give_up('b'), set.give_up('b')), (Some(Vec::new()), None));
        assert_eq!(set.leave(1), []);
        assert_eq!(set.taken(), 0);
    }

    #[test]
    fn as_many_seats_come_back_as_were_given() {
        let mut set = QueueSet::new(10, Some(QUEUING));
        assert_eq!(set.arrive(1, 10, 'a'), Arrival::Runs(10));
        assert_eq!(set.resize(1), []);
        set.leave(10);
        assert_eq!(set.taken(), 0, "whatever there are by then");
        assert_eq!(set.arrive(1, 10, 'b'), Arrival::Runs(1), "and no more are taken than there are");
        // a wide one that gives up lets those behind it in
        let mut set = QueueSet::new(2, Some(Queuing { queues: 1, hand: 1, length: 10 }));
        assert_eq!(set.arrive(1, 1, 'a'), Arrival::Runs(1));
        assert_eq!(set.arrive(1, 2, 'b'), Arrival::Waits);
        assert_eq!(set.arrive(1, 1, 'c'), Arrival::Waits);
        assert_eq!(set.give_up('b'), Some(vec![('c', 1)]));
    }

    #[test]
    fn queues_that_say_nothing_are_not_kept() {
        let mut set = QueueSet::new(1, Some(Queuing { queues: 10_000_000, hand: 1, length: 1 }));
        for flow in 0..1000 {
            if let Arrival::Runs(width) = set.arrive(flow * 7919, 1, flow) {
                set.now += 1;
                set.leave(width);
            }
        }
        assert!(set.queues.len() <= 2, "{}", set.queues.len());
    }

    #[test]
    fn without_queues_there_is_a_seat_or_none() {
        let mut set = QueueSet::new(2, None);
        assert_eq!(set.arrive(1, 2, 'a'), Arrival::Runs(2));
        assert_eq!(set.arrive(2, 1, 'b'), Arrival::Rejected);
        set.leave(2);
        assert_eq!(set.arrive(2, 1, 'c'), Arrival::Runs(1));
        assert_eq!(QueueSet::new(0, None).arrive(1, 1, 'd'), Arrival::Rejected);
    }

    #[test]
    fn more_seats_let_more_in() {
        let mut set = QueueSet::new(0, Some(QUEUING));
        assert_eq!(set.arrive(1, 1, 'a'), Arrival::Waits);
        assert_eq!(set.arrive(2, 1, 'b'), Arrival::Waits);
        let mut released = set.resize(5);
        released.sort_unstable();
        assert_eq!(released, [('a', 1), ('b', 1)]);
    }
}
