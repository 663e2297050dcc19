//! A process's streams over a WebSocket, for clients that can not leave HTTP in another way. What the process writes is binary
//! messages, of both outputs and without a word of which, as in Docker; messages of either kind are its input.

use crate::attach::{self, Attached};
use crate::error::{ApiError, Result};
use crate::request::{ApiResponse, full};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{SinkExt, Stream, StreamExt, stream};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

const PROTOCOL: &str = "websocket";
/// Of a message, and of what is read at once; a client sends what somebody types.
const LARGEST: usize = 1 << 20;
const READ_BUFFER: usize = 32 << 10;

/// A client that may leave HTTP for a WebSocket.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: HeaderValue,
}

impl Handshake {
    /// # Errors
    /// The request is no handshake (RFC 6455, 4.2.1).
    pub(crate) fn of(headers: &HeaderMap) -> Result<Handshake> {
        let is = |name, value: &str| {
            headers.get(name).is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
        };
        let key = headers
            .get(SEC_WEBSOCKET_KEY)
            .filter(|_| is(UPGRADE, PROTOCOL) && is(SEC_WEBSOCKET_VERSION, "13"));
        let key = key.ok_or_else(|| ApiError::bad("not a websocket handshake"))?;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(ApiError::bad)?;
        Ok(Handshake { accept })
    }

    /// 101, and the task that serves what follows.
    ///
    /// # Errors
    /// The connection can not leave HTTP.
    pub(crate) fn serve(
        self,
        upgrade: Option<OnUpgrade>,
        session: BoxFuture<'static, Option<Attached>>,
    ) -> ApiResponse {
        let upgrade = upgrade.ok_or_else(|| ApiError::bad("not a websocket handshake"))?;
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            if let Err(error) = converse(TokioIo::new(upgraded), session).await {
                tracing::debug!(%error, "an attached client went away");
            }
        });
        let mut response = Response::new(full(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        Ok(response)
    }
}

async fn converse<IO>(io: IO, session: impl Future<Output = Option<Attached>>) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = READ_BUFFER;
    config.max_message_size = Some(LARGEST);
    config.max_frame_size = Some(LARGEST);
    let (messages, received) = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await.split();
    let messages = messages.with(|data: Bytes| std::future::ready(Ok::<_, Error>(Message::Binary(data))));
    let to = SinkWriter::new(CopyToBytes::new(messages.sink_map_err(io::Error::other)));
    let (tell, input) = mpsc::channel(1);
    let from = StreamReader::new(Box::pin(pieces(input)));
    // of both outputs without frames, as if it were a terminal
    let pumped = attach::pump(from, to, async |_| Ok(()), session, true);
    attach::carry(pumped, hear(received, tell)).await
}

/// Until the client has gone. Also what it says to a process that reads nothing any more is read: there is no other way to hear of
/// that.
async fn hear(
    mut received: impl Stream<Item = Result<Message, Error>> + Unpin,
    tell: mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    while let Some(Ok(message)) = received.next().await {
        if message.is_binary() || message.is_text() {
            let _ = tell.send(Ok(message.into_data())).await;
        }
    }
    Ok(())
}

fn pieces(input: mpsc::Receiver<io::Result<Bytes>>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(input, |mut input| async move { Some((input.recv().await?, input)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::{ExecSession, Input, Output};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::oneshot;

    const SMALL: usize = 1024;

    /// A process's session, its input as it sees it, and the end of its standard output that it writes to.
    fn process() -> (Attached, DuplexStream, DuplexStream) {
        let (stdin, input) = duplex(SMALL);
        let (output, stdout) = duplex(SMALL);
        let (stdin, stdout): (Input, Output) = (Box::new(stdin), Box::new(stdout));
        let (_, exit) = oneshot::channel();
        let session = ExecSession {
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: None,
            resize: None,
            pid: 0,
            exit,
        };
        (Attached { session, ..Attached::only_saying(String::new()) }, input, output)
    }

    async fn client(io: DuplexStream) -> WebSocketStream<DuplexStream> {
        WebSocketStream::from_raw_socket(io, Role::Client, None).await
    }

    #[tokio::test]
    async fn messages_are_input_and_output_until_the_process_closes_its_own() {
        let (attached, mut input, mut output) = process();
        let (ours, theirs) = duplex(SMALL);
        let serving = tokio::spawn(converse(ours, async { Some(attached) }));
        let mut client = client(theirs).await;
        client.send(Message::text("ab")).await.unwrap();
        client.send(Message::binary(&b"\xffc"[..])).await.unwrap();
        let mut read = [0; 4];
        input.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"ab\xffc");
        output.write_all(b"out\xff").await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::binary(&b"out\xff"[..]));
        drop(output);
        assert!(client.next().await.unwrap().unwrap().is_close());
        client.close(None).await.ok();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_takes_nothing_of_its_input_along() {
        let (attached, mut input, _output) = process();
        let (ours, theirs) = duplex(SMALL);
        let serving = tokio::spawn(converse(ours, async { Some(attached) }));
        let mut client = client(theirs).await;
        client.send(Message::text("last words")).await.unwrap();
        client.close(None).await.unwrap();
        drop(client);
        let mut read = String::new();
        input.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "last words");
        // though the process says nothing, and goes on
        let _ = serving.await.unwrap();
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let usual = [
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let of = |headers: &[(&'static str, &'static str)]| {
            let pairs =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            Handshake::of(&pairs.collect())
        };
        assert_eq!(of(&usual).unwrap().accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455, 1.3");
        for without in 0..usual.len() {
            let mut headers = usual.to_vec();
            headers.remove(without);
            assert_eq!(
                of(&headers).unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "without {:?}",
                usual[without]
            );
        }
        assert!(of(&[("upgrade", "tcp"), usual[1], usual[2]]).is_err());
    }
}
