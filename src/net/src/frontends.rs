//! Frontends: where a packet may arrive for a service, and where it is led from there; and the map elements that say so.
//! Pure.
//!
//! The maps are flat. A frontend is one element that leads to a chain, and one for each back end; chains exist for each
//! *number* of back ends ([`Chain`]), so that neither a packet nor a change gets slower with the number of services.

use crate::SharedSet;
use crate::nft::{Data, Element, Expression, Register, Set, Verdict};
use cri::Protocol;
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Where a packet arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontend {
    /// `None` is every address of the machine.
    pub address: Option<Ipv4Addr>,
    pub protocol: Protocol,
    pub port: u16,
}

/// Where it is led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Forward {
        /// One of these at random, never none.
        backends: SharedSet<SocketAddrV4>,
        /// A client stays with its back end until it was silent for so many seconds.
        affinity: Option<u32>,
        /// The back end sees the gateway's address instead of the client's.
        masquerade: bool,
    },
    /// The client hears at once that nobody listens.
    Reject,
    /// The client hears nothing.
    Drop,
    /// Clients of these ranges are treated as `then` says (which is no restriction itself: it would count for nothing), all
    /// others hear nothing. For a frontend with an address; one of every address lets nobody in then.
    Restrict { sources: SharedSet<Ipv4Net>, then: Box<Action> },
}

/// A chain that is made when the first frontend needs it, and then serves all frontends alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Chain {
    /// Leads a packet to one of so many back ends.
    Pick { any_address: bool, backends: u32, sticky: bool, masquerade: bool },
    /// Remembers for so many seconds where a client was led.
    Remember(u32),
}

/// The chain that answers instead of a closed frontend.
pub(crate) const REFUSE: &str = "refuse";
/// The chain that drops what comes to a restricted frontend from elsewhere.
pub(crate) const CHECK_SOURCE: &str = "check-source";
/// The chain that marks a packet for masquerading.
pub(crate) const MARK: &str = "mark-masquerade";

impl Action {
    /// Without the back ends that nobody may be led to. A connection that netfilter leads to 127.0.0.1 comes to what the
    /// machine keeps to itself, and pods' links do let it in; a link-local address belongs to a neighbour that trusts the
    /// machine (a cloud's metadata); the rest are no hosts. Upstream's API refuses such endpoints; this holds for whatever
    /// wrote them.
    pub(crate) fn without_forbidden(self) -> Action {
        match self {
            Action::Forward { backends, affinity, masquerade } => {
                let is_allowed = |backend: &SocketAddrV4| may_be_led_to(*backend.ip());
                let backends: SharedSet<SocketAddrV4> = match backends.iter().all(is_allowed) {
                    true => backends,
                    false => backends.iter().copied().filter(is_allowed).collect(),
                };
                if backends.is_empty() {
                    Action::Reject
                } else {
                    Action::Forward { backends, affinity, masquerade }
                }
            }
            Action::Restrict { sources, then } => {
                Action::Restrict { sources, then: Box::new(then.without_forbidden()) }
            }
            other => other,
        }
    }

    /// How many elements a frontend that leads there is made of, at most.
    pub fn elements(&self) -> usize {
        match self {
            Action::Forward { backends, affinity, .. } => {
                1 + backends.len() + usize::from(affinity.is_some())
            }
            Action::Reject | Action::Drop => 1,
            Action::Restrict { sources, then } => 1 + sources.len() + then.elements(),
        }
    }

    /// For a client that may come.
    pub(crate) fn for_allowed(&self) -> &Action {
        match self {
            Action::Restrict { then, .. } => then.for_allowed(),
            other => other,
        }
    }
}

fn may_be_led_to(address: Ipv4Addr) -> bool {
    // 0.0.0.0/8: the kernel takes 0.0.0.0 for the machine itself
    let is_host = !matches!(address.octets()[0], 0 | 224..);
    is_host && !address.is_loopback() && !address.is_link_local()
}

impl Frontend {
    /// Address (where there is one), protocol, port: the key that the rules look for.
    fn key(&self) -> Vec<u8> {
        let mut key: Vec<u8> = self.address.iter().flat_map(Ipv4Addr::octets).collect();
        key.extend([number(self.protocol), 0, 0, 0]);
        key.extend(port(self.port));
        key
    }
}

/// The elements that make this frontend lead this way, and the chains that they need.
pub(crate) fn render(frontend: &Frontend, action: &Action) -> (BTreeSet<Element>, Vec<Chain>) {
    let any_address = frontend.address.is_none();
    let [services, endpoints, closed, sticky] = match any_address {
        false => [Set::Services, Set::Endpoints, Set::Closed, Set::Sticky],
        true => [Set::NodePorts, Set::NodePortEndpoints, Set::ClosedPorts, Set::StickyPorts],
    };
    let to = |set, verdict| Element { set, key: frontend.key(), data: Data::Verdict(verdict) };
    let (backends, affinity, masquerade) = match action {
        Action::Restrict { .. } if any_address => return render(frontend, &Action::Drop),
        Action::Restrict { sources, then } => {
            let (mut elements, chains) = render(frontend, then.for_allowed());
            elements.extend(allowed(frontend, sources));
            elements.insert(to(Set::Restricted, Verdict::Jump(CHECK_SOURCE.into())));
            return (elements, chains);
        }
        Action::Forward { backends, affinity, masquerade } if !backends.is_empty() => {
            (backends, *affinity, *masquerade)
        }
        Action::Drop => return ([to(closed, Verdict::Drop)].into(), Vec::new()),
        _ => return ([to(closed, Verdict::Goto(REFUSE.into()))].into(), Vec::new()),
    };
    let pick =
        Chain::Pick { any_address, backends: backends.len() as u32, sticky: affinity.is_some(), masquerade };
    let remember = affinity.map(Chain::Remember);
    let each = backends.iter().zip(0_u32..).map(|(backend, index)| {
        // the random number is a number of this machine, not of the wire
        let key = [frontend.key(), index.to_ne_bytes().to_vec()].concat();
        Element { set: endpoints, key, data: Data::Value(socket(*backend)) }
    });
    let chosen = to(services, Verdict::Goto(pick.name()));
    let remembered = remember.map(|chain| to(sticky, Verdict::Goto(chain.name())));
    (each.chain([chosen]).chain(remembered).collect(), [pick].into_iter().chain(remember).collect())
}

/// Who may come: the kernel refuses elements that overlap.
fn allowed(frontend: &Frontend, sources: &BTreeSet<Ipv4Net>) -> impl Iterator<Item = Element> {
    let frontend = frontend.key();
    Ipv4Net::aggregate(&sources.iter().copied().collect()).into_iter().map(move |range| Element {
        set: Set::AllowedSources,
        key: [&frontend[..], &range.network().octets()].concat(),
        data: Data::Last([&frontend[..], &range.broadcast().octets()].concat()),
    })
}

/// An address and a port, as a map's value.
pub(crate) fn socket(to: SocketAddrV4) -> Vec<u8> {
    [to.ip().octets(), port(to.port())].concat()
}

fn port(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

pub(crate) fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// The key of a port of the machine.
pub(crate) fn host_port_key(address: Option<Ipv4Addr>, protocol: Protocol, port: u16) -> Vec<u8> {
    Frontend { address, protocol, port }.key()
}

impl Chain {
    pub(crate) fn name(&self) -> String {
        match self {
            Chain::Remember(seconds) => format!("remember-{seconds}"),
            Chain::Pick { any_address, backends, sticky, masquerade } => format!(
                "{}{}{}-of-{backends}",
                if *any_address { "node-port" } else { "service" },
                if *masquerade { "-masked" } else { "" },
                if *sticky { "-sticky" } else { "" },
            ),
        }
    }

    /// Whether a chain of this name is one of these: the table has others as well.
    pub(crate) fn may_be(name: &str) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let remembers = name.strip_prefix("remember-").is_some_and(is_number);
        remembers
            || name.rsplit_once("-of-").is_some_and(|(kind, backends)| {
                (kind.starts_with("service") || kind.starts_with("node-port")) && is_number(backends)
            })
    }

    pub(crate) fn rules(&self) -> Vec<Vec<Expression>> {
        match *self {
            Chain::Remember(seconds) => vec![remember(seconds)],
            Chain::Pick { any_address, backends, sticky, masquerade } => {
                let mark = masquerade.then(|| vec![Expression::Go(Verdict::Jump(MARK.into()))]);
                let again = sticky.then(lead_again);
                mark.into_iter().chain(again).chain([choose(any_address, backends)]).collect()
            }
        }
    }
}

/// One of the back ends at random.
fn choose(any_address: bool, backends: u32) -> Vec<Expression> {
    let set = if any_address { Set::NodePortEndpoints } else { Set::Endpoints };
    let address: Option<fn(Register) -> Expression> =
        (!any_address).then_some(Expression::DestinationAddress);
    let parts =
        address.into_iter().chain([Expression::Protocol as fn(Register) -> _, Expression::DestinationPort]);
    let (mut rule, random) = key(parts);
    let to = random.next();
    rule.push(Expression::Random { to: random, among: backends });
    rule.push(Expression::Lookup { set, key: Register(0), to });
    rule.push(Expression::Translate { to });
    rule
}

/// Where the client was led before; one that is not remembered goes on to the next rule.
fn lead_again() -> Vec<Expression> {
    let (mut rule, to) = key([
        Expression::SourceAddress as fn(Register) -> _,
        Expression::DestinationAddress,
        Expression::Protocol,
        Expression::DestinationPort,
    ]);
    rule.push(Expression::Lookup { set: Set::Affinity, key: Register(0), to });
    rule.push(Expression::Translate { to });
    rule
}

/// After the translation: the packet's own address and port are the back end's. Of a client that is known only the time
/// begins anew. (Not in the rule that chooses, which would be shorter: nft 1.0.6 dies when it lists that one.)
fn remember(seconds: u32) -> Vec<Expression> {
    let (mut rule, value) = key([
        Expression::SourceAddress as fn(Register) -> _,
        Expression::WantedAddress,
        Expression::Protocol,
        Expression::WantedPort,
    ]);
    rule.push(Expression::DestinationAddress(value));
    rule.push(Expression::DestinationPort(value.next()));
    rule.push(Expression::Remember { set: Set::Affinity, key: Register(0), value, seconds });
    rule
}

/// Fills the registers from the first on; gives the first that is free.
pub(crate) fn key(
    parts: impl IntoIterator<Item = fn(Register) -> Expression>,
) -> (Vec<Expression>, Register) {
    let rule: Vec<Expression> =
        parts.into_iter().zip((0..).map(Register)).map(|(make, to)| make(to)).collect();
    let free = Register(rule.len() as u8);
    (rule, free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_the_loopback_or_to_what_is_no_host() {
        let action = |ips: &[&str]| Action::Forward {
            backends: ips.iter().map(|ip| SocketAddrV4::new(ip.parse().unwrap(), 80)).collect(),
            affinity: Some(9),
            masquerade: true,
        };
        for (name, given, want) in [
            ("a pod", action(&["10.244.0.5"]), action(&["10.244.0.5"])),
            ("the node", action(&["192.0.2.2"]), action(&["192.0.2.2"])),
            ("the last host", action(&["223.255.255.255"]), action(&["223.255.255.255"])),
            ("loopback", action(&["127.0.0.1"]), Action::Reject),
            ("loopback too", action(&["127.255.3.4"]), Action::Reject),
            ("metadata", action(&["169.254.169.254"]), Action::Reject),
            ("this machine", action(&["0.0.0.0", "0.1.2.3"]), Action::Reject),
            (
                "multicast and broadcast",
                action(&["224.0.0.1", "240.0.0.1", "255.255.255.255"]),
                Action::Reject,
            ),
            ("beside a pod", action(&["10.244.0.5", "127.0.0.1"]), action(&["10.244.0.5"])),
            ("closed", Action::Drop, Action::Drop),
            (
                "loopback, to some",
                restrict(&["192.0.2.0/24"], action(&["127.0.0.1"])),
                restrict(&["192.0.2.0/24"], Action::Reject),
            ),
        ] {
            assert_eq!(given.without_forbidden(), want, "{name}");
        }
    }

    fn restrict(sources: &[&str], then: Action) -> Action {
        let sources = sources.iter().map(|range| range.parse().unwrap()).collect();
        Action::Restrict { sources, then: Box::new(then) }
    }

    #[test]
    fn a_restricted_frontend_says_who_may_come() {
        let frontend = |address: Option<[u8; 4]>| Frontend {
            address: address.map(Ipv4Addr::from),
            protocol: Protocol::Tcp,
            port: 80,
        };
        let balancer = frontend(Some([10, 98, 0, 1]));
        let key: [u8; 12] = [10, 98, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0];
        let element = |set, more: [u8; 4], data| Element { set, key: [&key[..], &more].concat(), data };
        let from = |first: [u8; 4], last: [u8; 4]| {
            element(Set::AllowedSources, first, Data::Last([&key[..], &last].concat()))
        };
        let verdict = |set, verdict| Element { set, key: key.to_vec(), data: Data::Verdict(verdict) };
        let refuse = || verdict(Set::Closed, Verdict::Goto(REFUSE.into()));
        let check = || verdict(Set::Restricted, Verdict::Jump(CHECK_SOURCE.into()));
        for (name, sources, want) in [
            ("nobody", &[][..], vec![]),
            ("one", &["192.0.2.9/32"], vec![from([192, 0, 2, 9], [192, 0, 2, 9])]),
            ("everybody", &["0.0.0.0/0"], vec![from([0, 0, 0, 0], [255, 255, 255, 255])]),
            ("bits of a host", &["192.0.2.9/24"], vec![from([192, 0, 2, 0], [192, 0, 2, 255])]),
            (
                "overlapping, touching and apart",
                &["10.0.0.0/9", "10.1.0.0/16", "10.128.0.0/9", "192.0.2.0/24"],
                vec![from([10, 0, 0, 0], [10, 255, 255, 255]), from([192, 0, 2, 0], [192, 0, 2, 255])],
            ),
        ] {
            let want: BTreeSet<Element> = want.into_iter().chain([refuse(), check()]).collect();
            assert!(want.len() <= restrict(sources, Action::Reject).elements(), "{name}");
            assert_eq!(render(&balancer, &restrict(sources, Action::Reject)), (want, Vec::new()), "{name}");
        }
        let any = frontend(None);
        let open = restrict(&["0.0.0.0/0"], Action::Reject);
        assert_eq!(render(&any, &open), render(&any, &Action::Drop), "no address to look for");
    }
}
