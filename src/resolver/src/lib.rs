//! What a name server is made of, whatever it knows: sockets and their loops, the wire's words, and a forwarder with a small
//! cache for all that others know better.
//!
//! It may know the network; it deliberately knows no names: a [`Source`] says what it can at once, and everything else is
//! asked of the [`Upstream`]. It resolves nothing by itself: no recursion, no DNSSEC validation. Read `resolver.rs` first,
//! then `server.rs`.

#![forbid(unsafe_code)]

mod cache;
mod exchange;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod resolver;
mod server;
mod shares;
mod upstream;
mod wire;

pub use forward::Forwarder;
pub use resolver::{Resolver, Source, Step, own};
pub use server::{Clients, Sockets, serve};
pub use upstream::Upstream;
pub use wire::{Most, Reply};
