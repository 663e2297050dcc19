//! Frontends in a real kernel. Needs root, iproute2 and nft.

mod world;

use cri::HostPort;
use cri::Protocol::{self, Tcp, Udp};
use net::{Action, Frontend, NetConfig, Network, ON_BEHALF, SharedSet};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt};
use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind::{self, ConnectionRefused, PermissionDenied, TimedOut, WouldBlock};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use world::{CLIENT, NODE, alone, config, lan, netns, pod, serve, sh, tcp, udp, udp_socket};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const CLUSTER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 50);
const BALANCER: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
const EXTERNAL: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

fn at(ip: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip, port)
}

fn frontend(address: impl Into<Option<Ipv4Addr>>, protocol: Protocol, port: u16) -> Frontend {
    Frontend { address: address.into(), protocol, port }
}

fn to<const N: usize>(backends: [Ipv4Addr; N]) -> Action {
    let backends = backends.into_iter().map(|ip| at(ip, 8080)).collect();
    Action::Forward { backends, affinity: None, masquerade: false }
}

fn masked(action: Action) -> Action {
    match action {
        Action::Forward { backends, affinity, .. } => {
            Action::Forward { backends, affinity, masquerade: true }
        }
        other => other,
    }
}

fn sticky(action: Action) -> Action {
    match action {
        Action::Forward { backends, masquerade, .. } => {
            Action::Forward { backends, affinity: Some(600), masquerade }
        }
        other => other,
    }
}

#[test]
fn every_frontend_of_a_service_leads_to_its_pods() {
    alone("every_frontend_of_a_service_leads_to_its_pods", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        let gateway = network.gateway();
        for protocol in [Tcp, Udp] {
            let frontends = vec![
                (frontend(CLUSTER, protocol, 80), Some(to([a.ip]))),
                (frontend(None, protocol, 30080), Some(masked(to([a.ip])))),
                (frontend(None, protocol, 30081), Some(to([a.ip]))),
                (frontend(BALANCER, protocol, 80), Some(masked(to([a.ip])))),
                (frontend(BALANCER, protocol, 81), Some(to([a.ip]))),
                (frontend(EXTERNAL, protocol, 80), Some(masked(to([a.ip])))),
            ];
            network.change_frontends(frontends).await.unwrap();
        }
        for (name, from, to, seen) in [
            ("machine to ClusterIP", None, at(CLUSTER, 80), NODE),
            ("pod to ClusterIP", Some("b"), at(CLUSTER, 80), b.ip),
            ("pod to itself by ClusterIP", Some("a"), at(CLUSTER, 80), gateway),
            ("LAN client to ClusterIP", Some("client"), at(CLUSTER, 80), CLIENT),
            ("machine to localhost:nodePort", None, at(LOCALHOST, 30080), gateway),
            ("machine to localhost:nodePort, local", None, at(LOCALHOST, 30081), gateway),
            ("machine to node:nodePort", None, at(NODE, 30080), gateway),
            ("pod to node:nodePort", Some("b"), at(NODE, 30080), gateway),
            ("pod to gateway:nodePort", Some("b"), at(gateway, 30081), b.ip),
            ("pod to itself by nodePort", Some("a"), at(NODE, 30081), gateway),
            ("LAN client to nodePort", Some("client"), at(NODE, 30080), gateway),
            ("LAN client to nodePort, local", Some("client"), at(NODE, 30081), CLIENT),
            ("LAN client to balancer", Some("client"), at(BALANCER, 80), gateway),
            ("LAN client to balancer, local", Some("client"), at(BALANCER, 81), CLIENT),
            ("machine to balancer", None, at(BALANCER, 80), gateway),
            ("pod to balancer", Some("b"), at(BALANCER, 80), gateway),
            ("pod to itself by balancer", Some("a"), at(BALANCER, 81), gateway),
            ("LAN client to external IP", Some("client"), at(EXTERNAL, 80), gateway),
            ("pod to external IP", Some("b"), at(EXTERNAL, 80), gateway),
        ] {
            assert_eq!(tcp(from, to), Ok(format!("a {seen}")), "{name}");
            assert_eq!(udp(&udp_socket(from), to), Ok(format!("a {seen}")), "{name}, UDP");
        }
        assert!(
            sh("nft list ruleset").contains("service-masked-of-1"),
            "the table can be listed with its elements"
        );
        assert!(sh("nft -j list ruleset").contains("service-masked-of-1"));
    });
}

/// As [`tcp`], from a socket of the machine's that speaks for somebody.
fn on_behalf(to: SocketAddrV4) -> Result<String, ErrorKind> {
    let kind = |errno: nix::Error| std::io::Error::from(errno).kind();
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(kind)?;
    setsockopt(&socket, sockopt::Mark, &ON_BEHALF).map_err(kind)?;
    connect(socket.as_raw_fd(), &SockaddrIn::from(to)).map_err(kind)?;
    let mut said = String::new();
    TcpStream::from(socket).read_to_string(&mut said).map_err(|error| error.kind())?;
    Ok(said)
}

#[test]
fn who_speaks_for_somebody_is_led_to_no_pod() {
    alone("who_speaks_for_somebody_is_led_to_no_pod", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let a = pod(&network, "a").await;
        serve(Some("client"), "published", Ipv4Addr::UNSPECIFIED, 8080);
        let frontends = vec![
            (frontend(CLUSTER, Tcp, 80), Some(to([a.ip]))),
            (frontend(None, Tcp, 30080), Some(masked(to([a.ip])))),
            (frontend(BALANCER, Tcp, 80), Some(masked(to([a.ip])))),
            (frontend(EXTERNAL, Tcp, 80), Some(masked(to([a.ip])))),
            (frontend(CLUSTER, Tcp, 81), Some(to([CLIENT]))),
        ];
        network.change_frontends(frontends).await.unwrap();
        for (name, to, want) in [
            ("by ClusterIP", at(CLUSTER, 80), Err(ConnectionRefused)),
            ("by node port", at(NODE, 30080), Err(ConnectionRefused)),
            ("by node port, here", at(LOCALHOST, 30080), Err(ConnectionRefused)),
            ("by balancer", at(BALANCER, 80), Err(ConnectionRefused)),
            ("by external IP", at(EXTERNAL, 80), Err(ConnectionRefused)),
            ("to the pod itself", at(a.ip, 8080), Ok("a".to_owned())),
            ("to what is no pod", at(CLUSTER, 81), Ok("published".to_owned())),
        ] {
            let who = |said: String| said.split(' ').next().unwrap_or_default().to_owned();
            assert!(tcp(None, to).is_ok(), "{name}");
            assert_eq!(on_behalf(to).map(who), want, "{name}");
        }
    });
}

#[test]
fn clients_are_spread_over_all_back_ends() {
    alone("clients_are_spread_over_all_back_ends", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let mut ips = Vec::new();
        for name in ["a", "b", "c"] {
            ips.push(pod(&network, name).await.ip);
        }
        let frontends = [frontend(CLUSTER, Tcp, 80), frontend(None, Tcp, 30080)];
        let actions = frontends.map(|frontend| (frontend, to([ips[0], ips[1], ips[2]])));
        network.set_frontends(actions.into()).await.unwrap();
        for to in [at(CLUSTER, 80), at(NODE, 30080)] {
            let seen: HashSet<String> = (0..60).map(|_| name_of(tcp(None, to))).collect();
            assert_eq!(seen, ["a", "b", "c"].map(str::to_owned).into(), "{to}");
        }
        // one goes, and nobody is led to it any more
        network.change_frontends(vec![(frontends[0], Some(to([ips[0], ips[2]])))]).await.unwrap();
        let seen: HashSet<String> = (0..60).map(|_| name_of(tcp(None, at(CLUSTER, 80)))).collect();
        assert_eq!(seen, ["a", "c"].map(str::to_owned).into());
    });
}

fn name_of(said: Result<String, std::io::ErrorKind>) -> String {
    said.unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn a_client_with_affinity_stays_until_its_back_end_goes() {
    alone("a_client_with_affinity_stays_until_its_back_end_goes", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let mut ips = Vec::new();
        for name in ["a", "b", "c"] {
            ips.push(pod(&network, name).await.ip);
        }
        let frontends = [frontend(CLUSTER, Tcp, 80), frontend(None, Tcp, 30080)];
        let all = sticky(to([ips[0], ips[1], ips[2]]));
        network.set_frontends(frontends.map(|frontend| (frontend, all.clone())).into()).await.unwrap();
        for (frontend, to) in [(frontends[0], at(CLUSTER, 80)), (frontends[1], at(NODE, 30080))] {
            let first = name_of(tcp(Some("client"), to));
            for _ in 0..20 {
                assert_eq!(name_of(tcp(Some("client"), to)), first, "{to}");
            }
            let others: HashSet<String> = (1..=40).map(|n| client_with_address(n, to)).collect();
            assert_eq!(others.len(), 3, "other clients go elsewhere, {to}");
            assert!(sh("nft list ruleset").contains("timeout 10m"), "and it can be listed");

            let left: SharedSet<SocketAddrV4> = ["a", "b", "c"]
                .iter()
                .zip(&ips)
                .filter(|(name, _)| **name != first)
                .map(|(_, ip)| at(*ip, 8080))
                .collect();
            let action = Action::Forward { backends: left, affinity: Some(600), masquerade: false };
            network.change_frontends(vec![(frontend, Some(action))]).await.unwrap();
            let second = name_of(tcp(Some("client"), to));
            assert_ne!(second, first);
            for _ in 0..20 {
                assert_eq!(name_of(tcp(Some("client"), to)), second, "{to}");
            }
        }
    });
}

/// From one more address of the client host.
fn client_with_address(n: u8, to: SocketAddrV4) -> String {
    sh(&format!(
        "ip -n client address replace 192.0.2.{}/24 dev eth0
         ip -n client route replace {}/32 via {NODE} src 192.0.2.{0} onlink dev eth0",
        100 + n,
        to.ip()
    ));
    name_of(tcp(Some("client"), to))
}

#[test]
fn frontends_without_back_ends_answer_at_once_or_not_at_all() {
    alone("frontends_without_back_ends_answer_at_once_or_not_at_all", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let a = pod(&network, "a").await;
        // somebody listens on the machine, and is not to be reached through a service's port
        serve(None, "machine", Ipv4Addr::UNSPECIFIED, 30080);
        let mut frontends = BTreeMap::new();
        for protocol in [Tcp, Udp] {
            frontends.insert(frontend(CLUSTER, protocol, 80), Action::Reject);
            frontends.insert(frontend(CLUSTER, protocol, 81), Action::Drop);
            frontends.insert(frontend(None, protocol, 30080), Action::Reject);
            frontends.insert(frontend(None, protocol, 30081), Action::Drop);
            frontends.insert(frontend(EXTERNAL, protocol, 80), Action::Reject);
        }
        network.set_frontends(frontends).await.unwrap();
        let unknown = Ipv4Addr::new(10, 96, 7, 7);
        for (name, to, want) in [
            ("ClusterIP", at(CLUSTER, 80), ConnectionRefused),
            ("ClusterIP, dropped", at(CLUSTER, 81), TimedOut),
            ("no such port of a ClusterIP", at(CLUSTER, 99), ConnectionRefused),
            ("no such ClusterIP", at(unknown, 80), ConnectionRefused),
            ("no such balancer", at(BALANCER, 80), ConnectionRefused),
            ("node port", at(NODE, 30080), ConnectionRefused),
            ("node port, dropped", at(NODE, 30081), TimedOut),
            ("external IP", at(EXTERNAL, 80), ConnectionRefused),
        ] {
            // silence takes its time: once is enough
            let askers =
                if want == TimedOut { &[Some("client")][..] } else { &[Some("client"), Some("a"), None] };
            for from in askers.iter().copied() {
                assert_eq!(tcp(from, to), Err(want), "{name} from {from:?}");
                let got = udp(&udp_socket(from), to).unwrap_err();
                // the kernel tells a local sender of UDP at once that its packet was refused
                let refused = got == ConnectionRefused || got == PermissionDenied && from.is_none();
                assert_eq!(refused, want == ConnectionRefused, "{name} from {from:?}, UDP: {got:?}");
            }
        }
        // the first pod is ready
        network.change_frontends(vec![(frontend(CLUSTER, Tcp, 80), Some(to([a.ip])))]).await.unwrap();
        assert_eq!(tcp(None, at(CLUSTER, 80)), Ok(format!("a {NODE}")));
        network.change_frontends(vec![(frontend(CLUSTER, Tcp, 80), None)]).await.unwrap();
        assert_eq!(tcp(None, at(CLUSTER, 80)), Err(ConnectionRefused));
    });
}

fn only(sources: &[&str], then: Action) -> Action {
    let sources = sources.iter().map(|range| range.parse().unwrap()).collect();
    Action::Restrict { sources, then: Box::new(then) }
}

#[test]
fn a_restricted_frontend_hears_only_those_who_may_come() {
    alone("a_restricted_frontend_hears_only_those_who_may_come", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        let (pods, node) = (format!("{}/32", b.ip), format!("{NODE}/32"));
        let mut frontends = BTreeMap::new();
        for protocol in [Tcp, Udp] {
            for (port, action) in [
                (80, only(&["192.0.2.8/30", "192.0.2.9/32"], masked(to([a.ip])))),
                (81, only(&[&node], masked(to([a.ip])))),
                (82, only(&[&pods], to([a.ip]))),
                (83, only(&["203.0.113.0/24"], Action::Reject)),
                (84, only(&["192.0.2.0/24"], Action::Reject)),
                (85, only(&[], to([a.ip]))),
                (86, only(&["0.0.0.0/0"], to([a.ip]))),
            ] {
                frontends.insert(frontend(BALANCER, protocol, port), action);
            }
            // of the same service, and open
            frontends.insert(frontend(CLUSTER, protocol, 80), to([a.ip]));
            frontends.insert(frontend(None, protocol, 30080), to([a.ip]));
            frontends.insert(frontend(EXTERNAL, protocol, 80), to([a.ip]));
        }
        network.set_frontends(frontends.clone()).await.unwrap();
        let (client, gateway) = (Some("client"), network.gateway());
        for (name, from, to, want) in [
            ("one of the range", client, at(BALANCER, 80), Ok(format!("a {gateway}"))),
            ("a pod outside of it", Some("b"), at(BALANCER, 80), Err(TimedOut)),
            ("the machine outside of it", None, at(BALANCER, 80), Err(TimedOut)),
            ("the machine", None, at(BALANCER, 81), Ok(format!("a {gateway}"))),
            ("a client where only the machine may come", client, at(BALANCER, 81), Err(TimedOut)),
            ("a pod", Some("b"), at(BALANCER, 82), Ok(format!("a {}", b.ip))),
            ("a client where only a pod may come", client, at(BALANCER, 82), Err(TimedOut)),
            ("nobody is there, and it may not ask", client, at(BALANCER, 83), Err(TimedOut)),
            ("nobody is there, and it may", client, at(BALANCER, 84), Err(ConnectionRefused)),
            ("for nobody", client, at(BALANCER, 85), Err(TimedOut)),
            ("for everybody", client, at(BALANCER, 86), Ok(format!("a {CLIENT}"))),
            ("another port of the address", client, at(BALANCER, 99), Err(ConnectionRefused)),
            ("ClusterIP", Some("b"), at(CLUSTER, 80), Ok(format!("a {}", b.ip))),
            ("node port", client, at(NODE, 30080), Ok(format!("a {CLIENT}"))),
            ("external IP", Some("b"), at(EXTERNAL, 80), Ok(format!("a {}", b.ip))),
        ] {
            assert_eq!(tcp(from, to), want, "{name}");
            // the kernel tells a local sender of UDP at once that its packet went nowhere
            let silence = if from.is_none() { PermissionDenied } else { WouldBlock };
            let want = want.map_err(|kind| if kind == TimedOut { silence } else { kind });
            assert_eq!(udp(&udp_socket(from), to), want, "{name}, UDP");
        }
        let ruleset = sh("nft list ruleset");
        assert!(ruleset.contains("10.98.0.1 . tcp . 80 . 192.0.2.8/30"), "it can be listed: {ruleset}");
        drop(network);
        let network = Network::start(config()).await.unwrap();
        network.adopt("a", &netns("a"), &a, &[]).await.unwrap();
        network.adopt("b", &netns("b"), &b, &[]).await.unwrap();
        assert_eq!(tcp(Some("b"), at(BALANCER, 80)), Err(TimedOut), "also before the daemon says a word");
        network.set_frontends(frontends).await.unwrap();
        assert_eq!(sh("nft list ruleset"), ruleset, "kept by the next daemon");

        // ranges that overlap those before, in one transaction with back ends
        let change = |action| vec![(frontend(BALANCER, Tcp, 80), action)];
        network.change_frontends(change(Some(only(&["192.0.2.0/29"], to([a.ip, b.ip]))))).await.unwrap();
        assert_eq!(tcp(client, at(BALANCER, 80)), Err(TimedOut), "not of the range any more");
        network.change_frontends(change(Some(only(&["192.0.2.0/24"], to([b.ip]))))).await.unwrap();
        assert_eq!(tcp(client, at(BALANCER, 80)), Ok(format!("b {CLIENT}")), "again");
        network.change_frontends(change(Some(to([b.ip])))).await.unwrap();
        assert_eq!(tcp(Some("a"), at(BALANCER, 80)), Ok(format!("b {}", a.ip)), "open to all");
        network.set_frontends(BTreeMap::new()).await.unwrap();
        for set in ["map ip monopod-test restricted", "set ip monopod-test allowed-sources"] {
            assert!(!sh(&format!("nft list {set}")).contains("elements"), "{set}");
        }
    });
}

#[test]
fn a_udp_client_follows_its_service() {
    alone("a_udp_client_follows_its_service", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        for (frontend, target) in
            [(frontend(CLUSTER, Udp, 53), at(CLUSTER, 53)), (frontend(None, Udp, 30053), at(NODE, 30053))]
        {
            let socket = udp_socket(Some("client"));
            // before there is a service the packet makes a flow to the machine itself
            assert!(udp(&socket, target).is_err());
            network.change_frontends(vec![(frontend, Some(to([a.ip])))]).await.unwrap();
            assert_eq!(udp(&socket, target), Ok(format!("a {CLIENT}")), "{target}");
            network.change_frontends(vec![(frontend, Some(to([b.ip])))]).await.unwrap();
            assert_eq!(udp(&socket, target), Ok(format!("b {CLIENT}")), "{target}: the same socket");
            network.change_frontends(vec![(frontend, Some(Action::Reject))]).await.unwrap();
            let refused = udp(&socket, target).unwrap_err();
            assert!(refused == ConnectionRefused || refused == WouldBlock, "{target}: {refused:?}");
        }
    });
}

#[test]
fn back_ends_on_the_machine_itself_are_reached() {
    alone("back_ends_on_the_machine_itself_are_reached", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let a = pod(&network, "a").await;
        let gateway = network.gateway();
        serve(None, "dns", gateway, 53);
        serve(None, "api", NODE, 6443);
        let to =
            |ip, port| Action::Forward { backends: [at(ip, port)].into(), affinity: None, masquerade: false };
        let frontends = [
            (frontend(Ipv4Addr::new(10, 96, 0, 10), Tcp, 53), to(gateway, 53)),
            (frontend(Ipv4Addr::new(10, 96, 0, 10), Udp, 53), to(gateway, 53)),
            (frontend(Ipv4Addr::new(10, 96, 0, 1), Tcp, 443), to(NODE, 6443)),
            (frontend(None, Tcp, 30053), to(gateway, 53)),
            (frontend(None, Udp, 30053), to(gateway, 53)),
            (frontend(None, Tcp, 30443), masked(to(NODE, 6443))),
        ];
        network.set_frontends(frontends.into()).await.unwrap();
        let dns = at(Ipv4Addr::new(10, 96, 0, 10), 53);
        for (name, from, seen) in
            [("pod", Some("a"), a.ip), ("machine", None, NODE), ("LAN", Some("client"), CLIENT)]
        {
            assert_eq!(tcp(from, at(Ipv4Addr::new(10, 96, 0, 1), 443)), Ok(format!("api {seen}")), "{name}");
            if from == Some("client") {
                continue;
            }
            for to in [dns, at(gateway, 53), at(NODE, 30053)] {
                assert_eq!(name_of(tcp(from, to)), "dns", "{name} to {to}");
                assert_eq!(name_of(udp(&udp_socket(from), to)), "dns", "{name} to {to}, UDP");
            }
            assert_eq!(tcp(from, dns), Ok(format!("dns {seen}")), "{name}");
        }
        // the name server asks others for whoever asks it: for nobody outside, whichever way it takes
        for to in [dns, at(gateway, 53), at(NODE, 30053)] {
            assert_eq!(tcp(Some("client"), to), Err(TimedOut), "{to}");
            assert_eq!(udp(&udp_socket(Some("client")), to), Err(WouldBlock), "{to}, UDP");
        }
        assert_eq!(tcp(None, at(LOCALHOST, 30053)), Ok("dns 127.0.0.1".into()));
        // what does not leave the machine keeps its address, or is masqueraded on the loopback
        for (from, to, seen) in [
            (Some("a"), NODE, a.ip),
            (Some("client"), NODE, CLIENT),
            (None, NODE, gateway),
            (None, LOCALHOST, gateway),
        ] {
            assert_eq!(tcp(from, at(to, 30443)), Ok(format!("api {seen}")), "{from:?} to {to}");
        }
    });
}

#[test]
fn nobody_is_led_to_what_the_machine_keeps_to_itself() {
    alone("nobody_is_led_to_what_the_machine_keeps_to_itself", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        let metadata = Ipv4Addr::new(169, 254, 169, 254);
        sh("ip address add 169.254.169.254/32 dev lo");
        for private in [LOCALHOST, metadata] {
            serve(None, "private", private, 8080);
        }
        let other = Ipv4Addr::new(10, 96, 0, 51);
        for (name, backends) in [
            ("loopback", vec![LOCALHOST]),
            ("link-local", vec![metadata]),
            ("the address that the kernel takes for loopback", vec![Ipv4Addr::UNSPECIFIED]),
        ] {
            let action = |ips: &[Ipv4Addr]| Action::Forward {
                backends: ips.iter().map(|ip| at(*ip, 8080)).collect(),
                affinity: None,
                masquerade: false,
            };
            let mut frontends = BTreeMap::new();
            for protocol in [Tcp, Udp] {
                frontends.insert(frontend(CLUSTER, protocol, 80), action(&backends));
                frontends.insert(frontend(None, protocol, 30080), masked(action(&backends)));
                frontends.insert(frontend(None, protocol, 30081), sticky(action(&backends)));
                frontends.insert(frontend(BALANCER, protocol, 80), masked(action(&backends)));
                frontends.insert(frontend(EXTERNAL, protocol, 80), action(&backends));
                frontends.insert(frontend(other, protocol, 80), action(&[backends[0], a.ip]));
            }
            network.set_frontends(frontends).await.unwrap();
            for from in [Some("b"), Some("client"), None] {
                for to in
                    [at(CLUSTER, 80), at(NODE, 30080), at(NODE, 30081), at(BALANCER, 80), at(EXTERNAL, 80)]
                {
                    assert_eq!(tcp(from, to), Err(ConnectionRefused), "{name}: {from:?} to {to}");
                    let said = udp(&udp_socket(from), to);
                    assert!(said.is_err(), "{name}: {from:?} to {to}, UDP: {said:?}");
                }
            }
            for _ in 0..8 {
                assert_eq!(tcp(Some("b"), at(other, 80)), Ok(format!("a {}", b.ip)), "{name}, beside a pod");
            }
        }
        assert_eq!(tcp(None, at(LOCALHOST, 8080)), Ok("private 127.0.0.1".into()));
    });
}

#[test]
fn no_claim_takes_what_goes_to_the_machine_itself() {
    alone("no_claim_takes_what_goes_to_the_machine_itself", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        let gateway = network.gateway();
        [LOCALHOST, NODE, gateway].into_iter().for_each(|own| serve(None, "api", own, 8443));
        serve(None, "dns", gateway, 53);
        let mut frontends = BTreeMap::new();
        for protocol in [Tcp, Udp] {
            frontends.insert(frontend(CLUSTER, protocol, 53), to([b.ip]));
            for (own, port) in [(LOCALHOST, 8443), (NODE, 8443), (gateway, 8443), (gateway, 53)] {
                frontends.insert(frontend(own, protocol, port), masked(to([a.ip])));
            }
        }
        for action in [None, Some(Action::Reject), Some(Action::Drop)] {
            for entry in frontends.iter_mut().filter(|(frontend, _)| frontend.address != Some(CLUSTER)) {
                *entry.1 = action.clone().unwrap_or_else(|| entry.1.clone());
            }
            network.set_frontends(frontends.clone()).await.unwrap();
            for (name, from, to, want) in [
                ("machine to its loopback", None, at(LOCALHOST, 8443), "api 127.0.0.1".to_owned()),
                ("machine to itself", None, at(NODE, 8443), format!("api {NODE}")),
                ("LAN client", Some("client"), at(NODE, 8443), format!("api {CLIENT}")),
                ("pod to the node", Some("b"), at(NODE, 8443), format!("api {}", b.ip)),
                ("pod to the gateway", Some("b"), at(gateway, 8443), format!("api {}", b.ip)),
                ("pod to the name server", Some("b"), at(gateway, 53), format!("dns {}", b.ip)),
            ] {
                assert_eq!(tcp(from, to), Ok(want.clone()), "{name}, {action:?}");
                assert_eq!(udp(&udp_socket(from), to), Ok(want), "{name}, {action:?}, UDP");
            }
        }
        // nor does a host port take a service's traffic, or the name server's
        let host_port = |protocol, host_ip: Option<Ipv4Addr>| HostPort {
            protocol,
            host_ip: host_ip.map(Into::into),
            host_port: 53,
            container_port: 8080,
        };
        let ports =
            [Tcp, Udp].map(|protocol| [host_port(protocol, None), host_port(protocol, Some(CLUSTER))]);
        network.adopt("a", &netns("a"), &a, &ports.concat()).await.unwrap();
        assert_eq!(tcp(Some("client"), at(NODE, 53)), Ok(format!("a {CLIENT}")));
        for (name, from, to, want) in [
            ("service", Some("a"), at(CLUSTER, 53), format!("b {}", a.ip)),
            ("service, from the machine", None, at(CLUSTER, 53), format!("b {NODE}")),
            ("name server", Some("b"), at(gateway, 53), format!("dns {}", b.ip)),
        ] {
            assert_eq!(tcp(from, to), Ok(want.clone()), "{name}");
            assert_eq!(udp(&udp_socket(from), to), Ok(want), "{name}, UDP");
        }
    });
}

#[test]
fn what_the_kernel_has_is_kept_or_mended() {
    alone("what_the_kernel_has_is_kept_or_mended", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let a = pod(&network, "a").await;
        let frontends: BTreeMap<Frontend, Action> =
            (1..=700).map(|port| (frontend(CLUSTER, Tcp, port), to([a.ip]))).collect();
        network.set_frontends(frontends.clone()).await.unwrap();
        let ruleset = sh("nft list ruleset");
        drop(network);

        // a new daemon finds everything as it was, before it says a word
        let network = Network::start(config()).await.unwrap();
        network.adopt("a", &netns("a"), &a, &[]).await.unwrap();
        assert_eq!(tcp(None, at(CLUSTER, 700)), Ok(format!("a {NODE}")));
        network.set_frontends(frontends.clone()).await.unwrap();
        assert_eq!(sh("nft list ruleset"), ruleset);

        // somebody's hand took an element away: the change is refused whole, setting all of them mends it
        sh("nft delete element ip monopod-test services '{ 10.96.0.50 . tcp . 5 }'");
        let change = vec![(frontend(CLUSTER, Tcp, 5), None), (frontend(CLUSTER, Tcp, 6), None)];
        let refused = network.change_frontends(change).await.unwrap_err();
        assert!(refused.to_string().contains("services"), "{refused}");
        assert_eq!(tcp(None, at(CLUSTER, 6)), Ok(format!("a {NODE}")), "nothing was changed");
        network.set_frontends(frontends.clone()).await.unwrap();
        assert_eq!(sh("nft list ruleset"), ruleset);

        // or all of them, the pods' as well
        sh("nft flush ruleset");
        network.set_frontends(frontends).await.unwrap();
        assert_eq!(tcp(None, at(CLUSTER, 5)), Ok(format!("a {NODE}")));
        assert_eq!(tcp(Some("a"), at(CLUSTER, 5)), Ok(format!("a {}", network.gateway())), "hairpin");
        assert_eq!(Network::purge(&config()).await, Vec::<String>::new());
        assert_eq!(sh("nft list ruleset"), "");
    });
}

#[test]
fn a_further_range_comes_and_goes_and_lets_no_packet_out() {
    alone("a_further_range_comes_and_goes_and_lets_no_packet_out", || async {
        lan();
        // somebody on the LAN has an address of the range: who reaches him has left the machine
        sh("ip -n client address add 10.250.0.77/32 dev lo");
        serve(Some("client"), "client", Ipv4Addr::UNSPECIFIED, 8080);
        let network = Network::start(config()).await.unwrap();
        let a = pod(&network, "a").await;
        let (there, stray) = (Ipv4Addr::new(10, 250, 0, 9), at(Ipv4Addr::new(10, 250, 0, 77), 8080));
        let net = |text: &str| text.parse::<ipnet::Ipv4Net>().unwrap();
        let leaves = |when: &str, want: bool| {
            for from in [None, Some("a")] {
                let seen = if want { Ok(format!("client {NODE}")) } else { Err(ConnectionRefused) };
                assert_eq!(tcp(from, stray), seen, "{when}, from {from:?}");
            }
        };
        leaves("before", true);
        network.set_service_ranges(&[net("10.250.0.0/24"), net("10.250.0.0/28")]).await.unwrap();
        let frontends: BTreeMap<Frontend, Action> = [(frontend(there, Tcp, 80), to([a.ip]))].into();
        network.set_frontends(frontends.clone()).await.unwrap();
        leaves("with the range", false);
        for (from, seen) in [(None, NODE), (Some("client"), CLIENT), (Some("a"), network.gateway())] {
            assert_eq!(tcp(from, at(there, 80)), Ok(format!("a {seen}")), "from {from:?}");
        }
        assert!(network.address_space().await.unwrap().own.contains(&net("10.250.0.0/24")));
        network.set_networks(Vec::new()).await.unwrap();
        leaves("networks of containers are others", false);
        let overlap = network.overlap(net("192.0.0.0/16")).await.unwrap().unwrap();
        assert_eq!(overlap.to_string(), "it contains 192.0.2.9, a gateway of this node");
        assert_eq!(network.overlap(net("10.250.0.0/20")).await.unwrap(), None, "its own is in nobody's way");

        sh("nft flush ruleset");
        network.set_frontends(frontends).await.unwrap();
        leaves("put back after somebody's hand", false);
        let before = sh("nft list ruleset; ip route");
        drop(network);
        let network = Network::start(config()).await.unwrap();
        assert_eq!(sh("nft list ruleset; ip route"), before, "kept by the next daemon");
        network.adopt("a", &netns("a"), &a, &[]).await.unwrap();
        network.set_service_ranges(&[net("10.250.0.0/16")]).await.unwrap();
        leaves("a wider one in its place", false);
        assert_eq!(tcp(None, at(there, 80)), Ok(format!("a {NODE}")));

        network.set_service_ranges(&[]).await.unwrap();
        leaves("when it is gone", true);
        assert!(!sh("nft list set ip monopod-test service-ranges; ip route").contains("10.250"));
        network.set_service_ranges(&[net("10.250.0.0/24")]).await.unwrap();
        assert_eq!(Network::purge(&config()).await, Vec::<String>::new());
        assert!(!sh("nft list ruleset; ip route").contains("10.250"));
    });
}

#[test]
fn two_profiles_live_side_by_side() {
    alone("two_profiles_live_side_by_side", || async {
        lan();
        let other = NetConfig {
            profile: "other".into(),
            pod_cidr: "10.245.0.0/24".parse().unwrap(),
            service_cidr: "10.97.0.0/16".parse().unwrap(),
            load_balancer_cidr: "10.99.0.0/24".parse().unwrap(),
            ..config()
        };
        let (one, two) =
            (Network::start(config()).await.unwrap(), Network::start(other.clone()).await.unwrap());
        let (a, b) = (pod(&one, "a").await, pod(&two, "b").await);
        let there = Ipv4Addr::new(10, 97, 0, 50);
        one.set_frontends(
            [(frontend(CLUSTER, Tcp, 80), to([a.ip])), (frontend(None, Tcp, 30080), masked(to([a.ip])))]
                .into(),
        )
        .await
        .unwrap();
        two.set_frontends(
            [(frontend(there, Tcp, 80), to([b.ip])), (frontend(None, Tcp, 30081), masked(to([b.ip])))].into(),
        )
        .await
        .unwrap();
        let works = |name: &str, from, target, seen: &str| {
            assert_eq!(tcp(from, target), Ok(seen.to_owned()), "{name}")
        };
        works("machine to one", None, at(CLUSTER, 80), &format!("a {NODE}"));
        works("machine to the other", None, at(there, 80), &format!("b {NODE}"));
        // whoever comes from outside of a profile's pods is seen under the gateway of where he arrives
        works("pod to the other's service", Some("a"), at(there, 80), &format!("b {}", two.gateway()));
        works("pod to the other's node port", Some("a"), at(NODE, 30081), &format!("b {}", two.gateway()));
        works("LAN client", Some("client"), at(NODE, 30080), &format!("a {}", one.gateway()));

        assert_eq!(Network::purge(&config()).await, Vec::<String>::new());
        works("the other, when one is gone", None, at(there, 80), &format!("b {NODE}"));
        works("its node port", Some("client"), at(NODE, 30081), &format!("b {}", two.gateway()));
        assert_eq!(Network::purge(&other).await, Vec::<String>::new());
        assert_eq!(sh("nft list ruleset"), "");
    });
}

/// Whoever may write a Service says what its time-out is, and how many back ends it has.
#[test]
fn chains_that_no_service_needs_any_more_go() {
    alone("chains_that_no_service_needs_any_more_go", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let a = pod(&network, "a").await;
        let stays = |seconds| Action::Forward {
            backends: [at(a.ip, 8080)].into(),
            affinity: Some(seconds),
            masquerade: false,
        };
        network.change_frontends(vec![(frontend(CLUSTER, Tcp, 81), Some(stays(7)))]).await.unwrap();
        for seconds in 100..1300 {
            network.change_frontends(vec![(frontend(CLUSTER, Tcp, 80), Some(stays(seconds)))]).await.unwrap();
        }
        let chains = sh("nft -t list table ip monopod-test | grep -o 'chain remember-[0-9]*'");
        assert!(chains.lines().count() < 600, "{} chains", chains.lines().count());
        let wanted = ["chain remember-7", "chain remember-1299"];
        assert!(wanted.iter().all(|want| chains.lines().any(|line| line == *want)), "{chains}");
        for port in [80, 81] {
            assert_eq!(tcp(Some("client"), at(CLUSTER, port)), Ok(format!("a {CLIENT}")), "{port}");
        }
    });
}
