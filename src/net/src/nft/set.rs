//! The table's sets and maps: what their keys and values are made of.

use super::attr::Writer;
use Field::{Address, Mark, Port, Protocol};

/// The sets and maps whose elements come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Set {
    Services,
    Endpoints,
    NodePorts,
    NodePortEndpoints,
    Closed,
    ClosedPorts,
    Sticky,
    StickyPorts,
    /// Frontends that not everybody may come to, and who may: the frontend, and a range of clients' addresses.
    Restricted,
    AllowedSources,
    Affinity,
    HostPorts,
    AnyHostPorts,
    Hairpin,
    /// Between whom packets go: from where, to where.
    Neighbours,
    Confined,
    Barred,
    Leaving,
    /// From anybody to addresses of services, beside the profile's own range.
    ServiceRanges,
    /// Where the packets are judged that come to a sandbox, by its address, and those that it sends.
    IsolatedIngress,
    IsolatedEgress,
}

/// A part of a key or a value; each takes four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Address,
    Protocol,
    Port,
    /// An index, of type `mark`: nft cannot list a set with an `integer` in its key.
    Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Nothing,
    /// Nothing; each key is a range of keys.
    Ranges,
    Verdict,
    /// An address and a port.
    Socket,
}

const MAP: u32 = 0x8; // NFT_SET_MAP
const TIMEOUT: u32 = 0x10;
const EVAL: u32 = 0x20; // rules add elements
const INTERVAL: u32 = 0x4;
const CONCATENATED: u32 = 0x80;
const SOCKET: &[Field] = &[Address, Port];

/// Clients that are remembered for session affinity; the kernel takes no more.
const MOST_CLIENTS: u32 = 65_536;

impl Set {
    pub(crate) const ALL: [Set; 21] = [
        Set::Services,
        Set::Endpoints,
        Set::NodePorts,
        Set::NodePortEndpoints,
        Set::Closed,
        Set::ClosedPorts,
        Set::Sticky,
        Set::StickyPorts,
        Set::Restricted,
        Set::AllowedSources,
        Set::Affinity,
        Set::HostPorts,
        Set::AnyHostPorts,
        Set::Hairpin,
        Set::Neighbours,
        Set::Confined,
        Set::Barred,
        Set::Leaving,
        Set::ServiceRanges,
        Set::IsolatedIngress,
        Set::IsolatedEgress,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Set::Services => "services",
            Set::Endpoints => "endpoints",
            Set::NodePorts => "node-ports",
            Set::NodePortEndpoints => "node-port-endpoints",
            Set::Closed => "closed",
            Set::ClosedPorts => "closed-ports",
            Set::Sticky => "sticky",
            Set::StickyPorts => "sticky-ports",
            Set::Restricted => "restricted",
            Set::AllowedSources => "allowed-sources",
            Set::Affinity => "affinity",
            Set::HostPorts => "host-ports",
            Set::AnyHostPorts => "any-host-ports",
            Set::Hairpin => "hairpin",
            Set::Neighbours => "neighbours",
            Set::Confined => "confined",
            Set::Barred => "barred",
            Set::Leaving => "leaving",
            Set::ServiceRanges => "service-ranges",
            Set::IsolatedIngress => "isolated-ingress",
            Set::IsolatedEgress => "isolated-egress",
        }
    }

    pub(crate) fn key(self) -> &'static [Field] {
        match self {
            Set::Services | Set::Closed | Set::Sticky | Set::Restricted | Set::HostPorts => {
                &[Address, Protocol, Port]
            }
            Set::NodePorts | Set::ClosedPorts | Set::StickyPorts | Set::AnyHostPorts => &[Protocol, Port],
            Set::Endpoints => &[Address, Protocol, Port, Mark],
            Set::NodePortEndpoints => &[Protocol, Port, Mark],
            // the client's address behind
            Set::AllowedSources => &[Address, Protocol, Port, Address],
            // and in front
            Set::Affinity => &[Address, Address, Protocol, Port],
            Set::Hairpin
            | Set::Neighbours
            | Set::Confined
            | Set::Barred
            | Set::Leaving
            | Set::ServiceRanges => &[Address, Address],
            Set::IsolatedIngress | Set::IsolatedEgress => &[Address],
        }
    }

    pub(crate) fn holds(self) -> Holds {
        match self {
            Set::Services
            | Set::NodePorts
            | Set::Closed
            | Set::ClosedPorts
            | Set::Sticky
            | Set::StickyPorts
            | Set::Restricted
            | Set::IsolatedIngress
            | Set::IsolatedEgress => Holds::Verdict,
            Set::Hairpin => Holds::Nothing,
            Set::AllowedSources
            | Set::Neighbours
            | Set::Confined
            | Set::Barred
            | Set::Leaving
            | Set::ServiceRanges => Holds::Ranges,
            _ => Holds::Socket,
        }
    }

    /// The declaration of a map to sockets.
    pub(super) fn declare(self, table: &str, body: &mut Writer) {
        let flags = if self == Set::Affinity { MAP | TIMEOUT | EVAL } else { MAP };
        body.string(1, table).string(2, self.name()).number(3, flags);
        body.number(4, kind(self.key())).number(5, length(self.key()));
        body.number(6, kind(SOCKET)).number(7, length(SOCKET));
        if self == Set::Affinity {
            body.nested(9, |description| {
                description.number(1, MOST_CLIENTS);
            });
        }
        body.number(10, self as u32 + 1); // names the set within its transaction
    }
}

/// A set of ranges that is made and removed as it is needed.
#[derive(Debug)]
pub(crate) struct IntervalSet {
    pub(crate) name: String,
    pub(crate) fields: &'static [Field],
}

impl IntervalSet {
    pub(super) fn declare(&self, table: &str, number: u32, body: &mut Writer) {
        body.string(1, table).string(2, &self.name).number(3, INTERVAL | CONCATENATED);
        body.number(4, kind(self.fields)).number(5, length(self.fields));
        body.nested(9, |description| {
            description.nested(2, |concatenation| {
                for field in self.fields {
                    concatenation.nested(1, |part| {
                        part.number(1, field.length());
                    });
                }
            });
        });
        body.number(10, number);
    }
}

impl Field {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Address => "ipv4_addr",
            Protocol => "inet_proto",
            Port => "inet_service",
            Mark => "mark",
        }
    }

    /// In bytes, of the four that it takes.
    fn length(self) -> u32 {
        match self {
            Address | Mark => 4,
            Protocol => 1,
            Port => 2,
        }
    }

    /// nft's number for the type. The kernel only keeps it, for `nft list` to print the elements by.
    fn kind(self) -> u32 {
        match self {
            Address => 7,
            Protocol => 12,
            Port => 13,
            Mark => 19,
        }
    }
}

fn kind(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |kind, field| kind << 6 | field.kind())
}

fn length(fields: &[Field]) -> u32 {
    4 * fields.len() as u32
}
