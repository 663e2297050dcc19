//! The machine's own address: the one that a packet to the outside would leave with.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// A documentation address (RFC 5737). Connecting a datagram socket sends nothing; it only asks the routing table.
const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// `None` where the machine has no way out.
pub(crate) fn find() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SOMEWHERE).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_unspecified() && !address.is_loopback() => Some(address),
        _ => None,
    }
}
