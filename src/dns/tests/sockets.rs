//! Real packets over loopback: UDP, TCP, truncation, forwarding to a server that the test plays.

mod common;

use common::{config, external, line, name, question, records, service, slice};
use dns::{Records, Upstream, answer_on, bind};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A as Address, CNAME};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};

const LOOPBACK: &str = "127.0.0.1:0";

struct Server {
    address: SocketAddr,
    _stop: DropGuard,
}

async fn server(records: Records, upstream: Upstream) -> Server {
    let sockets = bind(LOOPBACK.parse().unwrap()).await.unwrap();
    let address = sockets.address().unwrap();
    // the server leaves out its own address, and here everybody shares it
    let config = config("127.0.0.2:53".parse().unwrap(), upstream);
    let stop = CancellationToken::new();
    let records = Arc::new(arc_swap::ArcSwap::from_pointee(records));
    let stopped = stop.clone();
    tokio::spawn(async move { answer_on(sockets, records, &config, stopped).await });
    Server { address, _stop: stop.drop_guard() }
}

async fn alone(records: Records) -> Server {
    server(records, Upstream::Servers(Vec::new())).await
}

impl Server {
    async fn raw(&self, packet: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind(LOOPBACK).await.unwrap();
        socket.send_to(packet, self.address).await.unwrap();
        let mut buffer = vec![0; 65535];
        let length = socket.recv(&mut buffer).await.unwrap();
        buffer.truncate(length);
        buffer
    }

    async fn udp(&self, question: &Message) -> Message {
        let answer = Message::from_vec(&self.raw(&question.to_vec().unwrap()).await).unwrap();
        assert_eq!(answer.metadata.id, question.metadata.id);
        assert_eq!(answer.queries, question.queries);
        answer
    }

    async fn tcp(&self, questions: &[Message]) -> Vec<Message> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        for question in questions {
            write_framed(&mut stream, &question.to_vec().unwrap()).await;
        }
        let mut answers = Vec::new();
        for _ in questions {
            answers.push(Message::from_vec(&read_framed(&mut stream).await).unwrap());
        }
        answers
    }
}

async fn write_framed(stream: &mut TcpStream, packet: &[u8]) {
    stream.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
    stream.write_all(packet).await.unwrap();
}

async fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut packet = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut packet).await.unwrap();
    packet
}

/// Plays a name server: `answer` says what goes out for each packet, over UDP and TCP.
async fn play(
    answer: impl Fn(Message, bool) -> Vec<Message> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let tcp = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let (answer, asked) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let (answer_udp, count) = (answer.clone(), asked.clone());
    tokio::spawn(async move {
        let mut buffer = vec![0; 65535];
        while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
            count.fetch_add(1, Ordering::SeqCst);
            for message in answer_udp(Message::from_vec(&buffer[..length]).unwrap(), false) {
                udp.send_to(&message.to_vec().unwrap(), client).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let question = Message::from_vec(&read_framed(&mut stream).await).unwrap();
            for message in answer(question, true) {
                write_framed(&mut stream, &message.to_vec().unwrap()).await;
            }
        }
    });
    (address, asked)
}

fn reply(question: &Message, code: ResponseCode, addresses: &[[u8; 4]]) -> Message {
    let mut message = question.clone();
    message.metadata.message_type = MessageType::Response;
    message.metadata.response_code = code;
    for [a, b, c, d] in addresses {
        let data = RData::A(Address::new(*a, *b, *c, *d));
        message.answers.push(Record::from_rdata(question.queries[0].name().clone(), 60, data));
    }
    message
}

fn lines(message: &Message) -> BTreeSet<String> {
    message.answers.iter().map(line).collect()
}

fn web() -> Records {
    records(&[
        (service("web", &["10.96.1.1"], &[("http", "TCP", 80)]), Vec::new()),
        (external("db", "DB.example.com"), Vec::new()),
        (external("loop", "loop.default.svc.cluster.local"), Vec::new()),
        (external("near", "web.default.svc.cluster.local"), Vec::new()),
    ])
}

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
