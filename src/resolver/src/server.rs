//! The sockets and their loops. What the source knows is answered where the packet is read; what must be asked of others
//! goes to a task of its own.

use crate::resolver::{Resolver, Step};
use crate::shares::{Client, Shares};
use crate::wire::{self, Incoming, Reply, Transport};
use hickory_proto::op::Query;
use hickory_proto::rr::{Name, Record};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const MOST_CONNECTIONS: usize = 256;
/// Packets that wait for others; beyond its share a client's are dropped, and it asks again.
const MOST_WAITING: usize = 2048;
/// RFC 7766, section 6.2.3, asks for seconds; a client that waits longer connects again.
const IDLE: Duration = Duration::from_secs(10);
/// After an error of the socket itself (out of descriptors or memory), which would come again at once.
const BREATH: Duration = Duration::from_millis(50);

/// Both sockets at one address.
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// The address must exist. With port 0 both get the same free one.
    ///
    /// # Errors
    /// Where the address is not there, or taken.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Sockets> {
        let tcp = TcpListener::bind(address).await?;
        let udp = UdpSocket::bind(tcp.local_addr()?).await?;
        Ok(Sockets { udp, tcp })
    }

    /// Sockets that were bound elsewhere, and do not block.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn from_std(udp: std::net::UdpSocket, tcp: std::net::TcpListener) -> std::io::Result<Sockets> {
        Ok(Sockets { udp: UdpSocket::from_std(udp)?, tcp: TcpListener::from_std(tcp)? })
    }

    /// # Errors
    /// What the kernel says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Whose questions come to a server: what all share is shared fairly between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Each address is one, where nobody can ask with another's.
    ByAddress,
    /// All are the same one, as in a container of its own.
    One,
}

impl Clients {
    fn key(self) -> impl Fn(SocketAddr) -> Client {
        static SERVERS: AtomicU64 = AtomicU64::new(0);
        let server = SERVERS.fetch_add(1, Ordering::Relaxed);
        move |address| match self {
            Clients::ByAddress => Client::Address(address.ip()),
            Clients::One => Client::Server(server),
        }
    }
}

/// Answers until `stop`; the sockets are closed then.
pub async fn serve(sockets: Sockets, resolver: Arc<Resolver>, clients: Clients, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let key = clients.key();
    let udp = serve_udp(Arc::new(sockets.udp), &resolver, &key, &tasks, &stop);
    let tcp = serve_tcp(&sockets.tcp, &resolver, &key, &tasks, &stop);
    tokio::join!(udp, tcp);
    tasks.close();
    tasks.wait().await;
}

/// What a packet is answered with.
enum Outcome {
    Nothing,
    Packet(Option<Vec<u8>>),
    Later(Box<Later>),
}

struct Later {
    request: wire::Request,
    query: Query,
    aliases: Vec<Record>,
    name: Name,
}

fn take(resolver: &Resolver, packet: &[u8], transport: Transport) -> Outcome {
    match wire::read(packet) {
        Incoming::Drop => Outcome::Nothing,
        Incoming::Refuse(request, code) => Outcome::Packet(request.encode(&Reply::error(code), transport)),
        Incoming::Ask(request, query) => match resolver.first(&query, request.most(transport)) {
            Step::Done(reply) => Outcome::Packet(request.encode(&reply, transport)),
            Step::Ask { aliases, name } => Outcome::Later(Box::new(Later { request, query, aliases, name })),
        },
    }
}

async fn finish(resolver: &Resolver, later: Later, client: Client, transport: Transport) -> Option<Vec<u8>> {
    let reply = resolver.resolve(&later.request, &later.query, later.aliases, later.name, client).await;
    later.request.encode(&reply, transport)
}

async fn serve_udp(
    socket: Arc<UdpSocket>,
    resolver: &Arc<Resolver>,
    key: impl Fn(SocketAddr) -> Client,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let waiting = Shares::new(MOST_WAITING, 0, 0);
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let Ok((length, client)) = received else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        match take(resolver, &buffer[..length], Transport::Udp) {
            Outcome::Nothing => {}
            Outcome::Packet(packet) => send(&socket, packet, client).await,
            Outcome::Later(later) => {
                let asker = key(client);
                let Some(share) = waiting.try_take(asker) else { continue };
                let (socket, resolver, stop) = (socket.clone(), resolver.clone(), stop.clone());
                tasks.spawn(async move {
                    let answering = finish(&resolver, *later, asker, Transport::Udp);
                    if let Some(packet) = stop.run_until_cancelled(answering).await {
                        send(&socket, packet, client).await;
                    }
                    drop(share);
                });
            }
        }
    }
}

/// A client that is gone is no error of ours.
async fn send(socket: &UdpSocket, packet: Option<Vec<u8>>, client: SocketAddr) {
    if let Some(packet) = packet
        && let Err(error) = socket.send_to(&packet, client).await
    {
        tracing::debug!(%client, %error, "answer not sent");
    }
}

async fn serve_tcp(
    listener: &TcpListener,
    resolver: &Arc<Resolver>,
    key: impl Fn(SocketAddr) -> Client,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let connections = Shares::new(MOST_CONNECTIONS, 0, 0);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, client)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let client = key(client);
        // closed at once where the client has its share: one that keeps connections open takes them from itself only
        let Some(share) = connections.try_take(client) else { continue };
        let (resolver, stop) = (resolver.clone(), stop.clone());
        tasks.spawn(async move {
            let talk = converse(stream, &resolver, client);
            if let Some(Err(error)) = stop.run_until_cancelled(talk).await {
                tracing::debug!(%error, "connection ended");
            }
            drop(share);
        });
    }
}

/// One question after the other, each with its length before it, until the client closes or falls silent.
async fn converse(mut stream: TcpStream, resolver: &Resolver, client: Client) -> std::io::Result<()> {
    while let Some(question) = timeout(IDLE, read(&mut stream)).await?? {
        let packet = match take(resolver, &question, Transport::Tcp) {
            Outcome::Nothing => return Ok(()),
            Outcome::Packet(packet) => packet,
            Outcome::Later(later) => finish(resolver, *later, client, Transport::Tcp).await,
        };
        let Some(packet) = packet else { return Ok(()) };
        let length = u16::try_from(packet.len()).map_err(std::io::Error::other)?;
        let framed = [length.to_be_bytes().as_slice(), &packet].concat();
        timeout(IDLE, stream.write_all(&framed)).await??;
    }
    Ok(())
}

/// `None` where the client has closed.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let mut packet = vec![0; usize::from(length)];
    stream.read_exact(&mut packet).await?;
    Ok(Some(packet))
}
