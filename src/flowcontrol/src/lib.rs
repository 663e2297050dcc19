//! Priority and fairness (KEP-1040): which requests wait for which others, so that a client that asks for everything all the
//! time holds up nobody but itself.
//!
//! FlowSchemas put a request into a priority level and into a flow of it (`classify.rs`); levels have parts of the server's seats
//! (`levels.rs`) and lend them to each other (`pool.rs`); a level has queues, and lets flows take turns (`queues.rs`). All of these
//! are pure; `dispatch.rs` makes futures of them. It knows neither HTTP nor where the objects come from. Read
//! [`FlowControl::admit`] first.

#![forbid(unsafe_code)]

mod classify;
mod dispatch;
mod dump;
mod levels;
mod pool;
mod queues;

pub use classify::{Asked, ResourceAsked};
pub use dispatch::{Counts, FlowControl, Rejected, Seat};
pub use dump::{LevelDump, QueueDump, WaitingRequest};
pub use levels::Limits;
