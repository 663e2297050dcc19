//! What everything that listens has in common: it accepts, gives each connection a task of its own, lets nobody hold one for
//! ever without a request, makes room when too many do, and drains at the end.
//!
//! It knows sockets and HTTP, and nothing of what is served. Read [`accept_all`] first, then [`serve_http`]; `seats.rs` says
//! who has to go when there is no room for strangers, `user_seats.rs` among those who are known, and `hop_by_hop.rs` which headers go no
//! further than a connection. And who passes a request on, or asks a server of somebody else's, is held up by nothing that it says
//! ([`ask_once`]).

#![forbid(unsafe_code)]

mod accept;
mod answering;
mod hop_by_hop;
mod http_server;
mod interim;
mod read_through;
mod requests;
mod seats;
mod user_seats;
mod write_timeout;

pub use accept::{Accept, DRAIN, accept_all};
pub use answering::{Answered, Asking, Awaited, Awaiting, ask_once, await_answer};
pub use hop_by_hop::{asks_for_upgrade, is_hop_by_hop, named_by_connection, remove_hop_by_hop};
pub use http_server::{serve_http, tls_handshake};
pub use interim::Interim;
pub use read_through::{ReadHalf, ReadThrough};
pub use requests::{LARGE_PIECE, TakenWithin};
pub use seats::{Owner, Seat, Seats, Turns};
pub use user_seats::{UserSeat, UserSeats};
pub use write_timeout::WriteTimeout;
