//! Ingress: HTTP and HTTPS at the node's ports 80 and 443, by host and path to the pods of Services.
//!
//! It serves the ingresses of its own class, and those whose class nobody has declared: manifests are written for other
//! controllers, and mean the same. `routes.rs` (pure) turns ingresses into a table, whose paths may be patterns (`patterns.rs`)
//! and rewritten (`rewrite.rs`), `backends.rs` (pure) Services into addresses, of which `owners.rs` (pure) says whose they are;
//! `claims.rs` (pure) says which Secret is whose certificate, and `certificates.rs` finds the one for a name; `renewal.rs` makes
//! anew what a change concerns. `forward.rs` carries one request, whose host (`host.rs`) and path (`path.rs`) can be read in one
//! way only, and which comes by a few times at most (`hops.rs`); `seated.rs` has its body. Requests that are open have a number,
//! tunnels among them. The ports are bound only while there is an ingress. It makes no endpoints and knows nothing of the kernel's
//! rules, but that they know its connections by a mark.
//!
//! Read [`run`] first, then `routes.rs`.

#![forbid(unsafe_code)]

mod answers;
mod backends;
mod body_timeout;
mod certificates;
mod claims;
mod classes;
mod forward;
mod guarded;
mod hops;
mod host;
mod listen;
mod options;
mod owners;
mod path;
mod patterns;
mod remarks;
mod renewal;
mod rewrite;
mod routes;
mod run;
mod seated;
mod status;
mod table;
#[cfg(test)]
mod tests;

pub use run::{role, run};

use std::net::IpAddr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressConfig {
    /// What ingresses are reached at: their status says it.
    pub node_ip: IpAddr,
    pub http_port: u16,
    pub https_port: u16,
    /// Of the connections to pods: by it the machine's rules know that they are made for somebody else.
    pub mark: Option<u32>,
}

const NAME: &str = "ingress-controller";
/// As whom it writes; the role is `system:ingress-controller`.
const ACTOR: &str = "system:serviceaccount:kube-system:ingress-controller";
