//! Doors: where a packet may arrive for a service, and where it is led from there; and the map elements that say so.
//! Pure.
//!
//! The maps are flat. A door is one element that leads to a chain, and one for each back end; chains exist for each
//! *number* of back ends ([`Pick`]), so that neither a packet nor a change gets slower with the number of services.

use crate::nft::{Data, Element, Expression, Register, Set, Verdict};
use cri::Protocol;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Where a packet arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Door {
    /// `None` is every address of the machine.
    pub address: Option<Ipv4Addr>,
    pub protocol: Protocol,
    pub port: u16,
}

/// Where it is led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    To {
        /// One of these at random, never none.
        backends: BTreeSet<SocketAddrV4>,
        /// A client stays with its back end until it was silent for so many seconds.
        affinity: Option<u32>,
        /// The back end sees the gateway's address instead of the client's.
        masquerade: bool,
    },
    /// The client hears at once that nobody listens.
    Reject,
    /// The client hears nothing.
    Drop,
}

/// What leads a packet to one of so many back ends. There is a chain for each that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pick {
    any_address: bool,
    backends: u32,
    affinity: Option<u32>,
    masquerade: bool,
}

/// The chain that answers instead of a closed door.
pub(crate) const REFUSE: &str = "refuse";
/// The chain that marks a packet for masquerading.
pub(crate) const MARK: &str = "mark-masquerade";

impl Door {
    /// Address (where there is one), protocol, port: the key that the rules look for.
    fn key(&self) -> Vec<u8> {
        let mut key: Vec<u8> = self.address.iter().flat_map(Ipv4Addr::octets).collect();
        key.extend([number(self.protocol), 0, 0, 0]);
        key.extend(port(self.port));
        key
    }
}

impl Way {
    fn pick(&self, door: &Door) -> Option<Pick> {
        let Way::To { backends, affinity, masquerade } = self else { return None };
        Some(Pick {
            any_address: door.address.is_none(),
            backends: backends.len() as u32,
            affinity: *affinity,
            masquerade: *masquerade,
        })
    }
}

/// The elements that make this door lead this way, and the chain that they need.
pub(crate) fn render(door: &Door, way: &Way) -> (BTreeSet<Element>, Option<Pick>) {
    let any = door.address.is_none();
    let [services, endpoints, closed] = match any {
        false => [Set::Services, Set::Endpoints, Set::Closed],
        true => [Set::NodePorts, Set::NodePortEndpoints, Set::ClosedPorts],
    };
    let to = |set, verdict| Element { set, key: door.key(), data: Data::Verdict(verdict) };
    let backends = match way {
        Way::Reject => return ([to(closed, Verdict::Goto(REFUSE.into()))].into(), None),
        Way::Drop => return ([to(closed, Verdict::Drop)].into(), None),
        Way::To { backends, .. } => backends,
    };
    let pick = way.pick(door).filter(|pick| pick.backends > 0);
    let chosen = pick.map(|pick| to(services, Verdict::Goto(pick.chain())));
    let each = backends.iter().zip(0_u32..).map(|(backend, index)| {
        // the random number is a number of this machine, not of the wire
        let key = [door.key(), index.to_ne_bytes().to_vec()].concat();
        Element { set: endpoints, key, data: Data::Value(socket(*backend)) }
    });
    (chosen.into_iter().chain(each).collect(), pick)
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
    Door { address, protocol, port }.key()
}

impl Pick {
    pub(crate) fn chain(&self) -> String {
        let mut name = String::new();
        name.push_str(if self.any_address { "node-port" } else { "service" });
        if self.masquerade {
            name.push_str("-masked");
        }
        if let Some(seconds) = self.affinity {
            name.push_str(&format!("-sticky-{seconds}"));
        }
        name + &format!("-of-{}", self.backends)
    }

    pub(crate) fn rules(&self) -> Vec<Vec<Expression>> {
        let mut rules = Vec::new();
        if self.masquerade {
            rules.push(vec![Expression::Go(Verdict::Jump(MARK.into()))]);
        }
        match self.affinity {
            None => {
                let (mut rule, next) = self.choose(Register(0));
                rule.push(Expression::Translate { to: next });
                rules.push(rule);
            }
            Some(seconds) => rules.extend(self.stick(seconds)),
        }
        rules
    }

    /// Registers from `first` on hold the door, then a random number; those behind hold the back end.
    fn choose(&self, first: Register) -> (Vec<Expression>, Register) {
        let (mut rule, random) = self.door(first);
        let to = Register(random.0 + 1);
        rule.push(Expression::Random { to: random, among: self.backends });
        let set = if self.any_address { Set::NodePortEndpoints } else { Set::Endpoints };
        rule.push(Expression::Lookup { set, key: first, to });
        (rule, to)
    }

    /// First remember the choice, or that the client was here again; then go where it was led before.
    fn stick(&self, seconds: u32) -> [Vec<Expression>; 2] {
        let set = if self.any_address { Set::NodePortAffinity } else { Set::Affinity };
        let client = Register(0);
        let (known, next) = self.door(Register(1));
        let key: Vec<Expression> = [Expression::SourceAddress(client)].into_iter().chain(known).collect();
        let (choice, value) = self.choose(next);
        let mut remember = [key.clone(), choice].concat();
        remember.push(Expression::Remember { set, key: client, value, seconds });
        let mut go = key;
        go.push(Expression::Lookup { set, key: client, to: next });
        go.push(Expression::Translate { to: next });
        [remember, go]
    }

    fn door(&self, first: Register) -> (Vec<Expression>, Register) {
        let mut rule = Vec::new();
        let mut next = first;
        let mut push = |make: fn(Register) -> Expression| {
            rule.push(make(next));
            next = Register(next.0 + 1);
        };
        if !self.any_address {
            push(Expression::DestinationAddress);
        }
        push(Expression::Protocol);
        push(Expression::DestinationPort);
        (rule, next)
    }
}
