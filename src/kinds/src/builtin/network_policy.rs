//! NetworkPolicies: what is left out, the warning about ranges that can be read in two ways, columns. Rules are judged in
//! `network_policy_validation.rs`.

use super::checks::list;
use super::name_of;
use super::network_policy_validation::{self, EGRESS, INGRESS};
use super::service_warnings::odd_range;
use crate::{Cell, Column, ErrorList, TypedKind, age, selectors};
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPort};

impl TypedKind for NetworkPolicy {
    const SINGULAR: &'static str = "networkpolicy";
    const PLURAL: &'static str = "networkpolicies";
    const SHORT_NAMES: &'static [&'static str] = &["netpol"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Pod-Selector", "string", "The pods whose connections it judges"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        // no pointer in Go
        spec.pod_selector.get_or_insert_default();
        let ingress = spec.ingress.iter_mut().flatten().flat_map(|rule| &mut rule.ports);
        let egress = spec.egress.iter_mut().flatten().flat_map(|rule| &mut rule.ports);
        ingress.chain(egress).flatten().for_each(default_protocol);
        if list(&spec.policy_types).is_empty() {
            let egress = (!list(&spec.egress).is_empty()).then_some(EGRESS);
            spec.policy_types = Some([INGRESS].into_iter().chain(egress).map(str::to_owned).collect());
        }
    }
    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
    fn validate(&self, errors: &mut ErrorList) {
        if let Some(spec) = &self.spec {
            network_policy_validation::validate(spec, errors);
        }
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        let blocks = blocks(self);
        let ranges = blocks.iter().flat_map(|(at, block)| {
            let except = list(&block.except).iter().enumerate();
            let except = except.map(move |(index, range)| (format!("{at}.except[{index}]"), range));
            std::iter::once((format!("{at}.cidr"), &block.cidr)).chain(except)
        });
        ranges.filter_map(|(at, range)| odd_range(&at, range)).collect()
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let selector = self.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
        vec![
            name_of(&self.metadata),
            selectors::print(selector).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

/// Not of an empty one, which is wrong: it is a pointer in Go.
fn default_protocol(port: &mut NetworkPolicyPort) {
    port.protocol.get_or_insert_with(|| "TCP".to_owned());
}

fn blocks(policy: &NetworkPolicy) -> Vec<(String, &IPBlock)> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    let from = list(&spec.ingress).iter().map(|rule| list(&rule.from)).enumerate();
    let to = list(&spec.egress).iter().map(|rule| list(&rule.to)).enumerate();
    let from = from.map(|(index, peers)| (format!("spec.ingress[{index}].from"), peers));
    let to = to.map(|(index, peers)| (format!("spec.egress[{index}].to"), peers));
    let peers = from.chain(to).flat_map(|(at, peers)| {
        peers.iter().enumerate().map(move |(index, peer)| (format!("{at}[{index}].ipBlock"), peer))
    });
    peers.filter_map(|(at, peer)| Some((at, peer.ip_block.as_ref()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_and_warnings_as_upstream_has_them() {
        let policy: NetworkPolicy = serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {
                "podSelector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
                "ingress": [{"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.1/8", "except": ["10.1.0.0/16", "10.2.3.4/16"]}}]}],
                "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}],
            },
        }))
        .unwrap();
        let row = policy.row(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(row[1], json!("app=web,tier in (a,b)"));
        let none = NetworkPolicy::default().row(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(none[1], json!("<none>"));
        let want = [
            "spec.ingress[0].from[1].ipBlock.cidr: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
            "spec.ingress[0].from[1].ipBlock.except[1]: CIDR value \"10.2.3.4/16\" is ambiguous in this context (should be \"10.2.0.0/16\" or \"10.2.3.4/32\"?)",
        ];
        assert_eq!(policy.warnings(None), want);
    }
}
