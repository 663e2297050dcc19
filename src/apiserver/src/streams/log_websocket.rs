//! A log over a WebSocket, as upstream's `wsstream.Reader` sends it: an empty message first, then each piece as one message,
//! then the goodbye. Nothing is read of the client but that it goes.

use super::channels::{Codec, Protocol};
use super::handshake::{Upgrade, is_websocket};
use super::websocket::{self, goodbye};
use crate::request::Request;
use api::Status;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cri::Duplex;
use futures::stream::BoxStream;
use futures::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use std::io;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use warp::reply::Response;

/// A log that says nothing more is not a client that has gone.
const HEARTBEAT: Duration = Duration::from_secs(30);
const LOG: [Protocol; 3] = [
    Protocol { name: "binary.k8s.io", version: 1, codec: Codec::Binary },
    Protocol { name: "base64.binary.k8s.io", version: 1, codec: Codec::Base64 },
    Protocol { name: "", version: 1, codec: Codec::Binary },
];

/// With how a message is written.
pub(crate) struct Log(Codec);

impl Upgrade<Log> {
    /// `None` for a request that is no upgrade.
    ///
    /// # Errors
    /// `BadRequest` or `Forbidden` for an upgrade to a protocol that we do not speak.
    pub(crate) fn log(request: &mut Request) -> Result<Option<Self>, Status> {
        match is_websocket(request) {
            true => Self::websocket(request, &LOG, |protocol| Log(protocol.codec)).map(Some),
            false => Ok(None),
        }
    }

    /// Answers, and sends until the log ends or the client is gone.
    pub(crate) fn carry(self, lines: BoxStream<'static, io::Result<Bytes>>) -> Response {
        self.take_over(|upgraded, Log(codec)| async move {
            // a client that has gone is no news
            let _ = send(websocket::open_for_listener(TokioIo::new(upgraded)).await, codec, lines).await;
        })
    }
}

pub(super) async fn send<IO: Duplex>(
    mut socket: WebSocketStream<IO>,
    codec: Codec,
    mut lines: BoxStream<'static, io::Result<Bytes>>,
) -> Result<(), Error> {
    let message = |data: Bytes| match codec {
        Codec::Binary => Message::Binary(data),
        Codec::Base64 => Message::Text(STANDARD.encode(data).into()),
    };
    socket.send(message(Bytes::new())).await?;
    loop {
        tokio::select! {
            heard = socket.next() => match heard {
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
            piece = timeout(HEARTBEAT, lines.next()) => match piece {
                Ok(Some(Ok(piece))) => socket.send(message(piece)).await?,
                Ok(Some(Err(_)) | None) => break,
                Err(_) => socket.send(Message::Ping(Bytes::new())).await?,
            },
        }
    }
    socket.send(goodbye()).await?;
    // what the client has not read yet would be lost with the connection
    let _ = timeout(websocket::LINGER, async { while let Some(Ok(_)) = socket.next().await {} }).await;
    Ok(())
}
