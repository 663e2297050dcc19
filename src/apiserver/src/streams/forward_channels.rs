//! Port-forward as clients without SPDY ask for it: a WebSocket with a data and an error channel for each port, each led
//! by the port's number. A channel is one connection.

use super::channels::Protocol;
use super::forward_target::ForwardTarget;
use super::gone::Gone;
use super::process::Sink as _;
use super::websocket::{Channel, HELD, LINGER, QUEUED, goodbye, write_messages};
use bytes::{Bytes, BytesMut};
use cri::{Duplex, PodAccess};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::SplitStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

const BLOCK: usize = 32 * 1024;

/// Until all ports' connections have ended or the client is gone.
pub(super) async fn run<IO: Duplex>(
    socket: WebSocketStream<IO>,
    protocol: Protocol,
    pods: &dyn PodAccess,
    target: &ForwardTarget,
    ports: &[u16],
) {
    let (to_client, from_client) = socket.split();
    let (messages, queue) = mpsc::channel(QUEUED);
    let (pipes, inputs): (Vec<_>, Vec<_>) = ports.iter().map(|_| tokio::io::duplex(HELD)).unzip();
    let reader = read_messages(from_client, protocol, pipes);
    tokio::pin!(reader);
    let channel = |number| Channel { number, codec: protocol.codec, messages: messages.clone() };
    let each = ports.iter().zip(inputs).zip((0u8..).step_by(2)).map(|((port, input), number)| Port {
        port: *port,
        input,
        data: channel(number),
        error: channel(number + 1),
    });
    let each: Vec<Port> = each.collect();
    let work = async move {
        let _ = join_all(each.into_iter().map(|port| port.forward(pods, target))).await;
        let _ = messages.send(goodbye()).await;
    };
    let gone = CancellationToken::new();
    let writer = write_messages(to_client, queue, gone.clone());
    let finished = async {
        tokio::select! {
            ((), ()) = async { tokio::join!(work, writer) } => {}
            () = gone.cancelled() => {}
        }
    };
    tokio::select! {
        () = &mut reader => return,
        () = finished => {}
    }
    let _ = tokio::time::timeout(LINGER, reader).await;
}

struct Port {
    port: u16,
    input: DuplexStream,
    data: Channel,
    error: Channel,
}

impl Port {
    async fn forward(self, pods: &dyn PodAccess, target: &ForwardTarget) -> Result<(), Gone> {
        let Port { port, mut input, data, error } = self;
        for channel in [&data, &error] {
            channel.send(Bytes::copy_from_slice(&port.to_le_bytes())).await?;
        }
        let ForwardTarget { namespace, pod, uid } = target;
        let connection = match pods.port_forward(namespace, pod, port).await {
            Ok(connection) => connection,
            Err(why) => {
                let text = format!("error forwarding port {port} to pod {pod}, uid {uid}: {why}");
                return error.send(Bytes::from(text)).await;
            }
        };
        let (mut from_pod, mut to_pod) = tokio::io::split(connection);
        let upload = async {
            let _ = tokio::io::copy(&mut input, &mut to_pod).await;
            std::future::pending::<()>().await;
        };
        let download = async {
            let mut block = BytesMut::with_capacity(BLOCK);
            while let Ok(1..) = from_pod.read_buf(&mut block).await {
                data.send(block.split().freeze()).await?;
                block.reserve(BLOCK);
            }
            Ok(())
        };
        tokio::select! {
            sent = download => sent,
            () = upload => Ok(()),
        }
    }
}

async fn read_messages<IO: Duplex>(
    mut from: SplitStream<WebSocketStream<IO>>,
    protocol: Protocol,
    mut pipes: Vec<DuplexStream>,
) {
    while let Some(Ok(message)) = from.next().await {
        if let Message::Close(_) = message {
            // reading on is what sends the answer
            let _ = tokio::time::timeout(LINGER, from.next()).await;
            return;
        }
        if let Some((port, data)) = protocol.port_input(message, pipes.len()) {
            // a connection that has ended takes nothing more
            let _ = pipes[port].write_all(&data).await;
        }
    }
}
