//! Endpoints that somebody wrote by hand, for a Service without a selector, as the slices that proxies and DNS read: pure.

use crate::owner::controller_reference;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::endpoints::{MANAGED_BY, SERVICE_LABEL};
use std::net::Ipv4Addr;

pub(super) const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// Whoever sets it makes the slices too.
const SKIP_LABEL: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Upstream's `mirroring-max-endpoints-per-subset`: one slice for each subset. Each slice repeats all of the subset's ports, so that
/// more slices would be the product of two lists.
const MOST_OF_SUBSET: usize = 1000;
/// An old way to elect a leader, not to reach anybody.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

pub(super) fn plan(endpoints: &Endpoints) -> Vec<EndpointSlice> {
    let meta = &endpoints.metadata;
    let skipped = meta.labels.as_ref().and_then(|l| l.get(SKIP_LABEL)).is_some_and(|v| v == "true");
    if skipped || meta.annotations.as_ref().is_some_and(|a| a.contains_key(LEADER)) {
        return Vec::new();
    }
    let subsets = endpoints.subsets.iter().flatten();
    subsets.flat_map(|subset| of_subset(endpoints, subset)).collect()
}

/// `None` where it has no address of ours.
fn of_subset(endpoints: &Endpoints, subset: &EndpointSubset) -> Option<EndpointSlice> {
    let ready = subset.addresses.iter().flatten().map(|address| endpoint(address, true));
    let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| endpoint(address, false));
    let all: Vec<Endpoint> = ready.chain(not_ready).flatten().take(MOST_OF_SUBSET).collect();
    let ports = subset.ports.iter().flatten().map(|port| EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    });
    (!all.is_empty()).then(|| slice(endpoints, all, ports.collect()))
}

/// `None` for an address of another family: the cluster has one.
fn endpoint(address: &EndpointAddress, ready: bool) -> Option<Endpoint> {
    address.ip.parse::<Ipv4Addr>().ok()?;
    Some(Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone(),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    })
}

fn slice(endpoints: &Endpoints, all: Vec<Endpoint>, ports: Vec<EndpointPort>) -> EndpointSlice {
    let name = endpoints.metadata.name.clone().unwrap_or_default();
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_LABEL.to_owned(), name.clone());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: endpoints.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![controller_reference(endpoints)]),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".to_owned(),
        endpoints: Some(all),
        ports: Some(ports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_subset_is_one_slice_whatever_it_holds() {
        let address = |n: usize| json!({"ip": format!("192.0.{}.{}", n / 250, n % 250)});
        let port = |n: usize| json!({"name": format!("p{n}"), "port": n + 1});
        for (addresses, want) in [(0, vec![]), (150, vec![150]), (5000, vec![1000])] {
            let subset = json!({"addresses": (0..addresses).map(address).collect::<Vec<_>>(), "ports": (0..9).map(port).collect::<Vec<_>>()});
            let endpoints: Endpoints =
                serde_json::from_value(json!({"metadata": {"name": "web"}, "subsets": [subset]})).unwrap();
            let slices = plan(&endpoints);
            let sizes: Vec<usize> =
                slices.iter().map(|slice| slice.endpoints.iter().flatten().count()).collect();
            assert_eq!(sizes, want, "{addresses}");
            assert!(slices.iter().all(|slice| slice.ports.iter().flatten().count() == 9), "{addresses}");
        }
    }
}
