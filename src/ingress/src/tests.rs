//! Requests as they come over the wire, to two pods that say what they heard.

use crate::listen::serve_port;
use crate::table::{Shared, Table};
use k8s_openapi::api::networking::v1::Ingress;
use listener::Seats;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Answers each request with its name and the request's own head.
async fn pod(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = vec![0; 64 * 1024];
                let mut length = 0;
                while !heard[..length].windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut heard[length..]).await {
                        Ok(read @ 1..) => length += read,
                        _ => return,
                    }
                }
                let body = format!("{name}: {}", String::from_utf8_lossy(&heard[..length]));
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes()).await;
                // what the request still has is read, or the answer would be lost
                while let Ok(1..) = stream.read(&mut heard).await {}
            });
        }
    });
    address
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Begun,
    BrokenOff,
}

/// Answers when a request's body says `go`, with a change of the protocol where that is what was asked. Tells what becomes of requests.
async fn waiting_pod() -> (SocketAddr, mpsc::UnboundedReceiver<Told>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let (mut heard, mut is_told) = (Vec::<u8>::new(), false);
                while !heard.trim_ascii_end().ends_with(b"go") {
                    if !matches!(stream.read_buf(&mut heard).await, Ok(1..)) {
                        let _ = tell.send(Told::BrokenOff);
                        return;
                    }
                    if !is_told && heard.windows(4).any(|end| end == b"\r\n\r\n") {
                        is_told = true;
                        let text = String::from_utf8_lossy(&heard).to_ascii_lowercase();
                        if text.contains("upgrade: websocket") {
                            let changed = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                            let _ = stream.write_all(changed.as_bytes()).await;
                        }
                        let _ = tell.send(Told::Begun);
                    }
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwent").await;
            });
        }
    });
    (address, told)
}

/// `/public` of a.example leads to one pod, all else to the other.
async fn serve() -> (SocketAddr, DropGuard) {
    let pods = [("public", pod("public").await), ("admin", pod("admin").await)];
    lead_to(pods, Shared::default()).await
}

async fn lead_to(pods: [(&str, SocketAddr); 2], shared: Shared) -> (SocketAddr, DropGuard) {
    let mut services = Vec::new();
    for (name, at) in pods {
        let service =
            json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}});
        let slice = json!({"metadata": {}, "addressType": "IPv4", "ports": [{"port": at.port()}],
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}]});
        services.push((serde_json::from_value(service).unwrap(), serde_json::from_value(slice).unwrap()));
    }
    let path = |path: &str, to: &str| json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": to, "port": {"number": 80}}}});
    let ingress = json!({"metadata": {"name": "i", "namespace": "shop"}, "spec": {
        "rules": [{"host": "a.example", "http": {"paths": [path("/public", "public"), path("/", "admin")]}}]}});
    let ingress: Ingress = serde_json::from_value(ingress).unwrap();
    let shared = Arc::new(shared);
    shared.table.store(Arc::new(Table::for_tests(&[Arc::new(ingress)], services)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve_port(listener, 80, None, shared, stop.clone()));
    (address, stop.drop_guard())
}

/// All that comes back.
async fn said(to: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let read = stream.read_to_end(&mut said);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(10), read).await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn what_was_matched_is_what_the_pod_reads() {
    let (at, _stop) = serve().await;
    for (asked, want) in [
        ("/public/x?y=/../z", "public: GET /public/x?y=/../z HTTP/1.1"),
        ("/public/../admin", "admin: GET /admin HTTP/1.1"),
        ("/public/%2e%2e/admin", "admin: GET /admin HTTP/1.1"),
        ("/%70ublic/a", "public: GET /public/a HTTP/1.1"),
        ("//public/a", "public: GET //public/a HTTP/1.1"),
        ("/publicity", "admin: GET /publicity HTTP/1.1"),
        ("/public/..%2fadmin", "HTTP/1.1 400"),
        ("/public//../admin", "HTTP/1.1 400"),
        ("/public/..\\admin", "HTTP/1.1 400"),
    ] {
        let answer =
            said(at, &format!("GET {asked} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.contains(want), "{asked}: {answer}");
    }
}

/// What has no place in a path is three letters for the pod. It heard of `/`, which may be another's, where that became too long.
#[tokio::test]
async fn a_path_that_becomes_too_long_leads_nowhere() {
    let (at, _stop) = serve().await;
    for (quotes, want) in [(10_000, "public: GET /public/%22%22"), (30_000, "HTTP/1.1 414")] {
        let path = format!("/public/{}", "\"".repeat(quotes));
        let answer =
            said(at, &format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.contains(want), "{quotes}: {}", answer.get(..200).unwrap_or(&answer));
    }
}

#[tokio::test]
async fn a_request_does_not_come_by_for_ever() {
    let (at, _stop) = serve().await;
    for (before, want) in [(0, "admin: GET /"), (7, "admin: GET /"), (8, "HTTP/1.1 508")] {
        let passed = "CDN-Loop: monopod\r\n".repeat(before);
        let answer =
            said(at, &format!("GET / HTTP/1.1\r\nHost: a.example\r\n{passed}Connection: close\r\n\r\n"))
                .await;
        assert!(answer.contains(want), "{before}: {answer}");
        let told = answer.matches("cdn-loop: monopod").count();
        assert_eq!(told, if before < 8 { before + 1 } else { 0 }, "{answer}");
    }
}

#[tokio::test]
async fn a_body_reaches_the_pod_whatever_the_method_is() {
    let (waiting, mut told) = waiting_pod().await;
    let (at, _stop) = lead_to([("public", waiting), ("admin", waiting)], Shared::default()).await;
    for (name, framing) in [
        ("chunks", "Transfer-Encoding: chunked\r\n\r\n4\r\n--go\r\n"),
        ("a length", "Content-Length: 4\r\n\r\n--go"),
    ] {
        for method in ["GET", "POST"] {
            let request = format!("{method} / HTTP/1.1\r\nHost: a.example\r\n{framing}");
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            assert_eq!(told.recv().await, Some(Told::Begun), "{method}, {name}");
            let mut answer = Vec::<u8>::new();
            while !answer.ends_with(b"went") {
                let read =
                    tokio::time::timeout(std::time::Duration::from_secs(10), stream.read_buf(&mut answer));
                assert!(matches!(read.await, Ok(Ok(1..))), "{method}, {name}: {}", answer.escape_ascii());
            }
        }
    }
}

#[tokio::test]
async fn a_request_is_for_one_host_and_has_one_length() {
    let (at, _stop) = serve().await;
    let host = "Host: a.example\r\nConnection: close\r\n";
    for (name, request, want) in [
        ("plain", format!("GET / HTTP/1.1\r\n{host}\r\n"), "admin: GET / HTTP/1.1"),
        (
            "with a port and a dot",
            "GET / HTTP/1.1\r\nHost: A.example.:80\r\nConnection: close\r\n\r\n".to_owned(),
            "admin: GET /",
        ),
        ("two hosts", format!("GET / HTTP/1.1\r\n{host}Host: b.example\r\n\r\n"), "HTTP/1.1 400"),
        ("the same host twice", format!("GET / HTTP/1.1\r\n{host}Host: a.example\r\n\r\n"), "HTTP/1.1 400"),
        ("another host in the line", format!("GET http://b.example/ HTTP/1.1\r\n{host}\r\n"), "HTTP/1.1 400"),
        ("no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        (
            "two lengths",
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy"),
            "HTTP/1.1 400",
        ),
        (
            "two encodings",
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            "HTTP/1.1 400",
        ),
        (
            "an encoding that is none",
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n"),
            "HTTP/1.1 400",
        ),
        ("a tunnel", format!("CONNECT a.example:80 HTTP/1.1\r\n{host}\r\n"), "HTTP/1.1 400"),
    ] {
        let answer = said(at, &request).await;
        assert!(answer.contains(want), "{name}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 200") || !answer.contains("admin:"), "{name}: {answer}");
    }
    // of a length and chunks the chunks count, and the pod hears of nothing else
    let both = format!(
        "POST / HTTP/1.1\r\n{host}Content-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    );
    let heard = said(at, &both).await.to_ascii_lowercase();
    let (_, heard) = heard.split_once("admin:").unwrap();
    assert!(heard.contains("transfer-encoding: chunked") && !heard.contains("content-length"), "{heard}");
}

#[tokio::test]
async fn silent_connections_lock_nobody_out() {
    let most = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: most.map(|most| most.min(8192)).or(Some(8192)), maximum: most };
    setrlimit(Resource::Nofile, limit).unwrap();
    let (at, _stop) = serve().await;
    let mut silent = Vec::new();
    for _ in 0..1500 {
        silent.push(TcpStream::connect(at).await.unwrap());
    }
    let answer = said(at, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("admin: GET /"), "{answer}");
    let mut first = [0];
    let read = tokio::time::timeout(std::time::Duration::from_secs(5), silent[0].read(&mut first)).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "the oldest made room");
}

async fn connected_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::from(from), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn who_keeps_the_most_requests_open_loses_his_oldest() {
    let (waiting, mut told) = waiting_pod().await;
    let shared = Shared { open: Seats::new(4), ..Shared::default() };
    let open = shared.open.clone();
    let (at, _stop) = lead_to([("public", pod("public").await), ("admin", waiting)], shared).await;
    let (alice, mallory) = ([127, 0, 0, 2], [127, 0, 0, 1]);
    let upload = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n-";
    let tunnel = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut streams = Vec::new();
    // there is room for a lone user's, whatever they are
    for (from, request) in [(alice, upload), (alice, tunnel), (mallory, upload), (mallory, tunnel)] {
        let mut stream = connected_from(from, at).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(told.recv().await, Some(Told::Begun));
        streams.push(stream);
    }
    assert_eq!(open.taken(), 4);
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut stream = connected_from(mallory, at).await;
        stream.write_all(upload.as_bytes()).await.unwrap();
        let mut news = [told.recv().await, told.recv().await];
        news.sort_by_key(|news| *news == Some(Told::BrokenOff));
        assert_eq!(news, [Some(Told::Begun), Some(Told::BrokenOff)]);
        assert_eq!(open.taken(), 4);
        others.push(stream);
    }
    for stream in streams[2..].iter_mut().chain(&mut others[..1]) {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains("went"), "it was cut off");
    }
    for stream in &mut streams[..2] {
        let mut answer = Vec::<u8>::new();
        stream.write_all(b"go").await.unwrap();
        while !answer.ends_with(b"went") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "{}", answer.escape_ascii());
        }
    }
}

#[tokio::test]
async fn a_connection_becomes_a_websocket_and_nothing_else() {
    let (at, _stop) = serve().await;
    let ask = |headers: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a.example\r\n{headers}Connection: close\r\n\r\n");
        async move { said(at, &request).await }
    };
    let settings = "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n";
    let heard = ask(&format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n{settings}")).await;
    let heard = heard.to_ascii_lowercase();
    let (_, heard) = heard.split_once("admin:").unwrap();
    assert!(
        !heard.contains("upgrade") && !heard.contains("h2c") && !heard.contains("http2-settings"),
        "{heard}"
    );
    let heard = ask("Connection: Upgrade\r\nUpgrade: WebSocket\r\n").await.to_ascii_lowercase();
    let (_, heard) = heard.split_once("admin:").unwrap();
    assert!(heard.contains("upgrade: websocket"), "{heard}");
}

#[tokio::test]
async fn the_head_of_an_answer_has_an_end() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = [0; 4096];
            let length = stream.read(&mut heard).await.unwrap();
            let line = format!("x: {}\r\n", "y".repeat(8000));
            // what is longer never ends
            let (lines, end) = match heard[..length].starts_with(b"GET /public") {
                true => (4, "content-length: 2\r\n\r\nok"),
                false => (9, ""),
            };
            let answer = format!("HTTP/1.1 200 OK\r\n{}{end}", line.repeat(lines));
            let _ = stream.write_all(answer.as_bytes()).await;
            kept.push(stream);
        }
    });
    let (at, _stop) = lead_to([("public", address), ("admin", address)], Shared::default()).await;
    for (path, want) in [("/public", "HTTP/1.1 200"), ("/", "HTTP/1.1 502")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
        let answer = said(at, &request).await;
        assert!(answer.starts_with(want), "{path}: {}", answer.get(..200).unwrap_or(&answer));
    }
}

#[tokio::test]
async fn nobody_is_told_of_a_protocol_that_he_did_not_ask_for() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = [0; 4096];
            let _ = stream.read(&mut heard).await;
            let changed = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
            let _ = stream.write_all(changed.as_bytes()).await;
        }
    });
    let (at, _stop) = lead_to([("public", address), ("admin", address)], Shared::default()).await;
    let answer = said(at, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502") && !answer.contains("200 OK"), "{answer}");
}
