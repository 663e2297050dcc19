//! A netfilter socket for one exchange: opening one costs microseconds, and no stale answer can be in it.

use super::message::{Answer, decode};
use crate::error::Doing;
use crate::{NetError, Result};
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};
use std::io;

const KERNEL: u32 = 0;

fn open() -> Result<Socket> {
    let opening = || "open a netfilter netlink socket";
    let mut socket = Socket::new(NETLINK_NETFILTER).doing(opening)?;
    socket.bind_auto().doing(opening)?;
    Ok(socket)
}

/// Sends a batch. The kernel has done it, or refused it, when the send returns, and its refusals are in the socket.
pub(super) fn transact(batch: &[u8], what: &[String]) -> Result<()> {
    let socket = open()?;
    // a refusal without the message that it is about
    socket.set_cap_ack(true).doing(|| "set up a netfilter netlink socket")?;
    // the whole batch must be one packet, whatever net.core.wmem_max says
    let buffer = batch.len().saturating_add(4096).max(1 << 17);
    set_send_buffer(&socket, buffer)?;
    send(&socket, batch).doing(|| "send a netfilter batch")?;
    socket.set_non_blocking(true).doing(|| "set up a netfilter netlink socket")?;
    loop {
        match socket.recv_from_full() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => {
                let (bytes, _) = received.doing(|| "read the answer to a netfilter batch")?;
                for answer in decode(&bytes) {
                    refused(&answer, |sequence| what.get(sequence as usize).cloned().unwrap_or_default())?;
                }
            }
        }
    }
}

/// One change outside of a batch; gives the refusal's number, 0 where it was done.
pub(super) fn request(request: &[u8], what: &str) -> Result<i32> {
    let socket = open()?;
    send(&socket, request).doing(|| what)?;
    let (bytes, _) = socket.recv_from_full().doing(|| what)?;
    let errno = decode(&bytes).find_map(|answer| match answer {
        Answer::Error { errno, .. } => Some(errno),
        _ => None,
    });
    Ok(errno.unwrap_or(0))
}

/// Asks, and hands on the attributes of each message until the last.
pub(super) fn dump(request: &[u8], what: &str, mut each: impl FnMut(&[u8])) -> Result<()> {
    let socket = open()?;
    send(&socket, request).doing(|| what)?;
    loop {
        let (bytes, _) = match socket.recv_from_full() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            received => received.doing(|| what)?,
        };
        for answer in decode(&bytes) {
            refused(&answer, |_| what.to_owned())?;
            match answer {
                Answer::Data(attributes) => each(attributes),
                Answer::Done | Answer::Error { .. } => return Ok(()),
            }
        }
    }
}

fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    socket.send_to(bytes, &SocketAddr::new(KERNEL, 0), 0)
}

fn set_send_buffer(socket: &Socket, size: usize) -> Result<()> {
    setsockopt(socket, sockopt::SndBufForce, &size).doing(|| format!("make room for a batch of {size} bytes"))
}

fn refused(answer: &Answer, what: impl FnOnce(u32) -> String) -> Result<()> {
    match answer {
        Answer::Error { sequence, errno } if *errno != 0 => {
            Err(NetError::Refused { doing: what(*sequence), errno: *errno })
        }
        _ => Ok(()),
    }
}
