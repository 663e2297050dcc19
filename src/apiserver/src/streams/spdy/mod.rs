//! The server's side of SPDY/3.1, as far as Kubernetes' clients speak it: streams that the client opens, multiplexed on
//! one connection. There is no flow control (its clients have none), so what a stream's reader has not taken yet is
//! bounded here: a full stream holds the connection back. Read [`serve`] first.

mod connection;
mod frame;
mod headers;
mod stream;
mod streams;

pub(crate) use connection::{Connection, serve};
pub(crate) use frame::Reset;
pub(crate) use stream::{Stalled, Stream, StreamSender};
#[cfg(test)]
pub(crate) use {
    frame::{Decoder, Encoder, Frame},
    headers::Headers,
};
