//! Cluster DNS: the names of services, endpoints and pods, answered from an index in memory, and everything else asked
//! of the machine's own name servers.
//!
//! It owns the records ([`Records`]: data in, answer out, no I/O) and the `kube-dns` Service that leads to it; sockets,
//! wire and forwarder are those of `resolver`. It may know the cluster's objects through informers; it
//! deliberately knows nothing of the network's devices (the address must be there before [`bind`]), and it resolves
//! nothing by itself: no recursion, no DNSSEC validation. The rules are those of the specification "Kubernetes DNS-Based
//! Service Discovery" 1.1.0, and where it leaves a choice, CoreDNS's. Read `answer.rs` first.

#![forbid(unsafe_code)]

mod aliases;
mod answer;
mod publish;
mod records;
mod service;
mod watch;
mod zone;

pub use answer::Answer;
pub use publish::{publish, role};
pub use records::Records;
pub use resolver::{Sockets, Upstream};
pub use service::ServiceRecords;
pub use zone::Zone;

use ::api::Status;
use arc_swap::ArcSwap;
use cluster::Cluster;
use resolver::{Clients, Forwarder, Resolver};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// The gateway address of the pods, port 53. By this address pods reach the machine, too.
    pub listen: SocketAddr,
    /// `cluster.local`
    pub domain: String,
    /// Addresses whose reverse names are ours.
    pub pod_cidr: ipnet::Ipv4Net,
    pub service_cidr: ipnet::Ipv4Net,
    /// Who is asked for all other names.
    pub upstream: Upstream,
    /// What pods find in their resolv.conf: the ClusterIP of `kube-system/kube-dns`.
    pub service_ip: Ipv4Addr,
}

#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("dns: listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("dns: domain {0:?} is not a name")]
    Domain(String),
    #[error("dns: publish {object}: {status}")]
    Publish { object: &'static str, status: Status },
}

/// The address must exist. With port 0 both sockets get the same free one.
///
/// # Errors
/// Where the address is not there, or taken.
pub async fn bind(address: SocketAddr) -> Result<Sockets, DnsError> {
    Sockets::bind(address).await.map_err(|source| DnsError::Bind { address, source })
}

/// Binds, publishes the Service, and answers until `stop`.
///
/// # Errors
/// Where the address can not be had, the domain is no name, or the Service can not be made.
pub async fn serve(cluster: Cluster, config: DnsConfig, stop: CancellationToken) -> Result<(), DnsError> {
    let sockets = bind(config.listen).await?;
    serve_on(sockets, cluster, config, stop).await
}

/// The same with sockets that were bound before: whoever waits for the first name knows that they listen.
///
/// # Errors
/// As [`serve`], but for the address.
pub async fn serve_on(
    sockets: Sockets,
    cluster: Cluster,
    config: DnsConfig,
    stop: CancellationToken,
) -> Result<(), DnsError> {
    let zone = Zone::new(&config)?;
    publish(&cluster, &config).await?;
    let records = Arc::new(ArcSwap::from_pointee(Records::new(zone)));
    let following = watch::start(cluster, config.clone(), records.clone(), stop.clone());
    answer_on(sockets, records, &config, stop).await;
    let _ = following.await;
    Ok(())
}

/// Without a cluster: its domain has no names, and everything else is asked of the machine's name servers.
///
/// # Errors
/// Where the domain is no name.
pub async fn serve_alone(
    sockets: Sockets,
    config: DnsConfig,
    stop: CancellationToken,
) -> Result<(), DnsError> {
    let records = Arc::new(ArcSwap::from_pointee(Records::new(Zone::new(&config)?)));
    answer_on(sockets, records, &config, stop).await;
    Ok(())
}

/// The half without a cluster: answers from whatever `records` holds at the moment, until `stop`.
pub async fn answer_on(
    sockets: Sockets,
    records: Arc<ArcSwap<Records>>,
    config: &DnsConfig,
    stop: CancellationToken,
) {
    let ourselves = [config.listen.ip(), config.service_ip.into()];
    let forwarder = Forwarder::new(config.upstream.clone(), &ourselves);
    let resolver = Resolver::new(aliases::Follow(records), Some(forwarder));
    // a pod's link takes packets with the pod's own address only
    resolver::serve(sockets, Arc::new(resolver), Clients::ByAddress, stop).await;
}
