//! One question to another server, and its answer.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A webhook's answer repeats the object at most, as a patch: twice what an object may be, and some.
const LARGEST_ANSWER: usize = 8 << 20;

/// On a connection that ends with it.
///
/// # Errors
/// In words.
pub(crate) async fn ask(
    stream: TlsStream<TcpStream>,
    request: http::Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let words =
        |why: hyper::Error| if why.is_incomplete_message() { "EOF".to_owned() } else { why.to_string() };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    // ends with the answer, or when nobody waits for it any more
    let connection = tokio::spawn(connection);
    let _ended = Ended(connection.abort_handle());
    let answer = sender.send_request(request).await.map_err(words)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
    Ok((status, body.map_err(|why| why.to_string())?.to_bytes()))
}

struct Ended(tokio::task::AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}
