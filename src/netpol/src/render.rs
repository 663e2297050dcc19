//! From policies, pods and namespaces to what the kernel needs. Pure.
//!
//! A pod that no policy selects for a direction is open in it; of one that several select, each adds what it allows. Pods
//! that the same policies select, and in which the names of ports mean the same, are one class. What is done for a namespace,
//! and for all, is bounded ([`crate::limits`]): a class that asks for more is closed.

use crate::limits::{Allotment, Budget, MOST_OF_CLASS, Room, weight};
use crate::policy::Names;
use crate::{Peer, Pod, Policy, Port, Rule, Rules};
use api::{LabelSelector, ObjectKey};
use net::{AddressRange, Allow, Class, Isolation, PortRange, Ports, Protocol, SharedSet};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Labels by name.
pub type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

const DNS_PORT: u16 = 53;
const DNS_NAMESPACE: &str = "kube-system";
const DNS_LABEL: (&str, &str) = ("k8s-app", "kube-dns");

/// What policies become.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    pub isolation: Isolation,
    /// Classes that are closed because they ask for more than is done for a namespace, or for all.
    pub too_large: BTreeSet<String>,
    /// By class: how much the largest of its policies says, and which that is.
    largest: BTreeMap<String, (usize, ObjectKey)>,
}

impl Rendered {
    /// The policy to look at where a class is too large.
    pub fn largest_policy(&self, class: &str) -> Option<&ObjectKey> {
        self.largest.get(class).map(|(_, policy)| policy)
    }

    fn note<'j, 'a: 'j>(&mut self, class: &str, selecting: impl IntoIterator<Item = &'j Judging<'a>>) {
        let Some(largest) = selecting.into_iter().max_by_key(|judging| judging.rules.size) else { return };
        let size = largest.rules.size;
        if self.largest.get(class).is_none_or(|(known, _)| *known < size) {
            let key = ObjectKey::namespaced(&largest.policy.namespace, &largest.policy.name);
            self.largest.insert(class.to_owned(), (size, key));
        }
    }
}

/// What `pods` may receive and open. `dns` is the node's address at which it answers names: at that port it is, for policies
/// that select pods, the pod that serves DNS in other clusters, so that what people write for those works here.
pub fn render(policies: &[&Policy], pods: &[&Pod], namespaces: &Namespaces, dns: Ipv4Addr) -> Rendered {
    let world = World::new(pods, namespaces, dns);
    let mut rendered = Rendered::default();
    let ingress = Direction {
        rules: |policy| policy.ingress.as_ref(),
        allow: ingress,
        lookups: |_, _| 0,
        means_own_ports: true,
    };
    let egress = Direction {
        rules: |policy| policy.egress.as_ref(),
        allow: egress,
        lookups: named_ports,
        means_own_ports: false,
    };
    rendered.isolation.ingress = world.classes(policies, &ingress, &mut rendered);
    rendered.isolation.egress = world.classes(policies, &egress, &mut rendered);
    rendered
}

struct World<'a> {
    /// Those that have an address: others may be made without number, and are nobody's peers.
    pods: Vec<&'a Pod>,
    namespaces: &'a Namespaces,
    by_namespace: BTreeMap<&'a str, Vec<&'a Pod>>,
    dns: Pod,
}

/// What differs between the two.
struct Direction {
    /// `None` of a policy that does not judge it.
    rules: fn(&Policy) -> Option<&Rules>,
    allow: fn(&World, &Pod, &Rule, &Peers, &mut BTreeSet<Allow>),
    /// How many pods and ports a rule is looked up in, beside its own.
    lookups: fn(&World, &Rule) -> usize,
    /// Names of ports mean those of the pod that is judged, which pods of one class have in common.
    means_own_ports: bool,
}

/// A policy in one direction.
struct Judging<'a> {
    policy: &'a Policy,
    rules: &'a Rules,
    /// Found when a class needs it: of several classes one policy may be a part. `None` where that is too much.
    whom: OnceCell<Option<Whom<'a>>>,
}

/// Whom a policy names.
struct Whom<'a> {
    /// Rule by rule.
    peers: Vec<Peers<'a>>,
    /// How many peers and ports it adds to a class.
    size: usize,
}

/// Whom a rule names.
#[derive(Default)]
struct Peers<'a> {
    pods: Vec<&'a Pod>,
    blocks: Vec<AddressRange>,
    /// All of these.
    ranges: SharedSet<AddressRange>,
    /// The pods that it selects have the cluster's DNS among them.
    dns: bool,
}

impl<'a> World<'a> {
    fn new(pods: &'a [&'a Pod], namespaces: &'a Namespaces, dns: Ipv4Addr) -> Self {
        let pods: Vec<&Pod> = pods.iter().copied().filter(|pod| pod.address.is_some()).collect();
        let mut by_namespace: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in pods.iter().copied() {
            by_namespace.entry(&pod.namespace).or_default().push(pod);
        }
        let mut dns = Pod {
            namespace: DNS_NAMESPACE.to_owned(),
            labels: [(DNS_LABEL.0.to_owned(), DNS_LABEL.1.to_owned())].into(),
            address: Some(dns),
            ..Pod::default()
        };
        dns.add_port("dns", Protocol::Udp, DNS_PORT);
        dns.add_port("dns-tcp", Protocol::Tcp, DNS_PORT);
        World { pods, namespaces, by_namespace, dns }
    }

    fn classes(
        &self,
        policies: &'a [&'a Policy],
        direction: &Direction,
        rendered: &mut Rendered,
    ) -> BTreeMap<String, Class> {
        let mut judging: BTreeMap<&str, Vec<Judging<'a>>> = BTreeMap::new();
        for policy in policies.iter().copied() {
            if let Some(rules) = (direction.rules)(policy) {
                let of_namespace = judging.entry(&policy.namespace).or_default();
                of_namespace.push(Judging { policy, rules, whom: OnceCell::new() });
            }
        }
        // without pods there is nothing to do, and nothing to share
        let mut judging: Vec<_> =
            judging.into_iter().filter(|(namespace, _)| self.by_namespace.contains_key(*namespace)).collect();
        judging.sort_by_cached_key(|(namespace, judging)| self.said(namespace, judging));
        let (mut room, mut classes) = (Room::of(judging.len()), BTreeMap::new());
        for (namespace, judging) in &judging {
            room.allot(|left| self.add_classes(namespace, judging, direction, left, &mut classes, rendered));
        }
        classes
    }

    /// How much the policies of a namespace say, and of how many pods: who says less is thought to need less.
    fn said(&self, namespace: &str, judging: &[Judging<'a>]) -> usize {
        let pods = self.by_namespace.get(namespace).map_or(0, Vec::len);
        let of = |judging: &Judging| {
            weight(&judging.policy.selector).saturating_mul(pods).saturating_add(judging.rules.size)
        };
        judging.iter().map(of).fold(0, usize::saturating_add)
    }

    fn add_classes(
        &self,
        namespace: &str,
        judging: &[Judging<'a>],
        direction: &Direction,
        left: &mut Allotment,
        classes: &mut BTreeMap<String, Class>,
        rendered: &mut Rendered,
    ) {
        let Allotment { looks, sizes } = left;
        let closed = |address: Ipv4Addr| Class {
            owner: namespace.to_owned(),
            members: [address].into(),
            allows: BTreeSet::new(),
        };
        let selectors: usize = judging.iter().map(|judging| weight(&judging.policy.selector)).sum();
        let pods = self.by_namespace.get(namespace).into_iter().flatten();
        for (pod, address) in pods.filter_map(|pod| Some((*pod, pod.address?))) {
            let selecting = looks.spend(selectors).then(|| selecting(pod, judging));
            let name = selecting.as_ref().and_then(|selecting| class_name(pod, selecting, direction, looks));
            let (Some(selecting), Some(name)) = (selecting, name) else {
                // which policies select it is not known; no policy's name has an asterisk
                let name = format!("{namespace}/*");
                if rendered.too_large.insert(name.clone()) {
                    rendered.note(&name, judging);
                }
                let known = classes.entry(name).or_insert_with(|| closed(address));
                known.members.insert(address);
                continue;
            };
            if selecting.is_empty() {
                continue;
            }
            if let Some(known) = classes.get_mut(&name) {
                known.members.insert(address);
                continue;
            }
            rendered.note(&name, selecting.iter().copied());
            let mut class = closed(address);
            match self.allows(pod, &selecting, direction, looks, sizes) {
                Some(allows) => class.allows = allows,
                None => {
                    rendered.too_large.insert(name.clone());
                }
            }
            classes.insert(name, class);
        }
    }

    /// `None` where it is more than there is room for.
    fn allows(
        &self,
        pod: &Pod,
        selecting: &[&Judging<'a>],
        direction: &Direction,
        looks: &mut Budget,
        sizes: &mut Budget,
    ) -> Option<BTreeSet<Allow>> {
        let mut all = Vec::with_capacity(selecting.len());
        for judging in selecting {
            let whom = judging.whom.get_or_init(|| self.whom(judging, direction, looks)).as_ref()?;
            all.push((judging.rules, whom));
        }
        let size = all.iter().map(|(_, whom)| whom.size).fold(0, usize::saturating_add);
        if size > MOST_OF_CLASS || !sizes.spend(size) {
            return None;
        }
        let mut allows = BTreeSet::new();
        for (rules, whom) in all {
            for (rule, peers) in rules.rules.iter().zip(&whom.peers) {
                (direction.allow)(self, pod, rule, peers, &mut allows);
            }
        }
        Some(allows)
    }

    fn whom(&self, judging: &Judging<'a>, direction: &Direction, looks: &mut Budget) -> Option<Whom<'a>> {
        let Judging { policy, rules, .. } = judging;
        if !looks.spend(rules.size) {
            return None;
        }
        let all = || rules.rules.iter().flat_map(|rule| rule.peers.iter().flatten());
        let namespaces = all().map(|peer| self.looks_at_namespaces(peer)).fold(0, usize::saturating_add);
        if !looks.spend(namespaces) {
            return None;
        }
        let pods = all().map(|peer| self.looks_at_pods(policy, peer)).fold(0, usize::saturating_add);
        let named = rules.rules.iter().map(|rule| (direction.lookups)(self, rule));
        let named = named.fold(0, usize::saturating_add);
        if !looks.spend(pods.saturating_add(named)) {
            return None;
        }
        let peers: Vec<Peers> = rules.rules.iter().map(|rule| self.peers(policy, rule)).collect();
        let found: usize = peers.iter().map(|peers| peers.ranges.len()).sum();
        Some(Whom { peers, size: rules.size.saturating_add(found).saturating_add(named) })
    }

    /// How much there is to compare before it is known whose pods are meant.
    fn looks_at_namespaces(&self, peer: &Peer) -> usize {
        match peer {
            Peer::Addresses(ranges) => ranges.len(),
            Peer::Pods { namespaces, .. } => {
                namespaces.as_ref().map_or(1, weight).saturating_mul(self.by_namespace.len() + 1)
            }
        }
    }

    /// And then. Pods of other namespaces than those that are meant are not looked at, and do not count.
    fn looks_at_pods(&self, policy: &Policy, peer: &Peer) -> usize {
        match peer {
            Peer::Addresses(_) => 0,
            Peer::Pods { namespaces, pods } => {
                let meant: usize = self.meant(policy, namespaces.as_ref()).map(Vec::len).sum();
                weight(pods).saturating_mul(meant + 1)
            }
        }
    }

    /// The pods of each namespace that a peer means.
    fn meant<'s>(
        &'s self,
        policy: &'s Policy,
        selector: Option<&'s LabelSelector>,
    ) -> impl Iterator<Item = &'s Vec<&'a Pod>> {
        let meant = self.by_namespace.iter().filter(move |(name, _)| self.is_meant(policy, selector, name));
        meant.map(|(_, pods)| pods)
    }

    /// Without a selector the policy's own.
    fn is_meant(&self, policy: &Policy, selector: Option<&LabelSelector>, namespace: &str) -> bool {
        match selector {
            None => namespace == policy.namespace,
            Some(selector) => self.namespaces.get(namespace).is_some_and(|labels| selector.matches(labels)),
        }
    }

    fn peers(&self, policy: &Policy, rule: &Rule) -> Peers<'a> {
        let Some(named) = &rule.peers else {
            let blocks = vec![AddressRange::ALL];
            return Peers { ranges: [AddressRange::ALL].into(), blocks, ..Peers::default() };
        };
        let mut found = Peers::default();
        for peer in named {
            match peer {
                Peer::Addresses(ranges) => found.blocks.extend(ranges),
                Peer::Pods { namespaces, pods } => {
                    let selector = namespaces.as_ref();
                    let meant = self.meant(policy, selector).flatten();
                    found.pods.extend(meant.filter(|pod| pods.matches(&pod.labels)));
                    found.dns |=
                        self.is_meant(policy, selector, DNS_NAMESPACE) && pods.matches(&self.dns.labels);
                }
            }
        }
        // several peers may mean the same pod
        found.pods.sort_by_key(|pod| pod.address);
        found.pods.dedup_by_key(|pod| pod.address);
        let pods = found.pods.iter().filter_map(|pod| pod.address).map(AddressRange::from);
        found.ranges = found.blocks.iter().copied().chain(pods).collect();
        found
    }
}

/// Where names of ports mean those of whoever is addressed.
fn named_ports(world: &World, rule: &Rule) -> usize {
    match rule.names().len() {
        0 => 0,
        names => world.pods.iter().map(|pod| 1 + names.min(pod.ports.len())).sum(),
    }
}

fn selecting<'j, 'a>(pod: &Pod, judging: &'j [Judging<'a>]) -> Vec<&'j Judging<'a>> {
    judging.iter().filter(|judging| judging.policy.selector.matches(&pod.labels)).collect()
}

/// The same as long as the same policies select the pods, whatever these allow. `None` where it takes too long to say.
fn class_name(
    pod: &Pod,
    selecting: &[&Judging],
    direction: &Direction,
    looks: &mut Budget,
) -> Option<String> {
    let mut names: Vec<&str> = selecting.iter().map(|judging| judging.policy.name.as_str()).collect();
    names.sort_unstable();
    let mut named = BTreeSet::new();
    if direction.means_own_ports {
        let each = || selecting.iter().map(|judging| &judging.rules.names);
        if !looks.spend(each().map(|names| names.len().min(pod.ports.len())).sum()) {
            return None;
        }
        named = each().flat_map(|names| meant(pod, names)).collect();
    }
    let said = |(name, protocol)| {
        pod.numbers(name, protocol).map(move |number| format!(" {name}={number}/{protocol:?}"))
    };
    let said: BTreeSet<String> = named.into_iter().flat_map(said).collect();
    Some(format!("{}/{}{}", pod.namespace, names.join("+"), said.into_iter().collect::<String>()))
}

/// Those of the names that the pod has. Either may have thousands: each of the fewer is looked up among the others.
fn meant<'p>(pod: &'p Pod, names: &'p Names) -> Vec<(&'p str, Protocol)> {
    let common: Vec<&str> = match names.len() <= pod.ports.len() {
        true => names.keys().map(String::as_str).filter(|name| pod.ports.contains_key(*name)).collect(),
        false => pod.ports.keys().map(String::as_str).filter(|name| names.contains_key(*name)).collect(),
    };
    let protocols =
        |name: &'p str| names.get(name).into_iter().flatten().map(move |protocol| (name, *protocol));
    common.into_iter().flat_map(protocols).collect()
}

/// Names of ports mean those of the pod itself.
fn ingress(_: &World, pod: &Pod, rule: &Rule, peers: &Peers, allows: &mut BTreeSet<Allow>) {
    let ports = match &rule.ports {
        None => Ports::All,
        Some(ports) => Ports::Of(ports.iter().flat_map(|port| numbers(pod, port)).collect()),
    };
    add(&peers.ranges, ports, allows);
}

/// Names of ports mean those of each pod that may be addressed.
fn egress(world: &World, _: &Pod, rule: &Rule, peers: &Peers, allows: &mut BTreeSet<Allow>) {
    let Some(ports) = &rule.ports else {
        add(&peers.ranges, Ports::All, allows);
        if peers.dns {
            let both = [Protocol::Tcp, Protocol::Udp].map(|protocol| at(protocol, DNS_PORT));
            world.allow_dns(both.into(), allows);
        }
        return;
    };
    let plain: BTreeSet<PortRange> = ports
        .iter()
        .filter_map(|port| match port {
            Port::Numbers(range) => Some(*range),
            Port::Named { .. } => None,
        })
        .collect();
    if peers.dns {
        let is_dns = |range: &&PortRange| (range.first..=range.last).contains(&DNS_PORT);
        world.allow_dns(
            plain.iter().filter(is_dns).map(|range| at(range.protocol, DNS_PORT)).collect(),
            allows,
        );
    }
    add(&peers.ranges, Ports::Of(plain), allows);
    let names = rule.names();
    if names.is_empty() {
        return;
    }
    let blocks = Blocks::of(&peers.blocks);
    let within = world.pods.iter().copied().filter(|pod| blocks.contain(pod));
    let dns = Some(&world.dns).filter(|dns| peers.dns || blocks.contain(dns));
    for pod in peers.pods.iter().copied().chain(within).chain(dns) {
        let of_name = |(name, protocol)| pod.numbers(name, protocol).map(move |number| at(protocol, number));
        let numbers: BTreeSet<PortRange> = meant(pod, &names).into_iter().flat_map(of_name).collect();
        let peers: SharedSet<AddressRange> = pod.address.map(AddressRange::from).into_iter().collect();
        add(&peers, Ports::Of(numbers), allows);
    }
}

/// Ranges that do not overlap, in order, so that one look finds the only one that may have an address.
struct Blocks(Vec<AddressRange>);

impl Blocks {
    fn of(ranges: &[AddressRange]) -> Self {
        let mut sorted = ranges.to_vec();
        sorted.sort_unstable();
        let mut merged: Vec<AddressRange> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(before) if range.first <= before.last => before.last = before.last.max(range.last),
                _ => merged.push(range),
            }
        }
        Blocks(merged)
    }

    fn contain(&self, pod: &Pod) -> bool {
        pod.address.is_some_and(|address| {
            let next = self.0.partition_point(|range| range.last < address);
            self.0.get(next).is_some_and(|range| range.contains(address))
        })
    }
}

impl World<'_> {
    fn allow_dns(&self, ports: BTreeSet<PortRange>, allows: &mut BTreeSet<Allow>) {
        let peers: SharedSet<AddressRange> = self.dns.address.map(AddressRange::from).into_iter().collect();
        add(&peers, Ports::Of(ports), allows);
    }
}

/// Nothing where nobody is meant, or no port.
fn add(peers: &SharedSet<AddressRange>, ports: Ports, allows: &mut BTreeSet<Allow>) {
    let has_ports = !matches!(&ports, Ports::Of(ports) if ports.is_empty());
    if has_ports && !peers.is_empty() {
        allows.insert(Allow { peers: peers.clone(), ports });
    }
}

fn numbers(pod: &Pod, port: &Port) -> Vec<PortRange> {
    match port {
        Port::Numbers(range) => vec![*range],
        Port::Named { name, protocol } => {
            pod.numbers(name, *protocol).map(|number| at(*protocol, number)).collect()
        }
    }
}

fn at(protocol: Protocol, number: u16) -> PortRange {
    PortRange { protocol, first: number, last: number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MOST_LOOKS;

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
        let any =
            Peer::Pods { namespaces: Some(LabelSelector::everything()), pods: LabelSelector::everything() };
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

    #[test]
    fn blocks_contain_what_is_in_one_of_them() {
        let range = |first: u8, last: u8| AddressRange {
            first: Ipv4Addr::new(10, 0, 0, first),
            last: Ipv4Addr::new(10, 0, 0, last),
        };
        let blocks = Blocks::of(&[range(20, 30), range(5, 9), range(1, 12), range(30, 40)]);
        let at = |last| Pod { address: Some(Ipv4Addr::new(10, 0, 0, last)), ..Pod::default() };
        for (last, want) in
            [(0, false), (1, true), (11, true), (13, false), (30, true), (40, true), (41, false)]
        {
            assert_eq!(blocks.contain(&at(last)), want, "{last}");
        }
        assert!(!blocks.contain(&Pod::default()));
    }
}
