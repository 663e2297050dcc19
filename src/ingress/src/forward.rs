//! One request: found in the table, sent to a pod, its answer sent back. Connections to pods are not kept: a request
//! then goes to the next pod, and never to one that is gone.

use crate::answers::{self, Body};
use crate::body_timeout::{BodyTimeout, Stalled};
use crate::guarded::Guarded;
use crate::rewrite::TooLong;
use crate::table::Shared;
use crate::{hops, host, path};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::TokioIo;
use listener::{Seat, ask_once};
use nix::sys::socket::{setsockopt, sockopt};
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// A pod on the same machine answers in microseconds, or not at all.
const CONNECT: Duration = Duration::from_secs(5);
/// What says in other words what is set here: gunicorn, Rack and others take each for the client's scheme. And `Proxy`, which CGI
/// makes `HTTP_PROXY` of, by which a program's own requests go to whom the client likes (CVE-2016-5385).
const FORGED: [HeaderName; 6] = [
    header::FORWARDED,
    HeaderName::from_static("front-end-https"),
    HeaderName::from_static("proxy"),
    HeaderName::from_static("x-forwarded-protocol"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("x-url-scheme"),
];

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Downstream {
    pub(crate) client: IpAddr,
    pub(crate) secure: bool,
    pub(crate) port: u16,
}

/// `seat` is the connection's that the request came by.
pub(crate) async fn answer(
    shared: &Shared,
    seat: &Seat,
    downstream: Downstream,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let table = shared.table.load_full();
    let refused = |why: &str| answers::text(StatusCode::BAD_REQUEST, why.to_owned());
    let named = host::of_request(request.method(), request.uri(), request.version(), request.headers());
    let host = match named {
        Ok(host) => host,
        Err(why) => return refused(why),
    };
    if !is_framed_plainly(request.headers()) {
        return refused("the request's body has an encoding that is not chunked");
    }
    let Some(path) = path::normalised(request.uri().path()) else {
        return refused("the path can be read in more than one way");
    };
    let found = match table.routes.find(&host, &path.matched) {
        Ok(Some(found)) => found,
        Ok(None) => return answers::nobody(&host, &path.matched),
        Err(TooLong) => return answers::too_long(),
    };
    if found.to_https && !downstream.secure {
        return answers::to_https(&host, &with_query(&path.passed, request.uri()));
    }
    if hops::add_one(request.headers_mut()).is_err() {
        return answers::text(StatusCode::LOOP_DETECTED, "the ingress leads back to itself".to_owned());
    }
    let addresses = match table.addresses(found.backend) {
        Ok(addresses) => addresses,
        Err(why) => return answers::unavailable(&why),
    };
    let Ok(rewritten) = found.rewritten(&path.matched) else { return answers::too_long() };
    // a request has 64 KiB in its line, and what has no place in a path as it came is three times as long for the pod
    let target = with_query(rewritten.as_deref().unwrap_or(&path.passed), request.uri()).parse::<Uri>();
    let Ok(target) = target else { return answers::too_long() };
    let open = Arc::new(seat.also(&shared.open));
    let first = shared.turn.fetch_add(1, Ordering::Relaxed);
    let mut order = (0..addresses.len()).map(|n| addresses[(first.wrapping_add(n)) % addresses.len()]);
    let Some(connected) = connect_to_any(&mut order, shared.mark).await else {
        let words = format!("no pod of the service {} takes connections", found.backend.service);
        return answers::text(StatusCode::BAD_GATEWAY, words);
    };
    match send(connected, open, request, &host, target, downstream).await {
        Ok(response) => response,
        Err(error) if is_stalled(&error) => answers::text(StatusCode::REQUEST_TIMEOUT, Stalled.to_string()),
        Err(error) => {
            let words = format!("the service {} broke off: {error}", found.backend.service);
            answers::text(StatusCode::BAD_GATEWAY, words)
        }
    }
}

fn is_stalled(error: &hyper::Error) -> bool {
    error.source().is_some_and(|source| source.is::<Stalled>())
}

/// Of two lengths the reader below takes the encoding and forgets the other; an encoding that it does not undo would reach the
/// pod as if it had been.
fn is_framed_plainly(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = encodings.next().is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    first && encodings.next().is_none()
}

async fn connect_to_any(
    addresses: &mut (dyn Iterator<Item = SocketAddr> + Send),
    mark: Option<u32>,
) -> Option<TcpStream> {
    for address in addresses {
        if let Ok(Ok(stream)) = tokio::time::timeout(CONNECT, connect(address, mark)).await {
            let _ = stream.set_nodelay(true);
            return Some(stream);
        }
    }
    None
}

/// # Errors
/// Nobody listens there, or the mark can not be set: without it the connection could be led elsewhere.
async fn connect(address: SocketAddr, mark: Option<u32>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(mark) = mark {
        setsockopt(&socket, sockopt::Mark, &mark)?;
    }
    socket.connect(address).await
}

async fn send(
    stream: TcpStream,
    open: Arc<Seat>,
    mut request: Request<Incoming>,
    host: &str,
    target: Uri,
    downstream: Downstream,
) -> hyper::Result<Response<Body>> {
    let (mut sender, connection, answered) =
        ask_once::<_, Guarded<Guarded<Incoming, BodyTimeout>, Arc<Seat>>>(stream).await?;
    let to_pod_open = open.clone();
    tokio::spawn(async move {
        let connection = async { drop(connection.with_upgrades().await) };
        to_pod_open.hold(connection).await;
    });
    let upgrade = upgrade_of(request.headers());
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    parts.version = Version::HTTP_11;
    parts.uri = target;
    to_pod(&mut parts.headers, host, downstream);
    // else the library takes it for none, and leaves it out, where the method is GET or HEAD
    if !body.is_end_stream() && body.size_hint().exact().is_none() {
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let body = Guarded::new(Guarded::new(body, BodyTimeout::default()), open.clone());
    if let Some(protocol) = &upgrade {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, protocol.clone());
    }
    let mut response = sender.send_request(Request::from_parts(parts, body)).await?;
    answered.note();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // RFC 9110, 15.2.2: who is told so without having asked takes what follows for whatever he likes
        let Some(client) = client else {
            let words = "the service changes to a protocol that nobody asked for".to_owned();
            return Ok(answers::text(StatusCode::BAD_GATEWAY, words));
        };
        let (pod, open) = (hyper::upgrade::on(&mut response), open.clone());
        tokio::spawn(async move {
            let tunnel = async {
                if let (Ok(client), Ok(pod)) = tokio::join!(client, pod) {
                    let (mut client, mut pod) = (TokioIo::new(client), TokioIo::new(pod));
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut pod).await;
                }
            };
            open.hold(tunnel).await;
        });
    } else {
        listener::remove_hop_by_hop(response.headers_mut());
    }
    Ok(response.map(|body| Guarded::new(body, open).boxed()))
}

/// One protocol, WebSocket mostly, and SPDY to an API server behind an Ingress; never HTTP itself: who changes to HTTP/2 (`h2c`)
/// would ask the pod for any path and host after that, past all rules. Who asks for that, or for several, is answered as if he
/// had not, as RFC 9110, 7.8, lets a server.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = listener::asks_for_upgrade(headers);
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    let is_passed = |protocol: &&HeaderValue| {
        let name = protocol.as_bytes().to_ascii_lowercase();
        let is_http = name.starts_with(b"h2") || name.starts_with(b"http");
        !name.is_empty() && !is_http && !name.iter().any(|byte| matches!(byte, b',' | b' ' | b'\t'))
    };
    let protocol = protocols.next().filter(is_passed);
    protocol.filter(|_| asks && protocols.next().is_none()).cloned()
}

fn with_query(path: &str, asked: &Uri) -> String {
    match asked.query() {
        None => path.to_owned(),
        Some(query) => format!("{path}?{query}"),
    }
}

/// Names that many servers read as those that are set here are as good as these: `X_Real_IP` is `X-Real-IP` in CGI (nginx drops
/// them as well).
fn is_forged(name: &HeaderName) -> bool {
    FORGED.contains(name) || name.as_str().contains('_')
}

/// What the pod sees: the host that was asked for, and who asked.
fn to_pod(headers: &mut HeaderMap, host: &str, downstream: Downstream) {
    listener::remove_hop_by_hop(headers);
    let forged: Vec<HeaderName> = headers.keys().filter(|name| is_forged(name)).cloned().collect();
    for name in &forged {
        headers.remove(name);
    }
    let scheme = if downstream.secure { "https" } else { "http" };
    let told = [
        (header::HOST, host.to_owned()),
        (HeaderName::from_static("x-forwarded-for"), downstream.client.to_string()),
        (HeaderName::from_static("x-real-ip"), downstream.client.to_string()),
        (HeaderName::from_static("x-forwarded-host"), host.to_owned()),
        (HeaderName::from_static("x-forwarded-port"), downstream.port.to_string()),
        (HeaderName::from_static("x-forwarded-proto"), scheme.to_owned()),
        (HeaderName::from_static("x-forwarded-scheme"), scheme.to_owned()),
        (HeaderName::from_static("x-scheme"), scheme.to_owned()),
    ];
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_hears_who_asked_and_nothing_of_the_clients_connection() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-mine"),
            ("x-mine", "1"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "forged"),
            ("x_forwarded_for", "forged"),
            ("x-forwarded_proto", "forged"),
            ("x-forwarded-scheme", "forged"),
            ("x-forwarded-ssl", "on"),
            ("x-forwarded-protocol", "ssl"),
            ("x-url-scheme", "https"),
            ("front-end-https", "on"),
            ("proxy", "http://forged/"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("forwarded", "for=forged"),
            ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
            ("accept", "*/*"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let downstream = Downstream { client: "192.0.2.7".parse().unwrap(), secure: false, port: 80 };
        to_pod(&mut headers, "a.example", downstream);
        let get = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((get("connection"), get("x-mine"), get("transfer-encoding")), (None, None, None));
        assert_eq!((get("x_forwarded_for"), get("x-forwarded_proto"), get("forwarded")), (None, None, None));
        assert_eq!(get("http2-settings"), None);
        for gone in ["keep-alive", "proxy-connection", "proxy", "x-forwarded-ssl", "x-forwarded-protocol"] {
            assert_eq!(get(gone), None, "{gone}");
        }
        assert_eq!((get("x-url-scheme"), get("front-end-https")), (None, None));
        assert_eq!(get("x-forwarded-scheme"), Some("http"));
        assert_eq!(get("accept"), Some("*/*"));
        assert_eq!((get("x-forwarded-for"), get("x-forwarded-proto")), (Some("192.0.2.7"), Some("http")));
        assert_eq!(get("host"), Some("a.example"));
    }

    #[test]
    fn a_connection_becomes_what_is_no_http() {
        for (connection, upgrade, want) in [
            (&["Upgrade"][..], &["websocket"][..], true),
            (&["keep-alive", "x, upgrade"], &["WebSocket"], true),
            (&["upgrade"], &["SPDY/3.1"], true),
            (&["keep-alive"], &["websocket"], false),
            (&[], &["websocket"], false),
            (&["upgrade"], &[], false),
            (&["upgrade, http2-settings"], &["h2c"], false),
            (&["upgrade"], &["H2C"], false),
            (&["upgrade"], &["HTTP/2.0"], false),
            (&["upgrade"], &[""], false),
            (&["upgrade"], &["websocket, h2c"], false),
            (&["upgrade"], &["websocket", "h2c"], false),
            (&["upgrade"], &["h2c", "websocket"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in connection {
                headers.append(header::CONNECTION, HeaderValue::from_static(value));
            }
            for value in upgrade {
                headers.append(header::UPGRADE, HeaderValue::from_static(value));
            }
            assert_eq!(upgrade_of(&headers).is_some(), want, "{connection:?} {upgrade:?}");
        }
    }

    #[test]
    fn a_rewritten_path_keeps_the_query() {
        let asked: Uri = "http://a/api/v1?x=1".parse().unwrap();
        assert_eq!(with_query("/v1", &asked), "/v1?x=1");
    }

    #[test]
    fn a_body_in_chunks_is_in_nothing_else() {
        for (encodings, want) in [
            (&[][..], true),
            (&["chunked"], true),
            (&["Chunked"], true),
            (&["gzip, chunked"], false),
            (&["chunked", "chunked"], false),
            (&["x"], false),
        ] {
            let mut headers = HeaderMap::new();
            for encoding in encodings {
                headers.append(header::TRANSFER_ENCODING, HeaderValue::from_static(encoding));
            }
            assert_eq!(is_framed_plainly(&headers), want, "{encodings:?}");
        }
    }
}
