//! A machine for a test: its own network and mount namespace, a client host on its LAN, pods with echo servers. Nothing
//! of it is left when the test's process ends, and no packet can leave it.

use net::{Attachment, NetConfig, Network};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

pub const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const INSIDE: &str = "MONOPOD_NET_TEST_INSIDE";
/// For packets that must vanish. It is the kernel that answers a SYN, in whoever's time.
const PATIENCE: Duration = Duration::from_millis(700);
/// For a server of the test's own that has accepted, and has to get a processor: nothing waits for it to pass.
const ANSWER: Duration = Duration::from_secs(30);
/// For an answer by UDP, which has to get a processor as well, and may have to be missing.
const DATAGRAM: Duration = Duration::from_secs(2);

/// Runs `test` in namespaces of its own: the test's binary starts itself again below `unshare`.
pub fn alone<F: Future<Output = ()>>(name: &str, test: impl FnOnce() -> F) {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: {name} needs root for network namespaces and nftables");
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        sh("mount -t tmpfs tmpfs /run && ip link set lo up");
        tokio::runtime::Runtime::new().unwrap().block_on(test());
        return;
    }
    let this = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--net", "--mount"])
        .arg(this)
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ran = output.status.success() && said.contains("test result: ok. 1 passed");
    assert!(ran, "{name} in its namespaces: {said}{}", String::from_utf8_lossy(&output.stderr));
}

pub fn sh(script: &str) -> String {
    let output = Command::new("bash").args(["-ec", script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A machine with an uplink, and a host behind it that has routes to everything by the machine.
pub fn lan() {
    // without IPv6, whose duplicate address detection changes what `snapshot` sees by itself
    sh("mkdir -p /run/netns
        sysctl -qw net.ipv6.conf.default.disable_ipv6=1
        ip netns add client
        ip link add uplink mtu 1400 type veth peer name eth0 netns client
        ip address add 192.0.2.2/24 dev uplink
        ip link set uplink up
        ip route add default via 192.0.2.9
        ip -n client address add 192.0.2.9/24 dev eth0
        ip -n client link set lo up
        ip -n client link set eth0 up
        ip -n client route add default via 192.0.2.2
        # the carrier comes a moment after both ends are up, and `snapshot` sees it
        until ip -o link show uplink | grep -q 'state UP'; do :; done");
}

pub fn config() -> NetConfig {
    NetConfig {
        profile: "test".into(),
        node_ip: NODE,
        pod_cidr: "10.244.0.0/24".parse().unwrap(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        load_balancer_cidr: "10.98.0.0/24".parse().unwrap(),
    }
}

pub fn netns(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}

/// A connected namespace with a TCP and a UDP server on port 8080 that say who they are and who asked.
pub async fn pod(network: &Network, name: &str) -> Attachment {
    sh(&format!("ip netns add {name}"));
    let attachment = network.attach(name, "", &netns(name), &[]).await.unwrap();
    serve(Some(name), name, Ipv4Addr::UNSPECIFIED, 8080);
    attachment
}

/// The same in any namespace, `None` being the machine's own.
pub fn serve(namespace: Option<&str>, name: &str, address: Ipv4Addr, port: u16) {
    let (tcp, udp) = within(namespace, move || {
        (TcpListener::bind((address, port)).unwrap(), UdpSocket::bind((address, port)).unwrap())
    });
    let said = name.to_owned();
    std::thread::spawn(move || {
        while let Ok((mut stream, peer)) = tcp.accept() {
            let _ = write!(stream, "{said} {}", peer.ip());
        }
    });
    let said = name.to_owned();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(format!("{said} {}", peer.ip()).as_bytes(), peer);
        }
    });
}

/// A thread that entered the namespace runs `act`; sockets that it made stay there.
pub fn within<T: Send + 'static>(namespace: Option<&str>, act: impl FnOnce() -> T + Send + 'static) -> T {
    let file = namespace.map(|name| File::open(netns(name)).unwrap());
    let thread = std::thread::spawn(move || {
        if let Some(file) = file {
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        }
        act()
    });
    thread.join().unwrap()
}

/// What the server at `to` says to a client in that namespace: `<name> <the client's address as it saw it>`.
pub fn tcp(from: Option<&str>, to: impl Into<SocketAddrV4>) -> Result<String, ErrorKind> {
    let to = to.into();
    within(from, move || {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::V4(to), PATIENCE).map_err(|error| error.kind())?;
        stream.set_read_timeout(Some(ANSWER)).map_err(|error| error.kind())?;
        let mut said = String::new();
        stream.read_to_string(&mut said).map_err(|error| error.kind())?;
        Ok(said)
    })
}

#[allow(dead_code)] // not every test binary speaks UDP
pub fn udp_socket(from: Option<&str>) -> UdpSocket {
    within(from, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap())
}

#[allow(dead_code)]
/// Connected, so that an ICMP answer is an error here.
pub fn udp(socket: &UdpSocket, to: impl Into<SocketAddrV4>) -> Result<String, ErrorKind> {
    let ask = || {
        socket.connect(to.into())?;
        socket.set_read_timeout(Some(DATAGRAM))?;
        socket.send(b"who")?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    ask().map_err(|error: std::io::Error| error.kind())
}

#[allow(dead_code)] // not every test binary compares
/// Everything of the machine's network that a profile could leave behind.
pub fn snapshot() -> String {
    sh("ip -j link; ip -j address; ip -j route show table all; ip -j rule; nft list ruleset")
}

#[allow(dead_code)] // not every test binary speaks UDP
/// Whether something is heard at an address in that namespace that another one sends as if it had the address `from`.
pub fn hears(namespace: &str, address: Ipv4Addr, sender: &str, from: Ipv4Addr) -> bool {
    const PORT: u16 = 9090;
    let ear = within(Some(namespace), || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap());
    ear.set_read_timeout(Some(PATIENCE)).unwrap();
    sh(&format!("ip -n {sender} address replace {from}/32 dev lo"));
    let mouth = within(Some(sender), move || UdpSocket::bind((from, 0)).unwrap());
    mouth.send_to(b"here", (address, PORT)).unwrap();
    ear.recv(&mut [0; 8]).is_ok()
}

/// Whether a socket of this network follows what becomes of links, addresses and routes (groups 1, 5 and 7 of rtnetlink).
#[allow(dead_code)] // not every test binary has something put back
fn hears_of_links() -> bool {
    const GROUPS: u32 = 0x51;
    let sockets = sh("cat /proc/net/netlink");
    sockets.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let groups = columns.get(3).and_then(|mask| u32::from_str_radix(mask, 16).ok());
        columns.get(1) == Some(&"0") && groups.is_some_and(|mask| mask & GROUPS == GROUPS)
    })
}

/// Puts back what is lost, from when this returns until it is aborted.
#[allow(dead_code)]
pub async fn healing(network: &Network) -> tokio::task::JoinHandle<()> {
    let network = network.clone();
    let healing = tokio::spawn(async move {
        let ended = network.heal().await;
        panic!("healing ended: {ended:?}");
    });
    while !hears_of_links() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    healing
}
