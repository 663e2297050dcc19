//! The daemon's end of a shim's socket: calls that wait for their replies, and events.
//!
//! One task reads, one writes. A caller that goes away while it waits loses nothing but its reply.

use cri::wire::{Call, MAX_FRAME, Message, Reply, Request, ShimEvent, StreamFd, decode, encode};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, Shutdown, recvmsg, shutdown};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

const READ: usize = 16 << 10;
const MOST_FDS: usize = 16; // a reply has three at most; a batch may hold those of several

/// A reply with the descriptors that it names.
#[derive(Debug)]
pub struct Answer {
    pub reply: Reply,
    pub fds: Vec<(StreamFd, OwnedFd)>,
}

type Pending = Mutex<HashMap<u64, oneshot::Sender<Result<Answer, String>>>>;

/// What a shim says by itself.
#[derive(Debug)]
pub enum ShimMessage {
    Event(ShimEvent),
    /// The connection is at its end, and nothing more will come.
    Gone,
}

pub struct ShimClient {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    pending: Arc<Pending>,
    sequence: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// What the shim answered.
    #[error("{0}")]
    Refused(String),
    #[error("the sandbox's shim is gone")]
    Gone,
}

impl ShimClient {
    /// `socket` may be a longer path than a socket's address can hold. Events go to `messages` in their order.
    pub async fn connect(socket: &Path, messages: mpsc::UnboundedSender<ShimMessage>) -> io::Result<Self> {
        let stream = open(socket).await?;
        let stream = Arc::new(stream);
        let (frames, queue) = mpsc::unbounded_channel();
        let pending = Arc::new(Pending::default());
        tokio::spawn(read(stream.clone(), pending.clone(), messages));
        tokio::spawn(write(stream, queue));
        Ok(ShimClient { frames, pending, sequence: AtomicU64::new(1) })
    }

    pub async fn call(&self, request: Request) -> Result<Answer, CallError> {
        let seq = self.sequence.fetch_add(1, Ordering::Relaxed);
        let frame = encode(&Call { seq, request });
        // its shim would take us for somebody else, and end with its containers
        if frame.len() > MAX_FRAME {
            let why = format!("a request of {} bytes: the most is {MAX_FRAME}", frame.len());
            return Err(CallError::Refused(why));
        }
        let (done, reply) = oneshot::channel();
        lock(&self.pending).insert(seq, done);
        if self.frames.send(frame).is_err() {
            lock(&self.pending).remove(&seq);
            return Err(CallError::Gone);
        }
        match reply.await {
            Ok(answer) => answer.map_err(CallError::Refused),
            Err(_) => Err(CallError::Gone),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}

/// By way of the directory's descriptor: an address holds 107 bytes of path.
async fn open(socket: &Path) -> io::Result<UnixStream> {
    let (Some(dir), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::Error::other(format!("{} is no socket's path", socket.display())));
    };
    let dir = std::fs::File::open(dir)?;
    UnixStream::connect(Path::new(&format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name)).await
}

async fn write(stream: Arc<UnixStream>, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            if stream.writable().await.is_err() {
                return;
            }
            match stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // the reader sees the end as well, and tells it
                Err(_) => return,
            }
        }
    }
    // nobody can call any more: the reader and the shim may forget us
    let _ = shutdown(stream.as_raw_fd(), Shutdown::Both);
}

async fn read(stream: Arc<UnixStream>, pending: Arc<Pending>, messages: mpsc::UnboundedSender<ShimMessage>) {
    let mut inbox = Inbox::default();
    loop {
        let received = stream.async_io(Interest::READABLE, || inbox.receive(stream.as_raw_fd())).await;
        match received {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        match inbox.messages() {
            Ok(all) => all.into_iter().for_each(|m| deliver(m, &pending, &messages)),
            Err(why) => {
                tracing::warn!("a shim speaks nonsense: {why}");
                break;
            }
        }
    }
    lock(&pending).clear();
    let _ = messages.send(ShimMessage::Gone);
}

enum Incoming {
    Reply(u64, Result<Answer, String>),
    Event(ShimEvent),
}

fn deliver(message: Incoming, pending: &Pending, messages: &mpsc::UnboundedSender<ShimMessage>) {
    match message {
        Incoming::Reply(seq, answer) => {
            // who asked may have gone; the descriptors close themselves
            if let Some(done) = lock(pending).remove(&seq) {
                let _ = done.send(answer);
            }
        }
        Incoming::Event(event) => {
            let _ = messages.send(ShimMessage::Event(event));
        }
    }
}

/// Bytes and descriptors that have come, not yet put together.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Inbox {
    fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        let mut piece = [0; READ];
        let mut space = cmsg_space!([RawFd; MOST_FDS]);
        let mut slices = [IoSliceMut::new(&mut piece)];
        let message = recvmsg::<()>(socket, &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = control {
                // SAFETY: the kernel has just put these into our table, and nobody else knows them.
                self.fds.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        let length = message.bytes;
        self.bytes.extend_from_slice(&piece[..length]);
        Ok(length)
    }

    fn messages(&mut self) -> Result<Vec<Incoming>, String> {
        let mut all = Vec::new();
        while let Some(message) = decode::<Message>(&mut self.bytes)? {
            all.push(match message {
                Message::Event(event) => Incoming::Event(event),
                Message::Reply { seq, result } => {
                    Incoming::Reply(seq, result.and_then(|reply| self.answer(reply)))
                }
            });
        }
        Ok(all)
    }

    fn answer(&mut self, reply: Reply) -> Result<Answer, String> {
        let Reply::Streams { fds: names, .. } = &reply else {
            return Ok(Answer { reply, fds: Vec::new() });
        };
        if self.fds.len() < names.len() {
            return Err(format!("{} descriptors of {} came", self.fds.len(), names.len()));
        }
        let fds = names.iter().copied().zip(self.fds.drain(..names.len())).collect();
        Ok(Answer { reply, fds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{ControlMessage, sendmsg};
    use std::io::{IoSlice, Read, Write};
    use std::os::unix::net::UnixListener;

    /// A shim that answers each call as `script` says.
    fn shim(dir: &Path, script: impl Fn(&mut std::os::unix::net::UnixStream, Call) + Send + 'static) {
        let listener = UnixListener::bind(dir.join("shim.sock")).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = Vec::new();
            let mut piece = [0; 100];
            loop {
                let n = stream.read(&mut piece).unwrap_or(0);
                if n == 0 {
                    return;
                }
                buffer.extend_from_slice(&piece[..n]);
                while let Some(call) = decode::<Call>(&mut buffer).unwrap() {
                    script(&mut stream, call);
                }
            }
        });
    }

    fn send_fd(stream: &std::os::unix::net::UnixStream, frame: &[u8], fds: &[RawFd]) {
        let sent = sendmsg::<()>(
            stream.as_raw_fd(),
            &[IoSlice::new(frame)],
            &[ControlMessage::ScmRights(fds)],
            MsgFlags::empty(),
            None,
        );
        assert_eq!(sent.unwrap(), frame.len());
    }

    #[tokio::test]
    async fn replies_find_their_callers_in_any_order_with_their_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let held = Mutex::new(None);
        shim(dir.path(), move |stream, call| match call.request {
            Request::Hello => *held.lock() = Some(call.seq),
            Request::Shutdown => {}
            _ => {
                let file = std::fs::File::open("/dev/null").unwrap();
                let reply = Reply::Streams { pid: 5, fds: vec![StreamFd::Stdin, StreamFd::Stdout] };
                let frame = encode(&Message::Reply { seq: call.seq, result: Ok(reply) });
                send_fd(stream, &frame, &[file.as_raw_fd(), file.as_raw_fd()]);
                let event = ShimEvent::ExecExited { exec: 1, exit_code: 3 };
                stream.write_all(&encode(&Message::Event(event))).unwrap();
                let first = held.lock().take().unwrap();
                let late = Message::Reply { seq: first, result: Err("no".into()) };
                stream.write_all(&encode(&late)).unwrap();
            }
        });
        let (tell, mut messages) = mpsc::unbounded_channel();
        let client = ShimClient::connect(&dir.path().join("shim.sock"), tell).await.unwrap();
        let exec = Request::Exec(Default::default());
        let (hello, exec) = tokio::join!(client.call(Request::Hello), client.call(exec));
        assert_eq!(hello.unwrap_err().to_string(), "no");
        let names: Vec<_> = exec.unwrap().fds.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [StreamFd::Stdin, StreamFd::Stdout]);
        let Some(ShimMessage::Event(event)) = messages.recv().await else { panic!("no event") };
        assert_eq!(event, ShimEvent::ExecExited { exec: 1, exit_code: 3 });
    }

    /// The command of a health check that an image brings may have megabytes: the shim ended, and all containers of its sandbox.
    #[tokio::test]
    async fn what_is_too_large_for_a_shim_is_not_sent_there() {
        let dir = tempfile::tempdir().unwrap();
        shim(dir.path(), |stream, call| {
            let known = Message::Reply { seq: call.seq, result: Err("heard".into()) };
            stream.write_all(&encode(&known)).unwrap();
        });
        let (tell, _heard) = mpsc::unbounded_channel();
        let client = ShimClient::connect(&dir.path().join("shim.sock"), tell).await.unwrap();
        for (name, length, want) in [
            ("a large one", MAX_FRAME / 2, "heard"),
            ("too large", MAX_FRAME, "the most is 4194304"),
            ("too large as it is written", MAX_FRAME / 2, "the most is 4194304"),
            ("after them", 10, "heard"),
        ] {
            let of = if name.ends_with("written") { "\u{1}" } else { "x" };
            let exec = cri::wire::ExecRequest { args: vec![of.repeat(length)], ..Default::default() };
            let told = client.call(Request::Exec(exec)).await.unwrap_err().to_string();
            assert!(told.ends_with(want), "{name}: {told}");
        }
    }

    #[tokio::test]
    async fn a_shim_that_dies_ends_every_call() {
        let dir = tempfile::tempdir().unwrap();
        shim(dir.path(), |stream, _| stream.shutdown(std::net::Shutdown::Both).unwrap());
        let (tell, mut messages) = mpsc::unbounded_channel();
        let client = ShimClient::connect(&dir.path().join("shim.sock"), tell).await.unwrap();
        assert!(matches!(client.call(Request::Hello).await, Err(CallError::Gone)));
        assert!(matches!(messages.recv().await, Some(ShimMessage::Gone)));
    }

    #[tokio::test]
    async fn a_long_path_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let file = std::fs::File::open(&deep).unwrap();
        let _listener = UnixListener::bind(format!("/proc/self/fd/{}/shim.sock", file.as_raw_fd())).unwrap();
        let (tell, _heard) = mpsc::unbounded_channel();
        assert!(ShimClient::connect(&deep.join("shim.sock"), tell).await.is_ok());
    }
}
