//! One question to one server: UDP from a port of its own, then TCP where the answer was cut.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// After it the next server is asked; pods give up after 5 s (glibc's and musl's own limit).
const PATIENCE: Duration = Duration::from_secs(2);
const LARGEST_UDP: usize = 4096;

/// What is asked, and how.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) query: Query,
    pub(crate) dnssec_ok: bool,
    pub(crate) checking_disabled: bool,
    pub(crate) with_edns: bool,
}

/// # Errors
/// Where the server is not there, is silent, or answers no DNS.
pub(crate) async fn exchange(server: SocketAddr, question: &Question) -> Result<Message> {
    let answer = bounded(ask(server, question)).await?;
    let no_edns = matches!(answer.metadata.response_code, ResponseCode::FormErr | ResponseCode::NotImp);
    if no_edns && question.with_edns {
        // RFC 6891, section 7: a server from before EDNS
        return bounded(ask(server, &Question { with_edns: false, ..question.clone() })).await;
    }
    Ok(answer)
}

async fn bounded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

async fn ask(server: SocketAddr, question: &Question) -> Result<Message> {
    let (id, packet) = encode(question)?;
    let answer = over_udp(server, question, id, &packet).await?;
    if answer.metadata.truncation { over_tcp(server, question, id, &packet).await } else { Ok(answer) }
}

fn encode(question: &Question) -> Result<(u16, Vec<u8>)> {
    let id = rand::random();
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.checking_disabled = question.checking_disabled;
    message.queries.push(question.query.clone());
    if question.with_edns {
        let mut edns = Edns::new();
        edns.set_max_payload(crate::wire::MOST_UDP).set_version(0).set_dnssec_ok(question.dnssec_ok);
        message.edns = Some(edns);
    }
    Ok((id, message.to_vec().map_err(Error::other)?))
}

/// The kernel gives the socket a random port and, as it is connected, takes packets of this server only.
async fn over_udp(server: SocketAddr, question: &Question, id: u16, packet: &[u8]) -> Result<Message> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(packet).await?;
    let mut buffer = vec![0; LARGEST_UDP];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // a forged or belated packet is no reason to stop waiting for the right one
        if let Some(answer) = accept(&buffer[..length], question, id) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Question, id: u16, packet: &[u8]) -> Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(packet.len()).map_err(Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), packet].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    accept(&buffer, question, id).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// Only an answer to this very question.
pub(crate) fn accept(packet: &[u8], question: &Question, id: u16) -> Option<Message> {
    let message = Message::from_vec(packet).ok()?;
    let meta = message.metadata;
    let ours = meta.id == id && meta.message_type == MessageType::Response && meta.op_code == OpCode::Query;
    // some servers leave the question out where they refuse it
    let bare = message.queries.is_empty() && meta.response_code != ResponseCode::NoError;
    let same = message.queries.len() == 1 && message.queries[0] == question.query;
    (ours && (same || bare)).then_some(message)
}
