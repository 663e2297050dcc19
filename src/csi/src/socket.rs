//! One connection over a unix socket, and HTTP/2 on it.

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::MapErr;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use parking_lot::Mutex;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

/// unix(7): `sun_path`, with its end.
const LONGEST_PATH: usize = 107;

/// What hyper begins for a connection, one of them with the socket. It ends when this is dropped: by itself it would first write
/// what is left, and wait for ever for a driver that reads nothing.
#[derive(Debug, Default)]
pub(crate) struct Connection(Arc<Mutex<JoinSet<()>>>);

/// Begins them, as long as the connection is wanted. What it begins holds it as well, and so it holds nothing.
#[derive(Debug, Clone)]
struct Tasks(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        if let Some(all) = self.0.upgrade() {
            all.lock().spawn(task);
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Channel(SendRequest<Body>);

impl Channel {
    /// Usable as long as the connection is not dropped.
    ///
    /// # Errors
    /// In words.
    pub(crate) async fn open(socket: &Path) -> Result<(Channel, Connection), String> {
        let stream = connect(socket).await;
        let stream = stream.map_err(|e| format!("dial unix {}: connect: {e}", socket.display()))?;
        let whole = Connection::default();
        let tasks = Tasks(Arc::downgrade(&whole.0));
        let (send, connection) =
            handshake(tasks.clone(), TokioIo::new(stream)).await.map_err(|e| words(&e))?;
        tasks.execute(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = words(&error), "a connection to a storage driver broke");
            }
        });
        Ok((Channel(send), whole))
    }
}

/// The kubelet's directory may lie so deep that the path does not fit: then by a name for the directory that is opened.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (Some(dir), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    if socket.as_os_str().len() <= LONGEST_PATH {
        return UnixStream::connect(socket).await;
    }
    let dir = open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
    UnixStream::connect(short).await
}

impl Service<Request<Body>> for Channel {
    type Response = Response<MapErr<Incoming, fn(hyper::Error) -> Status>>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Self::Response, Status>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.0.poll_ready(context).map_err(broken)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.send_request(request);
        Box::pin(async move {
            let answer = answer.await.map_err(broken)?;
            Ok(answer.map(|body| body.map_err(broken as fn(hyper::Error) -> Status)))
        })
    }
}

/// A connection that breaks says nothing of what was asked: it may have been done. As a `hyper::Error` it would be `Unknown`,
/// and that is a refusal.
fn broken(error: hyper::Error) -> Status {
    Status::unavailable(format!("error reading from server: {}", words(&error)))
}

/// With its causes, which hyper does not print.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |all, cause| {
        let cause = cause.to_string();
        if all.contains(&cause) { all } else { format!("{all}: {cause}") }
    })
}
