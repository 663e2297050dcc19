//! The accept loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is open when the server stops is cut after this.
pub const DRAIN: Duration = Duration::from_secs(1);
/// After a connection that could not be accepted: the kernel says the same again as long as somebody waits, and asking at
/// once would take a core.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A host that lost its power never says that it is gone; as often as Go's servers ask.
const KEEP_ALIVE: Duration = Duration::from_secs(3 * 60);

/// A socket that connections come from.
pub trait Accept: Sync {
    type Stream: Send + 'static;
    /// Who connects.
    type Peer: Send;

    fn accept_one(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    async fn accept_one(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.accept().await?;
        let _ = socket.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(&socket, true);
        let _ = rustix::net::sockopt::set_tcp_keepidle(&socket, KEEP_ALIVE);
        Ok((socket, peer))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    type Peer = ();

    async fn accept_one(&self) -> io::Result<(UnixStream, ())> {
        self.accept().await.map(|(stream, _)| (stream, ()))
    }
}

/// Each connection in a task of its own, until `stop`; then they have a moment to end. `what` is for the log.
pub async fn accept_all<L: Accept, F: Future<Output = ()> + Send + 'static>(
    what: &str,
    listener: &L,
    stop: &CancellationToken,
    handle: impl Fn(L::Stream, L::Peer) -> F,
) {
    let connections = TaskTracker::new();
    let ended = Arc::new(Notify::new());
    let mut failures = Failures::default();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept_one()).await {
        match accepted {
            Ok((stream, peer)) => {
                failures.over(what);
                let (connection, ended) = (handle(stream, peer), ended.clone());
                connections.spawn(async move {
                    connection.await;
                    ended.notify_one();
                });
            }
            Err(error) => {
                let pause = failures.another(what, &error);
                // out of descriptors: whoever ends frees one
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = ended.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
    connections.close();
    let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
}

/// Connections that could not be accepted, one after the other: the log has the first and their number.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    fn another(&mut self, what: &str, error: &io::Error) -> Duration {
        if self.0 == 0 {
            tracing::warn!(%error, "a connection to {what} was not accepted; it is tried again until one is");
        }
        self.0 = self.0.saturating_add(1);
        (FIRST_PAUSE * 2_u32.saturating_pow((self.0 - 1).min(16))).min(LONGEST_PAUSE)
    }

    fn over(&mut self, what: &str) {
        if self.0 > 0 {
            tracing::warn!("connections to {what} are accepted again, after {} tries", self.0);
        }
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::Instant;

    /// Fails so often, as at the limit of descriptors, then gives a connection, then waits.
    struct Scripted {
        failures: usize,
        tried: Mutex<Vec<Instant>>,
    }

    impl Accept for Scripted {
        type Stream = ();
        type Peer = ();

        async fn accept_one(&self) -> io::Result<((), ())> {
            let tried = {
                let mut tried = self.tried.lock().unwrap();
                tried.push(Instant::now());
                tried.len()
            };
            match tried {
                tried if tried <= self.failures => Err(io::Error::from_raw_os_error(24)),
                tried if tried == self.failures + 1 => Ok(((), ())),
                _ => std::future::pending().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn out_of_descriptors_it_waits_longer_each_time_and_no_longer_than_a_second() {
        let listener = Scripted { failures: 12, tried: Mutex::default() };
        let (stop, accepted) = (CancellationToken::new(), AtomicUsize::new(0));
        let handle = |(), ()| {
            accepted.fetch_add(1, Ordering::SeqCst);
            let stop = stop.clone();
            async move { stop.cancel() }
        };
        accept_all("the test", &listener, &stop, handle).await;
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
        let tried = listener.tried.lock().unwrap();
        let pauses: Vec<Duration> = tried.windows(2).map(|two| two[1] - two[0]).take(12).collect();
        assert!(pauses.is_sorted() && pauses[0] >= FIRST_PAUSE, "{pauses:?}");
        assert!(pauses[11] >= LONGEST_PAUSE && pauses[11] < LONGEST_PAUSE * 2, "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_open_at_the_end_is_cut_after_a_moment() {
        let listener = Scripted { failures: 0, tried: Mutex::default() };
        let stop = CancellationToken::new();
        let handle = |(), ()| {
            stop.cancel();
            std::future::pending()
        };
        let begun = Instant::now();
        accept_all("the test", &listener, &stop, handle).await;
        assert!(begun.elapsed() >= DRAIN && begun.elapsed() < DRAIN * 2);
    }
}
