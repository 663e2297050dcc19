//! A process's streams over a connection that has left HTTP.

use crate::detach::Watch;
use crate::frames::{self, Stream as Which};
use crate::record::Listener;
use crate::request::{ApiResponse, Body, full};
use crate::request_line::RequestLine;
use bytes::Bytes;
use cri::{ExecSession, Input, Output};
use futures::{Stream, StreamExt, stream};
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

/// For a process to take what its client had sent before it left.
const LAST_INPUT: Duration = Duration::from_secs(5);
/// Read and sent at once.
const CHUNK: usize = 32 << 10;

/// Output as it goes to the client, until both ends have ended.
pub(crate) fn outputs(
    stdout: Option<Output>,
    stderr: Option<Output>,
    tty: bool,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    stream::select(one(stdout, Which::Stdout, tty), one(stderr, Which::Stderr, tty))
}

fn one(
    output: Option<Output>,
    which: Which,
    tty: bool,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    let reader = output.unwrap_or_else(|| Box::new(tokio::io::empty()));
    let chunks = ReaderStream::with_capacity(reader, CHUNK);
    // a terminal whose last process ended gives an error instead of an end
    chunks
        .take_while(|read| std::future::ready(read.is_ok()))
        .map(move |read| read.map(|data| frames::encode(which, &data, tty)))
}

/// A process's streams, and what must be over before its connection is closed: an exec's exit code is asked for then.
pub(crate) struct Attached {
    pub(crate) session: ExecSession,
    pub(crate) ended: Option<JoinHandle<()>>,
    /// What is shown before anything that is new.
    pub(crate) before: Option<mpsc::Receiver<io::Result<Bytes>>>,
    /// The keys that let go of a terminal, where there is one, and what is to be done then.
    pub(crate) detach: Option<Detach>,
    /// Dropped when the client has all of the output.
    pub(crate) listener: Option<Listener>,
}

pub(crate) struct Detach {
    pub(crate) keys: Vec<u8>,
    pub(crate) tell: Box<dyn FnOnce() + Send>,
}

impl Attached {
    /// Output of a process that never was.
    pub(crate) fn only_saying(text: String) -> Attached {
        let (_, exit) = oneshot::channel();
        let stdout: Output = Box::new(io::Cursor::new(text.into_bytes()));
        Attached {
            session: ExecSession {
                stdin: None,
                stdout: Some(stdout),
                stderr: None,
                resize: None,
                pid: 0,
                exit,
            },
            ended: None,
            before: None,
            detach: None,
            listener: None,
        }
    }
}

/// [`DockerConfig::unread`](crate::DockerConfig::unread).
type Unread = fn(BorrowedFd<'_>) -> io::Result<usize>;

/// 101 for who asked for an upgrade, and the task that serves it; else the output alone as an answer's body. `session`
/// comes when the process is there; where it never will be, the connection ends.
pub(crate) fn serve(
    unread: Unread,
    upgrade: Option<OnUpgrade>,
    wants_upgrade: bool,
    tty: bool,
    kind: &'static str,
    session: impl Future<Output = Option<Attached>> + Send + 'static,
) -> ApiResponse {
    let Some(upgrade) = upgrade.filter(|_| wants_upgrade) else {
        let output = stream::once(async move {
            let attached = session.await.unwrap_or_else(|| Attached::only_saying(String::new()));
            let Attached { session, before, ended, listener, .. } = attached;
            let output = earlier(before).chain(outputs(session.stdout, session.stderr, tty));
            output.chain(nothing_until(ended, listener))
        });
        return crate::request::stream(kind, output.flatten());
    };
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        if let Err(error) = converse(upgraded, session, tty, unread).await {
            tracing::debug!(%error, "an attached client went away");
        }
    });
    Ok(switching(kind))
}

/// Whoever has read the output asks for the exit code next.
fn nothing_until(
    ended: Option<JoinHandle<()>>,
    listener: Option<Listener>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    let wait = async move {
        drop(listener);
        if let Some(ended) = ended {
            let _ = ended.await;
        }
        stream::empty()
    };
    stream::once(Box::pin(wait)).flatten()
}

fn switching(kind: &'static str) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    response
}

async fn converse(
    upgraded: Upgraded,
    session: impl Future<Output = Option<Attached>>,
    tty: bool,
    unread: Unread,
) -> io::Result<()> {
    // the server wrapped it to find out which HTTP it is
    let parts = auto::upgrade::downcast::<TokioIo<RequestLine>>(upgraded)
        .map_err(|_| io::Error::other("the connection is no unix socket"))?;
    let (line, socket) = parts.io.into_inner().into_parts();
    let gone = hung_up(socket.as_fd().try_clone_to_owned()?);
    let (from, to) = socket.into_split();
    let before = AsyncReadExt::chain(io::Cursor::new(parts.read_buf), io::Cursor::new(line.into_unread()));
    let from = AsyncReadExt::chain(before, from);
    let begin = async |to: &OwnedWriteHalf| until_read(to.as_ref(), unread).await;
    carry(pump(from, to, begin, session, tty), gone).await
}

/// Until the process or the client has gone. What a client sent just before is handed to the process all the same.
pub(crate) async fn carry(
    pumped: impl Future<Output = io::Result<()>>,
    gone: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    tokio::pin!(pumped);
    tokio::select! {
        done = &mut pumped => done,
        gone = gone => match gone {
            Ok(()) => tokio::time::timeout(LAST_INPUT, pumped).await.unwrap_or(Ok(())),
            Err(error) => Err(error),
        },
    }
}

/// What the client sends is the process's input, and what that writes is the client's, once it has begun to hear.
pub(crate) async fn pump<W: AsyncWrite + Unpin>(
    from: impl AsyncRead + Unpin,
    mut to: W,
    begin: impl AsyncFnOnce(&W) -> io::Result<()>,
    session: impl Future<Output = Option<Attached>>,
    tty: bool,
) -> io::Result<()> {
    let Some(Attached { session, ended, before, detach, listener }) = session.await else { return Ok(()) };
    // who only writes stays as long as there is somebody to write to
    let only_writes = session.stdout.is_none() && session.stderr.is_none();
    let exit = session.exit;
    let mut output = earlier(before).chain(outputs(session.stdout, session.stderr, tty));
    // held to the end: a terminal's window can be changed as long as it is there
    let _window = session.resize;
    let write = async {
        begin(&to).await?;
        while let Some(chunk) = output.next().await {
            to.write_all(&chunk?).await?;
            // a socket has it already; a WebSocket would wait for more
            to.flush().await?;
        }
        drop(listener);
        if only_writes {
            let _ = exit.await;
        }
        if let Some(ended) = ended {
            let _ = ended.await;
        }
        to.shutdown().await
    };
    tokio::pin!(write);
    let Some(Detach { keys, tell }) = detach.filter(|_| session.stdin.is_some()) else {
        return tokio::select! {
            done = &mut write => done,
            () = feed(from, session.stdin) => if only_writes { Ok(()) } else { write.await },
        };
    };
    tokio::select! {
        done = &mut write => done,
        fed = feed_watched(from, session.stdin, Watch::new(keys)) => match fed {
            Fed::Ended if only_writes => Ok(()),
            Fed::Ended => write.await,
            Fed::Detached => {
                tell();
                Ok(())
            }
        },
    }
}

fn earlier(
    before: Option<mpsc::Receiver<io::Result<Bytes>>>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    Box::pin(stream::unfold(before, |before| async move {
        let mut before = before?;
        Some((before.recv().await?, Some(before)))
    }))
}

enum Fed {
    Ended,
    Detached,
}

/// The same with an eye on the keys.
async fn feed_watched(mut from: impl AsyncRead + Unpin, stdin: Option<Input>, mut watch: Watch) -> Fed {
    let Some(mut stdin) = stdin else { return Fed::Ended };
    let mut data = vec![0; CHUNK];
    while let Ok(read @ 1..) = from.read(&mut data).await {
        let Some(passed) = watch.pass(&data[..read]) else { return Fed::Detached };
        if stdin.write_all(&passed).await.is_err() {
            break;
        }
    }
    let _ = stdin.shutdown().await;
    Fed::Ended
}

/// The client's half-close is the end of the process's input; output goes on.
async fn feed(mut from: impl AsyncRead + Unpin, stdin: Option<Input>) {
    let Some(mut stdin) = stdin else { return };
    // a process that does not read any more says so with an error
    let _ = tokio::io::copy(&mut from, &mut stdin).await;
    let _ = stdin.shutdown().await;
}

/// Until the client has read all that it was sent. Docker's SDK for Python reads the answer's head through a buffer and then goes on
/// beside it: what comes in one piece with the head it never sees.
async fn until_read(socket: &UnixStream, unread: Unread) -> io::Result<()> {
    let is_read = || -> io::Result<()> {
        match unread(socket.as_fd())? {
            0 | 1 => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    };
    socket.async_io(Interest::WRITABLE, is_read).await
}

/// When the other end is closed in both directions: a client that only ends its input is still there.
async fn hung_up(socket: OwnedFd) -> io::Result<()> {
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for types whose descriptor changes; an OwnedFd's does not"
    )]
    let socket = AsyncFd::with_interest(socket, Interest::WRITABLE)?;
    loop {
        let mut ready = socket.ready(Interest::WRITABLE).await?;
        if ready.ready().is_write_closed() {
            return Ok(());
        }
        ready.clear_ready();
    }
}
