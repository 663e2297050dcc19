//! Who is at the other end of a connection.

use cluster::Actor;
use listener::Seat;
use std::net::IpAddr;
use std::sync::Arc;

/// What the connection says of its other end.
#[derive(Default)]
pub(crate) struct Peer {
    /// The name and groups of a certificate that our authority signed.
    pub(crate) certified: Option<Actor>,
    /// When that certificate ends, in seconds since 1970.
    pub(crate) certified_until: Option<i64>,
    pub(crate) address: Option<IpAddr>,
    /// Among the strangers, where the connection has one.
    pub(crate) seat: Option<Arc<Seat>>,
}

impl Peer {
    /// Whoever is known is no stranger.
    pub(crate) fn recognise(&self) {
        if let Some(seat) = self.seat.as_ref().filter(|_| self.certified.is_some()) {
            seat.leave();
        }
    }

    /// He has shown who he is.
    pub(crate) fn vouch(&self) {
        if let Some(seat) = &self.seat {
            seat.leave();
        }
    }
}
