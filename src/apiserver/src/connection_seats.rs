//! How many connections a port has: of those who are not known yet, and of users.

use listener::{Seat, Seats, UserSeat, UserSeats};
use std::net::IpAddr;
use std::sync::Arc;

/// Connections of clients that are not (yet) known: a thousand that say nothing lock nobody out.
const MOST_STRANGERS: usize = 512;
/// Of all users but administrators, between two requests. One takes some 80 KB, with what TLS holds for it.
const MOST_IDLE: usize = 1000;
/// With a request, mostly a watch. A client needs one connection for all its watches.
const MOST_BUSY: usize = 2000;

/// Of one port.
pub(crate) struct AllSeats {
    strangers: Seats,
    users: UserSeats,
}

/// One connection's.
#[derive(Clone)]
pub(crate) struct ConnectionSeats {
    pub(crate) stranger: Arc<Seat>,
    pub(crate) user: Arc<UserSeat>,
}

impl Default for AllSeats {
    fn default() -> Self {
        AllSeats { strangers: Seats::new(MOST_STRANGERS), users: UserSeats::new(MOST_IDLE, MOST_BUSY) }
    }
}

impl AllSeats {
    pub(crate) fn take(&self, address: IpAddr) -> ConnectionSeats {
        let (stranger, user) = (self.strangers.take(address), self.users.connection());
        ConnectionSeats { stranger: Arc::new(stranger), user: Arc::new(user) }
    }
}

impl ConnectionSeats {
    /// The connection, until it ends or has to go for another.
    pub(crate) async fn hold(&self, connection: impl Future<Output = ()>) {
        self.user.hold(self.stranger.hold(connection)).await;
    }
}
