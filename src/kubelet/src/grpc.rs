//! The one call that a gRPC probe makes: `grpc.health.v1.Health/Check`, over plain HTTP/2.

use crate::http_get::{PROBE_AGENT, authority, dial, why};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;

const LONGEST_ANSWER: usize = 4096; // a health check's is a few bytes
/// All that is read: settings, a head, and that.
const LARGEST_CONVERSATION: usize = LONGEST_ANSWER + (16 << 10);
const SERVING: u64 = 1;

/// # Errors
/// Why the service is not healthy, in the words of upstream's probe.
pub(crate) async fn check(host: &str, port: u16, service: &str, timeout: Duration) -> Result<(), String> {
    let address = authority(host, port);
    match tokio::time::timeout(timeout, call(host, port, service)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!(
            "timeout: failed to connect service {address:?} within {}: context deadline exceeded",
            durations::print(timeout)
        )),
    }
}

async fn call(host: &str, port: u16, service: &str) -> Result<(), String> {
    let address = authority(host, port);
    let failed = |why: &dyn std::fmt::Display| format!("error: failed to connect to {address}: {why}");
    // hyper itself says "http2 error", whatever it was
    let broken = |error: hyper::Error| failed(&format_args!("http2: {}", why(&error)));
    let stream = dial(host, port).await.map_err(|why| failed(&why))?;
    // of all that a server of HTTP/2 may send without end, an answer is a few bytes
    let (stream, _) = listener::await_answer(stream, LARGEST_CONVERSATION);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    tokio::spawn(connection);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", PROBE_AGENT.clone())
        .body(Full::new(Bytes::from(question(service))))
        .map_err(|e| failed(&e))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let headers = response.headers().clone();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let body = body.map_err(|e| format!("error: health rpc probe failed: {e}"))?;
    let refused = |map: &hyper::HeaderMap| {
        let text = |name: &str| map.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        text("grpc-status")
            .filter(|code| code != "0")
            .map(|code| (code, text("grpc-message").unwrap_or_default()))
    };
    match refused(&headers).or_else(|| body.trailers().and_then(refused)) {
        Some((code, why)) if code == "12" => Err(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {why}"
        )),
        Some((code, why)) => Err(format!("error: health rpc probe failed: code {code}: {why}")),
        None => healthy(&body.to_bytes()),
    }
}

/// One message: not compressed, its length, and `HealthCheckRequest { service = 1 }`.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let length = (message.len() as u32).to_be_bytes();
    [&[0], &length[..], &message].concat()
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// `HealthCheckResponse { status = 1 }`; a field that is not there is zero, UNKNOWN.
fn healthy(body: &[u8]) -> Result<(), String> {
    let message = body.get(5..).unwrap_or_default();
    let status = match message {
        [0x08, status, ..] => u64::from(*status),
        _ => 0,
    };
    let name = match status {
        SERVING => return Ok(()),
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    };
    Err(format!("service unhealthy (responded with {name:?})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use hyper::service::service_fn;
    use hyper::{HeaderMap, Response};
    use tokio::io::AsyncWriteExt;

    /// A server that answers every call so: its message, and the status in the trailers.
    async fn serve(message: &'static [u8], status: &'static str) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| async move {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                let asked = request.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(&asked[..], b"\x00\x00\x00\x00\x05\x0a\x03api");
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", status.parse().unwrap());
                let frames = [
                    Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(message))),
                    Ok(Frame::trailers(trailers)),
                ];
                Ok::<_, std::io::Error>(Response::new(StreamBody::new(futures::stream::iter(frames))))
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
        port
    }

    #[tokio::test]
    async fn what_a_health_service_says() {
        let cases: [(&str, &[u8], &str, Result<(), &str>); 4] = [
            ("serving", b"\x00\x00\x00\x00\x02\x08\x01", "0", Ok(())),
            (
                "not serving",
                b"\x00\x00\x00\x00\x02\x08\x02",
                "0",
                Err("service unhealthy (responded with \"NOT_SERVING\")"),
            ),
            ("unknown", b"\x00\x00\x00\x00\x00", "0", Err("service unhealthy (responded with \"UNKNOWN\")")),
            (
                "no health service",
                b"",
                "12",
                Err(
                    "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ",
                ),
            ),
        ];
        for (name, message, status, want) in cases {
            let port = serve(message, status).await;
            let got = check("127.0.0.1", port, "api", Duration::from_secs(5)).await;
            assert_eq!(got, want.map_err(str::to_owned), "{name}");
        }
    }

    #[tokio::test]
    async fn a_server_of_something_else_is_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // what is sent is not read: the connection stays, and the answer is the first that breaks it
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        let why = check("127.0.0.1", port, "api", Duration::from_secs(60)).await.unwrap_err();
        let general = ["http2: http2 error", "http2: operation was canceled", "deadline"];
        assert!(why.contains(": http2: ") && !general.iter().any(|words| why.contains(words)), "{why}");
    }

    #[tokio::test]
    async fn a_server_that_goes_on_without_an_answer_is_given_up() {
        // no settings, and then one ping after the other
        const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut heard, mut says) = stream.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut heard, &mut tokio::io::sink()).await });
            let _ = says.write_all(&[&SETTINGS[..], &PING.repeat(20_000)].concat()).await;
            std::future::pending::<()>().await;
        });
        let why = check("127.0.0.1", port, "api", Duration::from_secs(60)).await.unwrap_err();
        assert!(!why.contains("deadline"), "{why}");
    }
}
