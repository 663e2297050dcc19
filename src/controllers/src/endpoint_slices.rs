//! From services and pods to EndpointSlices, and to the older Endpoints beside them.

mod mirroring;

use crate::owner::controller_reference;
use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Client, Cluster, Controller, DeleteOptions, Informer, WorkQueue, unless_gone};
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort as CorePort, EndpointSubset, Endpoints, ObjectReference, Pod, Service,
    ServicePort,
};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kinds::endpoints::SERVICE_LABEL;
use kinds::{key_of, pod as ask, selectors};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "endpointslice-controller";
const MANAGED_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const MOST_ENDPOINTS: usize = 100; // upstream's size of a slice

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, &[""], &["nodes", "pods", "services"]),
            rule(
                &["create", "delete", "get", "list", "patch", "update"],
                &["discovery.k8s.io"],
                &["endpointslices"],
            ),
            rule(&["create", "delete", "get", "list", "patch", "update"], &[""], &["endpoints"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let services = cluster.informer::<Service>();
    Controller::new(NAME, &cluster)
        .reconciles::<Service>()
        .watches::<Pod>(move |queue, change| {
            for pod in change.versions() {
                wake_services_of(pod, &services, queue);
            }
        })
        // of the same name as its Service
        .reconciles::<Endpoints>()
        .watches::<EndpointSlice>(|queue, change| {
            let meta = &change.object().metadata;
            if let Some(service) = meta.labels.as_ref().and_then(|l| l.get(SERVICE_LABEL)) {
                queue.add(ObjectKey::new(meta.namespace.as_deref(), service));
            }
        })
        .run(stop, client, |client, key| async move { reconcile(&client, &key).await })
        .await;
}
fn wake_services_of(pod: &Pod, services: &Informer<Service>, queue: &WorkQueue<ObjectKey>) {
    let none = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
    for service in services.list(pod.metadata.namespace.as_deref()) {
        let selector = service.spec.as_ref().and_then(|s| s.selector.as_ref());
        if selector.is_some_and(|selector| selectors::from_map(selector).matches(labels)) {
            queue.add(key_of(&service.metadata));
        }
    }
}

async fn reconcile(client: &Client, key: &ObjectKey) -> Result<(), Status> {
    let cluster = client.cluster();
    let Some(service) = cluster.informer::<Service>().get(key) else { return Ok(()) };
    let selector = service.spec.as_ref().and_then(|s| s.selector.clone());
    let Some(selector) = selector.filter(|selector| !selector.is_empty()) else {
        // somebody else says where it leads
        let written = cluster.informer::<Endpoints>().get(key);
        let mirrored = written.map_or_else(Vec::new, |endpoints| mirroring::plan(&endpoints));
        return write_slices(client, key, mirroring::MANAGER, mirrored).await;
    };
    let pods = cluster.informer::<Pod>().select(key.namespace.as_deref(), &selectors::from_map(&selector));
    write_slices(client, key, MANAGER, plan_slices(&service, &pods)).await?;
    write_endpoints(client, key, plan_endpoints(&service, &pods)).await
}

/// Where one pod is reached, and how far it is with living.
fn endpoint_of(pod: &Pod, publish_not_ready: bool) -> Option<Endpoint> {
    if ask::is_terminal(pod) {
        return None;
    }
    let status = pod.status.as_ref()?;
    let ip = status.pod_ip.clone().filter(|ip| !ip.is_empty())?;
    let terminating = ask::is_deleting(pod);
    let serving = ask::is_ready(pod);
    let spec = pod.spec.as_ref();
    let subdomain = spec.and_then(|s| s.subdomain.clone()).filter(|s| !s.is_empty());
    Some(Endpoint {
        addresses: vec![ip],
        conditions: Some(EndpointConditions {
            ready: Some(publish_not_ready || serving && !terminating),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: spec.and_then(|s| s.hostname.clone()).filter(|_| subdomain.is_some()),
        node_name: spec.and_then(|s| s.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    })
}

/// The number behind a service's port in this pod: pods of one service may differ where the port is named.
fn target_port(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        Some(IntOrString::Int(number)) if *number != 0 => Some(*number),
        Some(IntOrString::String(name)) => {
            let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
            let mut ports = containers.flat_map(|c| c.ports.iter().flatten());
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            ports
                .find(|p| p.name.as_ref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol)
                .map(|p| p.container_port)
        }
        _ => Some(port.port),
    }
}

type Ports = Vec<(String, String, i32, Option<String>)>;

fn ports_of(service: &Service, pod: &Pod) -> Ports {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let one = |port: &ServicePort| {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        Some((
            port.name.clone().unwrap_or_default(),
            protocol,
            target_port(port, pod)?,
            port.app_protocol.clone(),
        ))
    };
    ports.filter_map(one).collect()
}

fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.publish_not_ready_addresses) == Some(true)
}

/// One slice for each set of ports and each hundred pods, in a stable order.
fn plan_slices(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSlice> {
    let mut by_ports: BTreeMap<Ports, Vec<Endpoint>> = BTreeMap::new();
    for pod in pods {
        if let Some(endpoint) = endpoint_of(pod, publishes_not_ready(service)) {
            by_ports.entry(ports_of(service, pod)).or_default().push(endpoint);
        }
    }
    if by_ports.is_empty() {
        by_ports.insert(Vec::new(), Vec::new());
    }
    let groups = by_ports.iter().flat_map(|(ports, endpoints)| {
        let chunks: Vec<&[Endpoint]> =
            if endpoints.is_empty() { vec![&[]] } else { endpoints.chunks(MOST_ENDPOINTS).collect() };
        chunks.into_iter().map(move |chunk| (ports, chunk))
    });
    groups.map(|(ports, endpoints)| slice(service, ports, endpoints)).collect()
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None")
}

fn slice(service: &Service, ports: &Ports, endpoints: &[Endpoint]) -> EndpointSlice {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    let name = service.metadata.name.clone().unwrap_or_default();
    labels.insert(SERVICE_LABEL.into(), name.clone());
    labels.insert(MANAGED_LABEL.into(), MANAGER.into());
    if is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    let port = |(name, protocol, port, app): &(String, String, i32, Option<String>)| EndpointPort {
        name: Some(name.clone()),
        protocol: Some(protocol.clone()),
        port: Some(*port),
        app_protocol: app.clone(),
    };
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![controller_reference(service)]),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".into(),
        endpoints: Some(endpoints.to_vec()),
        ports: Some(ports.iter().map(port).collect()),
    }
}

/// The manager's known slices are reused in their order; what is too many goes.
async fn write_slices(
    client: &Client,
    key: &ObjectKey,
    manager: &str,
    wanted: Vec<EndpointSlice>,
) -> Result<(), Status> {
    let api = client.api::<EndpointSlice>();
    let mine = |slice: &EndpointSlice| {
        let labels = slice.metadata.labels.as_ref();
        let is = |label: &str, value: &str| labels.and_then(|l| l.get(label)).is_some_and(|v| v == value);
        is(SERVICE_LABEL, &key.name) && is(MANAGED_LABEL, manager)
    };
    // from the store: a cache that lags behind our own writes would make a slice twice
    let mut known = api.list(key.namespace.as_deref(), Default::default())?;
    known.retain(mine);
    let mut known = known.into_iter();
    for slice in wanted {
        match known.next() {
            None => api.create(slice).await.map(|_| ())?,
            Some(old) if same(&old, &slice) => {}
            Some(old) => {
                let mut new = slice;
                new.metadata.name = old.metadata.name;
                new.metadata.resource_version = old.metadata.resource_version;
                api.update(new).await.map(|_| ())?;
            }
        }
    }
    for old in known {
        unless_gone(api.delete(&key_of(&old.metadata), DeleteOptions::default()).await)?;
    }
    Ok(())
}

fn same(old: &EndpointSlice, new: &EndpointSlice) -> bool {
    old.endpoints == new.endpoints && old.ports == new.ports && old.metadata.labels == new.metadata.labels
}

fn plan_endpoints(service: &Service, pods: &[Arc<Pod>]) -> Endpoints {
    let mut by_ports: BTreeMap<Ports, (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for pod in pods {
        let Some(endpoint) = endpoint_of(pod, publishes_not_ready(service)) else { continue };
        if endpoint.conditions.as_ref().and_then(|c| c.terminating) == Some(true) {
            continue;
        }
        let ready = endpoint.conditions.as_ref().and_then(|c| c.ready) == Some(true);
        let address = EndpointAddress {
            ip: endpoint.addresses.first().cloned().unwrap_or_default(),
            hostname: endpoint.hostname,
            node_name: endpoint.node_name,
            target_ref: endpoint.target_ref,
        };
        let (is_ready, is_not) = by_ports.entry(ports_of(service, pod)).or_default();
        if ready { is_ready.push(address) } else { is_not.push(address) }
    }
    let some = |mut list: Vec<EndpointAddress>| {
        list.sort_by(|a, b| a.ip.cmp(&b.ip));
        (!list.is_empty()).then_some(list)
    };
    let subsets: Vec<EndpointSubset> = by_ports
        .into_iter()
        .map(|(ports, (ready, not_ready))| EndpointSubset {
            addresses: some(ready),
            not_ready_addresses: some(not_ready),
            ports: Some(
                ports
                    .into_iter()
                    .map(|(name, protocol, port, app_protocol)| CorePort {
                        name: (!name.is_empty()).then_some(name),
                        protocol: Some(protocol),
                        port,
                        app_protocol,
                    })
                    .collect(),
            ),
        })
        .collect();
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert("endpoints.kubernetes.io/managed-by".into(), "endpoint-controller".into());
    if is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![controller_reference(service)]),
            ..ObjectMeta::default()
        },
        subsets: (!subsets.is_empty()).then_some(subsets),
    }
}

async fn write_endpoints(client: &Client, key: &ObjectKey, wanted: Endpoints) -> Result<(), Status> {
    let api = client.api::<Endpoints>();
    match api.find(key)? {
        None => api.create(wanted).await.map(|_| ()),
        Some(old) if old.subsets == wanted.subsets && old.metadata.labels == wanted.metadata.labels => Ok(()),
        Some(_) => api.update(wanted).await.map(|_| ()),
    }
}
