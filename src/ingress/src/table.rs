//! What requests are answered by, and what the two ports share of it.

use crate::backends::{self, NoBackend};
use crate::certificates::Certificates;
#[cfg(test)]
use crate::patterns::Patterns;
#[cfg(test)]
use crate::remarks::Remarks;
use crate::routes::{Backend, Routes};
use api::ObjectKey;
use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
#[cfg(test)]
use k8s_openapi::api::networking::v1::Ingress;
#[cfg(test)]
use kinds::key_of;
use listener::Seats;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Requests and tunnels that are open, of both ports: each is a connection to a pod beside the client's. Many more would take the
/// daemon's descriptors, and with them every other part of it.
const MOST_OPEN: usize = 2048;

/// What requests are answered by.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) routes: Arc<Routes>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) services: Arc<Services>,
}

/// By namespace and name, those that ingresses lead to.
pub(crate) type Services = HashMap<ObjectKey, Behind>;

/// What a service leads to.
#[derive(Default)]
pub(crate) struct Behind {
    pub(crate) service: Option<Arc<Service>>,
    pub(crate) slices: Vec<Arc<EndpointSlice>>,
}

/// What the two ports share.
pub(crate) struct Shared {
    pub(crate) table: ArcSwap<Table>,
    /// Whose turn it is.
    pub(crate) turn: AtomicUsize,
    /// One for each open request and each tunnel.
    pub(crate) open: Seats,
    /// Of the connections to pods.
    pub(crate) mark: Option<u32>,
}

impl Default for Shared {
    fn default() -> Self {
        let open = Seats::new(MOST_OPEN);
        Shared { table: ArcSwap::default(), turn: AtomicUsize::default(), open, mark: None }
    }
}

impl Table {
    #[cfg(test)]
    pub(crate) fn for_tests(
        ingresses: &[Arc<Ingress>],
        services: impl IntoIterator<Item = (Service, EndpointSlice)>,
    ) -> Self {
        let behind = |(service, slice): (Service, EndpointSlice)| {
            let key = key_of(&service.metadata);
            (key, Behind { service: Some(Arc::new(service)), slices: vec![Arc::new(slice)] })
        };
        let services = Arc::new(services.into_iter().map(behind).collect());
        let routes = Routes::new(ingresses, &mut Patterns::default(), &mut Remarks::default());
        Table { routes: Arc::new(routes), services, ..Table::default() }
    }

    pub(crate) fn addresses(&self, backend: &Backend) -> Result<Vec<SocketAddr>, NoBackend> {
        let none = Behind::default();
        let behind = self.services.get(&backend.service).unwrap_or(&none);
        backends::addresses(backend, behind.service.as_deref(), &behind.slices)
    }
}
