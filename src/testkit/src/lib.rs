//! What the tests of several crates begin with: a cluster in memory ([`cluster`]), objects ([`objects`]), and a host's network
//! that only takes note ([`networks`]). Only tests depend on this crate.

#![forbid(unsafe_code)]

pub mod networks;
pub mod objects;

use cluster::{Cluster, ClusterConfig, TokenSigner};
use store::{Options, Store};

/// Small ranges: a test can use all of their node ports up.
///
/// # Panics
/// Never: its ranges are well-formed.
pub fn config() -> ClusterConfig {
    ClusterConfig {
        service_cidr: "10.96.0.0/24".parse().unwrap(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        node_ports: 30000..=30003,
        advertise_address: [192, 0, 2, 1].into(),
        secure_port: 8443,
    }
}

/// With its first objects, forgotten at the end. Nothing works in it yet: no controller, no scheduler.
///
/// # Panics
/// Where it can not be made: the test has failed.
pub async fn cluster(config: ClusterConfig) -> Cluster {
    let tokens = TokenSigner::generate("https://issuer").unwrap();
    let cluster = Cluster::new(Store::in_memory(Options::default()), kinds::all(), config, tokens).unwrap();
    cluster.bootstrap().await.unwrap();
    cluster
}
