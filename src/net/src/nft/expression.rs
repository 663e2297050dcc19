//! The few rule expressions that are made on the hot path. Each works on the packet's 32-bit registers.

use super::attr::Writer;
use super::{Set, Verdict};

const NETWORK: u32 = 1; // NFT_PAYLOAD_NETWORK_HEADER
const TRANSPORT: u32 = 2;
const L4PROTO: u32 = 16; // NFT_META_L4PROTO
const RANDOM: u32 = 1; // NFT_NG_RANDOM
const UPDATE: u32 = 1; // NFT_DYNSET_OP_UPDATE
const EQUAL: u32 = 0; // NFT_CMP_EQ
const DIFFERENT: u32 = 1; // NFT_CMP_NEQ
const STATE: u32 = 0; // NFT_CT_STATE
const KNOWN: u32 = 1 << 1 | 1 << 2; // the bits of IP_CT_ESTABLISHED and IP_CT_RELATED
const DNAT: u32 = 1;
const IPV4: u32 = 2;
const WANTED_PORT: u32 = 12; // NFT_CT_PROTO_DST
const WANTED_ADDRESS: u32 = 20; // NFT_CT_DST_IP
const ORIGINAL: u8 = 0; // IP_CT_DIR_ORIGINAL
const VERDICT: u32 = 0; // NFT_REG_VERDICT
const FIRST_REGISTER: u32 = 8; // NFT_REG32_00

/// One of the sixteen 32-bit registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Register(pub(crate) u8);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    SourceAddress(Register),
    DestinationAddress(Register),
    Protocol(Register),
    DestinationPort(Register),
    /// As the client's first packet had them, before any translation.
    WantedAddress(Register),
    WantedPort(Register),
    /// Of the connection, as bits.
    State(Register),
    /// Of a state, the bits of a connection that was let through or comes with such a one.
    Known(Register),
    /// A number below `among`.
    Random {
        to: Register,
        among: u32,
    },
    /// The key begins in `key`; the value goes to `to`. Without a match the rule ends here.
    Lookup {
        set: Set,
        key: Register,
        to: Register,
    },
    /// The key's verdict is taken. Without a match the rule ends here.
    Follow {
        set: Set,
        key: Register,
    },
    /// Where the set does not have the key the rule ends here.
    Within {
        set: String,
        key: Register,
    },
    /// Where the register holds 0 the rule ends here.
    NotZero(Register),
    /// Adds the key with this value, or prolongs the life of the one that is there, whose value stays.
    Remember {
        set: Set,
        key: Register,
        value: Register,
        seconds: u32,
    },
    /// To the address in `to` and the port in the register behind it.
    Translate {
        to: Register,
    },
    Go(Verdict),
    /// Where the register holds anything else the rule ends here.
    Equal {
        register: Register,
        value: Vec<u8>,
    },
    Put {
        to: Register,
        value: Vec<u8>,
    },
}

impl Register {
    pub(crate) fn next(self) -> Self {
        Register(self.0 + 1)
    }

    fn number(self) -> u32 {
        FIRST_REGISTER + u32::from(self.0)
    }
}

impl Expression {
    pub(super) fn write(&self, element: &mut Writer) {
        element.string(1, self.name()).nested(2, |data| self.write_data(data));
    }

    fn name(&self) -> &'static str {
        match self {
            Expression::SourceAddress(_)
            | Expression::DestinationAddress(_)
            | Expression::DestinationPort(_) => "payload",
            Expression::Protocol(_) => "meta",
            Expression::Random { .. } => "numgen",
            Expression::WantedAddress(_) | Expression::WantedPort(_) => "ct",
            Expression::Lookup { .. } | Expression::Follow { .. } | Expression::Within { .. } => "lookup",
            Expression::Remember { .. } => "dynset",
            Expression::Translate { .. } => "nat",
            Expression::Go(_) | Expression::Put { .. } => "immediate",
            Expression::Equal { .. } | Expression::NotZero(_) => "cmp",
            Expression::State(_) => "ct",
            Expression::Known(_) => "bitwise",
        }
    }

    fn write_data(&self, data: &mut Writer) {
        match self {
            Expression::SourceAddress(to) => payload(data, *to, NETWORK, 12, 4),
            Expression::DestinationAddress(to) => payload(data, *to, NETWORK, 16, 4),
            Expression::DestinationPort(to) => payload(data, *to, TRANSPORT, 2, 2),
            Expression::Protocol(to) => {
                data.number(1, to.number()).number(2, L4PROTO);
            }
            Expression::WantedAddress(to) => wanted(data, *to, WANTED_ADDRESS),
            Expression::WantedPort(to) => wanted(data, *to, WANTED_PORT),
            Expression::Follow { set, key } => {
                data.string(1, set.name()).number(2, key.number()).number(3, VERDICT);
            }
            Expression::Within { set, key } => {
                data.string(1, set).number(2, key.number());
            }
            Expression::State(to) => {
                data.number(1, to.number()).number(2, STATE);
            }
            Expression::Known(register) => {
                data.number(1, register.number()).number(2, register.number()).number(3, 4);
                for (attribute, value) in [(4, KNOWN), (5, 0)] {
                    data.nested(attribute, |data| {
                        data.bytes(1, &value.to_ne_bytes());
                    });
                }
            }
            Expression::NotZero(register) => {
                data.number(1, register.number()).number(2, DIFFERENT).nested(3, |data| {
                    data.bytes(1, &[0; 4]);
                });
            }
            Expression::Random { to, among } => {
                data.number(1, to.number()).number(2, *among).number(3, RANDOM).number(4, 0);
            }
            Expression::Lookup { set, key, to } => {
                data.string(1, set.name()).number(2, key.number()).number(3, to.number());
            }
            Expression::Remember { set, key, value, seconds } => {
                data.string(1, set.name())
                    .number(3, UPDATE)
                    .number(4, key.number())
                    .number(5, value.number());
                data.long(6, u64::from(*seconds) * 1000);
            }
            Expression::Translate { to } => {
                let port = to.next();
                data.number(1, DNAT).number(2, IPV4).number(3, to.number()).number(5, port.number());
            }
            Expression::Go(verdict) => {
                data.number(1, VERDICT).nested(2, |data| verdict.write(data));
            }
            Expression::Equal { register, value } => {
                data.number(1, register.number()).number(2, EQUAL).nested(3, |data| {
                    data.bytes(1, value);
                });
            }
            Expression::Put { to, value } => {
                data.number(1, to.number()).nested(2, |data| {
                    data.bytes(1, value);
                });
            }
        }
    }
}

fn payload(data: &mut Writer, to: Register, base: u32, offset: u32, length: u32) {
    data.number(1, to.number()).number(2, base).number(3, offset).number(4, length);
}

fn wanted(data: &mut Writer, to: Register, what: u32) {
    data.number(1, to.number()).number(2, what).bytes(3, &[ORIGINAL]);
}
