//! How many watches users have open. A watch takes some kilobytes for as long as it is open, and sixteen times its selectors; over HTTP/2 one
//! connection has a hundred of them, so that the number of connections (`connection_seats.rs`) says nothing of it.

use api::{Reason, Status};
use cluster::Actor;
use listener::{Seat, Seats};
use std::sync::Arc;

/// Of one user; who wants more hears that he has enough. A controller has some hundred.
const MOST_OF_USER: usize = 5_000;
/// Of all users together: some two hundred megabytes. Of too many the oldest goes, of the user who has the most.
const MOST: usize = 20_000;
/// A watch has one seat more for each of so many bytes of its query, which become as much as a watch without any.
const QUERY_OF_SEAT: usize = 600;

pub(crate) struct WatchSeats {
    seats: Seats<Arc<str>>,
    most_of_user: usize,
}

impl Default for WatchSeats {
    fn default() -> Self {
        WatchSeats::new(MOST_OF_USER, MOST)
    }
}

/// Those of one watch, which are lost together.
pub(crate) struct WatchSeat {
    first: Seat<Arc<str>>,
    _others: Vec<Seat<Arc<str>>>,
}

impl WatchSeats {
    fn new(most_of_user: usize, most: usize) -> Self {
        WatchSeats { seats: Seats::new(most), most_of_user }
    }

    /// For a watch of the user's with a query of so many bytes, until it is dropped. `None` for an administrator, who is not counted: as
    /// among connections.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub(crate) fn take(&self, user: &Actor, query: usize) -> Result<Option<WatchSeat>, Status> {
        if user.is_in(Actor::MASTERS) {
            return Ok(None);
        }
        let more = query / QUERY_OF_SEAT;
        let first = self.seats.take_below(user.name.as_str().into(), self.most_of_user.saturating_sub(more));
        let Some(first) = first else {
            let why =
                format!("too many requests, please try again later: {:?} has enough watches open", user.name);
            let mut refused = Status::new(Reason::TooManyRequests, why);
            refused.retry_after_seconds = Some(1);
            return Err(refused);
        };
        let others = (0..more).map(|_| first.also(&self.seats)).collect();
        Ok(Some(WatchSeat { first, _others: others }))
    }
}

impl WatchSeat {
    /// Until another has taken it.
    pub(crate) async fn lost(&self) {
        self.first.hold(std::future::pending()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn is_lost(seat: &WatchSeat) -> bool {
        seat.lost().now_or_never().is_some()
    }

    #[test]
    fn a_user_has_so_many_watches_and_takes_none_from_others() {
        let seats = WatchSeats::new(3, 4);
        let (jane, joe) = (Actor::user("jane", &[]), Actor::user("joe", &[]));
        let mut of_jane: Vec<_> = (0..3).map(|_| seats.take(&jane, 10).unwrap().unwrap()).collect();
        let refused = seats.take(&jane, 10).err().unwrap();
        assert_eq!((refused.code, refused.retry_after_seconds), (429, Some(1)));
        of_jane.pop();
        of_jane.push(seats.take(&jane, 10).unwrap().unwrap());
        // all seats are taken then: the oldest of who has the most goes
        let of_joe = [seats.take(&joe, 10).unwrap().unwrap(), seats.take(&joe, 10).unwrap().unwrap()];
        assert_eq!(of_jane.iter().map(is_lost).collect::<Vec<_>>(), [true, false, false]);
        assert!(!of_joe.iter().any(is_lost));
        let root = Actor::user("root", &[Actor::MASTERS]);
        assert!(
            (0..10).all(|_| seats.take(&root, 10).unwrap().is_none()),
            "who is not counted has any number"
        );
    }

    #[test]
    fn long_selectors_take_more_seats_which_go_together() {
        let seats = WatchSeats::new(10, 12);
        let (jane, joe) = (Actor::user("jane", &[]), Actor::user("joe", &[]));
        let long = seats.take(&jane, 4 * QUERY_OF_SEAT).unwrap().unwrap();
        assert!(seats.take(&jane, 9 * QUERY_OF_SEAT).is_err(), "five seats are taken");
        assert_eq!(seats.seats.taken(), 5);
        let of_joe: Vec<_> = (0..8).map(|_| seats.take(&joe, 0).unwrap().unwrap()).collect();
        assert!(!is_lost(&long) && is_lost(&of_joe[0]), "who has the most loses his oldest");
        drop(long);
        assert_eq!(seats.seats.taken(), 7);
    }
}
