//! The service proxy: Services and EndpointSlices become frontends in the machine's network.
//!
//! It knows what Kubernetes means by a ClusterIP, a node port, a load balancer, affinity and traffic policies ([`render`], pure),
//! gives LoadBalancer services an address at once, and answers whoever balances to nodes. How a frontend is made in the kernel is
//! `net`'s business. It makes no endpoints and reads no pods. Read [`render`] first, then [`run`].

#![forbid(unsafe_code)]

mod addresses;
mod balancer;
mod capacity;
mod claims;
mod endpoints;
mod health_checks;
mod own_addresses;
mod render;
mod run;

pub use claims::{Claims, Right, Wanted};
pub use health_checks::{HealthCheck, health_check};
pub use own_addresses::OwnAddresses;
pub use render::{Rendered, render};
pub use run::{role, run};

use ipnet::Ipv4Net;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Endpoints on it are local.
    pub node_name: String,
    /// Where LoadBalancer services get their addresses from.
    pub load_balancer_cidr: Ipv4Net,
}

const NAME: &str = "kube-proxy";
/// As whom it writes; the role is `system:node-proxier`.
const ACTOR: &str = "system:kube-proxy";
