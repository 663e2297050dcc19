//! What the server knows beside the request: data that others define, and nothing of those who answer with it.

use crate::aggregator::documents::Documents;
use crate::client_tls::ClientIdentity;
use crate::discovery::cache::AggregatedDiscovery;
use crate::health_state::Health;
use crate::incoming::IncomingBodies;
use crate::issuers::Issuers;
use crate::leftovers::Leftovers;
use crate::metrics::Metrics;
use crate::openapi_cache::OpenapiCache;
use crate::parse_budget::ParseBudget;
use crate::proxy::pages::Pages;
use crate::recent_views::RecentViews;
use crate::stream_seats::StreamSeats;
use crate::watch_seats::WatchSeats;
use arc_swap::ArcSwap;
use audit::AuditLog;
use cluster::Cluster;
use cri::PodAccess;
use flowcontrol::FlowControl;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What every request needs.
pub(crate) struct ServerState {
    pub(crate) cluster: Cluster,
    /// The kubelet of this process, where it runs one.
    pub(crate) pods: Option<Arc<dyn PodAccess>>,
    pub(crate) audit: Option<Arc<AuditLog>>,
    pub(crate) issuers: ArcSwap<Issuers>,
    pub(crate) flow: FlowControl,
    pub(crate) streams: StreamSeats,
    pub(crate) watches: WatchSeats,
    pub(crate) incoming: IncomingBodies,
    pub(crate) health: Health,
    pub(crate) ready: watch::Receiver<bool>,
    /// Since it is served: until when.
    pub(crate) stop: OnceLock<CancellationToken>,
    pub(crate) metrics: Metrics,
    /// Upstream's names, and values that say how this server is set.
    pub(crate) flags: BTreeMap<&'static str, String>,
    pub(crate) parsing: ParseBudget,
    pub(crate) views: Arc<RecentViews>,
    pub(crate) leftovers: Leftovers,
    pub(crate) pages: Pages,
    pub(crate) openapi: OpenapiCache,
    pub(crate) front_proxy: Option<ClientIdentity>,
    /// What extension API servers told of themselves.
    pub(crate) aggregated: Documents,
    pub(crate) discovery: AggregatedDiscovery,
}
