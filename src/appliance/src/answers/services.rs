//! The answers to `service`: where a Service is reached, and whether something ready stands behind it, for which a caller may
//! wait.

use crate::control::{ControlReply, Refusal, ServiceAddress, ServicePort};
use api::ObjectKey;
use cluster::Cluster;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kinds::endpoints::{condition, service_of};
use std::time::Duration;

/// Nobody waits longer than this for a service, whatever was typed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

pub(super) fn list(cluster: &Cluster) -> ControlReply {
    let services = cluster.informer::<Service>().list(None);
    ControlReply::Services { services: services.iter().map(|service| address_of(cluster, service)).collect() }
}

/// Waits, at most as long as asked, until there is such a service and something ready behind it.
pub(super) async fn one(cluster: &Cluster, namespace: &str, name: &str, wait: Duration) -> ControlReply {
    let key = ObjectKey::namespaced(namespace, name);
    let look = || cluster.informer::<Service>().get(&key).map(|service| address_of(cluster, &service));
    let arrives = async {
        let mut services = cluster.informer::<Service>().subscribe();
        let mut slices = cluster.informer::<EndpointSlice>().subscribe();
        loop {
            if let Some(found) = look().filter(|found| found.ready) {
                return found;
            }
            tokio::select! {
                Some(_) = services.next() => {}
                Some(_) = slices.next() => {}
                else => std::future::pending().await,
            }
        }
    };
    match tokio::time::timeout(wait.min(LONGEST_WAIT), arrives).await {
        Ok(found) => ControlReply::Services { services: vec![found] },
        Err(_) => match look() {
            Some(found) => ControlReply::Services { services: vec![found] },
            None => ControlReply::Failed {
                reason: Refusal::NotFound,
                message: format!("service {name:?} was not found in namespace {namespace:?}"),
            },
        },
    }
}

fn address_of(cluster: &Cluster, service: &Service) -> ServiceAddress {
    let spec = service.spec.clone().unwrap_or_default();
    let name = service.metadata.name.clone().unwrap_or_default();
    let namespace = service.metadata.namespace.clone().unwrap_or_default();
    let ingress = service.status.as_ref().and_then(|s| s.load_balancer.as_ref()?.ingress.as_ref()?.first());
    let ports = spec.ports.into_iter().flatten();
    ServiceAddress {
        ready: has_ready_endpoint(cluster, &namespace, &name),
        external_ip: ingress.and_then(|i| i.ip.clone()),
        cluster_ip: spec.cluster_ip.filter(|ip| ip != "None" && !ip.is_empty()),
        kind: spec.type_.unwrap_or_else(|| "ClusterIP".to_owned()),
        ports: ports
            .map(|port| ServicePort {
                name: port.name,
                protocol: port.protocol.unwrap_or_else(|| "TCP".to_owned()),
                port: port.port,
                node_port: port.node_port.filter(|port| *port != 0),
            })
            .collect(),
        namespace,
        name,
    }
}

fn has_ready_endpoint(cluster: &Cluster, namespace: &str, service: &str) -> bool {
    let slices = cluster.informer::<EndpointSlice>().list(Some(namespace));
    let of_service = slices.iter().filter(|slice| service_of(slice).is_some_and(|key| *key.name == *service));
    of_service.flat_map(|slice| slice.endpoints.iter()).flatten().any(|endpoint| condition(endpoint).ready)
}
