//! Names of others, asked of a server that the test plays.

mod common;

use common::server::{LOOPBACK, lines, play, reply, server};
use common::{line, name, question, web};
use dns::Upstream;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, RecordType};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::UdpSocket;

#[tokio::test]
async fn other_names_are_asked_of_the_upstream_once_and_the_clusters_never() {
    let (address, asked) =
        play(|question, _| vec![reply(&question, ResponseCode::NoError, &[[192, 0, 2, 1]])]).await;
    let server = server(web(), Upstream::Servers(vec![address])).await;
    let outside = question("www.Example.com.", RecordType::A);
    for text in ["www.Example.com.", "WWW.example.com."] {
        let answer = server.udp(&question(text, RecordType::A)).await;
        assert_eq!(answer.answers[0].name.to_ascii(), text, "the case of the question, also from the cache");
        assert!(!answer.metadata.authoritative);
    }
    assert_eq!(lines(&server.tcp(&[outside]).await[0]).len(), 1);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for ours in ["nothing.cluster.local.", "9.9.96.10.in-addr.arpa.", "1.0.244.10.in-addr.arpa."] {
        let answer = server.udp(&question(ours, RecordType::PTR)).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{ours}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn many_who_ask_the_same_wait_for_one_question() {
    let (release, held) = tokio::sync::watch::channel(false);
    let udp = UdpSocket::bind(LOOPBACK).await.unwrap();
    let upstream = Upstream::Servers(vec![udp.local_addr().unwrap()]);
    let server = Arc::new(server(web(), upstream).await);
    let upstream = tokio::spawn(async move {
        let mut buffer = [0; 1500];
        let (length, client) = udp.recv_from(&mut buffer).await.unwrap();
        held.clone().wait_for(|released| *released).await.unwrap();
        let question = Message::from_vec(&buffer[..length]).unwrap();
        let answer = reply(&question, ResponseCode::NoError, &[[192, 0, 2, 1]]);
        udp.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
        // a second question would be answered by nobody, and the clients below would see SERVFAIL
    });
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { server.udp(&question("one.example.", RecordType::A)).await })
        })
        .collect();
    release.send_replace(true);
    for client in clients {
        let answer = client.await.unwrap();
        assert_eq!(lines(&answer).first().unwrap(), "one.example. A 192.0.2.1");
    }
    upstream.await.unwrap();
}

#[tokio::test]
async fn an_external_name_is_followed_outside_and_inside() {
    let (address, _) =
        play(|question, _| vec![reply(&question, ResponseCode::NoError, &[[192, 0, 2, 9]])]).await;
    let server = server(web(), Upstream::Servers(vec![address])).await;
    let table: [(&str, RecordType, &[&str]); 3] = [
        (
            "db.default.svc.cluster.local.",
            RecordType::A,
            &["db.default.svc.cluster.local. CNAME DB.example.com.", "DB.example.com. A 192.0.2.9"],
        ),
        (
            "db.default.svc.cluster.local.",
            RecordType::CNAME,
            &["db.default.svc.cluster.local. CNAME DB.example.com."],
        ),
        (
            "near.default.svc.cluster.local.",
            RecordType::A,
            &[
                "near.default.svc.cluster.local. CNAME web.default.svc.cluster.local.",
                "web.default.svc.cluster.local. A 10.96.1.1",
            ],
        ),
    ];
    for (asked, kind, want) in table {
        let answer = server.udp(&question(asked, kind)).await;
        assert_eq!(answer.answers.iter().map(line).collect::<Vec<_>>(), want, "{asked}");
    }
    let answer = server.udp(&question("loop.default.svc.cluster.local.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn without_a_server_the_answer_is_servfail_and_an_alias_stays_an_alias() {
    let closed = UdpSocket::bind(LOOPBACK).await.unwrap().local_addr().unwrap();
    let missing = Upstream::ResolvConf("/nonexistent/resolv.conf".into());
    for upstream in [Upstream::Servers(Vec::new()), Upstream::Servers(vec![closed]), missing] {
        let server = server(web(), upstream).await;
        let answer = server.udp(&question("www.example.com.", RecordType::A)).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        let answer = server.udp(&question("db.default.svc.cluster.local.", RecordType::A)).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert_eq!(answer.answers[0].data, RData::CNAME(CNAME(name("db.example.com."))));
    }
}

#[tokio::test]
async fn the_next_server_is_asked_and_a_cut_answer_is_fetched_over_tcp() {
    let (broken, tried) = play(|question, _| vec![reply(&question, ResponseCode::ServFail, &[])]).await;
    let (good, _) = play(|question, tcp| {
        let mut answer = reply(&question, ResponseCode::NoError, &[[192, 0, 2, 1]]);
        if tcp {
            answer = reply(&question, ResponseCode::NoError, &[[192, 0, 2, 1], [192, 0, 2, 2]]);
        }
        answer.metadata.truncation = !tcp;
        vec![answer]
    })
    .await;
    let server = server(web(), Upstream::Servers(vec![broken, good])).await;
    let answer = server.udp(&question("big.example.", RecordType::A)).await;
    assert_eq!(lines(&answer).len(), 2);
    assert!(!answer.metadata.truncation);
    assert_eq!(tried.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_believed() {
    let (address, _) = play(|question, _| {
        let right = reply(&question, ResponseCode::NoError, &[[192, 0, 2, 1]]);
        let mut other_id = reply(&question, ResponseCode::NoError, &[[203, 0, 113, 1]]);
        other_id.metadata.id = other_id.metadata.id.wrapping_add(1);
        let mut other_name = reply(&question, ResponseCode::NoError, &[[203, 0, 113, 2]]);
        other_name.queries[0].set_name(name("evil.example."));
        let mut no_response = reply(&question, ResponseCode::NoError, &[[203, 0, 113, 3]]);
        no_response.metadata.message_type = MessageType::Query;
        vec![other_id, other_name, no_response, right]
    })
    .await;
    let server = server(web(), Upstream::Servers(vec![address])).await;
    let answer = server.udp(&question("good.example.", RecordType::A)).await;
    assert_eq!(lines(&answer).into_iter().collect::<Vec<_>>(), ["good.example. A 192.0.2.1"]);
}

/// The clock stands still and jumps to the next timer whenever all wait: two seconds pass at once.
#[tokio::test(start_paused = true)]
async fn a_silent_server_is_passed_over_and_then_asked_last() {
    let (silent, tried) = play(|_, _| Vec::new()).await;
    let (good, _) =
        play(|question, _| vec![reply(&question, ResponseCode::NoError, &[[192, 0, 2, 1]])]).await;
    let server = server(web(), Upstream::Servers(vec![silent, good])).await;
    for text in ["one.example.", "two.example.", "three.example."] {
        let answer = server.udp(&question(text, RecordType::A)).await;
        assert_eq!(lines(&answer).len(), 1, "{text}");
    }
    assert_eq!(tried.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn where_all_are_silent_the_answer_comes_before_the_client_gives_up() {
    let silent =
        [play(|_, _| Vec::new()).await.0, play(|_, _| Vec::new()).await.0, play(|_, _| Vec::new()).await.0];
    let server = server(web(), Upstream::Servers(silent.to_vec())).await;
    let asked = tokio::time::Instant::now();
    let answer = server.udp(&question("one.example.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(asked.elapsed() < std::time::Duration::from_secs(5), "by the clock that the test holds");
}

#[tokio::test]
async fn a_server_from_before_edns_is_asked_again_without_it() {
    let (old, asked) = play(|question, _| match question.edns {
        Some(_) => vec![reply(&question, ResponseCode::FormErr, &[])],
        None => vec![reply(&question, ResponseCode::NoError, &[[192, 0, 2, 1]])],
    })
    .await;
    let server = server(web(), Upstream::Servers(vec![old])).await;
    let mut asking = question("old.example.", RecordType::A);
    asking.edns = Some(hickory_proto::op::Edns::new());
    assert_eq!(lines(&server.udp(&asking).await).len(), 1);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

/// The server of those names is silent, so that each question lasts.
#[tokio::test]
async fn a_client_that_floods_leaves_the_others_their_share() {
    let (address, _) = play(|question, _| match question.queries[0].name().to_ascii().as_str() {
        "good.example." => vec![reply(&question, ResponseCode::NoError, &[[192, 0, 2, 1]])],
        _ => Vec::new(),
    })
    .await;
    let server = server(web(), Upstream::Servers(vec![address])).await;
    let greedy = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    for number in 0..3000 {
        let asked = question(&format!("n{number}.silent.example."), RecordType::A);
        greedy.send_to(&asked.to_vec().unwrap(), server.address).await.unwrap();
        tokio::task::yield_now().await;
    }
    let own = server.udp(&question("web.default.svc.cluster.local.", RecordType::A)).await;
    assert_eq!(lines(&own).len(), 1, "the flood has been read");
    let answer = server.udp(&question("good.example.", RecordType::A)).await;
    assert_eq!(lines(&answer).first().map(String::as_str), Some("good.example. A 192.0.2.1"), "{answer:?}");
}
