//! How many connections a port has: of those who are not known yet, and of users. And how many requests of the former.

use listener::{Seat, Seats, UserSeat, UserSeats};
use std::net::IpAddr;
use std::sync::Arc;

/// Connections of clients that are not (yet) known: a thousand that say nothing lock nobody out.
const MOST_STRANGERS: usize = 512;
/// Requests on such connections, of which each may have a hundred. One has a head of 64 KB, and waits ten seconds for its body.
const MOST_REQUESTS: usize = 2048;
/// Of all users but administrators, between two requests. One takes some 80 KB, with what TLS holds for it.
const MOST_IDLE: usize = 1000;
/// With a request, mostly a watch. A client needs one connection for all its watches.
const MOST_BUSY: usize = 2000;

/// Of one port.
pub(crate) struct AllSeats {
    strangers: Seats,
    requests: Seats,
    users: UserSeats,
}

/// One connection's.
#[derive(Clone)]
pub(crate) struct ConnectionSeats {
    pub(crate) stranger: Arc<Seat>,
    pub(crate) user: Arc<UserSeat>,
    requests: Seats,
}

impl Default for AllSeats {
    fn default() -> Self {
        AllSeats {
            strangers: Seats::new(MOST_STRANGERS),
            requests: Seats::new(MOST_REQUESTS),
            users: UserSeats::new(MOST_IDLE, MOST_BUSY),
        }
    }
}

impl AllSeats {
    pub(crate) fn take(&self, address: IpAddr) -> ConnectionSeats {
        let (stranger, user) = (self.strangers.take(address), self.users.connection());
        ConnectionSeats {
            stranger: Arc::new(stranger),
            user: Arc::new(user),
            requests: self.requests.clone(),
        }
    }
}

impl ConnectionSeats {
    /// For a request, until it is known whose it is; `None` where that is known of the connection. Another connection may have to go.
    pub(crate) fn request(&self) -> Option<Arc<Seat>> {
        self.stranger.is_taken().then(|| Arc::new(self.stranger.also(&self.requests)))
    }

    /// The connection, until it ends or has to go for another.
    pub(crate) async fn hold(&self, connection: impl Future<Output = ()>) {
        self.user.hold(self.stranger.hold(connection)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MALLORY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));
    const ALICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_stranger_who_has_too_many_requests_loses_his_connection() {
        let all = AllSeats::default();
        let (mallory, alice) = (all.take(MALLORY), all.take(ALICE));
        let first = alice.request();
        let requests: Vec<_> = (0..MOST_REQUESTS).filter_map(|_| mallory.request()).collect();
        assert_eq!(requests.len(), MOST_REQUESTS);
        assert!(mallory.stranger.is_lost() && !alice.stranger.is_lost());
        drop((first, requests));
        assert_eq!(all.requests.taken(), 0);
    }

    #[test]
    fn requests_of_those_who_are_known_are_not_counted() {
        let all = AllSeats::default();
        let alice = all.take(ALICE);
        let request = alice.request().unwrap();
        assert_eq!(all.requests.taken(), 1);
        request.leave();
        assert_eq!(all.requests.taken(), 0);
        alice.stranger.leave();
        assert!(alice.request().is_none());
    }
}
