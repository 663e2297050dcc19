//! One request on its way: connected, sent, answered, or turned into a plain stream of bytes. A connection is made for each
//! request and not kept: the next one goes to whoever is there then.

use super::headers;
use super::html;
use super::links::Origin;
use super::target::{Scheme, Target, unavailable};
use super::tls;
use crate::client_tls;
use crate::request::{Chunks, Upgrading};
use crate::responses;
use api::{Reason, Status};
use bytes::{Bytes, BytesMut};
use cri::Duplex;
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use warp::reply::Response;

/// Go's dialer, which upstream's proxy uses, waits as long.
const CONNECT: Duration = Duration::from_secs(30);
/// When the client has said its last, the backend may still answer; one that never ends is let go of.
const LINGER: Duration = Duration::from_secs(10);
/// Of a page whose links are looked at; a larger one passes as it is.
const LARGEST_PAGE: usize = 8 << 20;

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
    /// Whose links are led through the proxy; `None` for one who is a part of the API.
    pub(super) origin: Option<Origin>,
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
        .map(|origin| format!("{}{}", origin.prefix, path.split('?').next().unwrap_or_default()));
    headers::to_backend(&mut headers, upgrade.as_ref().map(|(_, protocol)| protocol), forwarded.as_deref());
    let is_head = method == Method::HEAD;
    let mut request = http::Request::new(body_of(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|_| Status::bad_request("the path can not be sent on"))?;
    *request.headers_mut() = headers;
    let broken = |why: hyper::Error| unreachable(words(&why));
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(broken)?;
    tokio::spawn(connection.with_upgrades());
    let answer = sender.send_request(request).await.map_err(broken)?;
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
            Ok(with_body(answer.map(|_| ()), futures::stream::empty::<Result<Bytes, Status>>()))
        }
        status if status.is_client_error() || status.is_server_error() => {
            headers::to_client(answer.headers_mut(), false);
            let (head, body) = answer.into_parts();
            Ok(with_body(http::Response::from_parts(head, ()), body.into_data_stream()))
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

async fn pass(mut answer: http::Response<Incoming>, origin: Option<&Origin>, is_head: bool) -> Response {
    headers::to_client(answer.headers_mut(), false);
    let Some(origin) = origin else {
        let (head, body) = answer.into_parts();
        return with_body(http::Response::from_parts(head, ()), body.into_data_stream());
    };
    if let Some(location) = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()) {
        if let Ok(location) = HeaderValue::from_str(&origin.through_proxy(location)) {
            answer.headers_mut().insert(header::LOCATION, location);
        }
    } else if !is_head && let Some(packing) = page(answer.headers()) {
        return pass_page(answer, packing, origin).await;
    }
    let (head, body) = answer.into_parts();
    with_body(http::Response::from_parts(head, ()), body.into_data_stream())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
}

/// How a page is packed; `None` for what is no page, is too large, or packed in a way that is not undone here.
fn page(headers: &HeaderMap) -> Option<Packing> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let is_large = text(header::CONTENT_LENGTH).parse::<usize>().is_ok_and(|length| length > LARGEST_PAGE);
    if media != "text/html" || is_large {
        return None;
    }
    match text(header::CONTENT_ENCODING) {
        "" => Some(Packing::Plain),
        "gzip" => Some(Packing::Gzip),
        _ => None,
    }
}

async fn pass_page(answer: http::Response<Incoming>, packing: Packing, origin: &Origin) -> Response {
    let (mut head, body) = answer.into_parts();
    let mut rest = body.into_data_stream();
    let mut page = BytesMut::new();
    let mut broken = None;
    while page.len() <= LARGEST_PAGE {
        match rest.next().await {
            Some(Ok(chunk)) => page.extend_from_slice(&chunk),
            Some(Err(error)) => broken = Some(Err(error)),
            None => break,
        }
        if broken.is_some() {
            break;
        }
    }
    let page = page.freeze();
    let is_whole = page.len() <= LARGEST_PAGE && broken.is_none();
    let links = |page: &[u8]| html::rewrite(page, |link| origin.through_proxy(link));
    let rewritten = match packing {
        _ if !is_whole => None,
        Packing::Plain => Some(links(&page)),
        Packing::Gzip => unpacked(&page).map(|page| links(&page)),
    };
    let Some(rewritten) = rewritten else {
        // as it came, and as it breaks off
        let seen = futures::stream::iter(std::iter::once(Ok(page)).chain(broken));
        return with_body(http::Response::from_parts(head, ()), seen.chain(rest));
    };
    head.headers.remove(header::CONTENT_ENCODING);
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(rewritten.len()));
    let whole = futures::stream::iter([Ok::<_, Status>(Bytes::from(rewritten))]);
    with_body(http::Response::from_parts(head, ()), whole)
}

/// `None` for what is no gzip, or unpacks to more than a page.
fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut page = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(packed).take(LARGEST_PAGE as u64 + 1);
    reader.read_to_end(&mut page).ok()?;
    (page.len() <= LARGEST_PAGE).then_some(page)
}

fn with_body<S, E>(head: http::Response<()>, body: S) -> Response
where
    S: futures::Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let (head, ()) = head.into_parts();
    let mut response = responses::body(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}
