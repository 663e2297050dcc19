//! Who is at the other end of a connection.

use cluster::Actor;
use listener::{Seat, UserSeat};
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
    /// Among those who are known, where the connection has one.
    pub(crate) user_seat: Option<Arc<UserSeat>>,
}

impl Peer {
    /// Whoever is known is no stranger.
    pub(crate) fn recognise(&self) {
        if let Some(actor) = &self.certified {
            self.vouch(actor);
        }
    }

    /// He has shown who he is. Administrators are not counted: who locks others out could as well stop the cluster.
    pub(crate) fn vouch(&self, actor: &Actor) {
        if let Some(seat) = &self.seat {
            seat.leave();
        }
        if let Some(seat) = &self.user_seat {
            seat.belongs_to((!actor.is_in(Actor::MASTERS)).then_some(actor.name.as_str()));
        }
    }
}
