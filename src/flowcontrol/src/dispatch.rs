//! Requests that wait, as futures.

#[cfg(test)]
mod tests;

use crate::classify::{Asked, Schema};
use crate::dump::{LevelDump, QueueDump, WaitingRequest};
use crate::levels::{Level, Limits, levels};
use crate::pool::{Arrival, LevelId, LevelState, Pool, Released};
use crate::queues::QueueState;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// All requests that are answered at a time: upstream's `--max-requests-inflight` and `--max-mutating-requests-inflight` together.
const SEATS: u32 = 400 + 200;
/// A quarter of a request's time, as upstream's queues keep one.
const PATIENCE: Duration = Duration::from_secs(15);

/// The schemas and levels that there are now, and who waits in them.
#[derive(Default)]
pub struct FlowControl {
    now: RwLock<Arc<Config>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct Config {
    /// In the order in which they are asked.
    schemas: Vec<Schema>,
    levels: BTreeMap<String, Arc<PriorityLevel>>,
}

struct PriorityLevel {
    name: Arc<str>,
    uid: Arc<str>,
    id: LevelId,
    dispatched: AtomicU64,
    rejected: AtomicU64,
}

/// Of all levels: what one does concerns the others, which lend to it.
struct State {
    pool: Pool<u64>,
    next_ticket: u64,
    told: HashMap<u64, oneshot::Sender<()>>,
    /// Seats of those who have been told, and have not come for them yet.
    given: HashMap<u64, u32>,
    /// Of all levels that there are, those among them that are on their way out.
    names: BTreeMap<LevelId, Arc<str>>,
    executing: BTreeMap<Origin, Load>,
    /// Those who wait, by their tickets.
    waiting: HashMap<u64, WaitingRequest>,
}

/// Where a request came from: its level, and the queue of it that it is counted in.
type Origin = (LevelId, Option<usize>);

/// What is being answered.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    requests: usize,
    seats: u32,
}

/// Of one level: the first two since it is there, the others of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub dispatched: u64,
    pub rejected: u64,
    pub waiting: usize,
    pub seats_taken: u32,
    /// How many seats it could have now: those that it has, and those that it would get at once.
    pub seats_available: u32,
    pub limits: Limits,
}

/// Why there is no seat: upstream's reasons, as its metrics name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    QueueFull,
    ConcurrencyLimit,
    TimeOut,
}

/// A request that is being answered; its seats are free when this is dropped.
pub struct Seat {
    _taken: Option<Taken>,
    /// Of the FlowSchema and the PriorityLevelConfiguration.
    pub uids: Option<[Arc<str>; 2]>,
}

/// Seats of a level.
struct Taken {
    state: Arc<Mutex<State>>,
    origin: Origin,
    width: u32,
}

impl FlowControl {
    /// From now on these are the objects. Who waits in a level that changes waits on where he is.
    pub fn configure(&self, schemas: &[Arc<FlowSchema>], objects: &[Arc<PriorityLevelConfiguration>]) {
        let mut schemas: Vec<Schema> = schemas.iter().map(|schema| Schema::of(schema)).collect();
        schemas.sort_by_key(Schema::order);
        let mut state = self.state.lock();
        let before = self.config();
        let levels = levels(objects).into_iter();
        let levels: BTreeMap<String, Arc<PriorityLevel>> = levels
            .map(|(name, level)| {
                let level = state.level(&name, &level, before.levels.get(&name));
                (name, level)
            })
            .collect();
        // one without its level says nothing: the next one that matches does
        schemas.retain(|schema| levels.contains_key(&schema.level));
        let stay: Vec<LevelId> = levels.values().map(|level| level.id).collect();
        *self.now.write() = Arc::new(Config { schemas, levels });
        for gone in before.levels.values().filter(|level| !stay.contains(&level.id)) {
            state.pool.retire(gone.id);
        }
        let released = state.pool.share_out();
        state.tell(released);
        let State { pool, names, .. } = &mut *state;
        names.retain(|id, _| pool.has(*id));
    }

    /// Waits for `width` seats. What no schema knows is let in: that there is none for it is no fault of the client.
    ///
    /// # Errors
    /// The level is full, or it took too long.
    pub async fn admit(&self, asked: &Asked<'_>, width: u32) -> Result<Seat, Rejected> {
        loop {
            let found = {
                let config = self.config();
                let schema = config.schemas.iter().find(|schema| schema.matches(asked));
                schema.and_then(|schema| {
                    let level = config.levels.get(&schema.level)?.clone();
                    let names = (schema.uid.clone(), schema.name.clone());
                    Some((names, schema.distinguisher(asked), schema.flow(asked), level))
                })
            };
            let Some(((schema, name), distinguisher, flow, level)) = found else {
                return Ok(Seat { _taken: None, uids: None });
            };
            let waits = || WaitingRequest::of(asked, &name, distinguisher, width);
            // a level that has been removed meanwhile is not found again
            let Some(entered) = self.enter(level.id, flow, width, waits).await else { continue };
            let count = if entered.is_ok() { &level.dispatched } else { &level.rejected };
            count.fetch_add(1, Ordering::Relaxed);
            let uids = Some([schema, level.uid.clone()]);
            return entered.map(|taken| Seat { _taken: Some(taken), uids });
        }
    }

    /// Of each level, by name.
    pub fn counts(&self) -> Vec<(Arc<str>, Counts)> {
        let config = self.config();
        let state = self.state.lock();
        let count = |level: &Arc<PriorityLevel>| {
            let usage = state.pool.usage(level.id);
            let counts = Counts {
                dispatched: level.dispatched.load(Ordering::Relaxed),
                rejected: level.rejected.load(Ordering::Relaxed),
                waiting: usage.waiting,
                seats_taken: usage.taken,
                seats_available: usage.current,
                limits: usage.limits,
            };
            (level.name.clone(), counts)
        };
        config.levels.values().map(count).collect()
    }

    /// What each level does now, by name.
    pub fn dump(&self) -> Vec<LevelDump> {
        let state = self.state.lock();
        let levels = state.pool.state().into_iter();
        let mut levels: Vec<LevelDump> = levels.filter_map(|level| state.dump(level)).collect();
        levels.sort_by(|one, other| one.name.cmp(&other.name));
        levels
    }

    fn config(&self) -> Arc<Config> {
        self.now.read().clone()
    }

    /// `None` where there is no such level any more.
    async fn enter(
        &self,
        level: LevelId,
        flow: u64,
        width: u32,
        waits: impl FnOnce() -> WaitingRequest,
    ) -> Option<Result<Taken, Rejected>> {
        let (ticket, origin, told) = {
            let mut state = self.state.lock();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            let arrival = state.pool.arrive(level, flow, width, ticket);
            let origin = (level, state.pool.placed(level));
            match arrival {
                Arrival::Gone => return None,
                Arrival::NoSeat => return Some(Err(Rejected::ConcurrencyLimit)),
                Arrival::QueueFull => return Some(Err(Rejected::QueueFull)),
                Arrival::Runs(width) => {
                    state.begin(origin, width);
                    return Some(Ok(Taken { state: self.state.clone(), origin, width }));
                }
                Arrival::Waits => {
                    let (tell, told) = oneshot::channel();
                    state.told.insert(ticket, tell);
                    state.waiting.insert(ticket, waits());
                    let released = state.pool.dispatch();
                    state.tell(released);
                    (ticket, origin, told)
                }
            }
        };
        // whoever stops waiting, by time or because his client has gone, gives back his place, or the seats that it has become
        let place = Place { state: &self.state, origin, ticket };
        let _ = timeout(PATIENCE, told).await;
        Some(place.seats().ok_or(Rejected::TimeOut))
    }
}

/// In a queue, or told that there are seats.
struct Place<'s> {
    state: &'s Arc<Mutex<State>>,
    origin: Origin,
    ticket: u64,
}

impl Place<'_> {
    /// They are the caller's from now on.
    fn seats(&self) -> Option<Taken> {
        let mut state = self.state.lock();
        let width = state.given.remove(&self.ticket)?;
        state.begin(self.origin, width);
        Some(Taken { state: self.state.clone(), origin: self.origin, width })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.told.remove(&self.ticket);
        state.waiting.remove(&self.ticket);
        let (level, _) = self.origin;
        let released = match state.given.remove(&self.ticket) {
            Some(width) => state.pool.leave(level, width),
            None => state.pool.give_up(level, self.ticket).unwrap_or_default(),
        };
        state.tell(released);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        state.end(self.origin, self.width);
        let released = state.pool.leave(self.origin.0, self.width);
        state.tell(released);
    }
}

impl Default for State {
    fn default() -> Self {
        State {
            pool: Pool::new(SEATS),
            next_ticket: 0,
            told: HashMap::new(),
            given: HashMap::new(),
            names: BTreeMap::new(),
            executing: BTreeMap::new(),
            waiting: HashMap::new(),
        }
    }
}

impl State {
    /// The one that is `known` by that name goes on under a changed object; another object of the same name is another level.
    fn level(&mut self, name: &str, level: &Level, known: Option<&Arc<PriorityLevel>>) -> Arc<PriorityLevel> {
        if let Some(known) = known.filter(|known| known.uid == level.uid) {
            self.pool.change(known.id, level.spec);
            return known.clone();
        }
        let (id, name) = (self.pool.add(level.spec), Arc::<str>::from(name));
        self.names.insert(id, name.clone());
        Arc::new(PriorityLevel {
            name,
            uid: level.uid.clone(),
            id,
            dispatched: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        })
    }

    fn begin(&mut self, origin: Origin, width: u32) {
        let load = self.executing.entry(origin).or_default();
        load.requests += 1;
        load.seats += width;
    }

    fn end(&mut self, origin: Origin, width: u32) {
        let Some(load) = self.executing.get_mut(&origin) else { return };
        load.requests = load.requests.saturating_sub(1);
        load.seats = load.seats.saturating_sub(width);
        if load.requests == 0 {
            self.executing.remove(&origin);
        }
    }

    fn dump(&self, level: LevelState<u64>) -> Option<LevelDump> {
        let LevelState { id, is_idle, is_retired, waiting, queues } = level;
        let of_level = self.executing.range((id, None)..).take_while(|((level, _), _)| *level == id);
        let one = |queue: QueueState<u64>| {
            let load = self.executing.get(&(id, Some(queue.index))).copied().unwrap_or_default();
            let known = |(ticket, seats): &(u64, u32)| {
                Some(WaitingRequest { seats: *seats, ..self.waiting.get(ticket)?.clone() })
            };
            QueueDump {
                index: queue.index,
                requests: queue.waiting.iter().filter_map(known).collect(),
                executing: load.requests,
                seats_in_use: load.seats,
                next_start: queue.start,
            }
        };
        Some(LevelDump {
            name: self.names.get(&id)?.clone(),
            is_idle,
            is_quiescing: is_retired,
            waiting,
            executing: of_level.map(|(_, load)| load.requests).sum(),
            queues: queues.into_iter().map(one).collect(),
        })
    }

    fn tell(&mut self, released: Released<u64>) {
        for (ticket, width) in released {
            self.given.insert(ticket, width);
            if let Some(tell) = self.told.remove(&ticket) {
                // one who has gone meanwhile gives his seats back himself
                let _ = tell.send(());
            }
        }
    }
}
