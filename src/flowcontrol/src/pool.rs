//! Who has how many of the server's seats, and who may have more: the priority levels together. Pure: no clock, no tasks.
//!
//! Each level has seats of its own (its nominal limit). A part of them may be lent while it does not need them; what is left, its
//! lower limit, is kept for it always. What nobody has and nobody keeps is free: a request takes of it what it needs beyond its
//! level's lower limit.
//!
//! - Within its nominal limit a level takes its own: it may have whatever is free.
//! - Beyond it the level borrows, up to its upper limit, and only as long as no level waits for seats of its own. So a level that
//!   has lent seats has them back when the requests that borrowed them have ended, whatever else comes meanwhile.
//! - Of those who could go on, the level goes first that has the least for its nominal limit.
//! - Requests of an exempt level never wait. Seats that they take beyond what is kept for them are nobody else's meanwhile: others
//!   then have less to borrow, and at the worst their lower limits.
//!
//! Upstream does the same every ten seconds, from a smoothed high watermark of each level's demand (`updateBorrowingLocked`): each
//! level gets a limit, in proportion to its demand, that stands until the next time. Here nothing is computed ahead; it is seen to
//! when a request comes, goes, or gives up. What a user sees of the difference:
//!
//! - A level that is full borrows at once, not after ten seconds in which its requests wait or are refused.
//! - A level that has lent seats and wants them gets each as soon as a borrowed one is free, before anybody borrows again.
//!   Upstream's would keep for ten seconds, and some more while it is smoothed, what it needed at the last peak; here that is lent in
//!   between, and the next peak waits for as long as the requests take that run on its seats. In return nobody waits beside seats that
//!   are idle. What must never wait for others is not lendable in both.
//! - A level with a large backlog does not get more than one with a small one for having it: what is lent goes by nominal limits.
//! - A level without seats that refuses instead of queueing borrows none: upstream counts no demand of requests that it has refused.

use crate::levels::{Limits, Response, Spec, limits};
use crate::queues::{QueueSet, QueueState, Queuing};
use std::collections::BTreeMap;

/// A priority level in the pool; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LevelId(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// With so many seats.
    Runs(u32),
    /// It is told when it has them. It may be its turn already, where one that waits before it wants more seats than are free:
    /// [`Pool::dispatch`] is called when it can be told.
    Waits,
    /// All its queues are full.
    QueueFull,
    /// There is no seat, and no queue.
    NoSeat,
    /// The level has been removed.
    Gone,
}

/// Who goes on, and with how many seats.
pub(crate) type Released<T> = Vec<(T, u32)>;

/// Of a level, at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) limits: Limits,
    /// How many seats it could have now: those that it has, and those that it would get at once.
    pub(crate) current: u32,
    pub(crate) taken: u32,
    pub(crate) waiting: usize,
}

/// A level and its queues, as they are now.
#[derive(Debug)]
pub(crate) struct LevelState<T> {
    pub(crate) id: LevelId,
    pub(crate) is_idle: bool,
    pub(crate) is_retired: bool,
    pub(crate) waiting: usize,
    pub(crate) queues: Vec<QueueState<T>>,
}

#[derive(Debug)]
pub(crate) struct Pool<T> {
    /// Of the server.
    seats: u32,
    levels: BTreeMap<LevelId, Member<T>>,
    next_id: u64,
}

#[derive(Debug)]
struct Member<T> {
    spec: Spec,
    limits: Limits,
    /// The most that one request gets: wide ones do with what there can be.
    widest: u32,
    taken: u32,
    queues: QueueSet<T>,
    /// Its object has gone; who was in it is served.
    is_retired: bool,
}

impl<T: Copy + PartialEq> Pool<T> {
    pub(crate) fn new(seats: u32) -> Self {
        Pool { seats, levels: BTreeMap::new(), next_id: 0 }
    }

    /// It has no seats before [`Pool::share_out`].
    pub(crate) fn add(&mut self, spec: Spec) -> LevelId {
        let id = LevelId(self.next_id);
        self.next_id += 1;
        let member = Member {
            spec,
            limits: Limits::default(),
            widest: 1,
            taken: 0,
            queues: QueueSet::new(queuing(spec)),
            is_retired: false,
        };
        self.levels.insert(id, member);
        id
    }

    /// From now on, or from the next [`Pool::share_out`], it is like that. Who waits in it stays where he is.
    pub(crate) fn change(&mut self, id: LevelId, spec: Spec) {
        let Some(level) = self.levels.get_mut(&id) else { return };
        level.spec = spec;
        level.queues.reconfigure(queuing(spec));
    }

    /// Nobody comes any more. It keeps its part until the last has gone, as upstream's level that is quiescing.
    pub(crate) fn retire(&mut self, id: LevelId) {
        if let Some(level) = self.levels.get_mut(&id) {
            level.is_retired = true;
        }
    }

    /// Gives each level its part of the seats. What a level has beyond that it keeps until its requests end.
    pub(crate) fn share_out(&mut self) -> Released<T> {
        self.levels.retain(|_, level| !level.is_retired || !level.is_idle());
        let specs: Vec<Spec> = self.levels.values().map(|level| level.spec).collect();
        let limits = limits(&specs, self.seats);
        let lendable: u32 = limits.iter().map(|limits| limits.nominal - limits.lower).sum();
        for (level, limits) in self.levels.values_mut().zip(limits) {
            level.limits = limits;
            let own = limits.nominal;
            // one without seats of its own has what others lend, and it lends nothing
            level.widest = if own > 0 { own } else { lendable.min(limits.upper).max(1) };
        }
        self.dispatch()
    }

    /// A request that wants more seats than there can be gets all of those.
    pub(crate) fn arrive(&mut self, id: LevelId, flow: u64, width: u32, ticket: T) -> Arrival {
        let (free, may_borrow) = (self.free(), !self.is_anybody_short());
        let Some(level) = self.levels.get_mut(&id) else { return Arrival::Gone };
        let width = width.clamp(1, level.widest);
        if level.queues.waiting() == 0 && level.fits(width, free, may_borrow) {
            level.queues.pass(flow, width);
            level.taken += width;
            return Arrival::Runs(width);
        }
        match level.spec.response {
            Response::Reject => Arrival::NoSeat,
            _ if level.queues.wait(flow, width, ticket) => Arrival::Waits,
            _ => Arrival::QueueFull,
        }
    }

    /// So many seats of the level are free, as many as were given.
    pub(crate) fn leave(&mut self, id: LevelId, width: u32) -> Released<T> {
        if let Some(level) = self.levels.get_mut(&id) {
            level.taken = level.taken.saturating_sub(width);
        }
        self.after(id)
    }

    /// It waits no longer: whom that lets go on. `None` where it did not wait.
    pub(crate) fn give_up(&mut self, id: LevelId, ticket: T) -> Option<Released<T>> {
        let has_waited = self.levels.get_mut(&id)?.queues.give_up(ticket);
        // others may have waited for a wide one
        has_waited.then(|| self.after(id))
    }

    pub(crate) fn usage(&self, id: LevelId) -> Use {
        let Some(level) = self.levels.get(&id) else { return Use::default() };
        let current = match level.spec.response {
            Response::Exempt => level.held(),
            _ => level.reach(self.free(), !self.is_anybody_short()).max(level.taken),
        };
        Use { limits: level.limits, current, taken: level.taken, waiting: level.queues.waiting() }
    }

    pub(crate) fn has(&self, id: LevelId) -> bool {
        self.levels.contains_key(&id)
    }

    /// The queue of the last request that came to the level, where it has one.
    pub(crate) fn placed(&self, id: LevelId) -> Option<usize> {
        self.levels.get(&id)?.queues.placed()
    }

    pub(crate) fn state(&self) -> Vec<LevelState<T>> {
        let one = |(id, level): (&LevelId, &Member<T>)| LevelState {
            id: *id,
            is_idle: level.is_idle(),
            is_retired: level.is_retired,
            waiting: level.queues.waiting(),
            queues: level.queues.state(),
        };
        self.levels.iter().map(one).collect()
    }

    /// Something of the level has ended.
    fn after(&mut self, id: LevelId) -> Released<T> {
        let Some(level) = self.levels.get_mut(&id) else { return Vec::new() };
        if level.is_idle() {
            if level.is_retired {
                return self.share_out();
            }
            level.queues.rest();
        }
        self.dispatch()
    }

    /// Whoever can go on does.
    pub(crate) fn dispatch(&mut self) -> Released<T> {
        let mut released = Vec::new();
        while let Some((id, width)) = self.next() {
            let Some(level) = self.levels.get_mut(&id) else { break };
            let Some(ticket) = level.queues.pop() else { break };
            level.taken += width;
            released.push((ticket, width));
        }
        released
    }

    /// Whose first in line may go on, and with how many seats.
    fn next(&self) -> Option<(LevelId, u32)> {
        if self.levels.values().all(|level| level.queues.waiting() == 0) {
            return None;
        }
        let (free, may_borrow) = (self.free(), !self.is_anybody_short());
        let heads = self.levels.iter().filter_map(|(id, level)| Some((*id, level, level.head()?)));
        let could = heads.filter(|(_, level, width)| level.fits(*width, free, may_borrow));
        let least = could.min_by(|(_, one, width), (_, other, others)| {
            one.weight(*width, other).cmp(&other.weight(*others, one))
        });
        least.map(|(id, _, width)| (id, width))
    }

    /// Below nothing where exempt requests have taken what others lent or own.
    fn free(&self) -> i64 {
        let of = |level: &Member<T>| i64::from(level.limits.nominal) - i64::from(level.held());
        self.levels.values().map(of).sum()
    }

    /// Whether a level waits for what is its own.
    fn is_anybody_short(&self) -> bool {
        self.levels.values().any(|level| level.head().is_some_and(|width| level.owns(width)))
    }
}

impl<T: Copy + PartialEq> Member<T> {
    fn is_idle(&self) -> bool {
        self.taken == 0 && self.queues.waiting() == 0
    }

    /// How many seats its first in line wants.
    fn head(&self) -> Option<u32> {
        Some(self.queues.head()?.min(self.widest))
    }

    /// What nobody else can have.
    fn held(&self) -> u32 {
        self.taken.max(self.limits.lower)
    }

    /// Whether so many more are within what is its own.
    fn owns(&self, width: u32) -> bool {
        self.taken.saturating_add(width) <= self.limits.nominal
    }

    fn fits(&self, width: u32, free: i64, may_borrow: bool) -> bool {
        let is_exempt = self.spec.response == Response::Exempt;
        is_exempt || self.taken.saturating_add(width) <= self.reach(free, may_borrow)
    }

    /// What it would have for its nominal limit, with so many more, beside another: both sides of a comparison of two fractions,
    /// multiplied out. One without seats of its own is last.
    fn weight(&self, width: u32, beside: &Self) -> u64 {
        u64::from(self.taken.saturating_add(width)) * u64::from(beside.limits.nominal)
    }

    /// How many seats it may have in all, if it is limited.
    fn reach(&self, free: i64, may_borrow: bool) -> u32 {
        let borrows_never = self.spec.response == Response::Reject && self.limits.nominal == 0;
        let limit = if may_borrow && !borrows_never { self.limits.upper } else { self.limits.nominal };
        self.held().saturating_add(u32::try_from(free).unwrap_or(0)).min(limit)
    }
}

fn queuing(spec: Spec) -> Option<Queuing> {
    match spec.response {
        Response::Queue(queuing) => Some(queuing),
        Response::Exempt | Response::Reject => None,
    }
}

#[cfg(test)]
mod tests;
