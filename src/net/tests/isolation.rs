//! Who may reach whom, in a real kernel. Needs root, iproute2 and nft.

mod world;

use net::{AddressRange, Allow, Class, Isolation, Network, PortRange, Ports, Protocol};
use std::collections::BTreeMap;
use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use world::{CLIENT, NODE, alone, config, lan, netns, pod, serve, sh, tcp, udp, udp_socket, within};

fn at(ip: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip, port)
}

fn class(members: &[Ipv4Addr], allows: impl IntoIterator<Item = Allow>) -> BTreeMap<String, Class> {
    let class = Class {
        members: members.iter().copied().collect(),
        allows: allows.into_iter().collect(),
        ..Class::default()
    };
    [("a".to_owned(), class)].into()
}

fn allow(peers: &[&str], ports: &[(Protocol, u16, u16)]) -> Allow {
    let range = |peer: &&str| match peer.parse::<ipnet::Ipv4Net>() {
        Ok(net) => AddressRange::from(net),
        Err(_) => AddressRange::from(peer.parse::<Ipv4Addr>().unwrap()),
    };
    let ports = match ports {
        [] => Ports::All,
        ports => Ports::Of(
            ports.iter().map(|&(protocol, first, last)| PortRange { protocol, first, last }).collect(),
        ),
    };
    Allow { peers: peers.iter().map(range).collect(), ports }
}

fn ingress(classes: BTreeMap<String, Class>) -> Isolation {
    Isolation { ingress: classes, ..Isolation::default() }
}

fn egress(classes: BTreeMap<String, Class>) -> Isolation {
    Isolation { egress: classes, ..Isolation::default() }
}

const EVERYBODY: &[&str] = &["0.0.0.0/0"];

#[test]
fn what_is_not_allowed_is_dropped() {
    alone("what_is_not_allowed_is_dropped", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b, c) = (pod(&network, "a").await, pod(&network, "b").await, pod(&network, "c").await);
        let gateway = network.gateway();
        serve(None, "node", Ipv4Addr::UNSPECIFIED, 9090);
        let service = Ipv4Addr::new(10, 96, 0, 50);
        let frontend = net::Frontend { address: Some(service), protocol: Protocol::Tcp, port: 80 };
        let action =
            net::Action::Forward { backends: [at(a.ip, 8080)].into(), affinity: None, masquerade: false };
        let port = net::Frontend { address: None, protocol: Protocol::Tcp, port: 30080 };
        let masked =
            net::Action::Forward { backends: [at(a.ip, 8080)].into(), affinity: None, masquerade: true };
        network.set_frontends([(frontend, action), (port, masked)].into()).await.unwrap();
        let tcp80 = (Protocol::Tcp, 8080, 8080);
        let many: Vec<String> = (0..40).map(|n| format!("198.51.100.{}", 2 * n)).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        let b_ip = b.ip.to_string();
        many.push(&b_ip);
        let odd: Vec<(Protocol, u16, u16)> =
            (4000..4040).map(|n| (Protocol::Tcp, 2 * n + 80, 2 * n + 80)).collect();
        // who may reach pod a: by TCP and by UDP, from pod b, pod c, the LAN, the machine, by service and by node port
        let (yes, no) = (true, false);
        let open = [yes; 8];
        for (name, isolation, want) in [
            ("nothing is isolated", Isolation::default(), open),
            ("nothing is allowed", ingress(class(&[a.ip], [])), [no, no, no, no, no, yes, no, no]),
            (
                "b at a port",
                ingress(class(&[a.ip], [allow(&[&b_ip], &[tcp80])])),
                [yes, no, no, no, yes, yes, no, no],
            ),
            ("b", ingress(class(&[a.ip], [allow(&[&b_ip], &[])])), [yes, yes, no, no, yes, yes, no, no]),
            (
                "a port",
                ingress(class(&[a.ip], [allow(EVERYBODY, &[(Protocol::Tcp, 8000, 9000)])])),
                [yes, no, yes, no, yes, yes, yes, yes],
            ),
            (
                "other ports",
                ingress(class(
                    &[a.ip],
                    [allow(EVERYBODY, &[(Protocol::Tcp, 1, 8079), (Protocol::Tcp, 8081, 65535)])],
                )),
                [no, no, no, no, no, yes, no, no],
            ),
            (
                "the LAN",
                ingress(class(&[a.ip], [allow(&["192.0.2.0/24"], &[tcp80])])),
                [no, no, no, no, no, yes, yes, yes],
            ),
            (
                "many at many ports",
                ingress(class(&[a.ip], [allow(&many, &odd)])),
                [yes, no, no, no, yes, yes, no, no],
            ),
            ("everything", ingress(class(&[a.ip], [allow(EVERYBODY, &[])])), open),
            ("another", ingress(class(&[c.ip], [])), open),
            ("b sends nothing", egress(class(&[b.ip], [])), [no, no, yes, yes, no, yes, yes, yes]),
            (
                "b sends to a port",
                egress(class(&[b.ip], [allow(&[&a.ip.to_string()], &[tcp80])])),
                [yes, no, yes, yes, yes, yes, yes, yes],
            ),
        ] {
            network.set_isolation(isolation).await.unwrap();
            let direct = at(a.ip, 8080);
            let asks: [(Option<&str>, Protocol, SocketAddrV4); 9] = [
                (Some("b"), Protocol::Tcp, direct),
                (Some("b"), Protocol::Udp, direct),
                (Some("c"), Protocol::Tcp, direct),
                (Some("c"), Protocol::Udp, direct),
                (Some("b"), Protocol::Tcp, at(service, 80)),
                (None, Protocol::Tcp, direct),
                (None, Protocol::Udp, direct),
                (Some("client"), Protocol::Tcp, direct),
                (Some("client"), Protocol::Tcp, at(NODE, 30080)),
            ];
            // side by side: each waits for packets that do not come
            let asking = asks.map(|(from, protocol, to)| {
                std::thread::spawn(move || match protocol {
                    Protocol::Udp => udp(&udp_socket(from), to).is_ok(),
                    _ => tcp(from, to).is_ok(),
                })
            });
            let [b, b_udp, c, c_udp, by_service, node, node_udp, lan, by_port] =
                asking.map(|asking| asking.join().unwrap());
            let got = [b, b_udp, c, c_udp, by_service, node && node_udp, lan, by_port];
            assert_eq!(
                got, want,
                "{name}: b, b by UDP, c, c by UDP, b by service, machine, LAN, LAN by node port"
            );
            // others list it: some rules kill nft 1.0.6
            assert!(sh("nft list ruleset").contains("services"), "{name}");
            assert!(sh("nft -j list ruleset").contains("services"), "{name}");
        }

        // a pod that sends nothing reaches neither the machine nor the world, but itself, by whatever way
        network.set_isolation(egress(class(&[a.ip], []))).await.unwrap();
        assert_eq!(tcp(Some("a"), at(NODE, 9090)), Err(TimedOut));
        assert_eq!(tcp(Some("a"), at(gateway, 9090)), Err(TimedOut));
        assert_eq!(tcp(Some("a"), at(CLIENT, 9)), Err(TimedOut));
        assert_eq!(tcp(Some("a"), at(service, 80)), Ok(format!("a {gateway}")));
        assert_eq!(tcp(Some("a"), at(a.ip, 8080)), Ok(format!("a {}", a.ip)));
        assert_eq!(tcp(Some("b"), at(NODE, 9090)), Ok(format!("node {}", b.ip)));
        network
            .set_isolation(egress(class(
                &[a.ip],
                [allow(&[&gateway.to_string()], &[(Protocol::Tcp, 9090, 9090)])],
            )))
            .await
            .unwrap();
        assert_eq!(tcp(Some("a"), at(gateway, 9090)), Ok(format!("node {}", a.ip)));
        assert_eq!(tcp(Some("a"), at(NODE, 9090)), Err(TimedOut));

        // nothing is left of it when nobody is isolated, and no packet passes a hook
        network.set_isolation(Isolation::default()).await.unwrap();
        let ruleset = sh("nft list ruleset");
        assert!(!ruleset.contains("isolation") && !ruleset.contains("egress-"), "{ruleset}");
        assert_eq!(Network::purge(&config()).await, Vec::<String>::new());
        assert_eq!(sh("nft list ruleset"), "");
    });
}

#[test]
fn what_was_let_through_goes_on_and_what_is_applied_stays() {
    alone("what_was_let_through_goes_on_and_what_is_applied_stays", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        let echo = within(Some("a"), || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 7)).unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut word = [0; 4];
            while stream.read_exact(&mut word).is_ok() {
                stream.write_all(&word).unwrap();
            }
        });
        let to = at(a.ip, 7);
        let mut talk = within(Some("b"), move || TcpStream::connect(to).unwrap());
        let mut says = |word: &[u8; 4]| {
            talk.write_all(word).unwrap();
            let mut heard = [0; 4];
            talk.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, word);
        };
        says(b"open");
        let closed = || ingress(class(&[a.ip], [allow(&["192.0.2.0/24"], &[(Protocol::Tcp, 8080, 8090)])]));
        network.set_isolation(closed()).await.unwrap();
        says(b"then");
        assert_eq!(tcp(Some("b"), at(a.ip, 8080)), Err(TimedOut));
        let ruleset = sh("nft list ruleset");

        // the daemon goes, and comes again
        drop(network);
        assert_eq!(tcp(Some("b"), at(a.ip, 8080)), Err(TimedOut));
        let network = Network::start(config()).await.unwrap();
        network.adopt("a", &netns("a"), &a, &[]).await.unwrap();
        network.adopt("b", &netns("b"), &b, &[]).await.unwrap();
        assert_eq!(tcp(Some("b"), at(a.ip, 8080)), Err(TimedOut), "before anybody says so again");
        network.set_isolation(closed()).await.unwrap();
        assert_eq!(sh("nft list ruleset"), ruleset);
        says(b"more");

        // what somebody's hand took away comes back with the next change, whole
        sh("nft flush chain ip monopod-test isolation");
        sh("nft delete element ip monopod-test isolated-ingress '{ 10.244.0.2 }'");
        network.set_isolation(Isolation::default()).await.unwrap();
        network.set_isolation(closed()).await.unwrap();
        assert_eq!(sh("nft list ruleset"), ruleset);
        sh("nft flush ruleset");
        network.set_isolation(ingress(class(&[a.ip, b.ip], []))).await.unwrap();
        network.set_isolation(closed()).await.unwrap();
        assert_eq!(tcp(Some("b"), at(a.ip, 8080)), Err(TimedOut));
        assert_eq!(sh("nft list ruleset"), ruleset);
    });
}

#[test]
fn who_is_isolated_stays_so_while_the_table_is_made_anew() {
    alone("who_is_isolated_stays_so_while_the_table_is_made_anew", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let (a, b) = (pod(&network, "a").await, pod(&network, "b").await);
        let closed = || ingress(class(&[a.ip], []));
        network.set_isolation(closed()).await.unwrap();
        let ruleset = sh("nft list ruleset");
        drop(network);
        // the table of a version that had another structure
        sh("nft delete chain ip monopod-test \
            $(nft list chains | sed -n 's/.*chain \\(layout-[0-9a-f]*\\).*/\\1/p')");
        let network = Network::start(config()).await.unwrap();
        network.adopt("a", &netns("a"), &a, &[]).await.unwrap();
        network.adopt("b", &netns("b"), &b, &[]).await.unwrap();
        for to in [a.ip, b.ip] {
            assert_eq!(tcp(Some("client"), at(to, 8080)), Err(TimedOut), "nobody has said yet who may");
            assert_eq!(tcp(None, at(to, 8080)).map(drop), Ok(()), "the machine may");
        }
        network.set_isolation(closed()).await.unwrap();
        assert_eq!(sh("nft list ruleset"), ruleset, "nothing of it is left");
        assert_eq!(tcp(Some("client"), at(b.ip, 8080)).map(drop), Ok(()));
        assert_eq!(tcp(Some("client"), at(a.ip, 8080)), Err(TimedOut));

        // and where nobody was isolated everything goes on
        network.set_isolation(Isolation::default()).await.unwrap();
        drop(network);
        sh("nft delete chain ip monopod-test \
            $(nft list chains | sed -n 's/.*chain \\(layout-[0-9a-f]*\\).*/\\1/p')");
        let _network = Network::start(config()).await.unwrap();
        assert_eq!(tcp(Some("client"), at(a.ip, 8080)).map(drop), Ok(()));
    });
}

#[test]
fn no_link_comes_up_before_the_gate_has_answered() {
    alone("no_link_comes_up_before_the_gate_has_answered", || async {
        lan();
        let network = Network::start(config()).await.unwrap();
        let asked: Arc<Mutex<Vec<(String, Ipv4Addr)>>> = Arc::default();
        let (seen, closing) = (asked.clone(), network.clone());
        network.set_gate(Arc::new(move |owner, address| {
            let (seen, network) = (seen.clone(), closing.clone());
            Box::pin(async move {
                seen.lock().unwrap().push((owner.clone(), address));
                assert!(
                    sh("ip -o link show group 0").len() == sh("ip -o link").len(),
                    "there is no link yet"
                );
                if owner == "refused" {
                    return Err(net::NetError::Failed { doing: "judge".into(), why: "no".into() });
                }
                network.set_isolation(ingress(class(&[address], []))).await.map(drop)
            })
        }));
        let before = sh("ip -o link");
        sh("ip netns add a; ip netns add b");
        let refused = network.attach("a", "refused", &netns("a"), &[]).await.unwrap_err();
        assert_eq!(refused.to_string(), "judge: no");
        assert_eq!(sh("ip -o link"), before, "nothing is left");
        let a = network.attach("a", "uid", &netns("a"), &[]).await.unwrap();
        serve(Some("a"), "a", Ipv4Addr::UNSPECIFIED, 8080);
        assert_eq!(tcp(Some("client"), at(a.ip, 8080)), Err(TimedOut));
        assert_eq!(asked.lock().unwrap().last(), Some(&("uid".to_owned(), a.ip)));
        assert_eq!(udp(&udp_socket(Some("client")), at(a.ip, 8080)), Err(WouldBlock));
    });
}

/// Whether a socket of this network follows what becomes of netfilter's tables (group 7, `NFNLGRP_NFTABLES`).
fn hears_of_tables() -> bool {
    const NETFILTER: &str = "12"; // NETLINK_NETFILTER
    let sockets = sh("cat /proc/net/netlink");
    sockets.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let groups = columns.get(3).and_then(|mask| u32::from_str_radix(mask, 16).ok());
        columns.get(1) == Some(&NETFILTER) && groups.is_some_and(|mask| mask & 1 << 6 != 0)
    })
}

#[test]
fn a_table_that_somebody_flushes_comes_back_by_itself() {
    alone("a_table_that_somebody_flushes_comes_back_by_itself", || {
        comes_back(&[
            "nft flush ruleset",
            "nft delete table ip monopod-test",
            "nft flush table ip monopod-test",
            "nft flush chain ip monopod-test isolation",
            "nft flush chain ip monopod-test ingress-CLASS",
        ])
    });
}

#[test]
fn what_somebody_takes_out_of_the_table_comes_back_by_itself() {
    alone("what_somebody_takes_out_of_the_table_comes_back_by_itself", || {
        comes_back(&[
            "nft delete rule ip monopod-test dispatch handle \
             $(nft -a list chain ip monopod-test dispatch | sed -n 's/.*@services # handle //p')",
            "nft 'flush chain ip monopod-test untranslated; delete chain ip monopod-test untranslated'",
            "nft delete element ip monopod-test services '{ 10.96.0.50 . tcp . 80 }'",
            "nft flush map ip monopod-test endpoints",
            "nft flush map ip monopod-test isolated-ingress",
        ])
    });
}

/// After each of these, whatever was there before. They are few: who does such things again and again is let wait.
async fn comes_back(deeds: &[&str]) {
    lan();
    let network = Network::start(config()).await.unwrap();
    let a = pod(&network, "a").await;
    let service = at(Ipv4Addr::new(10, 96, 0, 50), 80);
    let frontend = net::Frontend { address: Some(*service.ip()), protocol: Protocol::Tcp, port: 80 };
    let action =
        net::Action::Forward { backends: [at(a.ip, 8080)].into(), affinity: None, masquerade: false };
    network.set_frontends([(frontend, action)].into()).await.unwrap();
    network.set_isolation(ingress(class(&[a.ip], []))).await.unwrap();
    let ruleset = sh("nft list ruleset");
    let class = sh("nft list chains | sed -n 's/.*chain ingress-\\([0-9a-f]*\\).*/\\1/p'");
    let healing = network.clone();
    let healing = tokio::spawn(async move { healing.heal().await });
    while !hears_of_tables() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for deed in deeds {
        let began = std::time::Instant::now();
        sh(&deed.replace("CLASS", class.trim()));
        while sh("nft list ruleset") != ruleset {
            assert!(began.elapsed() < std::time::Duration::from_secs(60), "{deed}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(tcp(None, service), Ok(format!("a {NODE}")), "{deed}");
        assert_eq!(tcp(Some("client"), at(a.ip, 8080)), Err(TimedOut), "{deed}");
    }
    // what we change ourselves is no loss
    network.set_frontends(BTreeMap::new()).await.unwrap();
    network.set_isolation(Isolation::default()).await.unwrap();
    let ruleset = sh("nft list ruleset");
    sh("nft delete element ip monopod-test hairpin '{ 10.244.0.2 . 10.244.0.2 }'");
    let began = std::time::Instant::now();
    while sh("nft list ruleset") != ruleset {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "hairpin");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    healing.abort();
}
