//! One connection over a unix socket, and HTTP/2 on it.

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::task::{Context, Poll};
use tokio::net::UnixStream;
use tonic::body::Body;
use tower_service::Service;

/// unix(7): `sun_path`, with its end.
const LONGEST_PATH: usize = 107;

#[derive(Debug, Clone)]
pub(crate) struct Channel(SendRequest<Body>);

impl Channel {
    /// # Errors
    /// In words.
    pub(crate) async fn open(socket: &Path) -> Result<Channel, String> {
        let stream = connect(socket).await;
        let stream = stream.map_err(|e| format!("dial unix {}: connect: {e}", socket.display()))?;
        let (send, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(|e| words(&e))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = words(&error), "a connection to a storage driver broke");
            }
        });
        Ok(Channel(send))
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
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, hyper::Result<Response<Incoming>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// With its causes, which hyper does not print.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |all, cause| {
        let cause = cause.to_string();
        if all.contains(&cause) { all } else { format!("{all}: {cause}") }
    })
}
