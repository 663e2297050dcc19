//! A client of the shim that waits for its answers.

use cri::wire::{Call, Message, Reply, Request, SOCKET, ShimEvent, decode, encode};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::collections::VecDeque;
use std::io::{IoSliceMut, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    fds: VecDeque<OwnedFd>,
    events: VecDeque<ShimEvent>,
    seq: u64,
}

impl Connection {
    pub fn open(dir: &Path) -> Connection {
        let stream = UnixStream::connect(dir.join(SOCKET)).expect("connect to the shim");
        // so that a shim that never answers fails the test
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Connection { stream, input: Vec::new(), fds: VecDeque::new(), events: VecDeque::new(), seq: 0 }
    }

    pub fn send(&mut self, request: Request) -> u64 {
        self.seq += 1;
        self.stream.write_all(&encode(&Call { seq: self.seq, request })).expect("send");
        self.seq
    }

    pub fn streams(&mut self, request: Request) -> Result<(Reply, Vec<OwnedFd>), String> {
        let seq = self.send(request);
        loop {
            match self.receive().expect("an answer") {
                Message::Event(event) => self.events.push_back(event),
                Message::Reply { seq: of, result } => {
                    assert_eq!(of, seq, "answers the one open call");
                    let reply = result?;
                    let count = if let Reply::Streams { fds, .. } = &reply { fds.len() } else { 0 };
                    assert!(self.fds.len() >= count, "the descriptors came along");
                    return Ok((reply, self.fds.drain(..count).collect()));
                }
            }
        }
    }

    pub fn call(&mut self, request: Request) -> Result<Reply, String> {
        self.streams(request).map(|(reply, _)| reply)
    }

    /// The next event that `pick` wants; those before it stay for later.
    pub fn event<T>(&mut self, pick: impl Fn(&ShimEvent) -> Option<T>) -> T {
        let mut looked = 0;
        loop {
            while let Some(event) = self.events.get(looked) {
                if let Some(picked) = pick(event) {
                    self.events.remove(looked);
                    return picked;
                }
                looked += 1;
            }
            match self.receive().expect("an event") {
                Message::Event(event) => self.events.push_back(event),
                other => panic!("an answer that nobody waits for: {other:?}"),
            }
        }
    }

    /// `None` at the connection's end.
    pub fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = decode(&mut self.input).expect("a frame") {
                return Some(message);
            }
            let mut bytes = [0; 8192];
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let mut space = nix::cmsg_space!([RawFd; 3]);
            let socket = self.stream.as_raw_fd();
            let message = recvmsg::<UnixAddr>(socket, &mut parts, Some(&mut space), MsgFlags::empty())
                .expect("receive");
            let length = message.bytes;
            for one in message.cmsgs().unwrap() {
                if let ControlMessageOwned::ScmRights(fds) = one {
                    // SAFETY: the kernel just made these descriptors for us.
                    self.fds.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                }
            }
            if length == 0 {
                return None;
            }
            self.input.extend_from_slice(&bytes[..length]);
        }
    }
}
