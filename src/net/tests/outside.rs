//! What a host on the LAN sends that none would send in good faith, in a real kernel. Needs root, iproute2 and nft.

mod world;

use cri::{Endpoint, HostPort, Membership, NetworkConfig, Protocol};
use net::Network;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use world::{CLIENT, NODE, alone, config, hears, lan, netns, pod, serve, sh, tcp};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn at(ip: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip, port)
}

#[test]
fn what_is_published_at_loopback_is_the_machine_s_alone() {
    alone("what_is_published_at_loopback_is_the_machine_s_alone", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        sh("ip netns add a");
        let port = HostPort {
            protocol: Protocol::Tcp,
            host_ip: Some(LOCALHOST.into()),
            host_port: 81,
            container_port: 8080,
        };
        network.attach("a", "", &netns("a"), &[port]).await.unwrap();
        serve(Some("a"), "a", Ipv4Addr::UNSPECIFIED, 8080);
        sh("ip netns exec client sysctl -qw net.ipv4.conf.all.route_localnet=1
            ip netns exec client sysctl -qw net.ipv4.conf.eth0.route_localnet=1
            ip -n client address del 127.0.0.1/8 dev lo
            ip -n client route flush table local 127.0.0.0/8
            ip -n client route add 127.0.0.1 via 192.0.2.2 dev eth0 src 192.0.2.9");
        assert_eq!(tcp(Some("client"), at(LOCALHOST, 81)), Err(ErrorKind::TimedOut));
        assert_eq!(tcp(None, at(LOCALHOST, 81)), Ok(format!("a {}", network.gateway())));
    });
}

#[test]
fn nobody_outside_speaks_for_a_pod() {
    alone("nobody_outside_speaks_for_a_pod", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        for (name, from, heard) in [
            ("its own address", CLIENT, true),
            ("another pod's", b.ip, false),
            ("one of nobody", Ipv4Addr::new(10, 244, 0, 99), false),
        ] {
            assert_eq!(hears("a", a.ip, "client", from), heard, "{name}");
        }
    });
}

#[test]
fn nobody_outside_speaks_for_a_member_of_a_network() {
    alone("nobody_outside_speaks_for_a_member_of_a_network", || async {
        lan();
        let net = Network::start(config()).await.unwrap();
        let of = |subnet: &str, gateway| NetworkConfig {
            subnet: subnet.parse().unwrap(),
            gateway,
            internal: false,
            members_meet: true,
            masquerade: true,
        };
        let one = of("172.18.0.0/16", Ipv4Addr::new(172, 18, 0, 1));
        // a user may give one the addresses of the machine's own network
        let of_lan = of("192.0.2.0/24", Ipv4Addr::new(192, 0, 2, 200));
        net.set_networks(vec![one.clone(), of_lan]).await.unwrap();
        let address = |last| Ipv4Addr::new(172, 18, 0, last);
        for (name, last) in [("a", 2), ("b", 3)] {
            let (subnet, gateway) = (one.subnet, one.gateway);
            let endpoint = Endpoint { address: address(last), subnet, gateway, internal: false, mtu: None };
            let member = Membership { endpoints: vec![endpoint], mac_address: None, host_ports: Vec::new() };
            sh(&format!("ip netns add {name}"));
            net.join(name, &netns(name), &member, &[]).await.unwrap();
            serve(Some(name), name, Ipv4Addr::UNSPECIFIED, 8080);
        }
        serve(None, "machine", Ipv4Addr::UNSPECIFIED, 8080);
        for (name, last) in [("another member's address", 3), ("one of nobody", 99)] {
            assert!(!hears("a", address(2), "client", address(last)), "{name}");
        }
        assert_eq!(tcp(Some("b"), at(address(2), 8080)), Ok("a 172.18.0.3".to_owned()), "a member");
        assert_eq!(
            tcp(Some("client"), at(NODE, 8080)),
            Ok(format!("machine {CLIENT}")),
            "in a network's range"
        );
    });
}
