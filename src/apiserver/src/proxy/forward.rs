//! One request on its way: connected, sent, answered, or turned into a plain stream of bytes. A connection is made for each
//! request and not kept: the next one goes to whoever is there then.

use super::headers;
use super::links::Origin;
use super::pages::{self, Pages, with_body};
use super::target::{Scheme, Target, unavailable};
use super::tls;
use crate::client_tls;
use crate::request::{Chunks, Upgrading};
use api::{Reason, Status};
use bytes::Bytes;
use cri::Duplex;
use futures::TryStreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use listener::ask_once;
use rustls::ClientConfig;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use warp::reply::Response;

/// Go's dialer, which upstream's proxy uses, waits as long.
const CONNECT: Duration = Duration::from_secs(30);
/// When the client has said its last, the backend may still answer; one that never ends is let go of.
const LINGER: Duration = Duration::from_secs(10);

type Body = UnsyncBoxBody<Bytes, Status>;

/// A backend that must show who it is, by its own authority's certificate for this name.
pub(crate) struct Secured {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) host: String,
}

/// A request as the backend gets it.
pub(super) struct Outgoing {
    pub(super) method: Method,
    /// Path and query behind `proxy`.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    /// `None` where the client sends none.
    pub(super) body: Option<Chunks>,
    /// The client's connection and the protocol that it asks to change to.
    pub(super) upgrade: Option<(Upgrading, HeaderValue)>,
    /// Whose links are led through the proxy, among which pages; `None` for one who is a part of the API.
    pub(super) origin: Option<(Origin, Pages)>,
}

/// # Errors
/// `ServiceUnavailable` for a backend that can not be reached or breaks off.
pub(super) async fn send(
    outgoing: Outgoing,
    target: Target,
    secured: Option<Secured>,
) -> Result<Response, Status> {
    let is_upgrade = outgoing.upgrade.is_some();
    let unreachable = |why: String| match is_upgrade {
        true => Status::new(Reason::InternalError, format!("error dialing backend: {why}")),
        false => unavailable(format!("error trying to reach service: {why}")),
    };
    let io = connect(target, secured).await.map_err(unreachable)?;
    let Outgoing { method, path, mut headers, body, upgrade, origin } = outgoing;
    let forwarded = origin
        .as_ref()
        .map(|(origin, _)| format!("{}{}", origin.prefix, path.split('?').next().unwrap_or_default()));
    headers::to_backend(&mut headers, upgrade.as_ref().map(|(_, protocol)| protocol), forwarded.as_deref());
    // else the library takes it for none, and leaves it out, where the method is GET or HEAD
    if body.is_some() && !headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let is_head = method == Method::HEAD;
    let mut request = http::Request::new(body_of(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|_| Status::bad_request("the path can not be sent on"))?;
    *request.headers_mut() = headers;
    let broken = |why: hyper::Error| unreachable(words(&why));
    let (mut sender, connection, answered) = ask_once(io).await.map_err(broken)?;
    tokio::spawn(connection.with_upgrades());
    let answer = sender.send_request(request).await.map_err(broken)?;
    answered.note();
    match upgrade {
        Some((client, _)) => change_protocol(answer, client),
        None => Ok(pass(answer, origin.as_ref(), is_head).await),
    }
}

/// In the words of Go's dialer, which clients look for.
async fn connect(target: Target, secured: Option<Secured>) -> Result<Box<dyn Duplex>, String> {
    let dialed = |why: &str| format!("dial tcp {target}: {why}");
    let stream = match tokio::time::timeout(CONNECT, TcpStream::connect(target.address)).await {
        Err(_) => return Err(dialed("i/o timeout")),
        Ok(Err(error)) => return Err(dialed(&format!("connect: {}", refusal(&error)))),
        Ok(Ok(stream)) => stream,
    };
    let _ = stream.set_nodelay(true);
    if let Some(Secured { config, host }) = secured {
        let secured = tokio::time::timeout(CONNECT, client_tls::connect(stream, config, &host)).await;
        let stream = secured.map_err(|_| "net/http: TLS handshake timeout".to_owned())??;
        return Ok(Box::new(stream));
    }
    match target.scheme {
        Scheme::Http => Ok(Box::new(stream)),
        Scheme::Https => match tokio::time::timeout(CONNECT, tls::connect(stream, target.address.ip())).await
        {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("net/http: TLS handshake timeout".to_owned()),
        },
    }
}

fn refusal(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        ErrorKind::HostUnreachable => "no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        ErrorKind::TimedOut => "connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

/// With its cause: the outer words alone say nothing.
fn words(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None if error.is_incomplete_message() => "EOF".to_owned(),
        None => error.to_string(),
    }
}

fn body_of(chunks: Option<Chunks>) -> Body {
    match chunks {
        None => Empty::new().map_err(|never| match never {}).boxed_unsync(),
        Some(chunks) => BodyExt::boxed_unsync(StreamBody::new(chunks.map_ok(Frame::data))),
    }
}

/// # Errors
/// `InternalError` for a backend that answers as if nothing had been asked.
fn change_protocol(mut answer: http::Response<Incoming>, client: Upgrading) -> Result<Response, Status> {
    match answer.status() {
        StatusCode::SWITCHING_PROTOCOLS => {
            let backend = hyper::upgrade::on(&mut answer);
            client.carry(move |client| carry(client, backend));
            headers::to_client(answer.headers_mut(), true);
            let (head, _) = answer.into_parts();
            Ok(with_body(head, futures::stream::empty::<Result<Bytes, Status>>()))
        }
        status if status.is_client_error() || status.is_server_error() => {
            headers::to_client(answer.headers_mut(), false);
            let (head, body) = answer.into_parts();
            Ok(with_body(head, body.into_data_stream()))
        }
        status => {
            let message = format!("invalid upgrade response: status code {}", status.as_u16());
            Err(Status::new(Reason::InternalError, message))
        }
    }
}

async fn carry(client: Upgraded, backend: OnUpgrade) {
    let Ok(backend) = backend.await else { return };
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let (mut from_backend, mut to_backend) = tokio::io::split(TokioIo::new(backend));
    let down = async {
        let _ = tokio::io::copy(&mut from_backend, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    let up = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_backend).await;
        let _ = to_backend.shutdown().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        () = down => {}
        () = up => {}
    }
}

async fn pass(
    mut answer: http::Response<Incoming>,
    origin: Option<&(Origin, Pages)>,
    is_head: bool,
) -> Response {
    headers::to_client(answer.headers_mut(), false);
    let Some((origin, pages)) = origin else {
        let (head, body) = answer.into_parts();
        return with_body(head, body.into_data_stream());
    };
    if let Some(location) = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()) {
        if let Ok(location) = HeaderValue::from_str(&origin.through_proxy(location)) {
            answer.headers_mut().insert(header::LOCATION, location);
        }
    } else if !is_head && let Some(packing) = pages::packing(answer.headers()) {
        let (head, body) = answer.into_parts();
        return pages.pass(head, body.into_data_stream(), packing, origin).await;
    }
    let (head, body) = answer.into_parts();
    with_body(head, body.into_data_stream())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use std::net::Ipv4Addr;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_body_without_a_length_reaches_the_backend_whatever_the_method_is() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = Target { scheme: Scheme::Http, address: listener.local_addr().unwrap() };
        for method in [Method::GET, Method::POST] {
            let body: Chunks = Box::pin(stream::iter([Ok::<_, Status>(Bytes::from_static(b"question"))]));
            let outgoing = Outgoing {
                method: method.clone(),
                path: "/".to_owned(),
                headers: HeaderMap::new(),
                body: Some(body),
                upgrade: None,
                origin: None,
            };
            let answering = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut heard = Vec::<u8>::new();
                while !heard.ends_with(b"0\r\n\r\n") {
                    let read = tokio::time::timeout(LINGER, stream.read_buf(&mut heard)).await;
                    assert!(matches!(read, Ok(Ok(1..))), "{method}: {}", heard.escape_ascii());
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                heard
            };
            let (answer, heard) = tokio::join!(send(outgoing, target, None), answering);
            assert_eq!(answer.unwrap().status(), StatusCode::OK, "{method}");
            assert!(heard.windows(8).any(|some| some == b"question"), "{method}: {}", heard.escape_ascii());
        }
    }
}
