//! How many streams users have open: shells in pods, forwarded ports, tunnels to Services, watches and logs in sockets. A connection that
//! has changed its protocol is HTTP's no longer, and has no seat among connections any more (`connection_seats.rs`).

use api::{Reason, Status};
use cluster::Actor;
use listener::{Seat, Seats};
use std::sync::Arc;

/// Of one user; who wants more hears that he has enough. A build server has a shell in each of its agents.
const MOST_OF_USER: usize = 500;
/// Of all users together. Of too many the oldest goes, of the user who has the most: not even many users lock out another.
const MOST: usize = 2000;

pub(crate) type StreamSeat = Seat<Arc<str>>;

#[derive(Clone)]
pub(crate) struct StreamSeats {
    seats: Seats<Arc<str>>,
    most_of_user: usize,
}

impl Default for StreamSeats {
    fn default() -> Self {
        StreamSeats::new(MOST_OF_USER, MOST)
    }
}

impl StreamSeats {
    fn new(most_of_user: usize, most: usize) -> Self {
        StreamSeats { seats: Seats::new(most), most_of_user }
    }

    /// For a stream of the user's, until it is dropped. `None` for an administrator, who is not counted: as among connections.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub(crate) fn take(&self, user: &Actor) -> Result<Option<StreamSeat>, Status> {
        if user.is_in(Actor::MASTERS) {
            return Ok(None);
        }
        let seat = self.seats.take_below(user.name.as_str().into(), self.most_of_user);
        seat.map(Some).ok_or_else(|| {
            let (name, most) = (&user.name, self.most_of_user);
            let why =
                format!("too many requests, please try again later: {most} streams of {name:?} are open");
            let mut refused = Status::new(Reason::TooManyRequests, why);
            refused.retry_after_seconds = Some(1);
            refused
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_streams_and_takes_none_from_others() {
        let seats = StreamSeats::new(2, 3);
        let (jane, joe) = (Actor::user("jane", &[]), Actor::user("joe", &[]));
        let mut of_jane: Vec<_> = (0..2).map(|_| seats.take(&jane).unwrap().unwrap()).collect();
        let refused = seats.take(&jane).err().unwrap();
        assert_eq!((refused.code, refused.retry_after_seconds), (429, Some(1)));
        assert_eq!(
            refused.message,
            "too many requests, please try again later: 2 streams of \"jane\" are open"
        );
        let of_joe = seats.take(&joe).unwrap().unwrap();
        of_jane.pop();
        of_jane.push(seats.take(&jane).unwrap().unwrap());
        // all seats are taken: the oldest of who has the most goes
        let another = seats.take(&joe).unwrap().unwrap();
        assert_eq!((of_jane[0].is_lost(), of_jane[1].is_lost()), (true, false));
        assert!(!of_joe.is_lost() && !another.is_lost());
        let root = Actor::user("root", &[Actor::MASTERS]);
        assert!((0..10).all(|_| seats.take(&root).unwrap().is_none()), "who is not counted has any number");
    }
}
