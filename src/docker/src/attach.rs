//! A process's streams over a connection that has left HTTP.

use crate::call::{Answer, Body, full};
use crate::frames::{self, Stream as Which};
use bytes::Bytes;
use cri::{ExecSession, Input, Output};
use futures::{Stream, StreamExt, stream};
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

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
}

impl Attached {
    /// Output of a process that never was.
    pub(crate) fn only_saying(text: String) -> Attached {
        let (_, exit) = oneshot::channel();
        let stdout: Output = Box::new(io::Cursor::new(text.into_bytes()));
        Attached {
            session: ExecSession { stdin: None, stdout: Some(stdout), stderr: None, resize: None, exit },
            ended: None,
        }
    }
}

/// 101 for who asked for an upgrade, and the task that serves it; else the output alone as an answer's body. `session`
/// comes when the process is there; where it never will be, the connection ends.
pub(crate) fn serve(
    upgrade: Option<OnUpgrade>,
    wants_upgrade: bool,
    tty: bool,
    session: impl Future<Output = Option<Attached>> + Send + 'static,
) -> Answer {
    let Some(upgrade) = upgrade.filter(|_| wants_upgrade) else {
        let output = stream::once(async move {
            let attached = session.await.map(|attached| attached.session);
            let (stdout, stderr) = attached.map_or((None, None), |session| (session.stdout, session.stderr));
            outputs(stdout, stderr, tty)
        });
        return crate::call::stream(frames::content_type(tty), output.flatten());
    };
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        if let Err(error) = converse(upgraded, session, tty).await {
            tracing::debug!(%error, "an attached client went away");
        }
    });
    Ok(switching(tty))
}

fn switching(tty: bool) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(frames::content_type(tty)));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    response
}

async fn converse(
    upgraded: Upgraded,
    session: impl Future<Output = Option<Attached>>,
    tty: bool,
) -> io::Result<()> {
    let parts = upgraded
        .downcast::<TokioIo<UnixStream>>()
        .map_err(|_| io::Error::other("the connection is no unix socket"))?;
    let socket = parts.io.into_inner();
    let gone = hung_up(socket.as_fd().try_clone_to_owned()?);
    tokio::select! {
        done = pump(socket, parts.read_buf, session, tty) => done,
        gone = gone => gone,
    }
}

async fn pump(
    socket: UnixStream,
    first: Bytes,
    session: impl Future<Output = Option<Attached>>,
    tty: bool,
) -> io::Result<()> {
    let Some(Attached { session, ended }) = session.await else { return Ok(()) };
    let (from, mut to) = socket.into_split();
    let mut output = outputs(session.stdout, session.stderr, tty);
    // held to the end: a terminal's window can be changed as long as it is there
    let _window = session.resize;
    let write = async {
        while let Some(chunk) = output.next().await {
            to.write_all(&chunk?).await?;
        }
        if let Some(ended) = ended {
            let _ = ended.await;
        }
        to.shutdown().await
    };
    let input = feed(tokio::io::AsyncReadExt::chain(io::Cursor::new(first), from), session.stdin);
    tokio::pin!(write);
    tokio::select! {
        done = &mut write => done,
        () = input => write.await,
    }
}

/// The client's half-close is the end of the process's input; output goes on.
async fn feed(mut from: impl AsyncRead + Unpin, stdin: Option<Input>) {
    let Some(mut stdin) = stdin else { return };
    // a process that does not read any more says so with an error
    let _ = tokio::io::copy(&mut from, &mut stdin).await;
    let _ = stdin.shutdown().await;
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
