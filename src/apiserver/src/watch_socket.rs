//! A watch inside a WebSocket, as upstream offers it: each event is one message. Browsers need it: over HTTP/1.1 they open six
//! connections to a host and no more, for all of their windows together, and a page that shows a cluster watches more than that.

use crate::request::{Request, Upgrading};
use crate::streams::open_for_listener;
use crate::unread::PIECE_WITHIN;
use api::{Reason, Status};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use listener::LARGE_PIECE;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use warp::reply::{Reply, Response};

/// Longer than any watch.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

pub(crate) struct Accepted {
    upgrade: Upgrading,
    response: Response,
}

/// What is no GET is no handshake (RFC 6455, section 4.1), whatever its headers say: it is answered, limited and told to the audit
/// as it is without them.
pub(crate) fn is_asked(request: &Request) -> Result<bool, Status> {
    Ok(request.method == Method::GET
        && request.header(header::UPGRADE).eq_ignore_ascii_case("websocket")
        && request.flag("watch")?)
}

/// # Errors
/// `BadRequest` for what is no handshake.
pub(crate) fn accept(request: &mut Request) -> Result<Accepted, Status> {
    let needed = || Status::new(Reason::BadRequest, "Upgrade request required");
    let key = request.headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(needed)?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(Status::internal)?;
    let upgrade = request.take_upgrade()?.ok_or_else(needed)?;
    let mut response = Vec::new().into_response();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(Accepted { upgrade, response })
}

impl Accepted {
    /// Sends the events of `watch`. What is refused is so before the handshake, as upstream does it.
    pub(crate) fn carry(self, watch: Response) -> Response {
        self.upgrade.carry(move |upgraded| async move {
            let socket = open_for_listener(TokioIo::new(upgraded)).await;
            // a client that has gone is no news
            let _ = send(socket, watch).await;
        });
        self.response
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    watch: Response,
) -> Result<(), Error> {
    let (mut events, mut is_open) = (watch.into_body(), false);
    loop {
        tokio::select! {
            // reading answers pings, and notices that the client has gone
            heard = socket.next() => match heard {
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
            frame = events.frame() => match frame {
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    // what is small may wait for as long as the client likes
                    let within = if bytes.len() < LARGE_PIECE { FOREVER } else { PIECE_WITHIN };
                    match timeout(within, send_lines(&mut socket, &mut is_open, &bytes)).await {
                        Ok(sent) => sent?,
                        // to say goodbye would be to wait for him once more
                        Err(_) => return Ok(()),
                    }
                }
                _ => break,
            },
        }
    }
    socket.close(None).await
}

/// A watch writes lines, an event each, which are one message each. Of a large one it writes pieces, as it has it in memory once for
/// all who watch: then the message is in frames (RFC 6455, section 5.4), and `is_open` until its last one.
async fn send_lines<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    is_open: &mut bool,
    bytes: &Bytes,
) -> Result<(), Error> {
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = part.strip_suffix(b"\n");
        let (text, ends) = (bytes.slice_ref(line.unwrap_or(part)), line.is_some());
        let message = match (*is_open, ends) {
            (false, true) if text.is_empty() => continue,
            (false, true) => Message::Text(Utf8Bytes::try_from(text)?),
            (false, false) => Message::Frame(Frame::message(text, OpCode::Data(Data::Text), false)),
            (true, _) => Message::Frame(Frame::message(text, OpCode::Data(Data::Continue), ends)),
        };
        socket.feed(message).await?;
        *is_open = !ends;
    }
    socket.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses;
    use std::convert::Infallible;
    use tokio_tungstenite::tungstenite::protocol::Role;

    /// What a client hears of `watch` until the server closes.
    async fn heard(watch: Response) -> Vec<String> {
        let (server, client) = tokio::io::duplex(256);
        let server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        let sending = tokio::spawn(send(server, watch));
        let texts =
            client.filter_map(|message| async { message.ok()?.into_text().ok().filter(|t| !t.is_empty()) });
        let texts: Vec<_> = texts.collect().await;
        let _ = sending.await;
        texts.iter().map(|text| text.as_str().to_owned()).collect()
    }

    #[tokio::test]
    async fn each_event_is_one_message() {
        let long = "x".repeat(1000);
        let chunks = [format!("{{\"a\":1}}\n{{\"b\":\"{long}\"}}\n"), "{\"c\":3}\n".to_owned()];
        let chunks = futures::stream::iter(chunks.map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk))));
        let texts = heard(responses::stream("application/json", chunks)).await;
        assert_eq!(texts, ["{\"a\":1}".to_owned(), format!("{{\"b\":\"{long}\"}}"), "{\"c\":3}".to_owned()]);
    }

    #[tokio::test]
    async fn an_event_in_pieces_is_one_message_too() {
        // the second letter of the name is in two pieces
        let chunks: [&[u8]; 4] = [b"{\"a\":1}\n{\"b\":\"J\xc3", b"\xbcrgen", b"\"}\n{\"c\":3}", b"\n"];
        let chunks =
            futures::stream::iter(chunks.map(|chunk| Ok::<_, Infallible>(Bytes::from_static(chunk))));
        let texts = heard(responses::stream("application/json", chunks)).await;
        assert_eq!(texts, ["{\"a\":1}", "{\"b\":\"Jürgen\"}", "{\"c\":3}"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_a_large_event_loses_the_watch() {
        for (size, loses) in [(LARGE_PIECE, true), (LARGE_PIECE / 2, false)] {
            let (server, _client) = tokio::io::duplex(256);
            let server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
            let event = futures::stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; size]))]);
            let watch = responses::stream("application/json", event.chain(futures::stream::pending()));
            let ended = timeout(PIECE_WITHIN * 3, send(server, watch)).await;
            assert_eq!(ended.is_ok(), loses, "{size}");
        }
    }

    #[test]
    fn only_a_get_is_a_handshake() {
        for (method, query, want) in [
            ("GET", "watch=true", true),
            ("GET", "", false),
            ("POST", "watch=true", false),
            ("DELETE", "watch=1", false),
        ] {
            let mut request = Request::for_tests(method, "/api/v1/configmaps", query, Vec::new());
            request.headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
            assert_eq!(is_asked(&request).ok(), Some(want), "{method} {query}");
        }
    }

    #[tokio::test]
    async fn a_client_that_says_much_is_not_heard_to_the_end() {
        let (server, client) = tokio::io::duplex(64 * 1024);
        let server = open_for_listener(server).await;
        let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        let endless = futures::stream::pending::<Result<Bytes, Infallible>>();
        let sending = tokio::spawn(send(server, responses::stream("application/json", endless)));
        client.send(Message::Text("still here".into())).await.unwrap();
        // a message in pieces, each of them small and none the last
        for opcode in [2_u8, 0, 0] {
            let head = [opcode, 0xfe, 0x08, 0x00, 0, 0, 0, 0];
            let piece = [&head[..], &[b'x'; 2048]].concat();
            let _ = tokio::io::AsyncWriteExt::write_all(client.get_mut(), &piece).await;
        }
        assert!(sending.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_client_that_leaves_ends_the_watch() {
        let (server, client) = tokio::io::duplex(256);
        let server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
        let endless = futures::stream::pending::<Result<Bytes, Infallible>>();
        let sending = tokio::spawn(send(server, responses::stream("application/json", endless)));
        drop(client);
        assert!(sending.await.unwrap().is_ok());
    }
}
