//! Whom the rules of a policy name, and how much there is to look at before that is known.

use super::{DNS_NAMESPACE, Direction, Judging, World};
use crate::limits::{Budget, weight};
use crate::{Peer, Pod, Policy, Rule};
use api::LabelSelector;
use net::{AddressRange, SharedSet};

/// Whom a policy names.
pub(super) struct Whom<'a> {
    /// Rule by rule.
    pub(super) peers: Vec<Peers<'a>>,
    /// How many peers and ports it adds to a class.
    pub(super) size: usize,
}

/// Whom a rule names.
#[derive(Default)]
pub(super) struct Peers<'a> {
    pub(super) pods: Vec<&'a Pod>,
    pub(super) blocks: Vec<AddressRange>,
    /// All of these.
    pub(super) ranges: SharedSet<AddressRange>,
    /// The pods that it selects have the cluster's DNS among them.
    pub(super) dns: bool,
}

impl<'a> World<'a> {
    pub(super) fn whom(
        &self,
        judging: &Judging<'a>,
        direction: &Direction,
        looks: &mut Budget,
    ) -> Option<Whom<'a>> {
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
