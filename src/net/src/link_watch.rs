//! Hears what becomes of the machine's links, addresses and routes, whoever does it.

use crate::Result;
use crate::error::Doing;
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

const GROUPS: u32 = 0x1 | 0x10 | 0x40; // RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE

/// Bytes: a link that comes or goes is told of some times, in a page each, and many do at once.
const RECEIVE_BUFFER: usize = 4 << 20;

pub(crate) struct LinkWatch(TokioSocket);

impl LinkWatch {
    /// Must run inside a tokio runtime.
    pub(crate) fn open() -> Result<Self> {
        let opening = || "watch the links";
        let mut socket = TokioSocket::new(NETLINK_ROUTE).doing(opening)?;
        // who may not has the usual buffer, and hears that it was too small
        let _ = setsockopt(socket.socket_ref(), sockopt::RcvBufForce, &RECEIVE_BUFFER);
        socket.socket_mut().bind(&SocketAddr::new(0, GROUPS)).doing(opening)?;
        Ok(LinkWatch(socket))
    }

    /// What has happened, in its order; `None` where more has than the kernel kept for us.
    pub(crate) async fn next(&self) -> Result<Option<Vec<RouteNetlinkMessage>>> {
        match self.0.recv_from_full().await {
            Ok((bytes, _)) => Ok(Some(read(&bytes))),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(None),
            Err(error) => Err(error).doing(|| "watch the links"),
        }
    }
}

/// A message that can not be read is none of what we made.
fn read(mut bytes: &[u8]) -> Vec<RouteNetlinkMessage> {
    let mut messages = Vec::new();
    while let Some(length) = bytes.first_chunk::<4>().map(|length| u32::from_ne_bytes(*length) as usize) {
        let Some(message) = bytes.get(..length).filter(|_| length > 0) else { break };
        if let Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(inner), .. }) =
            NetlinkMessage::<RouteNetlinkMessage>::deserialize(message)
        {
            messages.push(inner);
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_route::route::RouteMessage;

    #[test]
    fn messages_are_read_one_behind_the_other() {
        let mut message = NetlinkMessage::from(RouteNetlinkMessage::DelRoute(RouteMessage::default()));
        message.finalize();
        let mut one = vec![0; message.buffer_len()];
        message.serialize(&mut one);
        let two = [one.clone(), one.clone()].concat();
        for (name, bytes, want) in [
            ("none", &[][..], 0),
            ("one", &one, 1),
            ("two", &two, 2),
            ("the second cut short", &two[..two.len() - 1], 1),
            ("a length of nothing", &[0; 32], 0),
        ] {
            assert_eq!(read(bytes).len(), want, "{name}");
        }
    }
}
