//! A process over WebSocket: `v5.channel.k8s.io` and its elders.

use super::channels::{ERROR, ProcessInput, Protocol, STDERR, STDOUT};
use super::process::{Action, ClientEnds, LAST_INPUT, Sink as _, carry, status_text};
use super::websocket::{Channel, HELD, LINGER, QUEUED, goodbye, write_messages};
use bytes::Bytes;
use cri::{Duplex, ExecSession, TerminalSize};
use futures::StreamExt;
use futures::stream::SplitStream;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

pub(super) async fn run<IO: Duplex>(
    socket: WebSocketStream<IO>,
    protocol: Protocol,
    session: ExecSession,
    action: Action,
) {
    let (to_client, from_client) = socket.split();
    let (messages, queue) = mpsc::channel(QUEUED);
    let (pipe, stdin) = tokio::io::duplex(HELD);
    let (sizes, resize) = watch::channel(None);
    let gone = CancellationToken::new();
    let reader = read_messages(from_client, protocol, pipe, sizes);
    tokio::pin!(reader);
    let channel = |number| Channel { number, codec: protocol.codec, messages: messages.clone() };
    let error = channel(ERROR);
    let ends = ClientEnds {
        stdin: Some(Box::new(stdin)),
        stdout: Some(channel(STDOUT)),
        stderr: Some(channel(STDERR)),
        resize,
        gone: gone.clone(),
    };
    let work = async move {
        // tells the client that it is connected, where it waits for a first message
        let _ = messages.send(protocol.codec.encode(STDOUT, &[])).await;
        if let Some(status) = carry(session, ends, action).await {
            let text = status_text(&status, protocol.version >= 4);
            if !text.is_empty() {
                let _ = error.send(text).await;
            }
            let _ = messages.send(goodbye()).await;
        }
    };
    let left = gone.clone();
    let finished = async { tokio::join!(work, write_messages(to_client, queue, gone)) };
    tokio::pin!(finished);
    tokio::select! {
        () = &mut reader => {
            left.cancel();
            let _ = tokio::time::timeout(LAST_INPUT, finished).await;
            return;
        }
        _ = &mut finished => {}
    }
    let _ = tokio::time::timeout(LINGER, reader).await;
}

/// Until the client is gone.
async fn read_messages<IO: Duplex>(
    mut from: SplitStream<WebSocketStream<IO>>,
    protocol: Protocol,
    stdin: DuplexStream,
    sizes: watch::Sender<Option<TerminalSize>>,
) {
    let mut stdin = Some(stdin);
    while let Some(Ok(message)) = from.next().await {
        if let Message::Close(_) = message {
            // reading on is what sends the answer
            let _ = tokio::time::timeout(LINGER, from.next()).await;
            return;
        }
        match protocol.process_input(message) {
            Some(ProcessInput::Stdin(data)) => stdin = write(stdin, &data).await,
            Some(ProcessInput::StdinEnds) => stdin = None,
            Some(ProcessInput::Resize(size)) => {
                let _ = sizes.send(size);
            }
            None => {}
        }
    }
}

/// Late input, after the process has closed its own end, is nobody's fault.
async fn write(stdin: Option<DuplexStream>, data: &Bytes) -> Option<DuplexStream> {
    let mut stdin = stdin?;
    stdin.write_all(data).await.ok()?;
    Some(stdin)
}
