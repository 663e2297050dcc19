//! Priority and fairness (KEP-1040): which requests wait for which others, so that a client that asks for everything all the
//! time holds up nobody but itself.
//!
//! FlowSchemas put a request into a priority level and into a flow of it (`classify.rs`); a level has seats and queues, and lets
//! flows take turns (`queues.rs`, pure); `dispatch.rs` makes futures of it. It knows neither HTTP nor where the objects come
//! from. Not here: levels lend each other no seats (`lendablePercent`, `borrowingLimitPercent`). Read [`FlowControl::admit`] first.

#![forbid(unsafe_code)]

mod classify;
mod dispatch;
mod levels;
mod queues;

pub use classify::{Asked, ResourceAsked};
pub use dispatch::{Counts, FlowControl, Rejected, Seat};
