//! Streams into pods over an upgraded connection: processes and forwarded ports, over WebSocket (kubectl since 1.30, and
//! browsers) and SPDY/3.1 (kubectl before that). Everything that belongs to one connection is one task, so when the
//! client is gone, all of it is. Read [`process`] first for what is carried, then [`handshake`].

mod channels;
mod exec_spdy;
mod exec_websocket;
mod forward;
mod forward_channels;
mod forward_target;
mod gone;
mod handshake;
mod log_websocket;
mod process;
mod spdy;
#[cfg(test)]
mod tests;
mod websocket;

pub(crate) use forward_target::ForwardTarget;
pub(crate) use handshake::Upgrade;
pub(crate) use process::Action;
pub(crate) use websocket::open_for_listener;
