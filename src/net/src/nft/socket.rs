//! The netfilter socket, kept open: closing one makes the kernel wait until all that was deleted is freed, some 15 ms.

use super::message::{Answer, decode};
use crate::error::Doing;
use crate::{NetError, Result};
use nix::sys::socket::{setsockopt, sockopt};
use parking_lot::{Mutex, MutexGuard};
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

const KERNEL: u32 = 0;
/// What a refusal takes of a socket's buffer: a message of some bytes, with the kernel's own about it.
const ANSWER: usize = 1024;

/// One exchange after the other. After a failure the next begins with a new socket, in which no stale answer can be.
#[derive(Default)]
pub(crate) struct Netfilter {
    socket: RefCell<Option<Socket>>,
    ports: OwnPorts,
}

/// By which sockets changes were made here, the newest last: what the kernel tells of a change names the socket.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnPorts(Arc<Mutex<VecDeque<u32>>>);

/// What was changed by an older socket has been told long since.
const KEPT_PORTS: usize = 16;

impl OwnPorts {
    fn add(&self, port: u32) {
        let mut ports = self.ports();
        ports.push_back(port);
        if ports.len() > KEPT_PORTS {
            ports.pop_front();
        }
    }

    pub(crate) fn contains(&self, port: u32) -> bool {
        self.ports().contains(&port)
    }

    fn ports(&self) -> MutexGuard<'_, VecDeque<u32>> {
        self.0.lock()
    }
}

impl Netfilter {
    pub(crate) fn ports(&self) -> OwnPorts {
        self.ports.clone()
    }

    fn exchange<T>(&self, act: impl FnOnce(&Socket) -> Result<T>) -> Result<T> {
        let socket = self.socket.take().map_or_else(|| self.open(), Ok)?;
        let done = act(&socket)?;
        self.socket.replace(Some(socket));
        Ok(done)
    }

    fn open(&self) -> Result<Socket> {
        let opening = || "open a netfilter netlink socket";
        let mut socket = Socket::new(NETLINK_NETFILTER).doing(opening)?;
        self.ports.add(socket.bind_auto().doing(opening)?.port_number());
        // a refusal comes without the message that it is about
        socket.set_cap_ack(true).doing(opening)?;
        Ok(socket)
    }

    /// Sends a batch. The kernel has done it, or refused it, when the send returns, and its refusals are in the socket.
    pub(super) fn transact(&self, batch: &[u8], what: &[String]) -> Result<()> {
        self.exchange(|socket| {
            // the whole batch must be one packet, whatever net.core.wmem_max says
            let buffer = batch.len().saturating_add(4096).max(1 << 17);
            set_send_buffer(socket, buffer)?;
            // each message may be refused, and what has no place is lost with all that follows
            let answers = what.len().saturating_mul(ANSWER).max(1 << 18);
            setsockopt(socket, sockopt::RcvBufForce, &answers)
                .doing(|| format!("make room for {} answers", what.len()))?;
            send(socket, batch).doing(|| "send a netfilter batch")?;
            while let Some(bytes) = receive_now(socket).doing(|| "read the answer to a netfilter batch")? {
                for answer in decode(&bytes) {
                    refused(&answer, |sequence| what.get(sequence as usize).cloned().unwrap_or_default())?;
                }
            }
            Ok(())
        })
    }

    /// One change outside of a batch; gives the refusal's number, 0 where it was done.
    pub(super) fn request(&self, request: &[u8], what: &str) -> Result<i32> {
        self.exchange(|socket| {
            send(socket, request).doing(|| what)?;
            let bytes = receive(socket).doing(|| what)?;
            let errno = decode(&bytes).find_map(|answer| match answer {
                Answer::Error { errno, .. } => Some(errno),
                _ => None,
            });
            Ok(errno.unwrap_or(0))
        })
    }

    /// Asks, and hands on the attributes of each message until the last. `EINTR` where a change came between them.
    pub(super) fn dump(&self, request: &[u8], what: &str, mut each: impl FnMut(&[u8])) -> Result<()> {
        self.exchange(|socket| {
            send(socket, request).doing(|| what)?;
            loop {
                let bytes = receive(socket).doing(|| what)?;
                for answer in decode(&bytes) {
                    refused(&answer, |_| what.to_owned())?;
                    match answer {
                        Answer::Data(attributes) => each(attributes),
                        Answer::Done | Answer::Error { .. } => return Ok(()),
                        Answer::Interrupted => {
                            return Err(NetError::Refused { doing: what.to_owned(), errno: libc::EINTR });
                        }
                    }
                }
            }
        })
    }
}

fn receive(socket: &Socket) -> io::Result<Vec<u8>> {
    loop {
        match socket.recv_from_full() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => return received.map(|(bytes, _)| bytes),
        }
    }
}

/// `None` where there is nothing to be had.
fn receive_now(socket: &Socket) -> io::Result<Option<Vec<u8>>> {
    socket.set_non_blocking(true)?;
    let received = receive(socket);
    socket.set_non_blocking(false)?;
    match received {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        received => received.map(Some),
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
