//! Clients that connect and do not behave: they say nothing, take nothing, flood, or speak HTTP that can be read in two ways.
//! Whoever behaves must not notice.

mod common;

use common::{Answer, Server, Who, give_back_memory, limit_memory, many_files, memory};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A client of good will, on a connection of its own.
async fn gets_in(server: &Server, when: &str) {
    let begun = Instant::now();
    let answer = server.ask(Who::Admin, &format!("GET {MAPS}"), &[], b"").await;
    assert_eq!(answer.code, 200, "{when}");
    // a stranger's place is his for ten seconds, and this one has not waited for it
    assert!(begun.elapsed() < Duration::from_secs(9), "{when}: {:?}", begun.elapsed());
}

/// Whether the server has ended the connection.
async fn is_over(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut some = [0; 64];
    let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut some)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_silent_connections_lock_nobody_out() {
    many_files();
    let server = Server::start().await;
    let mut half_open = Vec::new();
    for _ in 0..2000 {
        half_open.push(TcpStream::connect(server.address).await.unwrap());
    }
    gets_in(&server, "beside half-open ones").await;
    let (tls, mut silent) = (server.tls(Who::Anonymous, "h2"), Vec::new());
    for _ in 0..600 {
        silent.push(server.connect_with(&tls).await.unwrap());
    }
    gets_in(&server, "beside silent ones").await;
    assert!(!is_over(silent.last_mut().unwrap()).await);
    // the oldest made room; the end of one may come a moment later
    let (begun, mut over) = (Instant::now(), 0);
    while over < 1400 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{over} of 1500 were ended");
        over = 0;
        for stream in half_open.iter_mut().take(1500) {
            over += usize::from(is_over(stream).await);
        }
    }

    // who is known stays, whatever comes after him
    let mut known = server.connect(Who::Nobody).await;
    let token = {
        let root = server.cluster.acting_as(cluster::Actor::root());
        root.create_token("default", "default", cluster::TokenRequestParams::default()).unwrap().token
    };
    let mut bearer = server.connect(Who::Anonymous).await;
    let ask = format!("GET /version HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    bearer.write_all(ask.as_bytes()).await.unwrap();
    assert!(bearer.read(&mut [0; 4096]).await.unwrap() > 0);
    for _ in 0..1000 {
        half_open.push(TcpStream::connect(server.address).await.unwrap());
    }
    gets_in(&server, "beside more").await;
    assert!(!is_over(&mut known).await && !is_over(&mut bearer).await);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// `GET / https` and an authority, from the static table (RFC 7541, appendix A).
const HEAD: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'a'];

/// The frames of this kind that the server sends until it ends the connection, or a second is over.
async fn heard(mut stream: impl tokio::io::AsyncRead + Unpin, kind: u8) -> usize {
    let mut count = 0;
    let _ = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return;
            }
            count += usize::from(head[3] == kind);
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if stream.read_exact(&mut vec![0; length]).await.is_err() {
                return;
            }
        }
    })
    .await;
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_http_2_end_their_connection_and_nothing_else() {
    limit_memory();
    let server = Server::start().await;
    let mut resets = Vec::new();
    let mut unfinished = frame(HEADERS, 0, 1, HEAD);
    for n in 0..5000_u32 {
        resets.extend(frame(HEADERS, 5, 2 * n + 1, HEAD));
        resets.extend(frame(RESET, 0, 2 * n + 1, &8_u32.to_be_bytes()));
        // a header field that is not indexed, of 8 kB, and never the last
        let field = [&[0, 1, b'x', 0x7f, 0x81, 0x3f][..], &[b'y'; 8192]].concat();
        unfinished.extend(frame(CONTINUATION, 0, 1, &field));
    }
    let pings: Vec<u8> = (0..200_000).flat_map(|_| frame(6, 0, 0, &[0; 8])).collect();
    for (name, flood, ends) in
        [("resets", resets, true), ("a head without an end", unfinished, true), ("pings", pings, false)]
    {
        let stream = server.connect_with(&server.tls(Who::Anonymous, "h2")).await.unwrap();
        let (reader, mut writer) = tokio::io::split(stream);
        let flooding = tokio::spawn(async move {
            let start = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
            let _ = writer.write_all(&start).await;
            let _ = writer.write_all(&flood).await;
            let _ = writer.flush().await;
            writer
        });
        gets_in(&server, name).await;
        if ends {
            let goodbyes = heard(reader, GO_AWAY).await;
            assert!(goodbyes >= 1, "{name}: the connection goes on");
        }
        flooding.abort();
        gets_in(&server, name).await;
    }
    assert!(memory("RssAnon") < 300 * 1024 * 1024);
}

/// What made an answer is gone when it waits for its client, who may open a hundred streams on each connection and no window.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_cost_little_and_end_their_connection() {
    const STREAMS: u32 = 100;
    const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];
    many_files();
    let server = Server::start().await;
    let tls = server.tls(Who::Anonymous, "h2");
    let before = memory("RssAnon");
    let mut open = Vec::new();
    for _ in 0..30 {
        let mut stream = server.connect_with(&tls).await.unwrap();
        let mut sent = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, NO_WINDOW)].concat();
        (0..STREAMS).for_each(|n| sent.extend(frame(HEADERS, 5, 2 * n + 1, HEAD)));
        stream.write_all(&sent).await.unwrap();
        open.push(stream);
    }
    for stream in &mut open {
        let mut heads = 0;
        while heads < STREAMS {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            heads += u32::from(head[3] == HEADERS);
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            stream.read_exact(&mut vec![0; length]).await.unwrap();
        }
    }
    // what made the answers is free again, and not yet the kernel's
    give_back_memory();
    let grown = memory("RssAnon").saturating_sub(before);
    assert!(grown < 75 * 1024 * 1024, "{grown} for 3000 answers");
    for mut stream in open {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    gets_in(&server, "afterwards").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_never_read_cost_little_and_hold_up_nobody() {
    many_files();
    limit_memory();
    let server = Server::start().await;
    let tls = server.tls(Who::Admin, "http/1.1");
    let mut watchers = Vec::new();
    for _ in 0..500 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let socket = socket.connect(server.address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let mut watcher = tls.connect(name, socket).await.unwrap();
        let ask = format!("GET {MAPS}?watch=true HTTP/1.1\r\nHost: a\r\n\r\n");
        watcher.write_all(ask.as_bytes()).await.unwrap();
        watchers.push(watcher);
    }
    let begun = Instant::now();
    for n in 0..60 {
        let map = json!({"metadata": {"name": format!("m{n}")}, "data": {"k": "x".repeat(50_000)}});
        let answer = server.post(Who::Admin, MAPS, "application/json", map.to_string().as_bytes()).await;
        assert_eq!(answer.code, 201);
    }
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
    gets_in(&server, "beside watchers").await;
    let used = memory("RssAnon");
    assert!(used < 400 * 1024 * 1024, "{used}");
}

/// Codes of all answers on one connection, to its end: of so many for certain, and of those that come a moment later.
async fn codes(server: &Server, sent: &[u8], certain: usize) -> Vec<u16> {
    const NEVER: Duration = Duration::from_secs(60);
    const A_MOMENT: Duration = Duration::from_millis(700);
    let mut stream = server.connect(Who::Admin).await;
    stream.write_all(sent).await.unwrap();
    let _ = stream.flush().await;
    let codes_in = |said: &[u8]| -> Vec<u16> {
        let said = String::from_utf8_lossy(said);
        said.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)?.parse().ok()).collect()
    };
    let (mut said, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let codes = codes_in(&said);
        let patience = if codes.len() < certain { NEVER } else { A_MOMENT };
        match tokio::time::timeout(patience, stream.read(&mut part)).await {
            Ok(Ok(read @ 1..)) => said.extend_from_slice(&part[..read]),
            _ => return codes,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_can_not_hide_another() {
    let server = Server::start().await;
    let hidden = "DELETE /api/v1/namespaces/default HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = |headers: &str, body: &str| {
        format!("POST {MAPS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
    };
    for (name, sent, want) in [
        (
            "plainly two",
            format!("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n{}", "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"),
            &[200, 200][..],
        ),
        (
            "two lengths",
            post("Content-Length: 2\r\nContent-Length: 60\r\n", &format!("{{}}{hidden}")),
            &[400],
        ),
        ("two lengths in one", post("Content-Length: 2, 60\r\n", &format!("{{}}{hidden}")), &[400]),
        ("a length with a sign", post("Content-Length: +2\r\n", &format!("{{}}{hidden}")), &[400]),
        ("a length that is none", post("Content-Length: 2x\r\n", &format!("{{}}{hidden}")), &[400]),
        ("a space before the colon", post("Content-Length : 2\r\n", &format!("{{}}{hidden}")), &[400]),
        ("an encoding that is none", post("Transfer-Encoding: xchunked\r\n", hidden), &[400]),
        (
            "chunks that are not the last encoding",
            post("Transfer-Encoding: chunked, identity\r\n", hidden),
            &[400],
        ),
        ("a tab in the encoding's name", post("Transfer-Encoding\t: chunked\r\n", hidden), &[400]),
        (
            "chunks of an older client",
            post("Transfer-Encoding: chunked\r\n", hidden).replacen("1.1", "1.0", 1),
            &[400],
        ),
        (
            "a chunk that is too large to be",
            post("Transfer-Encoding: chunked\r\n", &format!("fffffffffffffffff\r\n{hidden}")),
            &[400],
        ),
        (
            "a chunk's size that is none",
            post("Transfer-Encoding: chunked\r\n", &format!("0x2\r\n{{}}\r\n0\r\n\r\n{hidden}")),
            &[400],
        ),
        ("a folded line", post("X-A: b\r\n Content-Length: 2\r\n", hidden), &[400]),
        ("a zero in a line", post("X-A: b\0\r\n", hidden), &[400]),
        ("no host", "GET /livez \r\n\r\n".to_owned() + hidden, &[400]),
    ] {
        let got = codes(&server, sent.as_bytes(), want.len()).await;
        assert_eq!(got, want, "{name}");
    }
    // of two lengths the chunks count, and the connection ends with the answer: nothing that follows is heard
    let both = post(
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "2\r\n{}\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(codes(&server, both.as_bytes(), 1).await, [422]);
    let namespace = server.ask(Who::Admin, "GET /api/v1/namespaces/default", &[], b"").await;
    assert_eq!(namespace.json()["status"]["phase"], "Active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_reads_why_while_he_still_sends() {
    let server = Server::start().await;
    let body = vec![b' '; 200_000];
    for (who, code) in [(Who::Nobody, 403), (Who::Anonymous, 403)] {
        let mut stream = server.connect(who).await;
        let head = format!(
            "POST {MAPS} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in body.chunks(20_000) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
        }
        assert_eq!(Answer::read(stream).await.code, code, "{who:?}");
    }
}

#[tokio::test]
async fn a_tunnel_is_no_request_for_anything() {
    let server = Server::start().await;
    let answer = server.ask(Who::Anonymous, "CONNECT a:1", &[], b"").await;
    assert_eq!(answer.code, 405, "{}", answer.head);
    gets_in(&server, "afterwards").await;
}

/// What a client has asked for and does not read is his as long as he has seats for it.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_keeps_his_seats_and_gets_no_more() {
    let server = Server::start().await;
    let big = "x".repeat(500_000);
    for number in 0..60 {
        let map = json!({"metadata": {"name": format!("m{number}")}, "data": {"k": big}}).to_string();
        let path = "/api/v1/namespaces/default/configmaps";
        assert_eq!(server.post(Who::Admin, path, "application/json", map.as_bytes()).await.code, 201);
    }
    let rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let subject = json!([{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]);
    let role =
        json!({"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"});
    let binding = json!({"metadata": {"name": "jane"}, "subjects": subject, "roleRef": role}).to_string();
    assert_eq!(server.post(Who::Admin, rbac, "application/json", binding.as_bytes()).await.code, 201);
    let head = "GET /api/v1/configmaps HTTP/1.1\r\nHost: localhost\r\nImpersonate-User: jane\r\nConnection: close\r\n\r\n";
    let taken = async || -> u32 {
        let metrics = server.ask(Who::Admin, "GET /metrics", &[], b"").await.body;
        let line = "apiserver_flowcontrol_current_executing_seats{priority_level=\"global-default\"} ";
        metrics.lines().find_map(|told| told.strip_prefix(line)?.parse().ok()).unwrap_or(0)
    };
    // it has its own seats and no others
    let level = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/global-default";
    let alone = json!({"spec": {"limited": {"borrowingLimitPercent": 0}}}).to_string();
    let patch =
        async || server.patch(Who::Admin, level, "application/merge-patch+json", alone.as_bytes()).await;
    while patch().await.code != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let own = "apiserver_flowcontrol_upper_limit_seats{priority_level=\"global-default\"} 49";
    while !server.ask(Who::Admin, "GET /metrics", &[], b"").await.body.lines().any(|told| told == own) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // until the role is known: a list of 30 MB takes as many seats
    let mut first = server.connect(Who::Admin).await;
    first.write_all(head.as_bytes()).await.unwrap();
    while taken().await < 28 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if taken().await == 0 {
            first = server.connect(Who::Admin).await;
            first.write_all(head.as_bytes()).await.unwrap();
        }
    }
    // the level has seats for one of them, and not for two
    let mut second = server.connect(Who::Admin).await;
    second.write_all(head.as_bytes()).await.unwrap();
    let mut byte = [0; 1];
    let read = tokio::time::timeout(Duration::from_secs(1), second.read(&mut byte)).await;
    assert!(read.is_err(), "it waits");
    drop(first);
    assert_eq!(second.read(&mut byte).await.unwrap(), 1, "and is answered when the first has gone");
    drop(second);
    while taken().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_so_many_large_bodies_on_their_way_and_no_more() {
    let server = Server::start().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let subject = json!([{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}]);
    let role =
        json!({"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"});
    let binding = json!({"metadata": {"name": "nobody"}, "subjects": subject, "roleRef": role}).to_string();
    assert_eq!(server.post(Who::Admin, rbac, "application/json", binding.as_bytes()).await.code, 201);
    while server.ask(Who::Nobody, &format!("GET {MAPS}"), &[], b"").await.code != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let head = format!(
        "POST {MAPS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    );
    let (mut sending, part) = (Vec::new(), vec![b' '; 100_000]);
    for _ in 0..40 {
        let mut stream = server.connect(Who::Nobody).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&part).await.unwrap();
        stream.flush().await.unwrap();
        sending.push(stream);
    }
    let mut refused = Vec::new();
    while refused.len() < 8 {
        let mut still = Vec::new();
        for mut stream in sending {
            let mut said = [0; 12];
            match tokio::time::timeout(Duration::from_millis(5), stream.read_exact(&mut said)).await {
                Ok(read) => refused.push(read.map(|_| String::from_utf8_lossy(&said).into_owned()).unwrap()),
                Err(_) => still.push(stream),
            }
        }
        sending = still;
    }
    assert!(refused.iter().all(|said| said == "HTTP/1.1 429"), "{refused:?}");
    assert_eq!(sending.len(), 32);
    let beside = server.post(Who::Nobody, MAPS, "application/json", br#"{"metadata": {"name": "a"}}"#).await;
    assert_eq!(beside.code, 201, "a small one is another matter");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_so_many_streams_open_and_no_more() {
    many_files();
    let server = Server::start().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let subject = json!([{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}]);
    let role =
        json!({"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"});
    let binding = json!({"metadata": {"name": "nobody"}, "subjects": subject, "roleRef": role}).to_string();
    assert_eq!(server.post(Who::Admin, rbac, "application/json", binding.as_bytes()).await.code, 201);
    let ask = format!(
        "GET {MAPS}?watch=true HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    let (nobody, admin) = (server.tls(Who::Nobody, "http/1.1"), server.tls(Who::Admin, "http/1.1"));
    let open = async |tls: &tokio_rustls::TlsConnector| {
        let mut stream = server.connect_with(tls).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).await.unwrap();
        (stream, String::from_utf8_lossy(&head[..read]).into_owned())
    };
    let mut streams = Vec::new();
    for number in 0..500 {
        let (stream, head) = open(&nobody).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{number}: {head}");
        streams.push(stream);
    }
    let (_, refused) = open(&nobody).await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.to_lowercase().contains("\r\nretry-after: 1\r\n"), "{refused}");
    let (_, of_another) = open(&admin).await;
    assert!(of_another.starts_with("HTTP/1.1 101"), "{of_another}");
    // requests are no streams, and one stream that ends lets in another
    assert_eq!(server.ask(Who::Nobody, &format!("GET {MAPS}"), &[], b"").await.code, 200);
    streams.pop();
    let begun = Instant::now();
    while !open(&nobody).await.1.starts_with("HTTP/1.1 101") {
        assert!(begun.elapsed() < Duration::from_secs(10), "its place is not free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
