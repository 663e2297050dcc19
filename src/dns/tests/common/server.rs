//! A server at a loopback port, and a name server that the test plays.

use super::{config, line};
use dns::{Records, Sockets, Upstream, answer_on, bind};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A as Address;
use hickory_proto::rr::{RData, Record};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const LOOPBACK: &str = "127.0.0.1:0";

pub struct Server {
    pub address: SocketAddr,
    pub stop: DropGuard,
}

/// A port that is free for TCP may be taken for UDP, by another test's question on its way.
pub async fn sockets() -> Sockets {
    loop {
        if let Ok(sockets) = bind(LOOPBACK.parse().unwrap()).await {
            return sockets;
        }
    }
}

async fn both() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind(LOOPBACK).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

pub async fn server(records: Records, upstream: Upstream) -> Server {
    let sockets = sockets().await;
    let address = sockets.address().unwrap();
    let config = config("127.0.0.2:53".parse().unwrap(), upstream);
    let stop = CancellationToken::new();
    let records = Arc::new(arc_swap::ArcSwap::from_pointee(records));
    let stopped = stop.clone();
    tokio::spawn(async move { answer_on(sockets, records, &config, stopped).await });
    Server { address, stop: stop.drop_guard() }
}

pub async fn alone(records: Records) -> Server {
    server(records, Upstream::Servers(Vec::new())).await
}

impl Server {
    pub async fn raw(&self, packet: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind(LOOPBACK).await.unwrap();
        socket.send_to(packet, self.address).await.unwrap();
        let mut buffer = vec![0; 65535];
        let length = socket.recv(&mut buffer).await.unwrap();
        buffer.truncate(length);
        buffer
    }

    pub async fn udp(&self, question: &Message) -> Message {
        let answer = Message::from_vec(&self.raw(&question.to_vec().unwrap()).await).unwrap();
        assert_eq!(answer.metadata.id, question.metadata.id);
        assert_eq!(answer.queries, question.queries);
        answer
    }

    pub async fn tcp(&self, questions: &[Message]) -> Vec<Message> {
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

pub async fn write_framed(stream: &mut TcpStream, packet: &[u8]) {
    stream.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
    stream.write_all(packet).await.unwrap();
}

pub async fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut packet = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut packet).await.unwrap();
    packet
}

/// Plays a name server: `answer` says what goes out for each packet, over UDP and TCP.
pub async fn play(
    answer: impl Fn(Message, bool) -> Vec<Message> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let (udp, tcp) = both().await;
    let address = tcp.local_addr().unwrap();
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

pub fn reply(question: &Message, code: ResponseCode, addresses: &[[u8; 4]]) -> Message {
    let mut message = question.clone();
    message.metadata.message_type = MessageType::Response;
    message.metadata.response_code = code;
    for [a, b, c, d] in addresses {
        let data = RData::A(Address::new(*a, *b, *c, *d));
        message.answers.push(Record::from_rdata(question.queries[0].name().clone(), 60, data));
    }
    message
}

pub fn lines(message: &Message) -> BTreeSet<String> {
    message.answers.iter().map(line).collect()
}
