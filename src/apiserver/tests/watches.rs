//! How a watch begins: what is refused, and what is told as an event instead.

mod common;

use common::{Answer, Server, Who};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/// A server that has forgotten all events up to now.
async fn forgetful() -> Server {
    let server = Server::start().await;
    server.config_map("one").await;
    server.config_map("two").await;
    let store = server.cluster.store();
    store.forget_events(store.revision());
    server
}

#[tokio::test]
async fn a_revision_that_is_too_old_is_told_as_an_event() {
    let server = forgetful().await;
    let line = format!("GET {MAPS}?watch=true&resourceVersion=1");
    let answer = server.ask(Who::Admin, &line, &[], b"").await;
    assert_eq!(answer.code, 200, "{}", answer.body);
    let event = answer.body.lines().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let event = event.expect("an event");
    let told =
        (&event["type"], &event["object"]["kind"], &event["object"]["code"], &event["object"]["reason"]);
    assert_eq!(format!("{told:?}"), r#"(String("ERROR"), String("Status"), Number(410), String("Expired"))"#);
    let answer = server.ask(Who::Admin, &line, &[("Accept", PROTOBUF)], b"").await;
    assert!(answer.code == 200 && answer.head.contains(";stream=watch"), "{}", answer.head);
    assert!(answer.body.contains("ERROR") && answer.body.contains("too old resource version: 1 ("));
}

#[tokio::test]
async fn the_last_that_a_watch_tells_is_how_far_it_has_come() {
    let server = Server::start().await;
    server.config_map("one").await;
    for (query, kinds) in [("", ["ADDED"].as_slice()), ("&allowWatchBookmarks=true", &["ADDED", "BOOKMARK"])]
    {
        let line = format!("GET {MAPS}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Done{query}");
        let answer = server.ask(Who::Admin, &line, &[], b"").await;
        // without the sizes of chunks between them
        let events: Vec<serde_json::Value> = answer
            .body
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|it: &serde_json::Value| it.is_object())
            .collect();
        let told: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!(told, kinds, "{}", answer.body);
        let last = &events.last().unwrap()["object"];
        assert!(last["metadata"]["resourceVersion"].is_string() && last["kind"] == "ConfigMap", "{last}");
    }
}

/// The answer to a handshake, with the frames of what is told after it until the server closes.
async fn handshake(server: &Server, who: Who, path: &str) -> Answer {
    let mut stream = server.connect(who).await;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}\r\n").as_bytes())
        .await
        .unwrap();
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    let is_enough = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        // whoever may watch hears of both objects, or why not; a refusal is whole with its brace
        text.contains("ERROR") || text.matches("ADDED").count() == 2 || text.trim_end().ends_with('}')
    };
    while !is_enough(&bytes) {
        match stream.read(&mut part).await {
            Ok(read) if read > 0 => bytes.extend(&part[..read]),
            _ => break,
        }
    }
    Answer::read(bytes.as_slice()).await
}

#[tokio::test]
async fn a_watch_in_a_socket_is_refused_before_the_handshake() {
    let server = forgetful().await;
    let cases = [
        ("may watch", Who::Admin, format!("{MAPS}?watch=true"), 101, "ADDED"),
        ("an old revision", Who::Admin, format!("{MAPS}?watch=true&resourceVersion=1"), 101, "Expired"),
        ("may not", Who::Nobody, format!("{MAPS}?watch=true"), 403, "cannot watch resource"),
        ("no such kind", Who::Admin, "/api/v1/nothings?watch=true".to_owned(), 404, "NotFound"),
        (
            "no selector",
            Who::Admin,
            format!("{MAPS}?watch=true&labelSelector=a%3D%3D%3Db"),
            400,
            "BadRequest",
        ),
    ];
    for (name, who, path, code, words) in cases {
        let answer = handshake(&server, who, &path).await;
        assert_eq!(answer.code, code, "{name}: {} {}", answer.head, answer.body);
        assert!(answer.body.contains(words), "{name}: {}", answer.body);
    }
}
