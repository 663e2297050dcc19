//! Routed pods in a real kernel. Needs root, iproute2 and nft.

mod world;

use cri::{HostPort, NetworkGarbage, Protocol};
use net::Network;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};
use world::{
    CLIENT, NODE, alone, config, healing, hears, lan, netns, pod, serve, sh, snapshot, tcp, udp, udp_socket,
};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn at(ip: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip, port)
}

#[test]
fn pods_reach_each_other_the_machine_and_the_outside() {
    alone("pods_reach_each_other_the_machine_and_the_outside", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        let gateway = network.gateway();
        serve(None, "machine", Ipv4Addr::UNSPECIFIED, 8080);
        serve(Some("client"), "client", Ipv4Addr::UNSPECIFIED, 8080);

        for (name, from, to, want) in [
            ("pod to pod", Some("a"), b.ip, format!("b {}", a.ip)),
            ("machine to pod", None, a.ip, format!("a {gateway}")),
            ("pod to gateway", Some("a"), gateway, format!("machine {}", a.ip)),
            ("pod to node address", Some("a"), NODE, format!("machine {}", a.ip)),
            ("pod to the outside", Some("a"), CLIENT, format!("client {NODE}")),
            ("the outside to pod", Some("client"), b.ip, format!("b {CLIENT}")),
            ("pod to itself", Some("a"), a.ip, format!("a {}", a.ip)),
        ] {
            assert_eq!(tcp(from, at(to, 8080)), Ok(want), "{name}");
        }
        // an address that nobody has: said at once, by the machine itself
        let nobody = at(Ipv4Addr::new(10, 244, 0, 99), 8080);
        assert_eq!(tcp(None, nobody), Err(ErrorKind::HostUnreachable));
        assert_eq!(tcp(Some("a"), nobody), Err(ErrorKind::HostUnreachable));

        let counters = network.counters("a").await.unwrap();
        assert!(counters.rx_bytes > 0 && counters.tx_bytes > 0, "{counters:?}");
        assert!(sh("ip -n a link show eth0").contains("mtu 1400"), "the uplink's MTU");
        assert!(sh("ip -n a -6 address show lo").contains("::1/128"));

        network.detach("a").await.unwrap();
        network.detach("a").await.unwrap();
        assert!(network.counters("a").await.is_err());
        assert_eq!(tcp(None, at(a.ip, 8080)), Err(ErrorKind::HostUnreachable));
    });
}

#[test]
fn a_pod_can_not_speak_to_the_machines_loopback_or_with_a_foreign_address() {
    alone("a_pod_can_not_speak_to_the_machines_loopback_or_with_a_foreign_address", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        serve(None, "machine", LOCALHOST, 9000);
        assert_eq!(tcp(None, at(LOCALHOST, 9000)), Ok("machine 127.0.0.1".into()));
        // the pod routes 127.0.0.1 out of its link, as one with CAP_NET_ADMIN can
        sh(&format!(
            "ip netns exec a sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.eth0.route_localnet=1
             ip -n a address del 127.0.0.1/8 dev lo
             ip -n a route flush table local 127.0.0.0/8
             ip -n a route add 127.0.0.1 via {} dev eth0 onlink src {}",
            network.gateway(),
            a.ip
        ));
        assert_eq!(tcp(Some("a"), at(LOCALHOST, 9000)), Err(ErrorKind::TimedOut));
        sh(&format!(
            "ip -n a address add {}/32 dev lo; ip -n a route replace default via {} dev eth0 onlink src {0}",
            b.ip,
            network.gateway()
        ));
        assert_eq!(tcp(Some("a"), at(network.gateway(), 9000)), Err(ErrorKind::TimedOut), "with b's address");
    });
}

/// Ubuntu sets it for all links, and udev for each new one where systemd's own defaults are there.
#[test]
fn a_pod_speaks_with_its_own_address_whatever_the_machine_lets_others_do() {
    alone("a_pod_speaks_with_its_own_address_whatever_the_machine_lets_others_do", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b, c) = (pod(&network, "a").await, pod(&network, "b").await, pod(&network, "c").await);
        sh("for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 2 > $file; done");
        assert!(hears("a", a.ip, "b", b.ip), "its own");
        assert!(!hears("a", a.ip, "b", c.ip), "another pod's");
        assert!(!hears("a", a.ip, "b", CLIENT), "one of the LAN's");
    });
}

#[test]
fn host_ports_lead_to_their_sandbox() {
    alone("host_ports_lead_to_their_sandbox", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let port = |protocol, host_ip: Option<Ipv4Addr>, host_port| HostPort {
            protocol,
            host_ip: host_ip.map(Into::into),
            host_port,
            container_port: 8080,
        };
        let ports = [
            port(Protocol::Tcp, None, 80),
            port(Protocol::Udp, None, 53),
            port(Protocol::Tcp, Some(LOCALHOST), 81),
        ];
        sh("ip netns add a; ip netns add b; ip netns add c");
        let a = network.attach("a", "", &netns("a"), &ports).await.unwrap();
        serve(Some("a"), "a", Ipv4Addr::UNSPECIFIED, 8080);
        let b = network.attach("b", "", &netns("b"), &[]).await.unwrap();

        let gateway = network.gateway();
        for (name, from, to, want) in [
            ("LAN client", Some("client"), at(NODE, 80), Ok(format!("a {CLIENT}"))),
            ("machine by its address", None, at(NODE, 80), Ok(format!("a {NODE}"))),
            ("machine by localhost", None, at(LOCALHOST, 80), Ok(format!("a {gateway}"))),
            ("other pod", Some("b"), at(NODE, 80), Ok(format!("a {}", b.ip))),
            ("itself", Some("a"), at(NODE, 80), Ok(format!("a {gateway}"))),
            ("bound to localhost", None, at(LOCALHOST, 81), Ok(format!("a {gateway}"))),
            (
                "bound to localhost, from outside",
                Some("client"),
                at(NODE, 81),
                Err(ErrorKind::ConnectionRefused),
            ),
        ] {
            assert_eq!(tcp(from, to), want, "{name}");
        }
        let socket = udp_socket(Some("client"));
        assert_eq!(udp(&socket, at(NODE, 53)), Ok(format!("a {CLIENT}")));

        let taken = network.attach("c", "", &netns("c"), &[port(Protocol::Tcp, None, 80)]).await.unwrap_err();
        assert_eq!(taken.to_string(), "host port 80/tcp is already taken by sandbox a");
        network.detach("a").await.unwrap();
        assert_eq!(tcp(Some("client"), at(NODE, 80)), Err(ErrorKind::ConnectionRefused));
        assert_eq!(udp(&socket, at(NODE, 53)), Err(ErrorKind::ConnectionRefused), "its flow was forgotten");
        assert_ne!(
            network.attach("d", "", &netns("a"), &ports).await.unwrap().ip,
            a.ip,
            "not reused at once"
        );
    });
}

#[test]
fn tens_of_thousands_of_ports_lead_to_one_place_each() {
    alone("tens_of_thousands_of_ports_lead_to_one_place_each", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let port = |host_port, container_port| HostPort {
            protocol: Protocol::Tcp,
            host_ip: None,
            host_port,
            container_port,
        };
        let many: Vec<HostPort> = (20_000..50_000).map(|number| port(number, 8080)).collect();
        sh("ip netns add a; ip netns add b");
        let began = Instant::now();
        network.attach("a", "", &netns("a"), &many).await.unwrap();
        serve(Some("a"), "a", Ipv4Addr::UNSPECIFIED, 8080);
        assert_eq!(tcp(Some("client"), at(NODE, 49_999)), Ok(format!("a {CLIENT}")));
        for (name, ports, want) in [
            ("another's", &many[29_999..], "host port 49999/tcp is already taken by sandbox a"),
            ("its own", &[port(80, 1), port(80, 2)][..], "host port 80/tcp is already taken by sandbox b"),
        ] {
            let refused = network.attach("b", "", &netns("b"), ports).await.unwrap_err().to_string();
            assert!(refused.contains(want), "{name}: {refused}");
        }
        network.detach("a").await.unwrap();
        assert_eq!(tcp(Some("client"), at(NODE, 49_999)), Err(ErrorKind::ConnectionRefused));
        assert!(began.elapsed() < Duration::from_secs(180), "{:?}", began.elapsed());
    });
}

/// Its client keeps the source port, and goes on asking while nobody is there: each packet keeps its flow alive.
#[test]
fn a_udp_client_follows_a_host_port() {
    alone("a_udp_client_follows_a_host_port", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let port = |host_ip: Option<Ipv4Addr>, host_port| HostPort {
            protocol: Protocol::Udp,
            host_ip: host_ip.map(Into::into),
            host_port,
            container_port: 8080,
        };
        let ports = [port(None, 53), port(Some(LOCALHOST), 54)];
        let clients = [
            ("LAN client", udp_socket(Some("client")), at(NODE, 53)),
            ("the machine", udp_socket(None), at(NODE, 53)),
            ("the machine by localhost", udp_socket(None), at(LOCALHOST, 53)),
            ("bound to localhost", udp_socket(None), at(LOCALHOST, 54)),
        ];
        for round in ["a", "b"] {
            for (name, socket, to) in &clients {
                assert_eq!(udp(socket, *to), Err(ErrorKind::ConnectionRefused), "{name} before {round}");
            }
            sh(&format!("ip netns add {round}"));
            network.attach(round, "", &netns(round), &ports).await.unwrap();
            serve(Some(round), round, Ipv4Addr::UNSPECIFIED, 8080);
            for (name, socket, to) in &clients {
                let said = udp(socket, *to).map(|said| said.split(' ').next().unwrap().to_owned());
                assert_eq!(said, Ok(round.to_owned()), "{name}");
            }
            network.detach(round).await.unwrap();
        }
    });
}

#[test]
fn a_restart_keeps_what_is_adopted_and_collects_the_rest() {
    alone("a_restart_keeps_what_is_adopted_and_collects_the_rest", || async {
        lan();
        let port = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 8080 };
        let lost = HostPort { host_port: 81, ..port.clone() };
        sh("ip netns add b; ip netns add c");
        let (a, b) = {
            let network = Network::start(config()).await.unwrap();
            let a = pod(&network, "a").await;
            let b = network.attach("b", "", &netns("b"), &[lost]).await.unwrap();
            (a, b)
        };
        let network = Network::start(config()).await.unwrap();
        let c = network.attach("c", "", &netns("c"), &[]).await.unwrap();
        assert!(
            c.ip != a.ip && c.ip != b.ip,
            "addresses of pods that may still be adopted are not given away"
        );
        network.adopt("a", &netns("a"), &a, std::slice::from_ref(&port)).await.unwrap();
        let garbage = network.collect_garbage().await;
        assert_eq!((garbage.removed, garbage.failed), (vec![b.link.clone()], vec![]));
        assert_eq!(tcp(None, at(NODE, 80)), Ok(format!("a {NODE}")));
        assert_eq!(tcp(None, at(NODE, 81)), Err(ErrorKind::ConnectionRefused), "b's port went with it");
        assert_eq!(tcp(None, at(c.ip, 80)), Err(ErrorKind::ConnectionRefused), "c is there");

        // whatever was taken away meanwhile is put back
        sh(&format!("ip link delete {}", a.link));
        network.adopt("a", &netns("a"), &a, &[port]).await.unwrap();
        assert_eq!(tcp(None, at(a.ip, 8080)), Ok(format!("a {}", network.gateway())));
        assert_eq!(network.collect_garbage().await, NetworkGarbage::default());
    });
}

#[test]
fn a_failed_attach_leaves_nothing() {
    alone("a_failed_attach_leaves_nothing", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let before = snapshot();
        let error = network.attach("a", "", &netns("missing"), &[]).await.unwrap_err();
        assert!(error.to_string().contains("/run/netns/missing"), "{error}");
        assert_eq!(snapshot(), before);
    });
}

#[test]
fn purge_leaves_the_machine_as_it_was() {
    alone("purge_leaves_the_machine_as_it_was", || async {
        lan();
        sh("nft add table ip monopod; nft add chain ip monopod forward '{ type filter hook forward priority 0; policy drop; }'
            ip link add bystander type veth peer name bystander-peer");
        sh("ip netns add a; ip netns add b");
        sh("sysctl -qw net.ipv4.ip_forward=1");
        let before = snapshot();
        let network = Network::start(config()).await.unwrap();
        let port = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 8080 };
        network.attach("a", "", &netns("a"), &[port]).await.unwrap();
        network.attach("b", "", &netns("b"), &[]).await.unwrap();
        assert_ne!(snapshot(), before);
        let notes = network.notes().await;
        assert_eq!(notes.len(), 1, "{notes:?}");
        drop(network);
        assert_eq!(Network::purge(&config()).await, Vec::<String>::new());
        assert_eq!(snapshot(), before);
        assert_eq!(Network::purge(&config()).await, Vec::<String>::new(), "and again");

        // a stranger in the group of the profile's links keeps its place
        let network = Network::start(config()).await.unwrap();
        let a = network.attach("a", "", &netns("a"), &[]).await.unwrap();
        network.attach("b", "", &netns("b"), &[]).await.unwrap();
        let group =
            sh(&format!("ip -j -d link show {} | grep -o '\"group\":\"[^\"]*' | cut -d'\"' -f4", a.link));
        sh(&format!("ip link set bystander group {group}"));
        assert_eq!(Network::purge(&config()).await, Vec::<String>::new());
        sh("ip link set bystander group default");
        assert_eq!(snapshot(), before);
    });
}

#[test]
fn links_routes_and_addresses_that_somebody_takes_come_back() {
    alone("links_routes_and_addresses_that_somebody_takes_come_back", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        network.set_service_ranges(&["10.250.0.0/24".parse().unwrap()]).await.unwrap();
        let containers = cri::NetworkConfig {
            subnet: "172.18.0.0/16".parse().unwrap(),
            gateway: Ipv4Addr::new(172, 18, 0, 1),
            internal: false,
            members_meet: true,
            masquerade: true,
        };
        network.set_networks(vec![containers]).await.unwrap();
        let healing = healing(&network).await;
        let state = || {
            sh(
                "ip -o link show up | cut -d: -f2 | sort; ip -4 -o address show | awk '{print $2, $4}' | sort; ip route",
            )
        };
        let gateway = network.gateway();
        let before = state();
        for deed in [
            format!("ip link set {} down", a.link),
            format!("ip route del {} dev {}", a.ip, a.link),
            format!("ip address del {gateway}/32 dev {}", a.link),
            format!("ip address del {gateway}/32 dev lo; ip address del 172.18.0.1/32 dev lo"),
            "ip route del 10.96.0.0/16; ip route del 10.250.0.0/24; ip route del unreachable 10.244.0.0/24"
                .to_owned(),
            "ip link set lo down; ip link set lo up".to_owned(),
        ] {
            let began = std::time::Instant::now();
            sh(&deed);
            while state() != before || tcp(Some("client"), at(a.ip, 8080)) != Ok(format!("a {CLIENT}")) {
                let now = state();
                assert!(began.elapsed() < std::time::Duration::from_secs(60), "{deed}: {now}, not {before}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        // what we take away ourselves stays away
        network.detach("a").await.unwrap();
        network.set_service_ranges(&[]).await.unwrap();
        let before = state();
        assert!(!before.contains(&a.link) && !before.contains("10.250"), "{before}");
        let began = std::time::Instant::now();
        sh(&format!("ip link set {} down; ip address del {gateway}/32 dev lo", b.link));
        while state() != before {
            assert!(began.elapsed() < std::time::Duration::from_secs(60), "{}, not {before}", state());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        healing.abort();
    });
}

#[test]
fn a_link_that_somebody_deletes_is_made_again_while_its_sandbox_lives() {
    alone("a_link_that_somebody_deletes_is_made_again_while_its_sandbox_lives", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        sh("ip netns add gone");
        let gone = network.attach("gone", "", &netns("gone"), &[]).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        serve(Some("client"), "client", Ipv4Addr::UNSPECIFIED, 8080);
        let healing = healing(&network).await;
        for (name, deed, pod) in [
            ("here", format!("ip netns del gone; ip link del {}", a.link), &a),
            ("in the sandbox", "ip -n b link del eth0".to_owned(), &b),
        ] {
            let sandbox = if pod.ip == a.ip { "a" } else { "b" };
            let began = Instant::now();
            sh(&deed);
            while tcp(Some("client"), at(pod.ip, 8080)) != Ok(format!("{sandbox} {CLIENT}")) {
                assert!(began.elapsed() < Duration::from_secs(60), "{name}: {}", sh("ip -o link; ip route"));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(
                tcp(Some(sandbox), at(CLIENT, 8080)),
                Ok(format!("client {NODE}")),
                "{name}: outwards"
            );
            assert!(network.counters(sandbox).await.is_ok(), "{name}: by the same name");
        }
        assert!(!sh("ip -o link").contains(&gone.link), "what went with its sandbox is gone");
        network.detach("b").await.unwrap();
        assert_eq!(tcp(None, at(b.ip, 8080)), Err(ErrorKind::HostUnreachable));
        healing.abort();
    });
}

/// As a laptop does that sleeps, or changes its network.
#[test]
fn routes_from_the_node_s_address_come_back_with_it() {
    alone("routes_from_the_node_s_address_come_back_with_it", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        network.set_service_ranges(&["10.250.0.0/24".parse().unwrap()]).await.unwrap();
        let healing = healing(&network).await;
        let before = sh("ip route");
        sh(&format!("ip address del {NODE}/24 dev uplink"));
        let meanwhile = sh("ip route");
        assert!(!meanwhile.contains("10.96.0.0/16") && !meanwhile.contains("10.250.0.0/24"), "{meanwhile}");
        sh(&format!("ip address add {NODE}/24 dev uplink; ip route replace default via {CLIENT}"));
        let began = std::time::Instant::now();
        while sh("ip route") != before {
            let now = sh("ip route");
            assert!(began.elapsed() < std::time::Duration::from_secs(60), "{now}, not {before}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        healing.abort();
    });
}
