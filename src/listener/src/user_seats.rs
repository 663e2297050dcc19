//! How many connections known users may have, all together: whoever may ask for next to nothing could else keep as many as the daemon has
//! descriptors. Those without a request have seats of their own, so that they never take one from those who work. As among
//! strangers, the oldest of the user who has the most goes.

use crate::seats::{Seat, Seats, Turns};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

type User = Arc<str>;

#[derive(Clone)]
pub struct UserSeats {
    idle: Seats<User>,
    busy: Seats<User>,
}

/// One connection's, until it is dropped.
pub struct UserSeat {
    seats: UserSeats,
    lost: CancellationToken,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_busy: bool,
    /// Nobody's until he is known.
    owned: Option<Owned>,
}

struct Owned {
    user: User,
    idle: Seat<User>,
    busy: Seat<User>,
}

impl Owned {
    fn sit(&self, is_busy: bool) {
        let (from, to) = if is_busy { (&self.idle, &self.busy) } else { (&self.busy, &self.idle) };
        from.leave();
        to.sit();
    }
}

impl UserSeats {
    /// `most_idle` connections without a request, and as many as `most_busy` with one.
    pub fn new(most_idle: usize, most_busy: usize) -> Self {
        UserSeats { idle: Seats::new(most_idle), busy: Seats::new(most_busy) }
    }

    /// For a connection that is nobody's yet: it needs none.
    pub fn connection(&self) -> UserSeat {
        UserSeat { seats: self.clone(), lost: CancellationToken::new(), state: Mutex::default() }
    }
}

impl UserSeat {
    /// Whose the connection is from now on; `None` for one who is not counted.
    pub fn belongs_to(&self, user: Option<&str>) {
        let mut state = self.state();
        if state.owned.as_ref().map(|owned| &*owned.user) == user {
            return;
        }
        state.owned = user.map(|user| {
            let user = User::from(user);
            let reserve = |seats: &Seats<User>| seats.reserve(user.clone(), self.lost.clone());
            Owned { idle: reserve(&self.seats.idle), busy: reserve(&self.seats.busy), user: user.clone() }
        });
        if let Some(owned) = &state.owned {
            owned.sit(state.is_busy);
        }
    }

    /// The connection, until it ends or has to go for another.
    pub async fn hold(&self, connection: impl Future<Output = ()>) {
        self.lost.run_until_cancelled(connection).await;
    }

    fn turn(&self, is_busy: bool) {
        let mut state = self.state();
        if state.is_busy != is_busy {
            state.is_busy = is_busy;
            state.owned.iter().for_each(|owned| owned.sit(is_busy));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Turns for UserSeat {
    fn begin(&self) {
        self.turn(true);
    }

    fn end(&self) {
        self.turn(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(seats: &[UserSeat]) -> Vec<usize> {
        (0..seats.len()).filter(|at| seats[*at].lost.is_cancelled()).collect()
    }

    /// As a connection is after its first request.
    fn asked_once(seats: &UserSeats, user: Option<&str>) -> UserSeat {
        let seat = seats.connection();
        seat.begin();
        seat.belongs_to(user);
        seat.end();
        seat
    }

    #[test]
    fn who_keeps_the_most_idle_connections_loses_his_oldest() {
        let seats = UserSeats::new(4, 4);
        let users = ["alice", "mallory", "mallory", "mallory", "mallory", "mallory", "bob"];
        let all: Vec<UserSeat> = users.map(|user| asked_once(&seats, Some(user))).into();
        assert_eq!(lost(&all), [1, 2, 3]);
        assert_eq!((seats.idle.taken(), seats.busy.taken()), (4, 0));
        drop(all);
        assert_eq!(seats.idle.taken(), 0);
    }

    #[test]
    fn idle_connections_take_nothing_from_those_that_work() {
        let seats = UserSeats::new(2, 2);
        let working = asked_once(&seats, Some("alice"));
        working.begin();
        let idle: Vec<UserSeat> = (0..10).map(|_| asked_once(&seats, Some("alice"))).collect();
        assert!(!working.lost.is_cancelled());
        assert_eq!(lost(&idle).len(), 8);
        working.end();
        assert!(!working.lost.is_cancelled(), "the newest that is idle");
        assert_eq!((seats.idle.taken(), seats.busy.taken()), (2, 0));
    }

    #[test]
    fn those_that_work_have_a_number_too() {
        let seats = UserSeats::new(2, 2);
        let all: Vec<UserSeat> = (0..3).map(|_| seats.connection()).collect();
        for seat in &all {
            seat.begin();
            seat.belongs_to(Some("mallory"));
        }
        assert_eq!(lost(&all), [0]);
    }

    #[test]
    fn a_connection_is_counted_for_whom_it_is_now() {
        let seats = UserSeats::new(2, 2);
        let admins: Vec<UserSeat> = (0..10).map(|_| asked_once(&seats, None)).collect();
        assert_eq!((lost(&admins).len(), seats.idle.taken()), (0, 0), "who is not counted has any number");
        let shared = asked_once(&seats, Some("alice"));
        shared.belongs_to(Some("alice"));
        shared.belongs_to(Some("bob"));
        assert_eq!(seats.idle.taken(), 1);
        shared.begin();
        shared.belongs_to(None);
        assert_eq!((seats.idle.taken(), seats.busy.taken()), (0, 0));
    }

    #[tokio::test]
    async fn a_connection_that_has_to_go_ends() {
        let seats = UserSeats::new(1, 1);
        let first = asked_once(&seats, Some("alice"));
        let _second = asked_once(&seats, Some("alice"));
        first.hold(std::future::pending()).await;
    }
}
