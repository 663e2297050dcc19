//! From policies, pods and namespaces to what the kernel needs. Pure.
//!
//! A pod that no policy selects for a direction is open in it; of one that several select, each adds what it allows. Pods
//! that the same policies select, and in which the names of ports mean the same, are one class. What is done for a namespace,
//! and for all, is bounded ([`crate::limits`]): a class that asks for more is closed.

mod allows;
mod peers;
#[cfg(test)]
mod tests;

use crate::limits::{Allotment, Budget, MOST_OF_CLASS, Room, weight};
use crate::{Pod, Policy, Rule, Rules};
use allows::{egress, ingress, meant, named_ports};
use api::ObjectKey;
use net::{Allow, Class, Isolation, Protocol};
use peers::{Peers, Whom};
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
