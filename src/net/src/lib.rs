//! The machine's network, as pods and services need it: veth pairs, addresses, routes, and one nft table.
//!
//! It owns everything of a profile in the kernel's network and can take it all away again ([`Network::purge`]), also after a
//! crash: links carry the profile's group, routes our protocol number, rules sit in the profile's own table. It knows sandboxes
//! by their id and namespace, frontends by address and port, and who may reach whom by addresses ([`Isolation`]); it knows no
//! Kubernetes, and never edits rules or links of others. Pods are routed, not bridged: each has a /32 and reaches everything by
//! the same gateway address. Read [`Network`] first.

#![forbid(unsafe_code)]

mod addresses;
mod config;
mod conntrack;
mod cri_networks;
mod error;
mod frontends;
#[cfg(fuzzing)]
pub mod fuzzing;
mod heal;
mod hold;
mod ipam;
mod isolation;
mod kept;
mod last_address;
mod link_watch;
mod links;
mod martians;
mod membership;
mod name_server;
mod netns_id;
mod network;
mod networks;
mod nft;
mod nft_cli;
mod nft_expr;
mod plan;
mod pod_netns;
mod ports;
mod restore;
mod routes;
mod ruleset;
mod service_ranges;
mod shared;
mod shares;
mod structure;
mod sysctl;
mod table_objects;

pub use config::NetConfig;
pub use cri::{Attachment, Protocol};
pub use error::{NetError, Result};
pub use frontends::{Action, Frontend};
pub use isolation::{AddressRange, Allow, Class, Isolation, PortRange, Ports};
pub use network::{Gate, Network};
pub use service_ranges::Overlap;
pub use shared::SharedSet;
pub use shares::Shares;
pub use structure::ON_BEHALF;
