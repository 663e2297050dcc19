//! The older Endpoints beside the slices: upstream's endpoints controller. They have no owner, and go when their Service does.

use super::{
    HEADLESS, Targets, Zones, endpoint_of, is_headless, ports_at, protocol_of, publishes_not_ready,
    targets_of, trigger_time,
};
use api::{ObjectKey, Status};
use cluster::{Client, DeleteOptions, unless_replaced};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MANAGED_LABEL: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";

/// Services that were deleted, and whose Endpoints nobody has removed yet: those that somebody wrote for them go too, and such that
/// are written before their Service stay.
#[derive(Clone, Default)]
pub(super) struct Gone(Arc<Mutex<BTreeSet<ObjectKey>>>);

impl Gone {
    pub(super) fn locked(&self) -> MutexGuard<'_, BTreeSet<ObjectKey>> {
        self.0.lock()
    }
}

pub(super) fn plan(service: &Service, pods: &[Arc<Pod>], zones: &Zones) -> Endpoints {
    let mut by_ports: BTreeMap<Targets, (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for pod in pods {
        let Some(endpoint) = endpoint_of(pod, service, zones) else { continue };
        let is_going = endpoint.conditions.as_ref().and_then(|c| c.terminating) == Some(true);
        if is_going && !publishes_not_ready(service) {
            continue;
        }
        let ready = endpoint.conditions.as_ref().and_then(|c| c.ready) == Some(true);
        let address = EndpointAddress {
            ip: endpoint.addresses.first().cloned().unwrap_or_default(),
            hostname: endpoint.hostname,
            node_name: endpoint.node_name,
            target_ref: endpoint.target_ref,
        };
        let (is_ready, is_not) = by_ports.entry(targets_of(service, pod)).or_default();
        if ready { is_ready.push(address) } else { is_not.push(address) }
    }
    let some = |mut list: Vec<EndpointAddress>| {
        list.sort_by(|a, b| a.ip.cmp(&b.ip));
        (!list.is_empty()).then_some(list)
    };
    let subsets: Vec<EndpointSubset> = by_ports
        .into_iter()
        .map(|(targets, (ready, not_ready))| EndpointSubset {
            addresses: some(ready),
            not_ready_addresses: some(not_ready),
            ports: Some(
                ports_at(service, &targets)
                    .map(|(port, number)| EndpointPort {
                        name: port.name.clone().filter(|name| !name.is_empty()),
                        protocol: Some(protocol_of(port)),
                        port: number,
                        app_protocol: port.app_protocol.clone(),
                    })
                    .collect(),
            ),
        })
        .collect();
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_LABEL.into(), MANAGER.into());
    if is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        subsets: (!subsets.is_empty()).then_some(subsets),
    }
}

pub(super) async fn write(
    client: &Client,
    key: &ObjectKey,
    mut wanted: Endpoints,
    since: Option<Timestamp>,
) -> Result<(), Status> {
    let api = client.api::<Endpoints>();
    match api.find(key)? {
        None => {
            trigger_time::stamp(&mut wanted.metadata, since);
            api.create(wanted).await.map(|_| ())
        }
        Some(old) if old.subsets == wanted.subsets && old.metadata.labels == wanted.metadata.labels => Ok(()),
        Some(old) => {
            wanted.metadata.resource_version = old.metadata.resource_version;
            wanted.metadata.annotations = old.metadata.annotations;
            trigger_time::stamp(&mut wanted.metadata, since);
            api.update(wanted).await.map(|_| ())
        }
    }
}

/// The Service is gone; its slices go with their owner.
pub(super) async fn remove(client: &Client, gone: &Gone, key: &ObjectKey) -> Result<(), Status> {
    let api = client.api::<Endpoints>();
    let was_here = gone.locked().contains(key);
    if let Some(there) = api.find(key)? {
        let labels = there.metadata.labels.as_ref();
        let manager = labels.and_then(|labels| labels.get(MANAGED_LABEL));
        if was_here || manager.is_some_and(|manager| manager == MANAGER) {
            let options = DeleteOptions { uid: there.metadata.uid.clone(), ..DeleteOptions::default() };
            unless_replaced(api.delete(key, options).await)?;
        }
    }
    gone.locked().remove(key);
    Ok(())
}
