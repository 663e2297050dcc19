//! One connection to the daemon: frames in, frames out, neither ever waited for.

use crate::pipes::{Input, take};
use cri::wire::{Call, MAX_FRAME, Message, decode, encode};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// A daemon that reads nothing for so long is taken for dead; it will find all that matters by [`Request::Hello`].
///
/// [`Request::Hello`]: cri::wire::Request::Hello
const QUEUE_LIMIT: usize = 2 * MAX_FRAME;

pub(crate) struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: VecDeque<Frame>,
    queued: usize,
}

struct Frame {
    bytes: Vec<u8>,
    done: usize,
    fds: Vec<OwnedFd>,
}

/// The connection is of no use any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl Client {
    pub(crate) fn new(stream: UnixStream) -> std::io::Result<Client> {
        stream.set_nonblocking(true)?;
        Ok(Client { stream, input: Vec::new(), output: VecDeque::new(), queued: 0 })
    }

    /// The calls that came whole.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<Vec<Call>, Gone> {
        loop {
            match take(&self.stream, buffer) {
                Input::Bytes(bytes) => self.input.extend_from_slice(bytes),
                Input::Nothing => break,
                Input::End => return Err(Gone),
            }
        }
        let mut calls = Vec::new();
        while let Some(call) = decode(&mut self.input).map_err(|_| Gone)? {
            calls.push(call);
        }
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        Ok(calls)
    }

    pub(crate) fn send(&mut self, message: &Message, fds: Vec<OwnedFd>) -> Result<(), Gone> {
        let bytes = encode(message);
        self.queued += bytes.len();
        self.output.push_back(Frame { bytes, done: 0, fds });
        if self.queued > QUEUE_LIMIT { Err(Gone) } else { self.flush() }
    }

    pub(crate) fn wants_to_write(&self) -> bool {
        !self.output.is_empty()
    }

    pub(crate) fn flush(&mut self) -> Result<(), Gone> {
        while let Some(frame) = self.output.front_mut() {
            match frame.write(self.stream.as_raw_fd()) {
                Ok(length) => self.queued -= length,
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(_) => return Err(Gone),
            }
            if frame.done == frame.bytes.len() {
                self.output.pop_front();
            }
        }
        Ok(())
    }
}

impl Frame {
    /// Descriptors go with the first byte, once.
    fn write(&mut self, socket: RawFd) -> Result<usize, Errno> {
        let raw: Vec<RawFd> = self.fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &rights[..0] } else { &rights[..] };
        let part = [IoSlice::new(&self.bytes[self.done..])];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let length = sendmsg::<UnixAddr>(socket, &part, rights, flags, None)?;
        self.fds.clear();
        self.done += length;
        Ok(length)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
