//! A policy as it is understood: its selectors parsed, its blocks cut.

use crate::blocks;
use crate::pod::protocol;
use api::LabelSelector;
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kinds::selectors;
use net::{AddressRange, PortRange, Protocol};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub namespace: String,
    pub name: String,
    pub selector: LabelSelector,
    /// `None` where it does not judge that direction.
    pub ingress: Option<Rules>,
    pub egress: Option<Rules>,
}

/// Names of ports, and of which protocols.
pub(crate) type Names = BTreeMap<String, BTreeSet<Protocol>>;

/// What a policy says of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub rules: Vec<Rule>,
    /// Of all rules together.
    pub(crate) names: Names,
    /// How many rules, peers, ranges of addresses and ports it has: counted once, and not whenever anything changes.
    pub(crate) size: usize,
}

/// `None` is everybody, and every port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub peers: Option<Vec<Peer>>,
    /// Each once, however often it is said.
    pub ports: Option<BTreeSet<Port>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Of the policy's own namespace where no others are selected.
    Pods {
        namespaces: Option<LabelSelector>,
        pods: LabelSelector,
    },
    Addresses(Vec<AddressRange>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    Numbers(PortRange),
    Named { name: String, protocol: Protocol },
}

impl Policy {
    pub fn of(object: &NetworkPolicy) -> Self {
        let spec = object.spec.clone().unwrap_or_default();
        let types = spec.policy_types.unwrap_or_default();
        let judges = |direction: &str| types.iter().any(|given| given == direction);
        let ingress = spec.ingress.unwrap_or_default().into_iter();
        let ingress = ingress.map(|rule| Rule::of(rule.from.as_deref(), rule.ports.as_deref()));
        let egress = spec.egress.unwrap_or_default().into_iter();
        let egress = egress.map(|rule| Rule::of(rule.to.as_deref(), rule.ports.as_deref()));
        Policy {
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            name: object.metadata.name.clone().unwrap_or_default(),
            selector: parsed(spec.pod_selector.as_ref()),
            ingress: judges("Ingress").then(|| Rules::new(ingress.collect())),
            egress: judges("Egress").then(|| Rules::new(egress.collect())),
        }
    }
}

impl Rules {
    pub fn new(rules: Vec<Rule>) -> Self {
        let names = names(rules.iter());
        let size = rules.iter().map(Rule::size).sum();
        Rules { rules, names, size }
    }
}

impl Rule {
    fn of(peers: Option<&[NetworkPolicyPeer]>, ports: Option<&[NetworkPolicyPort]>) -> Self {
        Rule {
            peers: peers.filter(|peers| !peers.is_empty()).map(|peers| peers.iter().map(Peer::of).collect()),
            ports: ports
                .filter(|ports| !ports.is_empty())
                .map(|ports| ports.iter().filter_map(Port::of).collect()),
        }
    }

    pub(crate) fn names(&self) -> Names {
        names([self])
    }

    fn size(&self) -> usize {
        let peers = self.peers.iter().flatten().map(|peer| match peer {
            Peer::Addresses(ranges) => 1 + ranges.len(),
            Peer::Pods { .. } => 1,
        });
        1 + peers.sum::<usize>() + self.ports.as_ref().map_or(0, BTreeSet::len)
    }
}

fn names<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> Names {
    let mut names = Names::new();
    for port in rules.into_iter().flat_map(|rule| rule.ports.iter().flatten()) {
        if let Port::Named { name, protocol } = port {
            names.entry(name.clone()).or_default().insert(*protocol);
        }
    }
    names
}

impl Peer {
    fn of(peer: &NetworkPolicyPeer) -> Self {
        match &peer.ip_block {
            Some(block) => Peer::Addresses(blocks::ranges(block)),
            None => Peer::Pods {
                namespaces: peer.namespace_selector.as_ref().map(|selector| parsed(Some(selector))),
                pods: parsed(peer.pod_selector.as_ref()),
            },
        }
    }
}

impl Port {
    /// `None` of what there can be no packet with.
    fn of(port: &NetworkPolicyPort) -> Option<Self> {
        let protocol = protocol(port.protocol.as_deref())?;
        let numbers = |first, last| Some(Port::Numbers(PortRange { protocol, first, last }));
        match &port.port {
            None => numbers(0, u16::MAX),
            Some(IntOrString::String(name)) => Some(Port::Named { name: name.clone(), protocol }),
            Some(IntOrString::Int(first)) => {
                let last = port.end_port.unwrap_or(*first);
                numbers(u16::try_from(*first).ok()?, u16::try_from(last).ok()?)
            }
        }
    }
}

/// No selector selects all; one that can not be understood, which validation refuses, selects nothing.
fn parsed(selector: Option<&meta::LabelSelector>) -> LabelSelector {
    selector.map_or_else(LabelSelector::everything, |selector| {
        selectors::from_object(selector).unwrap_or_else(|_| nothing())
    })
}

fn nothing() -> LabelSelector {
    let operator = api::selector::Operator::In(Vec::new());
    LabelSelector { requirements: vec![api::selector::Requirement { key: String::new(), operator }] }
}
