//! A WebSocket: its bounds, the task's writing half, and the tunnel that makes its messages a byte stream.

use super::channels::Codec;
use super::gone::Gone;
use super::process::Sink;
use bytes::{Buf, Bytes};
use cri::Duplex;
use futures::{Sink as _, SinkExt, Stream as _};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

/// Messages that wait for the network; a process that prints faster waits.
pub(super) const QUEUED: usize = 16;
/// Of input that a process or a port has not taken yet.
pub(super) const HELD: usize = 256 * 1024;
/// A client that is gone without a word is found out by writing to it.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// After the goodbye the client's last messages are still read, or closing would destroy what it has not read yet.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// The largest message that a client may send. kubectl's have 32 KiB; those of ansible's `k8s_cp` have a MiB after the number of the
/// channel. One that is large is held as a whole, and a client may have many sessions.
const LARGEST: usize = (1 << 20) + 1024;
const READ_BUFFER: usize = 32 * 1024;
/// Some libraries send words to keep a connection open. The library of ours would take 64 MiB, from each of hundreds of watchers.
const LARGEST_UNHEARD: usize = 4096;

/// One channel to the client.
pub(super) struct Channel {
    pub(super) number: u8,
    pub(super) codec: Codec,
    pub(super) messages: mpsc::Sender<Message>,
}

impl Sink for Channel {
    async fn send(&self, data: Bytes) -> Result<(), Gone> {
        self.messages.send(self.codec.encode(self.number, &data)).await.map_err(|_| Gone)
    }

    /// There is no such word on a WebSocket: the status says that all is over.
    async fn finish(&self) -> Result<(), Gone> {
        Ok(())
    }
}

pub(super) async fn open<IO: Duplex>(io: IO) -> WebSocketStream<IO> {
    serve(io, READ_BUFFER, LARGEST).await
}

/// For a client that has nothing to say, and only hears: what it says all the same is not kept.
pub(crate) async fn open_for_listener<IO: Duplex>(io: IO) -> WebSocketStream<IO> {
    serve(io, LARGEST_UNHEARD, LARGEST_UNHEARD).await
}

async fn serve<IO: Duplex>(io: IO, buffer: usize, largest: usize) -> WebSocketStream<IO> {
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = buffer;
    config.max_message_size = Some(largest);
    config.max_frame_size = Some(largest);
    WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await
}

/// kubectl takes a connection that closes without this code for a broken one.
pub(super) fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// Until the queue is closed. Cancels `gone` when the client can not be written to any more.
pub(super) async fn write_messages<S>(mut to: S, mut queue: mpsc::Receiver<Message>, gone: CancellationToken)
where
    S: futures::Sink<Message> + Unpin,
{
    let _gone = gone.drop_guard();
    loop {
        let message = match tokio::time::timeout(HEARTBEAT, queue.recv()).await {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(_) => Message::Ping(Bytes::new()),
        };
        if to.send(message).await.is_err() {
            return;
        }
    }
}

/// The bytes of binary messages, one after the other.
pub(super) struct Tunnel<IO> {
    socket: WebSocketStream<IO>,
    unread: Bytes,
    closing: bool,
}

impl<IO: Duplex> Tunnel<IO> {
    pub(super) fn new(socket: WebSocketStream<IO>) -> Self {
        Tunnel { socket, unread: Bytes::new(), closing: false }
    }
}

impl<IO: Duplex> AsyncRead for Tunnel<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(data))) => self.unread = data,
                // a closing handshake is finished by reading on
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.unread.len().min(into.remaining());
        into.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<IO: Duplex> AsyncWrite for Tunnel<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let message = Message::Binary(Bytes::copy_from_slice(data));
        Pin::new(&mut self.socket).start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
            Pin::new(&mut self.socket).start_send(goodbye()).map_err(io::Error::other)?;
            self.closing = true;
        }
        self.poll_flush(cx)
    }
}
