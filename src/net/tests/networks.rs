//! Networks beside the pods' in a real kernel. Needs root, iproute2 and nft.

mod world;

use cri::{Endpoint, HostPort, Membership, NetworkConfig, NetworkGarbage, Protocol};
use net::Network;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use world::{CLIENT, NODE, alone, config, healing, lan, netns, pod, serve, sh, snapshot, tcp, within};

const NOBODY: Result<String, ErrorKind> = Err(ErrorKind::TimedOut);

fn at(ip: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip, port)
}

/// 172.`second`.0.0/16
fn network(second: u8) -> NetworkConfig {
    NetworkConfig {
        subnet: format!("172.{second}.0.0/16").parse().unwrap(),
        gateway: Ipv4Addr::new(172, second, 0, 1),
        internal: false,
        members_meet: true,
        masquerade: true,
    }
}

fn endpoint(network: &NetworkConfig, last: u8) -> Endpoint {
    let [first, second, ..] = network.gateway.octets();
    let (subnet, gateway, internal) = (network.subnet, network.gateway, network.internal);
    Endpoint { address: Ipv4Addr::new(first, second, 0, last), subnet, gateway, internal, mtu: None }
}

fn member(endpoints: &[Endpoint], ports: &[HostPort]) -> Membership {
    Membership { endpoints: endpoints.to_vec(), mac_address: None, host_ports: ports.to_vec() }
}

async fn join(network: &Network, name: &str, endpoints: &[Endpoint], ports: &[HostPort]) {
    sh(&format!("ip netns add {name}"));
    network.join(name, &netns(name), &member(endpoints, ports), &[]).await.unwrap();
    serve(Some(name), name, Ipv4Addr::UNSPECIFIED, 8080);
}

#[test]
fn members_meet_and_strangers_do_not() {
    alone("members_meet_and_strangers_do_not", || async {
        lan();
        let net = Network::start(config()).await.unwrap();
        let (one, two) = (network(18), network(19));
        let apart = NetworkConfig { members_meet: false, ..network(20) };
        let inner = NetworkConfig { internal: true, ..network(21) };
        net.set_networks(vec![one.clone(), two.clone(), apart.clone(), inner.clone()]).await.unwrap();
        let port = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 8080 };
        join(&net, "a", &[endpoint(&one, 2)], &[port]).await;
        join(&net, "b", &[endpoint(&one, 3), endpoint(&two, 3)], &[]).await;
        join(&net, "c", &[endpoint(&two, 4)], &[]).await;
        join(&net, "d", &[endpoint(&apart, 2)], &[]).await;
        join(&net, "e", &[endpoint(&apart, 3)], &[]).await;
        join(&net, "f", &[endpoint(&inner, 2)], &[]).await;
        join(&net, "g", &[endpoint(&inner, 3), endpoint(&one, 4)], &[]).await;
        let p = pod(&net, "p").await;
        serve(None, "machine", Ipv4Addr::UNSPECIFIED, 8080);
        serve(Some("client"), "client", Ipv4Addr::UNSPECIFIED, 8080);
        let ip = |second, last| at(Ipv4Addr::new(172, second, 0, last), 8080);
        for (name, from, to, want) in [
            ("one network", Some("a"), ip(18, 3), Ok("b 172.18.0.2".to_owned())),
            ("in two networks, to one", Some("b"), ip(18, 2), Ok("a 172.18.0.3".into())),
            ("in two networks, to the other", Some("b"), ip(19, 4), Ok("c 172.19.0.3".into())),
            ("different networks", Some("a"), ip(19, 4), NOBODY),
            ("its other address", Some("a"), ip(19, 3), NOBODY),
            ("members that do not meet", Some("d"), ip(20, 3), NOBODY),
            ("to the outside", Some("a"), at(CLIENT, 8080), Ok(format!("client {NODE}"))),
            ("to the machine", Some("a"), at(NODE, 8080), Ok("machine 172.18.0.2".into())),
            ("to its gateway", Some("a"), ip(18, 1), Ok("machine 172.18.0.2".into())),
            ("an address of nobody", Some("a"), ip(18, 99), Err(ErrorKind::HostUnreachable)),
            ("from the machine", None, ip(19, 4), Ok("c 172.19.0.1".into())),
            ("from outside", Some("client"), ip(18, 2), NOBODY),
            ("to a pod", Some("a"), at(p.ip, 8080), NOBODY),
            ("from a pod", Some("p"), ip(18, 2), NOBODY),
            ("inside", Some("f"), ip(21, 3), Ok("g 172.21.0.2".into())),
            ("from inside to the outside", Some("f"), at(CLIENT, 8080), Err(ErrorKind::NetworkUnreachable)),
            ("of both, to the outside", Some("g"), at(CLIENT, 8080), Ok(format!("client {NODE}"))),
            ("port, from the LAN", Some("client"), at(NODE, 80), Ok(format!("a {CLIENT}"))),
            ("port, from localhost", None, at(Ipv4Addr::LOCALHOST, 80), Ok("a 172.18.0.1".into())),
            ("port, from another network", Some("c"), at(NODE, 80), Ok("a 172.19.0.4".into())),
            ("port, from itself", Some("a"), at(NODE, 80), Ok("a 172.18.0.1".into())),
            ("port, from a pod", Some("p"), at(NODE, 80), Ok("a 172.18.0.1".into())),
        ] {
            assert_eq!(tcp(from, to), want, "{name}");
        }
        // who takes a way by hand does not come out either
        sh("ip -n f route add default via 172.21.0.1 dev eth0 onlink");
        assert_eq!(tcp(Some("f"), at(CLIENT, 8080)), NOBODY, "an internal network, by hand");
        // names, too, are a way to the outside
        serve(None, "names", net.gateway(), 53);
        assert_eq!(tcp(Some("f"), at(net.gateway(), 53)), NOBODY, "names, by hand");
        assert_eq!(tcp(Some("g"), at(net.gateway(), 53)), Ok("names 172.18.0.4".to_owned()), "of both");
        assert!(sh("nft list table ip monopod-test").contains("172.18.0.0/16 . 172.18.0.0/16"));
    });
}

#[test]
fn a_sandbox_changes_its_networks_while_it_runs() {
    alone("a_sandbox_changes_its_networks_while_it_runs", || async {
        lan();
        let net = Network::start(config()).await.unwrap();
        let (one, two) = (network(18), network(19));
        net.set_networks(vec![one.clone(), two.clone()]).await.unwrap();
        let port = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 8080 };
        join(&net, "a", &[endpoint(&one, 2)], std::slice::from_ref(&port)).await;
        join(&net, "b", &[endpoint(&two, 2)], &[]).await;
        let (of_one, of_two) = (endpoint(&one, 2), endpoint(&two, 3));
        let change = |endpoints: Vec<Endpoint>, left: Vec<Ipv4Addr>| {
            let (net, member) = (net.clone(), member(&endpoints, std::slice::from_ref(&port)));
            async move { net.join("a", &netns("a"), &member, &left).await.unwrap() }
        };
        sh("ip -n a address add 198.51.100.1/32 dev eth0");
        change(vec![of_one.clone(), of_two.clone()], vec![]).await;
        assert_eq!(tcp(Some("b"), at(of_two.address, 8080)), Ok("a 172.19.0.2".into()), "connected");
        change(vec![of_two.clone()], vec![of_one.address]).await;
        assert_eq!(tcp(None, at(of_one.address, 8080)), Err(ErrorKind::HostUnreachable), "disconnected");
        assert_eq!(tcp(Some("client"), at(NODE, 80)), Ok(format!("a {CLIENT}")), "the port went along");
        let inside = sh("ip -n a -br address show eth0; ip -n a route");
        assert!(!inside.contains("172.18") && inside.contains("default via 172.19.0.1"), "{inside}");
        assert!(inside.contains("198.51.100.1"), "what is the user's own stays: {inside}");
        change(vec![], vec![of_two.address]).await;
        assert!(!sh("ip -n a route").contains("default"));
        assert_eq!(tcp(None, at(NODE, 80)), Err(ErrorKind::ConnectionRefused));
    });
}

#[test]
fn networks_outlive_the_daemon_and_are_purged() {
    alone("networks_outlive_the_daemon_and_are_purged", || async {
        lan();
        sh(
            "ip netns add a; sysctl -qw net.ipv4.ip_forward=1; ip address add 172.30.0.1/32 dev lo label lo:other",
        );
        let before = snapshot();
        let (one, two) = (network(18), network(19));
        let net = Network::start(config()).await.unwrap();
        net.set_networks(vec![one.clone(), two.clone()]).await.unwrap();
        let first = member(&[endpoint(&one, 2)], &[]);
        net.join("a", &netns("a"), &first, &[]).await.unwrap();
        let space = net.address_space().await.unwrap();
        assert!(
            space.own.contains(&config().pod_cidr) && space.routed.contains(&"192.0.2.0/24".parse().unwrap())
        );
        assert!(!space.routed.contains(&one.subnet), "its own networks are known to the caller");
        drop(net);

        let net = Network::start(config()).await.unwrap();
        net.join("a", &netns("a"), &first, &[]).await.unwrap();
        assert_eq!(net.collect_garbage().await, NetworkGarbage::default());
        net.set_networks(vec![one.clone()]).await.unwrap();
        let now = sh("ip route; ip address show lo; nft list table ip monopod-test");
        assert!(now.contains("172.18.0.1") && !now.contains("172.19."), "{now}");
        let again = snapshot();
        net.set_networks(vec![one]).await.unwrap();
        assert_eq!(snapshot(), again, "nothing to do");
        drop(net);
        assert_eq!(Network::purge(&config()).await, Vec::<String>::new());
        assert_eq!(snapshot(), before);
    });
}

#[test]
fn a_name_server_leaves_port_53_to_the_user() {
    alone("a_name_server_leaves_port_53_to_the_user", || async {
        lan();
        let net = Network::start(config()).await.unwrap();
        pod(&net, "a").await;
        for _ in 0..2 {
            // the second time in place of the first one's, as after a restart
            let server = net.name_server(&netns("a")).await.unwrap();
            let users_own = within(Some("a"), || {
                let udp = std::net::UdpSocket::bind(("0.0.0.0", 53)).unwrap();
                (udp, std::net::TcpListener::bind(("0.0.0.0", 53)).unwrap())
            });
            let asked = within(Some("a"), || {
                let udp = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
                udp.connect((cri::NAME_SERVER, 53)).unwrap();
                udp.send(b"over udp").unwrap();
                let mut tcp = TcpStream::connect((cri::NAME_SERVER, 53)).unwrap();
                tcp.write_all(b"over tcp").unwrap();
                (udp, tcp)
            });
            let mut buffer = [0; 16];
            server.udp.set_nonblocking(false).unwrap();
            let (length, client) = server.udp.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"over udp");
            server.udp.send_to(b"answer", client).unwrap();
            assert_eq!(asked.0.recv(&mut buffer).unwrap(), 6, "from the address that was asked");
            server.tcp.set_nonblocking(false).unwrap();
            let mut stream = server.tcp.accept().unwrap().0;
            stream.read_exact(&mut buffer[..8]).unwrap();
            assert_eq!(&buffer[..8], b"over tcp");
            drop(users_own);
        }
    });
}

#[test]
fn many_ask_the_kernel_for_lists_at_once() {
    alone("many_ask_the_kernel_for_lists_at_once", || async {
        lan();
        let net = Network::start(config()).await.unwrap();
        net.set_networks((18..50).map(network).collect()).await.unwrap();
        let asked = futures::future::join_all((0..64).map(|_| net.address_space())).await;
        let failed: Vec<_> = asked.into_iter().filter_map(Result::err).collect();
        assert!(failed.is_empty(), "{failed:?}");
        Network::purge(&config()).await;
    });
}

#[test]
fn a_deleted_link_of_a_member_is_made_again_in_all_its_networks() {
    alone("a_deleted_link_of_a_member_is_made_again_in_all_its_networks", || async {
        lan();
        let net = Network::start(config()).await.unwrap();
        let (one, two) = (network(18), network(19));
        net.set_networks(vec![one.clone(), two.clone()]).await.unwrap();
        let port = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 8080 };
        join(&net, "a", &[endpoint(&one, 2)], &[]).await;
        join(&net, "b", &[endpoint(&two, 2)], &[]).await;
        sh("ip netns add both");
        let endpoints = [endpoint(&one, 3), endpoint(&two, 3)];
        let membership = Membership { mac_address: Some([2, 0, 0, 0, 0, 7]), ..member(&endpoints, &[port]) };
        net.join("both", &netns("both"), &membership, &[]).await.unwrap();
        serve(Some("both"), "both", Ipv4Addr::UNSPECIFIED, 8080);
        let healing = healing(&net).await;
        sh("ip -n both link del eth0");
        let ip = |second| at(Ipv4Addr::new(172, second, 0, 3), 8080);
        let began = std::time::Instant::now();
        while tcp(Some("client"), at(NODE, 80)) != Ok(format!("both {CLIENT}")) {
            assert!(began.elapsed().as_secs() < 60, "{}", sh("ip -o link; ip route"));
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(tcp(Some("a"), ip(18)), Ok("both 172.18.0.2".to_owned()), "in the one");
        assert_eq!(tcp(Some("b"), ip(19)), Ok("both 172.19.0.2".to_owned()), "in the other");
        assert!(
            sh("ip -n both link show eth0").contains("02:00:00:00:00:07"),
            "with its address on the link"
        );
        healing.abort();
    });
}
