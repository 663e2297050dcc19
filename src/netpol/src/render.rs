//! From policies, pods and namespaces to what the kernel needs. Pure.
//!
//! A pod that no policy selects for a direction is open in it; of one that several select, each adds what it allows. Pods
//! that the same policies select, and in which the names of ports mean the same, are one class.

use crate::{NamedPort, Peer, Pod, Policy, Port, Rule};
use net::{AddressRange, Allow, Class, Isolation, PortRange, Ports, Protocol};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

/// Labels by name.
pub type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

const DNS_PORT: u16 = 53;
const DNS_NAMESPACE: &str = "kube-system";
const DNS_LABEL: (&str, &str) = ("k8s-app", "kube-dns");

/// What `pods` may receive and open. `dns` is the node's address at which it answers names: at that port it is, for policies
/// that select pods, the pod that serves DNS in other clusters, so that what people write for those works here.
pub fn render(policies: &[&Policy], pods: &[&Pod], namespaces: &Namespaces, dns: Ipv4Addr) -> Isolation {
    let world = World::new(pods, namespaces, dns);
    let ingress = Direction { rules: |policy| policy.ingress.as_deref(), allow: ingress, names: own_names };
    let egress =
        Direction { rules: |policy| policy.egress.as_deref(), allow: egress, names: |_, _| BTreeSet::new() };
    Isolation { ingress: world.classes(policies, &ingress), egress: world.classes(policies, &egress) }
}

struct World<'a> {
    pods: &'a [&'a Pod],
    namespaces: &'a Namespaces,
    by_namespace: BTreeMap<&'a str, Vec<&'a Pod>>,
    dns: Pod,
}

/// What differs between the two.
struct Direction {
    /// `None` of a policy that does not judge it.
    rules: fn(&Policy) -> Option<&[Rule]>,
    allow: fn(&World, &Pod, &Rule, &Peers, &mut BTreeSet<Allow>),
    /// What it means to a pod by which ports are named.
    names: fn(&Pod, &[Rule]) -> BTreeSet<String>,
}

/// Whom a rule names.
#[derive(Default)]
struct Peers<'a> {
    pods: Vec<&'a Pod>,
    blocks: Vec<AddressRange>,
    /// The pods that it selects have the cluster's DNS among them.
    dns: bool,
}

impl<'a> World<'a> {
    fn new(pods: &'a [&'a Pod], namespaces: &'a Namespaces, dns: Ipv4Addr) -> Self {
        let mut by_namespace: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in pods.iter().filter(|pod| pod.address.is_some()) {
            by_namespace.entry(&pod.namespace).or_default().push(pod);
        }
        let named = |name: &str, protocol| NamedPort { name: name.to_owned(), protocol, number: DNS_PORT };
        let dns = Pod {
            namespace: DNS_NAMESPACE.to_owned(),
            labels: [(DNS_LABEL.0.to_owned(), DNS_LABEL.1.to_owned())].into(),
            address: Some(dns),
            ports: vec![named("dns", Protocol::Udp), named("dns-tcp", Protocol::Tcp)],
            ..Pod::default()
        };
        World { pods, namespaces, by_namespace, dns }
    }

    fn classes(&self, policies: &[&Policy], direction: &Direction) -> BTreeMap<String, Class> {
        let mut judging: BTreeMap<&str, Vec<&Policy>> = BTreeMap::new();
        for policy in policies.iter().filter(|policy| (direction.rules)(policy).is_some()) {
            judging.entry(&policy.namespace).or_default().push(policy);
        }
        let mut classes: BTreeMap<String, Class> = BTreeMap::new();
        // of several classes one policy may be a part
        let mut peers: HashMap<(&str, &str), Vec<Peers>> = HashMap::new();
        for pod in self.pods {
            let (Some(address), Some(judging)) = (pod.address, judging.get(pod.namespace.as_str())) else {
                continue;
            };
            let selecting: Vec<&Policy> =
                judging.iter().filter(|policy| policy.selector.matches(&pod.labels)).copied().collect();
            if selecting.is_empty() {
                continue;
            }
            let name = class_name(pod, &selecting, direction);
            if let Some(known) = classes.get_mut(&name) {
                known.members.insert(address);
                continue;
            }
            let mut allows = BTreeSet::new();
            for policy in selecting {
                let rules = (direction.rules)(policy).unwrap_or_default();
                let peers = peers
                    .entry((&policy.namespace, &policy.name))
                    .or_insert_with(|| rules.iter().map(|rule| self.peers(policy, rule)).collect());
                for (rule, peers) in rules.iter().zip(peers.iter()) {
                    (direction.allow)(self, pod, rule, peers, &mut allows);
                }
            }
            classes.insert(name, Class { members: [address].into(), allows });
        }
        classes
    }

    fn peers(&self, policy: &Policy, rule: &Rule) -> Peers<'a> {
        let Some(named) = &rule.peers else {
            return Peers { blocks: vec![AddressRange::ALL], ..Peers::default() };
        };
        let mut found = Peers::default();
        for peer in named {
            match peer {
                Peer::Addresses(ranges) => found.blocks.extend(ranges),
                Peer::Pods { namespaces, pods } => {
                    let is_meant = |namespace: &str| match namespaces {
                        None => namespace == policy.namespace,
                        Some(selector) => {
                            self.namespaces.get(namespace).is_some_and(|labels| selector.matches(labels))
                        }
                    };
                    let meant = self.by_namespace.iter().filter(|(namespace, _)| is_meant(namespace));
                    let meant = meant.flat_map(|(_, pods)| pods);
                    found.pods.extend(meant.filter(|pod| pods.matches(&pod.labels)));
                    found.dns |= is_meant(DNS_NAMESPACE) && pods.matches(&self.dns.labels);
                }
            }
        }
        found
    }
}

impl Peers<'_> {
    fn ranges(&self) -> BTreeSet<AddressRange> {
        let pods = self.pods.iter().filter_map(|pod| pod.address).map(AddressRange::from);
        self.blocks.iter().copied().chain(pods).collect()
    }

    fn contains(&self, pod: &Pod) -> bool {
        let within = |range: &AddressRange| pod.address.is_some_and(|address| range.contains(address));
        self.blocks.iter().any(within)
    }
}

/// The same as long as the same policies select the pods, whatever these allow.
fn class_name(pod: &Pod, selecting: &[&Policy], direction: &Direction) -> String {
    let mut names: Vec<&str> = selecting.iter().map(|policy| policy.name.as_str()).collect();
    names.sort_unstable();
    let rules = selecting.iter().flat_map(|policy| (direction.rules)(policy));
    let named: BTreeSet<String> = rules.flat_map(|rules| (direction.names)(pod, rules)).collect();
    format!("{}/{}{}", pod.namespace, names.join("+"), named.into_iter().collect::<String>())
}

fn own_names(pod: &Pod, rules: &[Rule]) -> BTreeSet<String> {
    let named = rules.iter().flat_map(|rule| rule.ports.iter().flatten()).filter_map(|port| match port {
        Port::Named { name, protocol } => Some((name, *protocol)),
        Port::Numbers(_) => None,
    });
    let meant = |(name, protocol): (&String, Protocol)| {
        let of_name = name.clone();
        pod.numbers(name, protocol)
            .map(move |number| format!(" {of_name}={number}/{protocol:?}"))
            .collect::<Vec<_>>()
    };
    named.flat_map(meant).collect()
}

/// Names of ports mean those of the pod itself.
fn ingress(_: &World, pod: &Pod, rule: &Rule, peers: &Peers, allows: &mut BTreeSet<Allow>) {
    let ports = match &rule.ports {
        None => Ports::All,
        Some(ports) => Ports::Of(ports.iter().flat_map(|port| numbers(pod, port)).collect()),
    };
    add(peers.ranges(), ports, allows);
}

/// Names of ports mean those of each pod that may be addressed.
fn egress(world: &World, _: &Pod, rule: &Rule, peers: &Peers, allows: &mut BTreeSet<Allow>) {
    let Some(ports) = &rule.ports else {
        add(peers.ranges(), Ports::All, allows);
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
    add(peers.ranges(), Ports::Of(plain), allows);
    let named: Vec<&Port> = ports.iter().filter(|port| matches!(port, Port::Named { .. })).collect();
    if named.is_empty() {
        return;
    }
    let within = world.pods.iter().copied().filter(|pod| peers.contains(pod));
    let dns = Some(&world.dns).filter(|dns| peers.dns || peers.contains(dns));
    for pod in peers.pods.iter().copied().chain(within).chain(dns) {
        let numbers: BTreeSet<PortRange> = named.iter().flat_map(|port| numbers(pod, port)).collect();
        add(pod.address.map(AddressRange::from).into_iter().collect(), Ports::Of(numbers), allows);
    }
}

impl World<'_> {
    fn allow_dns(&self, ports: BTreeSet<PortRange>, allows: &mut BTreeSet<Allow>) {
        let peers = self.dns.address.map(AddressRange::from).into_iter().collect();
        add(peers, Ports::Of(ports), allows);
    }
}

/// Nothing where nobody is meant, or no port.
fn add(peers: BTreeSet<AddressRange>, ports: Ports, allows: &mut BTreeSet<Allow>) {
    let has_ports = !matches!(&ports, Ports::Of(ports) if ports.is_empty());
    if has_ports && !peers.is_empty() {
        allows.insert(Allow { peers, ports });
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
