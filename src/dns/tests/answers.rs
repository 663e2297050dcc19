//! What the cluster says to a name: tables of (what is asked, what comes).

mod common;

use common::{external, line, name, records, service, slice};
use dns::{Answer, Records, ServiceRecords};
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType::{self, A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use resolver::Most;
use std::collections::BTreeSet;

const ALL: Most = Most { records: usize::MAX, turn: 0 };

/// `NODATA`, `NXDOMAIN`, `forward`, or the records; those that are only additional behind a `+`.
fn ask(records: &Records, asked: &str, kind: RecordType) -> Vec<String> {
    match records.answer(&name(asked), kind, ALL) {
        None => vec!["forward".into()],
        Some(Answer::NoData { soa }) => vec![format!("NODATA {}", soa.name)],
        Some(Answer::NxDomain { soa }) => vec![format!("NXDOMAIN {}", soa.name)],
        Some(Answer::Alias { record, .. }) => vec![line(&record)],
        Some(Answer::Found { answers, additionals }) => {
            let more = additionals.iter().map(|record| format!("+{}", line(record)));
            answers.iter().map(line).chain(more).collect()
        }
    }
}

fn check(records: &Records, table: &[(&str, RecordType, &[&str])]) {
    for (asked, kind, want) in table {
        assert_eq!(ask(records, asked, *kind), *want, "{kind} {asked}");
    }
}

const NODATA: &[&str] = &["NODATA cluster.local."];
const NXDOMAIN: &[&str] = &["NXDOMAIN cluster.local."];
const HTTP: &[(&str, &str, i32)] = &[("http", "TCP", 80)];

#[test]
fn a_service_with_an_address() {
    let ports = &[("http", "TCP", 80), ("dns", "UDP", 53)];
    let target = slice(&[("http", "TCP", 8080)], &[("10.244.0.5", None, Some(true))]);
    let records = records(&[
        (service("web", &["10.96.1.1"], ports), vec![target]),
        (service("dual", &["10.96.1.2", "fd00::2"], &[("", "TCP", 80)]), Vec::new()),
    ]);
    check(
        &records,
        &[
            ("web.default.svc.cluster.local.", A, &["web.default.svc.cluster.local. A 10.96.1.1"]),
            ("WEB.default.SVC.cluster.LOCAL.", A, &["WEB.default.SVC.cluster.LOCAL. A 10.96.1.1"]),
            ("web.default.svc.cluster.local.", AAAA, NODATA),
            ("web.default.svc.cluster.local.", TXT, NODATA),
            ("web.default.svc.cluster.local.", RecordType::ANY, NODATA),
            ("dual.default.svc.cluster.local.", AAAA, &["dual.default.svc.cluster.local. AAAA fd00::2"]),
            (
                "_http._tcp.web.default.svc.cluster.local.",
                SRV,
                &[
                    "_http._tcp.web.default.svc.cluster.local. SRV 0 100 80 web.default.svc.cluster.local.",
                    "+web.default.svc.cluster.local. A 10.96.1.1",
                ],
            ),
            (
                "web.default.svc.cluster.local.",
                SRV,
                &[
                    "web.default.svc.cluster.local. SRV 0 50 53 web.default.svc.cluster.local.",
                    "web.default.svc.cluster.local. SRV 0 50 80 web.default.svc.cluster.local.",
                    "+web.default.svc.cluster.local. A 10.96.1.1",
                ],
            ),
            ("_http._udp.web.default.svc.cluster.local.", SRV, NXDOMAIN),
            ("_other._tcp.web.default.svc.cluster.local.", SRV, NXDOMAIN),
            ("_tcp.web.default.svc.cluster.local.", SRV, NODATA),
            ("_sctp.web.default.svc.cluster.local.", SRV, NXDOMAIN),
            (
                "10-244-0-5.web.default.svc.cluster.local.",
                A,
                &["10-244-0-5.web.default.svc.cluster.local. A 10.244.0.5"],
            ),
            ("10-244-0-6.web.default.svc.cluster.local.", A, NXDOMAIN),
            ("a.b.c.web.default.svc.cluster.local.", A, NXDOMAIN),
            ("*.default.svc.cluster.local.", A, NXDOMAIN),
        ],
    );
}

#[test]
fn a_name_of_digits_is_no_address() {
    let ready = slice(HTTP, &[("127.0.0.1", Some("me"), Some(true))]);
    let names = EndpointSlice { address_type: "FQDN".into(), ..ready };
    let records = records(&[(service("web", &["None"], &[]), vec![names])]);
    check(
        &records,
        &[
            ("web.default.svc.cluster.local.", A, NXDOMAIN),
            ("me.web.default.svc.cluster.local.", A, NXDOMAIN),
        ],
    );
}

#[test]
fn a_headless_service() {
    let ready = slice(
        HTTP,
        &[
            ("10.244.0.7", Some("web-1"), Some(true)),
            ("10.244.0.6", Some("web-0"), None),
            ("10.244.0.9", None, Some(true)),
            ("10.244.0.8", Some("web-2"), Some(false)),
        ],
    );
    let again = slice(&[("admin", "TCP", 81)], &[("10.244.0.6", Some("web-0"), Some(true))]);
    let early = slice(HTTP, &[("10.244.0.8", Some("web-2"), Some(false))]);
    let mut eager = service("eager", &["None"], HTTP);
    eager.spec.as_mut().unwrap().publish_not_ready_addresses = Some(true);
    let records = records(&[
        (service("nginx", &["None"], HTTP), vec![ready, again]),
        (service("waiting", &["None"], HTTP), vec![early.clone()]),
        (eager, vec![early]),
    ]);
    let of = |text: &str| format!("nginx.default.svc.cluster.local. {text}");
    let port = |text: &str| format!("_http._tcp.nginx.default.svc.cluster.local. {text}");
    let all = [of("A 10.244.0.6"), of("A 10.244.0.7"), of("A 10.244.0.9")];
    assert_eq!(ask(&records, "nginx.default.svc.cluster.local.", A), all);
    let targets = [
        port("SRV 0 33 80 10-244-0-9.nginx.default.svc.cluster.local."),
        port("SRV 0 33 80 web-0.nginx.default.svc.cluster.local."),
        port("SRV 0 33 80 web-1.nginx.default.svc.cluster.local."),
        "+10-244-0-9.nginx.default.svc.cluster.local. A 10.244.0.9".to_owned(),
        "+web-0.nginx.default.svc.cluster.local. A 10.244.0.6".to_owned(),
        "+web-1.nginx.default.svc.cluster.local. A 10.244.0.7".to_owned(),
    ];
    assert_eq!(ask(&records, "_http._tcp.nginx.default.svc.cluster.local.", SRV), targets);
    check(
        &records,
        &[
            (
                "web-0.nginx.default.svc.cluster.local.",
                A,
                &["web-0.nginx.default.svc.cluster.local. A 10.244.0.6"],
            ),
            ("web-0.nginx.default.svc.cluster.local.", AAAA, NODATA),
            ("web-2.nginx.default.svc.cluster.local.", A, NXDOMAIN),
            ("_tcp.nginx.default.svc.cluster.local.", A, NODATA),
            (
                "admin.tcp.nginx.default.svc.cluster.local.",
                SRV,
                &[
                    "admin.tcp.nginx.default.svc.cluster.local. SRV 0 100 81 web-0.nginx.default.svc.cluster.local.",
                    "+web-0.nginx.default.svc.cluster.local. A 10.244.0.6",
                ],
            ),
            // section 2.4.1: no endpoint that is ready, no name
            ("waiting.default.svc.cluster.local.", A, NXDOMAIN),
            ("eager.default.svc.cluster.local.", A, &["eager.default.svc.cluster.local. A 10.244.0.8"]),
        ],
    );
}

#[test]
fn names_of_others_of_pods_and_of_the_zone_itself() {
    let records = records(&[
        (external("db", "db.example.com"), Vec::new()),
        (external("number", "192.0.2.7"), Vec::new()),
    ]);
    check(
        &records,
        &[
            ("db.default.svc.cluster.local.", A, &["db.default.svc.cluster.local. CNAME db.example.com."]),
            (
                "db.default.svc.cluster.local.",
                CNAME,
                &["db.default.svc.cluster.local. CNAME db.example.com."],
            ),
            ("_x._tcp.db.default.svc.cluster.local.", SRV, NXDOMAIN),
            ("number.default.svc.cluster.local.", A, NODATA),
            (
                "10-244-0-5.default.pod.cluster.local.",
                A,
                &["10-244-0-5.default.pod.cluster.local. A 10.244.0.5"],
            ),
            (
                "fd00--5.default.pod.cluster.local.",
                AAAA,
                &["fd00--5.default.pod.cluster.local. AAAA fd00::5"],
            ),
            ("10-244-0-5.default.pod.cluster.local.", AAAA, NODATA),
            ("10-244-0.default.pod.cluster.local.", A, NXDOMAIN),
            ("10-244-0-5.nowhere.pod.cluster.local.", A, NXDOMAIN),
            ("dns-version.cluster.local.", TXT, &["dns-version.cluster.local. TXT 1.1.0"]),
            ("dns-version.cluster.local.", A, NODATA),
            ("cluster.local.", SOA, &["cluster.local. SOA ns.dns.cluster.local. 5"]),
            (
                "cluster.local.",
                NS,
                &["cluster.local. NS ns.dns.cluster.local.", "+ns.dns.cluster.local. A 10.96.0.10"],
            ),
            ("ns.dns.cluster.local.", A, &["ns.dns.cluster.local. A 10.96.0.10"]),
            ("cluster.local.", A, NODATA),
            ("svc.cluster.local.", A, NODATA),
            ("pod.cluster.local.", A, NODATA),
            ("default.svc.cluster.local.", A, NODATA),
            ("empty.pod.cluster.local.", A, NODATA),
            ("nowhere.svc.cluster.local.", A, NXDOMAIN),
            ("none.default.svc.cluster.local.", A, NXDOMAIN),
            // what search domains make of an outside name
            ("example.com.default.svc.cluster.local.", A, NXDOMAIN),
            ("example.com.svc.cluster.local.", A, NXDOMAIN),
            ("example.com.cluster.local.", A, NXDOMAIN),
            ("notcluster.local.", A, &["forward"]),
            ("local.", A, &["forward"]),
            (".", NS, &["forward"]),
        ],
    );
}

#[test]
fn the_machine_has_the_name_that_it_has_in_minikubes_clusters() {
    let outside = external("ollama", "host.minikube.internal");
    let records = records(&[(outside, Vec::new())]);
    check(
        &records,
        &[
            // where the name server listens is where pods reach the machine
            ("host.minikube.internal.", A, &["host.minikube.internal. A 127.0.0.1"]),
            ("HOST.minikube.Internal.", A, &["HOST.minikube.Internal. A 127.0.0.1"]),
            ("host.minikube.internal.", AAAA, &["NODATA host.minikube.internal."]),
            ("a.host.minikube.internal.", A, &["forward"]),
            ("minikube.internal.", A, &["forward"]),
            ("host.minikube.internal.default.svc.cluster.local.", A, NXDOMAIN),
            (
                "ollama.default.svc.cluster.local.",
                A,
                &["ollama.default.svc.cluster.local. CNAME host.minikube.internal."],
            ),
        ],
    );
}

#[test]
fn from_an_address_back_to_a_name() {
    let slices =
        vec![slice(HTTP, &[("10.244.0.6", Some("web-0"), Some(true)), ("10.244.0.7", None, Some(true))])];
    let mut records = records(&[
        (service("web", &["10.96.1.1"], HTTP), Vec::new()),
        (service("nginx", &["None"], HTTP), slices),
    ]);
    check(
        &records,
        &[
            ("1.1.96.10.in-addr.arpa.", PTR, &["1.1.96.10.in-addr.arpa. PTR web.default.svc.cluster.local."]),
            ("1.1.96.10.IN-ADDR.arpa.", A, &["NODATA 96.10.in-addr.arpa."]),
            (
                "6.0.244.10.in-addr.arpa.",
                PTR,
                &["6.0.244.10.in-addr.arpa. PTR web-0.nginx.default.svc.cluster.local."],
            ),
            ("7.0.244.10.in-addr.arpa.", PTR, &["NXDOMAIN 0.244.10.in-addr.arpa."]),
            ("9.9.96.10.in-addr.arpa.", PTR, &["NXDOMAIN 96.10.in-addr.arpa."]),
            ("31.244.10.in-addr.arpa.", PTR, &["NODATA 31.244.10.in-addr.arpa."]),
            ("x.7.0.244.10.in-addr.arpa.", PTR, &["NXDOMAIN 0.244.10.in-addr.arpa."]),
            ("1.32.244.10.in-addr.arpa.", PTR, &["forward"]),
            ("1.1.168.192.in-addr.arpa.", PTR, &["forward"]),
            ("in-addr.arpa.", PTR, &["forward"]),
            ("06.0.244.10.in-addr.arpa.", PTR, &["NXDOMAIN 0.244.10.in-addr.arpa."]),
        ],
    );
    records.set_service(&api::ObjectKey::namespaced("default", "nginx"), None);
    check(
        &records,
        &[
            ("6.0.244.10.in-addr.arpa.", PTR, &["NXDOMAIN 0.244.10.in-addr.arpa."]),
            ("nginx.default.svc.cluster.local.", A, NXDOMAIN),
            ("9.0.250.10.in-addr.arpa.", PTR, &["forward"]),
        ],
    );
    // a range that services get addresses from as well, and no longer
    let further =
        ServiceRecords::new(records.zone(), &service("more", &["10.250.0.9"], HTTP), std::iter::empty());
    records.set_service(&api::ObjectKey::namespaced("default", "more"), further);
    records.set_further_ranges(&["10.250.0.0/24".parse().unwrap()]);
    check(
        &records,
        &[
            (
                "9.0.250.10.in-addr.arpa.",
                PTR,
                &["9.0.250.10.in-addr.arpa. PTR more.default.svc.cluster.local."],
            ),
            ("8.0.250.10.in-addr.arpa.", PTR, &["NXDOMAIN 0.250.10.in-addr.arpa."]),
            ("1.1.96.10.in-addr.arpa.", PTR, &["1.1.96.10.in-addr.arpa. PTR web.default.svc.cluster.local."]),
        ],
    );
    records.set_further_ranges(&[]);
    check(&records, &[("8.0.250.10.in-addr.arpa.", PTR, &["forward"])]);
}

#[test]
fn endpoints_times_ports_are_never_all_told() {
    let names: Vec<String> = (1..=500).map(|n| format!("p{n}")).collect();
    let ports: Vec<(&str, &str, i32)> =
        names.iter().zip(1..).map(|(name, number)| (name.as_str(), "TCP", number)).collect();
    let addresses: Vec<String> = (1..=100).map(|n| format!("10.244.1.{n}")).collect();
    let endpoints: Vec<_> = addresses.iter().map(|address| (address.as_str(), None, Some(true))).collect();
    let records = records(&[(service("many", &["None"], &[]), vec![slice(&ports, &endpoints)])]);
    assert_eq!(ask(&records, "_p7._tcp.many.default.svc.cluster.local.", SRV).len(), 200, "with addresses");
    let all = ask(&records, "many.default.svc.cluster.local.", SRV);
    assert_eq!(all.iter().filter(|line| !line.starts_with('+')).count(), 4096);
}

#[test]
fn no_more_is_made_than_a_packet_holds_and_each_has_its_turn() {
    let addresses: Vec<String> = (0..2000).map(|n| format!("10.250.{}.{}", n / 250, n % 250 + 1)).collect();
    let endpoints: Vec<_> = addresses.iter().map(|address| (address.as_str(), None, Some(true))).collect();
    let (first, second) = endpoints.split_at(1000);
    let slices = vec![slice(HTTP, first), slice(&[("other", "TCP", 81)], second)];
    let records = records(&[(service("many", &["None"], HTTP), slices)]);
    for (asked, kind, want) in [
        ("many.default.svc.cluster.local.", A, 2000),
        ("many.default.svc.cluster.local.", SRV, 2000),
        ("_http._tcp.many.default.svc.cluster.local.", SRV, 1000),
    ] {
        let mut seen = BTreeSet::new();
        for turn in (0..2000).step_by(51) {
            let answer = records.answer(&name(asked), kind, Most { records: 103, turn });
            let Some(Answer::Found { answers, additionals }) = answer else { panic!("{kind} {asked}") };
            assert_eq!((answers.len(), additionals.len()), (103, 0), "{kind} {asked}");
            seen.extend(answers.iter().map(line));
        }
        assert_eq!(seen.len(), want, "{kind} {asked}");
    }
    check(
        &records,
        &[
            (
                "10-250-7-250.many.default.svc.cluster.local.",
                A,
                &["10-250-7-250.many.default.svc.cluster.local. A 10.250.7.250"],
            ),
            ("10-250-8-1.many.default.svc.cluster.local.", A, NXDOMAIN),
            ("_dns._tcp.many.default.svc.cluster.local.", SRV, NXDOMAIN),
            ("many.default.svc.cluster.local.", AAAA, NODATA),
        ],
    );
}

/// `SEED=… cargo test` shows again what failed once.
fn seeded() -> StdRng {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// Labels of any bytes before the suffixes that mean something: an answer or none, never a panic.
#[test]
fn no_name_is_a_panic() {
    let slices = vec![slice(HTTP, &[("10.244.0.6", Some("web-0"), Some(true))])];
    let records = records(&[(service("nginx", &["None"], HTTP), slices)]);
    let suffixes =
        ["nginx.default.svc.cluster.local.", "default.pod.cluster.local.", "10.in-addr.arpa.", "."];
    let mut random = seeded();
    for turn in 0..20_000 {
        let labels: Vec<Vec<u8>> = (0..random.random_range(0..5))
            .map(|_| {
                let mut label = vec![0; random.random_range(1..8)];
                random.fill(label.as_mut_slice());
                if turn % 2 == 0 {
                    label.iter_mut().for_each(|byte| *byte = b"0123456789-_aF"[usize::from(*byte) % 14]);
                }
                label
            })
            .collect();
        let head = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
        for suffix in suffixes {
            let asked = head.clone().append_domain(&name(suffix)).unwrap();
            for kind in [A, AAAA, SRV, PTR] {
                if let Some(Answer::Found { answers, .. }) = records.answer(&asked, kind, ALL) {
                    assert!(answers.iter().all(|r| r.name == asked && r.record_type() == kind), "{asked}");
                }
            }
        }
    }
}
