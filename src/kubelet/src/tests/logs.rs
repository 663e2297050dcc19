use super::rig::{Rig, phase, rig, web};
use bytes::Bytes;
use cri::{CriError, LogOptions, PodContainer};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

type Stream = BoxStream<'static, std::io::Result<Bytes>>;

async fn running(name: &str) -> (Rig, PathBuf) {
    let rig = rig().await;
    rig.run(name, json!({"containers": [web()]})).await;
    rig.until(name, |p| phase(p) == "Running").await;
    let log = rig.runtime.containers()[0].log_path.clone();
    (rig, log)
}

fn say(log: &PathBuf, second: u32, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
    writeln!(file, "2026-01-01T00:00:{second:02}Z stdout F {text}").unwrap();
}

async fn logs(rig: &Rig, options: LogOptions) -> Result<Stream, CriError> {
    let at = PodContainer { namespace: "default".into(), pod: "p".into(), container: String::new() };
    rig.kubelet.access.logs(&at, options).await
}

async fn all(stream: Stream) -> String {
    let pieces: Vec<Bytes> = stream.map(|piece| piece.unwrap()).collect().await;
    String::from_utf8(pieces.concat()).unwrap()
}

#[tokio::test]
async fn what_was_asked_for_is_shown() {
    let (rig, log) = running("p").await;
    for (second, text) in [(1, "one"), (2, "two"), (3, "three")] {
        say(&log, second, text);
    }
    let since = |text: &str| Some(text.parse().unwrap());
    let cases = [
        ("all", LogOptions::default(), "one\ntwo\nthree\n"),
        ("tail", LogOptions { tail_lines: Some(2), ..LogOptions::default() }, "two\nthree\n"),
        ("no tail", LogOptions { tail_lines: Some(0), ..LogOptions::default() }, ""),
        ("since", LogOptions { since: since("2026-01-01T00:00:03Z"), ..LogOptions::default() }, "three\n"),
        ("bytes", LogOptions { limit_bytes: Some(5), ..LogOptions::default() }, "one\nt"),
        (
            "timestamps",
            LogOptions { timestamps: true, tail_lines: Some(1), ..LogOptions::default() },
            "2026-01-01T00:00:03Z three\n",
        ),
    ];
    for (name, options, want) in cases {
        assert_eq!(all(logs(&rig, options).await.unwrap()).await, want, "{name}");
    }
}

#[tokio::test]
async fn a_followed_log_goes_on_over_a_rotation_until_the_container_ends() {
    let (rig, log) = running("p").await;
    say(&log, 1, "one");
    let mut stream = logs(&rig, LogOptions { follow: true, ..LogOptions::default() }).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "one\n");
    say(&log, 2, "two");
    assert_eq!(stream.next().await.unwrap().unwrap(), "two\n");
    say(&log, 3, "last of the old file");
    std::fs::rename(&log, log.with_extension("log.20260101-000000")).unwrap();
    say(&log, 4, "first of the new one");
    let mut seen = String::new();
    while !seen.ends_with("first of the new one\n") {
        seen += std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(seen, "last of the old file\nfirst of the new one\n");
    say(&log, 5, "farewell");
    rig.runtime.end(&rig.runtime.containers()[0].id.clone(), 0);
    assert_eq!(all(stream).await, "farewell\n");
}

#[tokio::test]
async fn the_try_before_is_shown_where_there_was_one() {
    let (rig, log) = running("p").await;
    let previous = || LogOptions { previous: true, ..LogOptions::default() };
    let refused = logs(&rig, previous()).await.err().unwrap();
    assert_eq!(refused.to_string(), "previous terminated container \"web\" in pod \"p\" not found");
    say(&log, 1, "of the first try");
    rig.runtime.end(&rig.runtime.containers()[0].id.clone(), 1);
    rig.until("p", |p| super::rig::container(p, "web").restart_count == 1).await;
    assert_eq!(all(logs(&rig, previous()).await.unwrap()).await, "of the first try\n");
    assert_eq!(all(logs(&rig, LogOptions::default()).await.unwrap()).await, "");
}

#[tokio::test]
async fn what_does_not_run_is_refused_in_upstreams_words() {
    let rig = rig().await;
    rig.run("p", json!({"containers": [{"name": "web", "image": "missing:1"}]})).await;
    rig.until("p", |p| {
        !super::rig::waiting(p, "web").is_empty() && super::rig::waiting(p, "web") != "ContainerCreating"
    })
    .await;
    let refused = logs(&rig, LogOptions::default()).await.err().unwrap().to_string();
    assert_eq!(
        refused,
        "container \"web\" in pod \"p\" is waiting to start: trying and failing to pull image"
    );
    let at = PodContainer { namespace: "default".into(), pod: "p".into(), container: "web".into() };
    let refused = rig.kubelet.access.exec(&at, cri::ExecConfig::default()).await.err().unwrap();
    assert_eq!(refused.to_string(), "container not found (\"web\")");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_grew_too_large_is_rotated() {
    let (rig, log) = running("p").await;
    say(&log, 1, &"x".repeat(11 << 20));
    for _ in 0..100 {
        // whichever write comes after the watch is noticed, and looked at ten seconds later
        say(&log, 2, "more");
        tokio::time::sleep(Duration::from_secs(11)).await;
        if rig.runtime.calls().contains(&"reopen".to_owned()) {
            break;
        }
    }
    assert!(rig.runtime.calls().contains(&"reopen".to_owned()));
    let files = std::fs::read_dir(log.parent().unwrap()).unwrap().count();
    assert_eq!(files, 2);
    assert!(std::fs::metadata(&log).unwrap().len() < 1000, "the new file is a small one");
}

#[tokio::test]
async fn what_was_rotated_away_is_still_part_of_the_log() {
    let (rig, log) = running("p").await;
    for (second, text) in [(1, "one"), (2, "two"), (3, "three"), (4, "four"), (5, "five")] {
        say(&log, second, text);
        if second == 2 || second == 4 {
            std::fs::rename(&log, log.with_extension(format!("log.20260101-00000{second}"))).unwrap();
        }
    }
    let tail = |count| LogOptions { tail_lines: Some(count), ..LogOptions::default() };
    let cases = [
        ("all", LogOptions::default(), "one\ntwo\nthree\nfour\nfive\n"),
        ("of the newest file", tail(1), "five\n"),
        ("of two", tail(2), "four\nfive\n"),
        ("a whole file", tail(3), "three\nfour\nfive\n"),
        ("of three", tail(4), "two\nthree\nfour\nfive\n"),
        ("more than there are", tail(9), "one\ntwo\nthree\nfour\nfive\n"),
    ];
    for (name, options, want) in cases {
        assert_eq!(all(logs(&rig, options).await.unwrap()).await, want, "{name}");
    }
}
