//! Whose program is at the other end of a connection within this machine: the kernel's tables of TCP connections say which user
//! has each of them (`proc_net_tcp.txt` among the kernel's documents).

use apiserver::SessionGate;
use dashboard::Dashboard;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// A program that speaks IPv6 sockets to an IPv4 address stands in the second one (Firefox does).
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
const ESTABLISHED: &str = "01";
/// Of what no process has open any more: the kernel says that it is root's.
const NO_INODE: &str = "0";

/// Who may use the dashboard's port: its sessions, for their users' connections.
pub(crate) fn session_gate(dashboard: Arc<Dashboard>, port: u16) -> SessionGate {
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Arc::new(move |peer| {
        let (dashboard, user) = (dashboard.clone(), User::of_connection(peer, own));
        Arc::new(move |request| dashboard.answer(request, &|| user.find()))
    })
}

/// Of a connection, for who asks again: once it is known whose it is, that is kept.
struct User {
    peer: SocketAddr,
    own: SocketAddr,
    found: OnceLock<u32>,
}

impl User {
    fn of_connection(peer: SocketAddr, own: SocketAddr) -> Self {
        User { peer, own, found: OnceLock::new() }
    }

    fn find(&self) -> Option<u32> {
        let look = || of_connection(self.peer, self.own);
        // the tables are no snapshot: a line may be passed over while others come and go
        let found = self.found.get().copied().or_else(look).or_else(look)?;
        Some(*self.found.get_or_init(|| found))
    }
}

/// The id of the user who has the end of the connection that is at `peer`; the other end is at `own`. The tables are as long as
/// the machine has connections.
fn of_connection(peer: SocketAddr, own: SocketAddr) -> Option<u32> {
    let read = |path: &str| {
        // without IPv6 there is one table
        std::fs::read_to_string(path).inspect_err(|error| tracing::debug!(%error, "{path}")).ok()
    };
    TABLES.into_iter().filter_map(read).find_map(|table| owner(&table, peer, own))
}

/// Only of a connection that some process has open: what was closed, or is being closed, has no owner.
fn owner(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, from, to, state, _, _, _, user, _, inode, ..] = fields[..] else { return None };
        let is_it = address(from) == Some(local) && address(to) == Some(remote);
        (is_it && state == ESTABLISHED && inode != NO_INODE).then(|| user.parse().ok())?
    })
}

/// `0100007F:20FB`: words of the address as they lie in memory, and the port. An IPv4 address within IPv6 is one of IPv4.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = words.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = match words.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let octets: Vec<u8> = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// As `/proc/net/tcp` has a line, on a machine that has the least significant byte first as well as on another.
    fn line(local: &str, remote: &str, state: &str, user: &str, inode: &str) -> String {
        let hex = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            let octets = match address.ip() {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let words = octets.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap()));
            let words: String = words.map(|word| format!("{word:08X}")).collect();
            format!("{words}:{:04X}", address.port())
        };
        let (local, remote) = (hex(local), hex(remote));
        format!(
            "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  {user}        0 {inode} 1 0000000000000000 20 0 0 10 -1\n"
        )
    }

    #[test]
    fn the_table_says_who_connects() {
        let (client, server) = ("127.0.0.1:40000", "127.0.0.1:8444");
        let served = line(server, client, "01", "0", "7");
        let mapped = |state| line("[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:8444", state, "1000", "9");
        let cases = [
            ("its end, not ours", served.clone() + &line(client, server, "01", "1000", "9"), Some(1000)),
            ("root", line(client, server, "01", "0", "9"), Some(0)),
            ("an IPv6 socket", mapped("01"), Some(1000)),
            ("only ours", served, None),
            ("another port", line("127.0.0.1:40001", server, "01", "1000", "9"), None),
            ("another address", line("127.0.0.2:40000", server, "01", "1000", "9"), None),
            ("to another port", line(client, "127.0.0.1:8443", "01", "1000", "9"), None),
            ("closed: the kernel says root", line(client, server, "06", "0", "0"), None),
            ("no process has it", line(client, server, "01", "0", "0"), None),
            ("on its way out", mapped("04"), None),
            ("half a line", "   0: 0100007F:9C40 0100007F:20FC 01".to_owned(), None),
            ("nonsense", "   0: 01:zz \u{fc}00000000000000: 01 a b c d e f g h".to_owned(), None),
            ("nothing", String::new(), None),
        ];
        for (name, lines, want) in cases {
            let got = owner(&format!("{HEAD}{lines}"), client.parse().unwrap(), server.parse().unwrap());
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn a_connection_of_ours_is_ours() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap();
        let client = TcpStream::connect(own).unwrap();
        let (_accepted, peer) = listener.accept().unwrap();
        let me = nix::unistd::getuid().as_raw();
        assert_eq!(of_connection(peer, own), Some(me));
        let (asked, late) = (User::of_connection(peer, own), User::of_connection(peer, own));
        assert_eq!(asked.find(), Some(me));
        drop(client);
        assert_eq!(of_connection(peer, own), None, "nobody has it any more");
        assert_eq!((asked.find(), late.find()), (Some(me), None), "what was found is kept");
    }
}
