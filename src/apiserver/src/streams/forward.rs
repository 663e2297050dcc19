//! Port-forward over SPDY/3.1, on a connection of its own or tunnelled through a WebSocket: each forwarded connection is
//! a pair of streams, one for its data and one for what went wrong.

use super::forward_target::ForwardTarget;
use super::spdy::{self, Connection, Reset, Stalled, Stream};
use bytes::{Bytes, BytesMut};
use cri::{Duplex, PodAccess};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Upstream's: by then the other stream of the pair is there.
const PAIRING: Duration = Duration::from_secs(30);
/// A port that takes nothing may hold back the others on its connection for so long.
const STALLED: Duration = Duration::from_secs(10);
/// Streams that wait for their other half. A client opens the two of a pair one after the other; what it sends on one that has no other
/// is held here.
pub(super) const MOST_LONELY: usize = 64;
const BLOCK: usize = 32 * 1024;

/// Until the client is gone.
pub(super) async fn run<IO: Duplex>(io: IO, pods: Arc<dyn PodAccess>, target: ForwardTarget) {
    let (driver, connection) = spdy::serve(io, Stalled::ResetAfter(STALLED));
    tokio::join!(driver, work(connection, pods, Arc::new(target)));
}

async fn work(mut connection: Connection, pods: Arc<dyn PodAccess>, target: Arc<ForwardTarget>) {
    let mut lonely = Lonely::default();
    // those that are still forwarded end with the connection
    let mut forwarded = JoinSet::new();
    while let Some(stream) = connection.incoming.recv().await {
        while forwarded.try_join_next().is_some() {}
        match lonely.pair(stream) {
            Ok(Some(pair)) => {
                forwarded.spawn(forward(pair, pods.clone(), target.clone()));
            }
            Ok(None) => {}
            Err((stream, why)) => {
                let _ = stream.output.reset(why).await;
            }
        }
        for stream in lonely.expire() {
            let _ = stream.output.reset(Reset::Cancel).await;
        }
    }
}

struct Pair {
    port: u16,
    data: Stream,
    error: Stream,
}

/// Streams whose other half has not come yet, by the request that both name.
#[derive(Default)]
struct Lonely(HashMap<String, (Stream, Instant)>);

impl Lonely {
    /// Gives the stream back where it makes no sense, or too many are alone.
    fn pair(&mut self, stream: Stream) -> Result<Option<Pair>, (Stream, Reset)> {
        let Some((request, port)) = request_of(&stream) else { return Err((stream, Reset::ProtocolError)) };
        let is_error = |stream: &Stream| stream.headers.get("streamtype") == Some("error");
        let Some((other, since)) = self.0.remove(&request) else {
            // what its client has reset waits for nothing
            self.0.retain(|_, (stream, _)| !stream.reset.is_cancelled());
            if self.0.len() >= MOST_LONELY {
                return Err((stream, Reset::RefusedStream));
            }
            self.0.insert(request, (stream, Instant::now()));
            return Ok(None);
        };
        match (is_error(&other), is_error(&stream)) {
            (true, false) => Ok(Some(Pair { port, data: stream, error: other })),
            (false, true) => Ok(Some(Pair { port, data: other, error: stream })),
            _ => {
                self.0.insert(request, (other, since));
                Err((stream, Reset::ProtocolError))
            }
        }
    }

    fn expire(&mut self) -> Vec<Stream> {
        let late = self.0.extract_if(|_, (_, since)| since.elapsed() > PAIRING);
        late.map(|(_, (stream, _))| stream).collect()
    }
}

/// The request's number and the port. Old clients give no number, but open the error stream right before the other.
fn request_of(stream: &Stream) -> Option<(String, u16)> {
    let port = stream.headers.get("port")?.parse().ok().filter(|port| *port > 0)?;
    let id = stream.output.id();
    let error = match stream.headers.get("streamtype")? {
        "error" => id,
        "data" => id.checked_sub(2)?,
        _ => return None,
    };
    Some((stream.headers.get("requestid").map_or_else(|| format!("stream {error}"), str::to_owned), port))
}

async fn forward(pair: Pair, pods: Arc<dyn PodAccess>, target: Arc<ForwardTarget>) {
    let Pair { port, data, error } = pair;
    let ForwardTarget { namespace, pod, uid } = &*target;
    let output = data.output.clone();
    let connected = tokio::select! {
        connected = pods.port_forward(namespace, pod, port) => connected,
        // or a client that opens and resets would have any number of them dialed at a time
        () = data.reset.cancelled() => {
            let _ = error.output.finish().await;
            return;
        }
    };
    match connected {
        Ok(connection) => relay(connection, data).await,
        Err(why) => {
            let text = format!("error forwarding port {port} to pod {pod}, uid {uid}: {why}");
            let _ = error.output.send(Bytes::from(text)).await;
        }
    }
    let _ = output.finish().await;
    let _ = error.output.finish().await;
}

/// Until the pod has sent all, or the client resets the stream; the client's end alone is a half-close.
async fn relay(connection: Box<dyn Duplex>, mut data: Stream) {
    let (mut from_pod, mut to_pod) = tokio::io::split(connection);
    let upload = async {
        if tokio::io::copy(&mut data.input, &mut to_pod).await.is_ok() {
            let _ = to_pod.shutdown().await;
        }
        std::future::pending::<()>().await;
    };
    let download = async {
        let mut block = BytesMut::new();
        block.reserve(BLOCK);
        while let Ok(1..) = from_pod.read_buf(&mut block).await {
            if data.output.send(block.split().freeze()).await.is_err() {
                return;
            }
            block.reserve(BLOCK);
        }
    };
    tokio::select! {
        () = download => {}
        () = upload => {}
        () = data.reset.cancelled() => {}
    }
}
