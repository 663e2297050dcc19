//! A name server's sockets in a sandbox. They have ports of their own, and a rule in the namespace leads there what is sent
//! to port 53 of [`NAME_SERVER`]: that port itself stays free for a server of the user's, which may bind it for every
//! address. The table goes with the namespace.

use crate::NetError;
use crate::Result;
use crate::error::Doing;
use crate::frontends::{number, socket};
use crate::nft::{Batch, Expression, Netfilter, Register};
use cri::{NAME_SERVER, NameServer, Protocol};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::mpsc;

const TABLE: &str = "monopod-names";
const CHAIN: &str = "output";
const PORT: u16 = 53;

/// Blocking. A thread of its own enters the namespace and ends there; it closes its netfilter socket, for which the kernel
/// takes its time, when the answer is out already.
pub(crate) fn listen(netns: &Path) -> Result<NameServer> {
    let namespace = File::open(netns).doing(|| format!("open the network namespace {}", netns.display()))?;
    let (tell, told) = mpsc::channel();
    let serve = move || {
        let netfilter = Netfilter::default();
        let server = setns(namespace, CloneFlags::CLONE_NEWNET)
            .doing(|| "enter the sandbox's network namespace")
            .and_then(|()| open(&netfilter));
        drop(tell.send(server));
    };
    std::thread::Builder::new()
        .name("name-server".into())
        .spawn(serve)
        .doing(|| "start a thread for the sandbox's network namespace")?;
    told.recv().unwrap_or_else(|_| Err(NetError::failed("open a name server's sockets", "its thread died")))
}

fn open(netfilter: &Netfilter) -> Result<NameServer> {
    let (udp, tcp) = sockets().doing(|| format!("open a name server's sockets at {NAME_SERVER}"))?;
    let at = |address: std::io::Result<SocketAddr>| match address {
        Ok(address) => Ok(address.port()),
        Err(error) => Err(NetError::failed("look at a name server's socket", error)),
    };
    netfilter.commit(batch(at(udp.local_addr())?, at(tcp.local_addr())?))?;
    Ok(NameServer { udp, tcp })
}

fn sockets() -> std::io::Result<(UdpSocket, TcpListener)> {
    let any = (NAME_SERVER, 0);
    let (udp, tcp) = (UdpSocket::bind(any)?, TcpListener::bind(any)?);
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    Ok((udp, tcp))
}

/// In place of what an earlier process left.
fn batch(udp: u16, tcp: u16) -> Batch {
    let mut batch = Batch::new(TABLE);
    batch.add_table();
    batch.delete_table();
    batch.add_table();
    batch.add_output_chain(CHAIN);
    for (protocol, port) in [(Protocol::Udp, udp), (Protocol::Tcp, tcp)] {
        batch.add_rule(CHAIN, &lead(protocol, port));
    }
    batch
}

fn lead(protocol: Protocol, port: u16) -> Vec<Expression> {
    let (look, to) = (Register(0), Register(1));
    let value = socket(SocketAddrV4::new(NAME_SERVER, port));
    let (address, port) = value.split_at(4);
    vec![
        Expression::DestinationAddress(look),
        Expression::Equal { register: look, value: NAME_SERVER.octets().to_vec() },
        Expression::Protocol(look),
        Expression::Equal { register: look, value: vec![number(protocol)] },
        Expression::DestinationPort(look),
        Expression::Equal { register: look, value: PORT.to_be_bytes().to_vec() },
        Expression::Put { to, value: address.to_vec() },
        Expression::Put { to: to.next(), value: port[..2].to_vec() },
        Expression::Translate { to },
    ]
}
