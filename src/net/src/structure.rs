//! The table without its elements: sets, maps, chains and the rules that never change. Made once at the start with `nft`;
//! pure but for that.
//!
//! A packet to a frontend is translated in `dispatch`, called before routing and for the machine's own packets. What is still
//! addressed to a service behind that was wanted by nobody: `undelivered` refuses it, so that it never leaves the machine.

use crate::config::hash;
use crate::frontends::{CHECK_SOURCE, MARK, REFUSE, key};
use crate::martians::{self, from_outside};
use crate::nft::{Batch, Expression as Nft, Field, Holds, Netfilter, Register, Set};
use crate::nft_expr::{
    any_door, between, compare, concat, ct, equal, follow, frontend, goes_on, jump, loopback, meta, payload,
    pod_links, prefix, set_mark, set_of, to_this_machine,
};
use crate::table_objects::{Statements, base_chain, chain, object, rule};
use crate::{NetConfig, NetError, Result, hold, nft_cli};
use nftables::expr::{BinaryOperation, Expression, MetaKey};
use nftables::schema::{NfListObject, Table};
use nftables::stmt::{Accept, Drop, JumpTarget, Match, Operator, Reject, RejectType, Statement};
use nftables::types::{NfChainType, NfFamily, NfHook, RejectCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A bit of the packet's mark that lives from `dispatch` to `postrouting`, where it is cleared again.
const MASQUERADE: u32 = 1 << 13;
/// A bit of the mark of the machine's own sockets that speak for somebody: none of them is led to a pod by a Service or a port, for a
/// pod takes the machine for itself, whoever asked it to.
pub const ON_BEHALF: u32 = 1 << 12;

/// The chain for new connections that were led to a back end.
const REMEMBER: &str = "remember";
/// The chain for what goes to one of the machine's own addresses.
const OWN: &str = "own";
/// Where cluster DNS listens, at the gateway address.
const DNS: u16 = 53;

// Priorities of linux/netfilter_ipv4.h.
const RAW: i32 = -300;
const DESTINATION_NAT: i32 = -100;
const FILTER: i32 = 0;
const SOURCE_NAT: i32 = 100;

/// The name of an empty chain that says which structure the table has.
pub(crate) fn fingerprint(config: &NetConfig) -> String {
    let (rest, _) = rest(config).finish();
    format!("layout-{:016x}", hash(&[Value::from(objects(config)).to_string().as_bytes(), &rest]))
}

/// Every chain of the structure, and how many rules it has.
pub(crate) fn chains(config: &NetConfig) -> BTreeMap<String, usize> {
    let mut chains: BTreeMap<String, usize> = [(fingerprint(config), 0)].into();
    for object in objects(config) {
        if let Some(chain) = object["chain"]["name"].as_str() {
            chains.entry(chain.to_owned()).or_default();
        }
        if let Some(chain) = object["rule"]["chain"].as_str() {
            *chains.entry(chain.to_owned()).or_default() += 1;
        }
    }
    for (chain, _) in rest_rules() {
        *chains.entry(chain.to_owned()).or_default() += 1;
    }
    chains
}

/// Replaces the table, with all that is in it. `holds`: nobody of the pods' range begins anything until it is said who may.
pub(crate) fn apply(config: &NetConfig, netfilter: &Netfilter, holds: bool) -> Result<()> {
    let table = json!({ "table": { "family": "ip", "name": config.table() } });
    let mut commands = vec![json!({ "add": table }), json!({ "delete": table })];
    let held = if holds { hold::objects(config) } else { Vec::new() };
    commands.extend(objects(config).into_iter().chain(held).map(|object| json!({ "add": object })));
    nft_cli::apply(&json!({ "nftables": commands }).to_string())?;
    let mut rest = rest(config);
    // the last step: a table without it is built anew
    rest.add_chain(&fingerprint(config));
    netfilter.commit(rest)
}

/// Removes the table; succeeds where there is none. Without `nft`, which may be gone by now.
pub(crate) fn remove(config: &NetConfig) -> Result<()> {
    let mut batch = Batch::new(&config.table());
    batch.delete_table();
    match Netfilter::default().commit(batch) {
        Err(NetError::Refused { errno: libc::ENOENT, .. }) => Ok(()),
        other => other,
    }
}

/// Everything in the table, in an order in which each thing only names what came before it.
fn objects(config: &NetConfig) -> Vec<Value> {
    let mut objects = vec![object(NfListObject::Table(Table {
        family: NfFamily::IP,
        name: config.table().into(),
        handle: None,
    }))];
    objects.extend(sets(config));
    let chains: Vec<(&str, Option<(NfChainType, NfHook, i32)>, Vec<Statements>)> = vec![
        (REFUSE, None, refuse()),
        (
            MARK,
            None,
            vec![vec![set_mark(Expression::BinaryOperation(Box::new(BinaryOperation::OR(vec![
                meta(MetaKey::Mark),
                Expression::Number(MASQUERADE),
            ]))))]],
        ),
        // rules by netlink, see `rest`
        (Set::HostPorts.name(), None, Vec::new()),
        (Set::AnyHostPorts.name(), None, Vec::new()),
        (OWN, None, own(config)),
        (CHECK_SOURCE, None, check_source()),
        ("dispatch", None, dispatch()),
        (REMEMBER, None, Vec::new()),
        ("undelivered", None, undelivered(config)),
        (martians::CHAIN, Some((NfChainType::Filter, NfHook::Prerouting, RAW)), martians::rules(config)),
        (
            "prerouting",
            Some((NfChainType::NAT, NfHook::Prerouting, DESTINATION_NAT)),
            vec![vec![jump("dispatch")]],
        ),
        ("output", Some((NfChainType::NAT, NfHook::Output, DESTINATION_NAT)), vec![vec![jump("dispatch")]]),
        ("untranslated", Some((NfChainType::Filter, NfHook::Prerouting, FILTER)), untranslated(config)),
        (
            "untranslated-output",
            Some((NfChainType::Filter, NfHook::Output, FILTER)),
            untranslated_output(config),
        ),
        ("forward", Some((NfChainType::Filter, NfHook::Forward, FILTER)), forward()),
        ("postrouting", Some((NfChainType::NAT, NfHook::Postrouting, SOURCE_NAT)), postrouting(config)),
    ];
    for (name, hook, rules) in chains {
        objects.push(match hook {
            None => chain(config, name),
            Some(hook) => base_chain(config, name, hook),
        });
        objects.extend(rules.into_iter().map(|statements| rule(config, name, statements)));
        if name == martians::CHAIN {
            objects.push(martians::own_address_only(config));
        }
    }
    objects
}

/// The crate's types have no map to verdicts, so these are written as the JSON that they become.
fn sets(config: &NetConfig) -> impl Iterator<Item = Value> {
    let table = config.table();
    Set::ALL.into_iter().filter_map(move |set| {
        let key: Vec<&str> = set.key().iter().map(|field| field.name()).collect();
        // nft takes no concatenation of one
        let key = if let [only] = key[..] { json!(only) } else { json!(key) };
        let mut declared = json!({ "family": "ip", "table": table, "name": set.name(), "type": key });
        match set.holds() {
            Holds::Nothing => Some(json!({ "set": declared })),
            Holds::Ranges => {
                declared["flags"] = json!(["interval"]);
                Some(json!({ "set": declared }))
            }
            Holds::Verdict => {
                declared["map"] = "verdict".into();
                Some(json!({ "map": declared }))
            }
            Holds::Socket => None,
        }
    })
}

/// What nft's JSON can not say (1.0.6 makes a plain set of a map to addresses and ports, and dies of a translation by
/// one): those maps, and the rules for host ports; nor can it look for the port that a connection was first
/// made to.
fn rest(config: &NetConfig) -> Batch {
    let mut batch = Batch::new(&config.table());
    Set::ALL.into_iter().filter(|set| set.holds() == Holds::Socket).for_each(|set| batch.add_map(set));
    for (chain, rule) in rest_rules() {
        batch.add_rule(chain, &rule);
    }
    batch
}

fn rest_rules() -> Vec<(&'static str, Vec<Nft>)> {
    let mut rules = Vec::new();
    for set in [Set::HostPorts, Set::AnyHostPorts] {
        rules.push((set.name(), host_port(set)));
    }
    let wanted = [Nft::WantedAddress as fn(Register) -> Nft, Nft::Protocol, Nft::WantedPort];
    for (set, parts) in [(Set::Sticky, &wanted[..]), (Set::StickyPorts, &wanted[1..])] {
        let (mut rule, _) = key(parts.iter().copied());
        rule.push(Nft::Follow { set, key: Register(0) });
        rules.push((REMEMBER, rule));
    }
    rules
}

fn host_port(set: Set) -> Vec<Nft> {
    let parts = set.key().iter().map(|field| match field {
        Field::Address => Nft::DestinationAddress as fn(Register) -> Nft,
        Field::Protocol => Nft::Protocol,
        Field::Port | Field::Mark => Nft::DestinationPort,
    });
    let (mut rule, to) = key(parts);
    rule.push(Nft::Lookup { set, key: Register(0), to });
    rule.push(Nft::Translate { to });
    rule
}

fn refuse() -> Vec<Statements> {
    let tcp = equal(meta(MetaKey::L4proto), Expression::String("tcp".into()));
    let reset = Statement::Reject(Some(Reject::new(Some(RejectType::TCPReset), None)));
    let icmp = Statement::Reject(Some(Reject::new(Some(RejectType::ICMP), Some(RejectCode::PortUnreach))));
    vec![vec![tcp, reset], vec![icmp]]
}

/// What goes to the machine itself is led away by a port that somebody has there, never by an address that a service
/// claims: an external IP of 127.0.0.1 or of the node would else take the machine's own traffic. A host port in turn is one
/// of the machine's addresses, so that none with the address of a service takes that service's traffic.
fn dispatch() -> Vec<Statements> {
    vec![
        vec![to_this_machine(Operator::EQ), Statement::Goto(JumpTarget { target: OWN.into() })],
        vec![follow(frontend(), Set::Restricted)],
        vec![follow(frontend(), Set::Services)],
    ]
}

/// Of a connection's first packet only, and before it is translated: what was let in before goes on, as with upstream's
/// proxy.
fn check_source() -> Vec<Statements> {
    let (to, from) = (payload("ip", "daddr"), payload("ip", "saddr"));
    let both = concat([to, meta(MetaKey::L4proto), payload("th", "dport"), from]);
    let allowed = Expression::String(format!("@{}", Set::AllowedSources.name()).into());
    vec![
        vec![compare(both, Operator::EQ, allowed), Statement::Return(None)],
        vec![Statement::Drop(Some(Drop {}))],
    ]
}

fn own(config: &NetConfig) -> Vec<Statements> {
    vec![
        // a pod with host port 53 is not the name server of all others
        [to_dns(config).to_vec(), vec![Statement::Return(None)]].concat(),
        vec![jump(Set::HostPorts.name())],
        vec![jump(Set::AnyHostPorts.name())],
        vec![follow(any_door(), Set::NodePorts)],
    ]
}

/// Cluster DNS asks others in the machine's name: whoever is outside gets no answer, by whatever address it comes. Nor does who
/// has internal networks only (CVE-2024-29018): with CAP_NET_RAW he needs no route to here.
fn untranslated(config: &NetConfig) -> Vec<Statements> {
    let drop = || vec![Statement::Drop(Some(Drop {}))];
    let dns = || to_dns(config).to_vec();
    vec![
        [dns(), from_outside(config).to_vec(), drop()].concat(),
        [dns(), vec![between(Operator::EQ, Set::Confined)], drop()].concat(),
        vec![jump("undelivered")],
    ]
}

/// Who asked for the connection is not who opens it: an address of a Service, of which any Service's owner may say that it is his
/// endpoint's, would lead past the policies of the pods behind it. What is published of Docker's containers is for everybody.
fn untranslated_output(config: &NetConfig) -> Vec<Statements> {
    let led = compare(ct("status"), Operator::IN, Expression::String("dnat".into()));
    let to_pod = equal(payload("ip", "daddr"), prefix(config.pod_cidr));
    let refused = Statement::Goto(JumpTarget { target: REFUSE.into() });
    vec![vec![marked(ON_BEHALF), led, to_pod, refused], vec![jump("undelivered")]]
}

/// Whether the packet's mark has this bit.
fn marked(bit: u32) -> Statement<'static> {
    Statement::Match(Match {
        left: Expression::BinaryOperation(Box::new(BinaryOperation::AND(
            meta(MetaKey::Mark),
            Expression::Number(bit),
        ))),
        right: Expression::Number(bit),
        op: Operator::EQ,
    })
}

fn to_dns(config: &NetConfig) -> [Statement<'static>; 2] {
    let gateway = Expression::String(config.gateway().to_string().into());
    [equal(payload("ip", "daddr"), gateway), equal(payload("th", "dport"), Expression::Number(DNS.into()))]
}

fn undelivered(config: &NetConfig) -> Vec<Statements> {
    let new = || equal(ct("state"), Expression::String("new".into()));
    let led = compare(ct("status"), Operator::IN, Expression::String("dnat".into()));
    let services = set_of([prefix(config.service_cidr), prefix(config.load_balancer_cidr)]);
    let refused = || Statement::Goto(JumpTarget { target: REFUSE.into() });
    vec![
        vec![new(), led, Statement::Goto(JumpTarget { target: REMEMBER.into() })],
        vec![new(), to_this_machine(Operator::NEQ), follow(frontend(), Set::Closed)],
        vec![new(), to_this_machine(Operator::EQ), follow(any_door(), Set::ClosedPorts)],
        vec![equal(payload("ip", "daddr"), services), refused()],
        vec![between(Operator::EQ, Set::ServiceRanges), refused()],
    ]
}

/// Who of the networks may send to whom. Members of one meet; from elsewhere comes only what was asked for, or was led to
/// a published port or a service.
fn forward() -> Vec<Statements> {
    let accept = || Statement::Accept(Some(Accept {}));
    let drop = || Statement::Drop(Some(Drop {}));
    let led = compare(ct("status"), Operator::IN, Expression::String("dnat".into()));
    vec![
        goes_on(),
        vec![between(Operator::EQ, Set::Neighbours), accept()],
        vec![between(Operator::EQ, Set::Confined), drop()],
        vec![led, accept()],
        vec![between(Operator::EQ, Set::Barred), drop()],
    ]
}

fn postrouting(config: &NetConfig) -> Vec<Statements> {
    let masquerade = || Statement::Masquerade(None);
    let clear = set_mark(Expression::BinaryOperation(Box::new(BinaryOperation::AND(
        meta(MetaKey::Mark),
        Expression::Number(!MASQUERADE),
    ))));
    vec![
        vec![marked(MASQUERADE), clear, masquerade()],
        // a pod that reached itself through a service would answer itself directly
        vec![between(Operator::EQ, Set::Hairpin), masquerade()],
        // the machine spoke to 127.0.0.1 and was led to a pod, which could not answer to there
        vec![
            equal(payload("ip", "saddr"), loopback()),
            equal(meta(MetaKey::Oifname), pod_links(config)),
            masquerade(),
        ],
        vec![
            equal(payload("ip", "saddr"), prefix(config.pod_cidr)),
            compare(payload("ip", "daddr"), Operator::NEQ, prefix(config.pod_cidr)),
            masquerade(),
        ],
        vec![between(Operator::EQ, Set::Leaving), between(Operator::NEQ, Set::Barred), masquerade()],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example;

    /// `UPDATE_GOLDEN=1` rewrites the file.
    #[test]
    fn the_structure_is_as_in_the_golden_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/structure.json");
        let lines: Vec<String> = objects(&example()).iter().map(Value::to_string).collect();
        let rendered = lines.join("\n") + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &rendered).unwrap();
        }
        assert_eq!(rendered, std::fs::read_to_string(path).unwrap_or_default());
    }

    #[test]
    fn the_rules_of_each_chain_are_known() {
        let chains = chains(&example());
        for (chain, want) in [
            ("refuse", 2),
            ("host-ports", 1),
            ("remember", 2),
            ("dispatch", 3),
            ("check-source", 2),
            ("raw", 5),
            ("untranslated", 3),
            ("untranslated-output", 2),
            ("forward", 5),
        ] {
            assert_eq!(chains.get(chain), Some(&want), "{chain}");
        }
        assert_eq!(chains.get(&fingerprint(&example())), Some(&0));
    }

    #[test]
    fn another_structure_has_another_name() {
        let moved = NetConfig { pod_cidr: "10.245.0.0/19".parse().unwrap(), ..example() };
        assert_ne!(fingerprint(&example()), fingerprint(&moved));
    }
}
