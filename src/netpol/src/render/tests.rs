use super::allows::at;
use super::*;
use crate::limits::MOST_LOOKS;
use crate::policy::Names;
use crate::{Peer, Port};
use api::LabelSelector;
use net::AddressRange;

fn pod(name: &str, namespace: &str, ports: impl IntoIterator<Item = String>) -> Pod {
    let last = name.bytes().last().unwrap();
    let mut pod = Pod {
        uid: name.to_owned(),
        namespace: namespace.to_owned(),
        labels: [("name".to_owned(), name.to_owned())].into(),
        address: Some(Ipv4Addr::new(10, 244, 0, last)),
        ..Pod::default()
    };
    for (port, number) in ports.into_iter().zip(1..) {
        pod.add_port(&port, Protocol::Tcp, number);
    }
    pod
}

fn policy(namespace: &str, name: &str, rules: Vec<Rule>) -> Policy {
    Policy {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        selector: LabelSelector::everything(),
        ingress: Some(Rules::new(rules)),
        egress: None,
    }
}

fn at_numbers(ports: impl IntoIterator<Item = u16>) -> Rule {
    let ports = ports.into_iter().map(|number| Port::Numbers(at(Protocol::Tcp, number)));
    Rule { peers: None, ports: Some(ports.collect()) }
}

fn rendered(policies: &[Policy], pods: &[Pod]) -> Rendered {
    let policies: Vec<&Policy> = policies.iter().collect();
    let pods: Vec<&Pod> = pods.iter().collect();
    let namespaces: Namespaces = ["evil", "shop"].map(|name| (name.to_owned(), BTreeMap::new())).into();
    render(&policies, &pods, &namespaces, Ipv4Addr::LOCALHOST)
}

#[test]
fn names_are_looked_up_among_the_more() {
    let named = |names: &[&str]| -> Names {
        names.iter().map(|name| ((*name).to_owned(), [Protocol::Tcp].into())).collect()
    };
    let pod = pod("a", "shop", ["http", "metrics"].map(str::to_owned));
    for (name, names, want) in [
        ("fewer", &["http"][..], &["http"][..]),
        ("more", &["a", "b", "http", "c"], &["http"]),
        ("others", &["a", "b", "c"], &[]),
        ("none", &[], &[]),
    ] {
        let names = named(names);
        let got: Vec<&str> = meant(&pod, &names).iter().map(|(name, _)| *name).collect();
        assert_eq!(got, want, "{name}");
    }
}

/// 20,000 names in the policy, as many others in the pod: what is spent is what is looked at.
#[test]
fn names_are_no_product() {
    let names = (0..20_000).map(|n| Port::Named { name: format!("q{n}"), protocol: Protocol::Tcp });
    let rule = Rule { peers: None, ports: Some(names.collect()) };
    let policy = policy("evil", "named", vec![rule]);
    let pod = pod("a", "evil", (0..20_000).map(|n| format!("p{n}")));
    let rules = policy.ingress.as_ref().unwrap();
    let judging = Judging { policy: &policy, rules, whom: OnceCell::new() };
    let direction = Direction {
        rules: |policy| policy.ingress.as_ref(),
        allow: ingress,
        lookups: |_, _| 0,
        means_own_ports: true,
    };
    let mut looks = Budget(MOST_LOOKS);
    let name = class_name(&pod, &[&judging], &direction, &mut looks);
    assert_eq!(name.as_deref(), Some("evil/named"));
    assert_eq!(MOST_LOOKS - looks.0, 20_000);
    let rendered = rendered(std::slice::from_ref(&policy), std::slice::from_ref(&pod));
    assert!(rendered.too_large.is_empty());
}

#[test]
fn a_name_stands_for_few_numbers() {
    let pod = pod("a", "shop", (0..1000).map(|_| "http".to_owned()));
    assert_eq!(pod.numbers("http", Protocol::Tcp).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn a_policy_that_is_too_large_closes_its_own_pods_only() {
    let large = policy("evil", "large", (0..5).map(|_| at_numbers(0..60_000)).collect());
    let small = || vec![at_numbers([80])];
    let policies = [large, policy("evil", "small", small()), policy("shop", "web", small())];
    let pods = [pod("a", "evil", []), pod("b", "shop", [])];
    let rendered = rendered(&policies, &pods);
    let classes = &rendered.isolation.ingress;
    assert_eq!(rendered.too_large, ["evil/large+small".to_owned()].into());
    assert!(classes["evil/large+small"].allows.is_empty(), "and what it is not, others do not open");
    assert_eq!(classes["shop/web"].allows.len(), 1);
    let blamed = rendered.largest_policy("evil/large+small").map(ToString::to_string);
    assert_eq!(blamed.as_deref(), Some("evil/large"));
}

/// The same policy is a part of each class: what it says counts for each.
#[test]
fn a_namespace_has_its_bound_whatever_its_classes_are() {
    let mut policies = vec![policy("evil", "all", (0..4).map(|_| at_numbers(0..60_000)).collect())];
    let names = ["a", "b", "c", "d"];
    for name in names {
        let mut own = policy("evil", name, vec![at_numbers([80])]);
        own.selector = LabelSelector::from_pairs([(&"name".to_owned(), &name.to_owned())]);
        policies.push(own);
    }
    policies.push(policy("shop", "web", vec![at_numbers([80])]));
    let mut pods: Vec<Pod> = names.iter().map(|name| pod(name, "evil", [])).collect();
    pods.push(pod("e", "shop", []));
    let rendered = rendered(&policies, &pods);
    assert_eq!(rendered.too_large, ["evil/all+c".to_owned(), "evil/all+d".to_owned()].into());
    assert_eq!(rendered.isolation.ingress["shop/web"].allows.len(), 1);
}

#[test]
fn pods_that_nobody_can_tell_the_policies_of_are_closed() {
    let values: Vec<String> = (0..MOST_LOOKS).map(|n| n.to_string()).collect();
    let operator = api::selector::Operator::In(values);
    let mut heavy = policy("evil", "heavy", vec![at_numbers([80])]);
    heavy.selector.requirements = vec![api::selector::Requirement { key: "name".to_owned(), operator }];
    let policies = [heavy, policy("shop", "web", vec![at_numbers([80])])];
    let rendered = rendered(&policies, &[pod("a", "evil", []), pod("b", "shop", [])]);
    assert_eq!(rendered.too_large, ["evil/*".to_owned()].into());
    assert!(rendered.isolation.ingress["evil/*"].allows.is_empty());
    assert_eq!(rendered.isolation.ingress["shop/web"].allows.len(), 1);
}

/// Whoever may make pods makes as many as he likes: those that never run cost the policies of others nothing.
#[test]
fn pods_without_an_address_count_for_nobody() {
    let mut policy = policy("shop", "web", vec![]);
    let names = Port::Named { name: "http".to_owned(), protocol: Protocol::Tcp };
    let any = Peer::Pods { namespaces: Some(LabelSelector::everything()), pods: LabelSelector::everything() };
    let rule = || Rule { peers: Some(vec![any.clone()]), ports: Some([names.clone()].into()) };
    policy.egress = Some(Rules::new((0..20).map(|_| rule()).collect()));
    let mut pods = vec![pod("a", "shop", ["http".to_owned()])];
    pods.extend((0..MOST_LOOKS / 10).map(|_| Pod { address: None, ..pod("b", "evil", []) }));
    let rendered = rendered(&[policy], &pods);
    assert!(rendered.too_large.is_empty(), "{:?}", rendered.too_large);
    assert_eq!(rendered.isolation.egress["shop/web"].allows.len(), 1);
}

/// A hundred rules that let pods of one namespace in, on a machine that is full of others.
#[test]
fn pods_of_other_namespaces_than_those_that_are_meant_cost_nothing() {
    let named = |name: &str| LabelSelector::from_pairs([(&"name".to_owned(), &name.to_owned())]);
    let peer = Peer::Pods { namespaces: Some(named("shop")), pods: named("a") };
    let rule = || Rule { peers: Some(vec![peer.clone()]), ports: None };
    let mut policies = vec![policy("shop", "web", (0..100).map(|_| rule()).collect())];
    let mut pods = vec![pod("a", "shop", [])];
    let many = MOST_LOOKS / 100;
    let address = |n: usize| Some(Ipv4Addr::from_bits(0x0af5_0000 + n as u32));
    pods.extend((0..many).map(|n| Pod { address: address(n), ..pod("b", "evil", []) }));
    let namespaces: Namespaces = ["evil", "shop"]
        .map(|name| (name.to_owned(), BTreeMap::from([("name".to_owned(), name.to_owned())])))
        .into();
    let rendered = |policies: &[Policy]| {
        let policies: Vec<&Policy> = policies.iter().collect();
        let pods: Vec<&Pod> = pods.iter().collect();
        render(&policies, &pods, &namespaces, Ipv4Addr::LOCALHOST)
    };
    let of_few = rendered(&policies);
    assert!(of_few.too_large.is_empty(), "{:?}", of_few.too_large);
    let peers = &of_few.isolation.ingress["shop/web"].allows.first().unwrap().peers;
    assert_eq!(**peers, [AddressRange::from(pods[0].address.unwrap())].into());

    let all = || Peer::Pods { namespaces: Some(LabelSelector::everything()), pods: named("a") };
    let rule = || Rule { peers: Some(vec![all()]), ports: None };
    policies[0].ingress = Some(Rules::new((0..100).map(|_| rule()).collect()));
    assert_eq!(rendered(&policies).too_large, ["shop/web".to_owned()].into(), "these are looked at");
}
