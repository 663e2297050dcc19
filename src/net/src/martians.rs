//! Packets that come from where they can not come from: refused before anything else is done with them, for a translation, a network or
//! a policy believes addresses.

use crate::NetConfig;
use crate::nft::Set;
use crate::nft_expr::{compare, equal, from_within, loopback, meta, payload, pod_links, prefix, way_back};
use crate::table_objects::Statements;
use nftables::expr::{Expression, FibResult, MetaKey};
use nftables::stmt::{Drop, Operator, Statement};
use serde_json::{Value, json};

pub(crate) const CHAIN: &str = "raw";

/// Pods' links take packets for 127.0.0.1, for the answers to node ports. Such a packet is made by connection tracking;
/// one that comes with this address is an attack: from a pod on the machine's own services (CVE-2020-8558), from the network on
/// what is published at 127.0.0.1, for it would be translated before the kernel could refuse it.
///
/// Nor has anybody outside an address of a pod's or a member's: policies and networks judge by addresses, and a datagram needs no
/// answer to do harm. A user may give a network the addresses of the machine's own: there nobody is refused who is reached where he
/// came from.
pub(crate) fn rules(config: &NetConfig) -> Vec<Statements> {
    let drop = || vec![Statement::Drop(Some(Drop {}))];
    let outside = from_outside(config).to_vec();
    let to_loopback =
        [from_no(Expression::String("lo".into())), equal(payload("ip", "daddr"), loopback())].to_vec();
    let of_pods = vec![equal(payload("ip", "saddr"), prefix(config.pod_cidr))];
    // its first half bars everybody from each network
    let of_networks = vec![from_within(Set::Barred)];
    let of_a_member = vec![equal(way_back(FibResult::Oifname), pod_links(config))];
    let of_nobody = vec![equal(way_back(FibResult::Oif), Expression::Boolean(false))];
    vec![
        [to_loopback, drop()].concat(),
        [outside.clone(), of_pods, drop()].concat(),
        [outside.clone(), of_networks.clone(), of_a_member, drop()].concat(),
        [outside, of_networks, of_nobody, drop()].concat(),
    ]
}

/// A pod's link brings what has an address that is reached by that link. `rp_filter` says so as well, and is not to be relied on: the
/// larger of the link's and that for all links counts, which is 2 on Ubuntu and means any link; and udev writes what the machine has
/// for new links over ours.
///
/// As JSON: the crate keeps the flags in a set, which is written in another order each time.
pub(crate) fn own_address_only(config: &NetConfig) -> Value {
    let by_pod = json!({ "match": { "op": "==", "left": { "meta": { "key": "iifname" } },
        "right": format!("{}*", config.link_prefix()) } });
    let way_back = json!({ "fib": { "result": "oif", "flags": ["saddr", "iif"] } });
    let none = json!({ "match": { "op": "==", "left": way_back, "right": false } });
    json!({ "rule": { "family": "ip", "table": config.table(), "chain": CHAIN,
        "expr": [by_pod, none, { "drop": {} }] } })
}

/// Neither from the machine itself nor from a pod.
pub(crate) fn from_outside(config: &NetConfig) -> [Statement<'static>; 2] {
    [from_no(Expression::String("lo".into())), from_no(pod_links(config))]
}

fn from_no(link: Expression<'static>) -> Statement<'static> {
    compare(meta(MetaKey::Iifname), Operator::NEQ, link)
}
