//! Requests that wait, as futures.

use crate::classify::{Asked, Schema};
use crate::levels::{Level, Limit, levels};
use crate::queues::{Arrival, QueueSet};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
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
}

#[derive(Default)]
struct Config {
    /// In the order in which they are asked.
    schemas: Vec<Schema>,
    levels: BTreeMap<String, Arc<Room>>,
}

/// A priority level at work.
struct Room {
    name: Arc<str>,
    uid: Arc<str>,
    /// `None` for an exempt one.
    state: Option<Mutex<State>>,
    counts: Mutex<Counts>,
}

struct State {
    set: QueueSet<u64>,
    next_ticket: u64,
    told: HashMap<u64, oneshot::Sender<()>>,
    /// Seats of those who have been told, and have not come for them yet.
    given: HashMap<u64, u32>,
}

/// Of one level, since it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub dispatched: u64,
    pub rejected: u64,
    pub waiting: usize,
    pub seats_taken: u32,
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
    room: Option<(Arc<Room>, u32)>,
    /// Of the FlowSchema and the PriorityLevelConfiguration.
    pub uids: Option<[Arc<str>; 2]>,
}

impl FlowControl {
    /// From now on these are the objects. Who waits in a level whose queues change waits on where he is.
    pub fn configure(&self, schemas: &[Arc<FlowSchema>], objects: &[Arc<PriorityLevelConfiguration>]) {
        let before = self.config();
        let mut schemas: Vec<Schema> = schemas.iter().map(|schema| Schema::of(schema)).collect();
        schemas.sort_by_key(Schema::order);
        let levels = levels(objects, SEATS).into_iter();
        let levels: BTreeMap<String, Arc<Room>> = levels
            .map(|(name, level)| {
                let known = before.levels.get(&name).filter(|room| room.takes(&level)).cloned();
                let room = known.unwrap_or_else(|| Arc::new(Room::new(&name, &level)));
                (name, room)
            })
            .collect();
        // one without its level says nothing: the next one that matches does
        schemas.retain(|schema| levels.contains_key(&schema.level));
        let config = Config { levels, schemas };
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// Waits for `width` seats. What no schema knows is let in: that there is none for it is no fault of the client.
    ///
    /// # Errors
    /// The level is full, or it took too long.
    pub async fn admit(&self, asked: &Asked<'_>, width: u32) -> Result<Seat, Rejected> {
        let found = {
            let config = self.config();
            let schema = config.schemas.iter().find(|schema| schema.matches(asked));
            schema.and_then(|schema| {
                let room = config.levels.get(&schema.level)?.clone();
                Some((schema.uid.clone(), schema.flow(asked), room))
            })
        };
        let Some((schema, flow, room)) = found else { return Ok(Seat { room: None, uids: None }) };
        let uids = Some([schema, room.uid.clone()]);
        let taken = Room::enter(&room, flow, width).await;
        let mut counts = room.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match taken {
            Ok(taken) => {
                counts.dispatched += 1;
                drop(counts);
                Ok(Seat { room: taken.map(|taken| (room, taken)), uids })
            }
            Err(why) => {
                counts.rejected += 1;
                Err(why)
            }
        }
    }

    /// Of each level, by name.
    pub fn counts(&self) -> Vec<(Arc<str>, Counts)> {
        self.config().levels.values().map(|room| (room.name.clone(), room.count())).collect()
    }

    fn config(&self) -> Arc<Config> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Room {
    fn new(name: &str, level: &Level) -> Self {
        let state = match level.limit {
            Limit::Exempt => None,
            Limit::Seats { seats, queuing } => {
                let set = QueueSet::new(seats, queuing);
                Some(Mutex::new(State { set, next_ticket: 0, told: HashMap::new(), given: HashMap::new() }))
            }
        };
        Room { name: name.into(), uid: level.uid.clone(), state, counts: Mutex::default() }
    }

    /// Goes on under a changed object, where its queues are the same.
    fn takes(&self, level: &Level) -> bool {
        if self.uid != level.uid {
            return false;
        }
        match (&self.state, level.limit) {
            (None, Limit::Exempt) => true,
            (Some(state), Limit::Seats { seats, queuing }) => {
                let mut state = lock(state);
                let is_same = state.set.queuing() == queuing;
                if is_same {
                    let released = state.set.resize(seats);
                    state.tell(released);
                }
                is_same
            }
            _ => false,
        }
    }

    /// How many seats were taken; `None` where nobody counts them.
    async fn enter(room: &Arc<Room>, flow: u64, width: u32) -> Result<Option<u32>, Rejected> {
        let Some(state) = &room.state else { return Ok(None) };
        let (ticket, told) = {
            let mut state = lock(state);
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            match state.set.arrive(flow, width, ticket) {
                Arrival::Runs(taken) => return Ok(Some(taken)),
                Arrival::Rejected if state.set.queuing().is_none() => return Err(Rejected::ConcurrencyLimit),
                Arrival::Rejected => return Err(Rejected::QueueFull),
                Arrival::Waits => {
                    let (tell, told) = oneshot::channel();
                    state.told.insert(ticket, tell);
                    (ticket, told)
                }
            }
        };
        // whoever stops waiting, by time or because his client has gone, gives back his place, or the seats that it has become
        let place = Place { room, ticket };
        let _ = timeout(PATIENCE, told).await;
        place.seats().map(Some).ok_or(Rejected::TimeOut)
    }

    fn count(&self) -> Counts {
        let counts = *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.state {
            Some(state) => {
                let state = lock(state);
                Counts { waiting: state.set.waiting(), seats_taken: state.set.taken(), ..counts }
            }
            None => counts,
        }
    }

    fn leave(&self, width: u32) {
        let Some(state) = &self.state else { return };
        let mut state = lock(state);
        let released = state.set.leave(width);
        state.tell(released);
    }
}

/// In a queue, or told that there are seats.
struct Place<'r> {
    room: &'r Arc<Room>,
    ticket: u64,
}

impl Place<'_> {
    /// They are the caller's from now on.
    fn seats(&self) -> Option<u32> {
        lock(self.room.state.as_ref()?).given.remove(&self.ticket)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(state) = &self.room.state else { return };
        let mut state = lock(state);
        state.told.remove(&self.ticket);
        let released = match state.given.remove(&self.ticket) {
            Some(width) => state.set.leave(width),
            None => state.set.give_up(self.ticket).unwrap_or_default(),
        };
        state.tell(released);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((room, width)) = &self.room {
            room.leave(*width);
        }
    }
}

impl State {
    fn tell(&mut self, released: Vec<(u64, u32)>) {
        for (ticket, width) in released {
            self.given.insert(ticket, width);
            if let Some(tell) = self.told.remove(&ticket) {
                // one who has gone meanwhile gives his seats back himself
                let _ = tell.send(());
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn control(limited: serde_json::Value) -> FlowControl {
        let level =
            json!({"metadata": {"name": "l", "uid": "u-l"}, "spec": {"type": "Limited", "limited": limited}});
        let rule = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true});
        let subject = json!({"kind": "User", "user": {"name": "jane"}});
        let spec = json!({"priorityLevelConfiguration": {"name": "l"}, "rules": [{"subjects": [subject], "resourceRules": [rule]}]});
        let schema = json!({"metadata": {"name": "s", "uid": "u-s"}, "spec": spec});
        let control = FlowControl::default();
        control.configure(
            &[Arc::new(serde_json::from_value(schema).unwrap())],
            &[Arc::new(serde_json::from_value(level).unwrap())],
        );
        control
    }

    fn jane<'a>() -> Asked<'a> {
        Asked {
            user: "jane",
            verb: "list",
            resource: Some(crate::ResourceAsked::default()),
            ..Asked::default()
        }
    }

    fn one_queue(length: usize) -> serde_json::Value {
        json!({"nominalConcurrencyShares": 1, "limitResponse": {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": length}}})
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_until_another_has_left() {
        let control = Arc::new(control(one_queue(1)));
        let first = control.admit(&jane(), SEATS).await.unwrap();
        assert_eq!(first.uids.as_ref().map(|uids| uids.each_ref().map(|uid| &**uid)), Some(["u-s", "u-l"]));
        let second = tokio::spawn({
            let control = control.clone();
            async move { control.admit(&jane(), 1).await.map(|_| ()) }
        });
        tokio::task::yield_now().await;
        assert_eq!(control.admit(&jane(), 1).await.err(), Some(Rejected::QueueFull));
        let count = |control: &FlowControl| control.counts()[0].1;
        assert_eq!(count(&control), Counts { dispatched: 1, rejected: 1, waiting: 1, seats_taken: SEATS });
        drop(first);
        assert_eq!(second.await.unwrap(), Ok(()));
        assert_eq!(count(&control), Counts { dispatched: 2, rejected: 1, waiting: 0, seats_taken: 0 });
        let other = control.admit(&Asked { user: "joe", ..jane() }, 1).await.unwrap();
        assert!(other.uids.is_none(), "no schema is for him");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_refused_and_who_leaves_gives_up_his_place() {
        let control = control(one_queue(2));
        let first = control.admit(&jane(), SEATS).await.unwrap();
        assert_eq!(control.admit(&jane(), 1).await.err(), Some(Rejected::TimeOut));
        let asked = jane();
        let leaves = timeout(Duration::from_secs(1), control.admit(&asked, 1)).await;
        assert!(leaves.is_err());
        assert_eq!(control.counts()[0].1.waiting, 0);
        drop(first);
        assert_eq!(control.counts()[0].1.seats_taken, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_when_he_is_told_takes_no_seat_along() {
        let control = control(one_queue(50));
        for _ in 0..20 {
            let first = control.admit(&jane(), SEATS).await.unwrap();
            let asked = jane();
            let mut waiting = Box::pin(control.admit(&asked, 1));
            assert!(futures_poll(&mut waiting).is_none());
            // his seats are given to him, and he is gone before he sees it
            drop(first);
            drop(waiting);
            assert_eq!(control.counts()[0].1.seats_taken, 0);
        }
    }

    /// Once.
    fn futures_poll<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_schema_whose_level_is_not_there_says_nothing() {
        let control = control(one_queue(1));
        let schema = |name: &str, level: &str, precedence: i32| {
            let rule = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true});
            let subject = json!({"kind": "User", "user": {"name": "jane"}});
            let spec = json!({"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence,
                "rules": [{"subjects": [subject], "resourceRules": [rule]}]});
            Arc::new(
                serde_json::from_value(json!({"metadata": {"name": name, "uid": name}, "spec": spec}))
                    .unwrap(),
            )
        };
        let limited = one_queue(1);
        let level =
            json!({"metadata": {"name": "l", "uid": "u-l"}, "spec": {"type": "Limited", "limited": limited}});
        let level = Arc::new(serde_json::from_value(level).unwrap());
        control.configure(&[schema("first", "gone", 1), schema("second", "l", 2)], &[level]);
        let seat = control.admit(&jane(), 1).await.unwrap();
        assert_eq!(seat.uids.as_ref().map(|[schema, _]| &**schema), Some("second"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_level_that_changes_keeps_who_is_in_it() {
        let control = control(one_queue(2));
        let seat = control.admit(&jane(), 3).await.unwrap();
        let level = |shares: i32, uid: &str| {
            let mut limited = one_queue(2);
            limited["nominalConcurrencyShares"] = shares.into();
            let object = json!({"metadata": {"name": "l", "uid": uid}, "spec": {"type": "Limited", "limited": limited}});
            Arc::new(serde_json::from_value(object).unwrap())
        };
        control.configure(&[], &[level(5, "u-l")]);
        assert_eq!(control.counts()[0].1.seats_taken, 3);
        control.configure(&[], &[level(5, "another")]);
        assert_eq!(control.counts()[0].1.seats_taken, 0, "one of the same name");
        drop(seat);
    }
}
