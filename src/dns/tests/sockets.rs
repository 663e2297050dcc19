//! Real packets over loopback, UDP and TCP: what is said, how much of it, and what is refused.

mod common;

use common::server::{alone, lines};
use common::{line, question, records, service, slice, web};
use dns::Records;
use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};
use std::collections::BTreeSet;

fn crowd() -> Records {
    let addresses: Vec<String> = (0..200).map(|n| format!("10.244.1.{n}")).collect();
    let endpoints: Vec<_> = addresses.iter().map(|ip| (ip.as_str(), None, Some(true))).collect();
    let ports = &[("http", "TCP", 80)];
    records(&[(service("crowd", &["None"], ports), vec![slice(ports, &endpoints)])])
}

#[tokio::test]
async fn the_answer_keeps_the_case_of_the_question_over_udp_and_tcp() {
    let server = alone(web()).await;
    let asked = question("WeB.default.svc.CLUSTER.local.", RecordType::A);
    let over_tcp = server.tcp(&[asked.clone(), question("no.cluster.local.", RecordType::A)]).await;
    for answer in [server.udp(&asked).await, over_tcp[0].clone()] {
        assert_eq!(answer.answers[0].name.to_ascii(), "WeB.default.svc.CLUSTER.local.");
        assert_eq!(answer.answers[0].ttl, 5);
        assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
        assert!(answer.edns.is_none(), "no EDNS for whoever sent none");
    }
    assert_eq!(over_tcp[1].metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(over_tcp[1].authorities[0].record_type(), RecordType::SOA);
}

#[tokio::test]
async fn what_does_not_fit_is_cut_at_the_clients_size_and_whole_over_tcp() {
    let server = alone(crowd()).await;
    let mut asked = question("crowd.default.svc.cluster.local.", RecordType::A);
    for (payload, most) in [(None, 512), (Some(800), 800), (Some(100), 512), (Some(60000), 1232)] {
        asked.edns = payload.map(|payload| {
            let mut edns = Edns::new();
            edns.set_max_payload(payload);
            edns
        });
        let packet = server.raw(&asked.to_vec().unwrap()).await;
        let answer = Message::from_vec(&packet).unwrap();
        assert!(packet.len() <= most && packet.len() > most - 16, "{payload:?}: {} bytes", packet.len());
        assert!(answer.metadata.truncation && !answer.answers.is_empty(), "{payload:?}");
        assert_eq!(answer.edns.is_some(), payload.is_some());
    }
    let whole = &server.tcp(&[asked]).await[0];
    assert!(!whole.metadata.truncation);
    assert_eq!(lines(whole).len(), 200);
}

#[tokio::test]
async fn each_client_gets_another_first_address() {
    let server = alone(crowd()).await;
    let asked = question("crowd.default.svc.cluster.local.", RecordType::A);
    let mut first = BTreeSet::new();
    for _ in 0..20 {
        first.insert(line(&server.udp(&asked).await.answers[0]));
    }
    assert!(first.len() > 1);
}

#[tokio::test]
async fn what_is_no_question_for_us_is_refused_by_its_reason() {
    let server = alone(web()).await;
    let plain = question("web.default.svc.cluster.local.", RecordType::A);
    let changed = |change: fn(&mut Message)| {
        let mut message = plain.clone();
        change(&mut message);
        message
    };
    let table = [
        ("transfer", changed(|m| m.queries[0].query_type = RecordType::AXFR), ResponseCode::Refused),
        ("chaos", changed(|m| m.queries[0].query_class = DNSClass::CH), ResponseCode::Refused),
        ("notify", changed(|m| m.metadata.op_code = OpCode::Notify), ResponseCode::NotImp),
        ("status", changed(|m| m.metadata.op_code = OpCode::Status), ResponseCode::NotImp),
        (
            "edns version",
            changed(|m| {
                let mut edns = Edns::new();
                edns.set_version(1);
                m.edns = Some(edns);
            }),
            ResponseCode::BADVERS,
        ),
    ];
    for (what, message, code) in table {
        let answer = Message::from_vec(&server.raw(&message.to_vec().unwrap()).await).unwrap();
        assert_eq!(u16::from(answer.metadata.response_code), u16::from(code), "{what}");
        assert_eq!(answer.metadata.id, message.metadata.id, "{what}");
    }
    let bytes = plain.to_vec().unwrap();
    let mut two = bytes.clone();
    two[5] = 2;
    for (what, packet) in
        [("half a question", &bytes[..20]), ("one of two questions", &two), ("a header", &[7; 12])]
    {
        let mut packet = packet.to_vec();
        packet[2] &= 0x07;
        let answer = Message::from_vec(&server.raw(&packet).await).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::FormErr, "{what}");
    }
}

#[tokio::test]
async fn a_client_that_keeps_connections_open_leaves_the_others_their_share() {
    let server = alone(web()).await;
    let mut kept = Vec::new();
    for _ in 0..400 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        kept.push(socket.connect(server.address).await.unwrap());
    }
    let asked = [question("web.default.svc.cluster.local.", RecordType::A)];
    let answers = tokio::time::timeout(std::time::Duration::from_secs(5), server.tcp(&asked)).await;
    assert_eq!(lines(&answers.expect("an answer before the others fall silent")[0]).len(), 1);
}
