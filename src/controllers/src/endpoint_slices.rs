//! From services and pods to EndpointSlices, and to the older Endpoints beside them.

mod endpoints;
mod groups;
mod mirroring;
mod pace;
mod trigger_time;

use crate::owner::controller_reference;
use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Change, Client, Cluster, Controller, DeleteOptions, Recorder, unless_gone};
use endpoints::Gone;
use groups::{Group, Grouped, ports_at};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Endpoints, Node, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForNode, ForZone,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::endpoints::{HEADLESS, MANAGED_BY, SERVICE_LABEL};
use kinds::{key_of, pod as ask, selectors};
use pace::Pace;
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;

const NAME: &str = "endpointslice-controller";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const ZONE: &str = "topology.kubernetes.io/zone";
const MOST_ENDPOINTS: usize = 100; // upstream's size of a slice
/// Of events.
const FAILED: &str = "FailedToUpdateEndpointSlices";

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

/// By the name of the node.
type Zones = BTreeMap<String, String>;

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let (events, pace) = (client.recorder(NAME, None), Pace::default());
    let reconciler = Reconciler { events, client, gone: Gone::default(), pace: pace.clone() };
    let services = cluster.informer::<Service>();
    let all = services.clone();
    let deleted = reconciler.gone.clone();
    Controller::new(NAME, &cluster)
        .watches::<Service>(move |queue, change| {
            let key = key_of(&change.object().metadata);
            if matches!(change, Change::Deleted(_)) {
                deleted.locked().insert(key.clone());
            }
            queue.add(key);
        })
        .watches::<Node>(move |queue, change| {
            let zones: BTreeSet<_> = change.versions().map(|node| zone_of(node)).collect();
            let is_moved = zones.len() > 1 || !matches!(change, Change::Modified { .. });
            // where nodes have no zones, none comes or goes
            if is_moved && zones.iter().any(Option::is_some) {
                all.list(None).iter().for_each(|service| queue.add(key_of(&service.metadata)));
            }
        })
        .watches::<Pod>(move |queue, change| {
            pace.wake(change, &services, queue);
        })
        // of the same name as its Service
        .reconciles::<Endpoints>()
        .watches::<EndpointSlice>(|queue, change| {
            let meta = &change.object().metadata;
            if let Some(service) = meta.labels.as_ref().and_then(|l| l.get(SERVICE_LABEL)) {
                queue.add(ObjectKey::new(meta.namespace.as_deref(), service));
            }
        })
        .run(stop, reconciler, |reconciler, key| async move { reconciler.paced(&key).await })
        .await;
}

#[derive(Clone)]
struct Reconciler {
    client: Client,
    events: Recorder,
    gone: Gone,
    pace: Pace,
}

impl Reconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        let Reconciler { client, events, gone, .. } = self;
        let cluster = client.cluster();
        let Some(service) = cluster.informer::<Service>().get(key) else {
            return endpoints::remove(client, gone, key).await;
        };
        gone.locked().remove(key);
        let selector = service.spec.as_ref().and_then(|s| s.selector.clone());
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else {
            // somebody else says where it leads
            let written = cluster.informer::<Endpoints>().get(key);
            let mirrored = written.map_or_else(Vec::new, |endpoints| mirroring::plan(&endpoints));
            let known = known_slices(client, key, mirroring::MANAGER)?;
            return write_slices(client, known, mirrored, None).await;
        };
        if is_external_name(&service) {
            return Ok(());
        }
        let pods = cluster.informer::<Pod>();
        let pods = pods.select(key.namespace.as_deref(), &selectors::from_map(&selector));
        let nodes = cluster.informer::<Node>().list(None);
        let zones: Zones =
            nodes.iter().filter_map(|node| Some((node.metadata.name.clone()?, zone_of(node)?))).collect();
        let Grouped { groups, left_out } = Grouped::of(&service, &pods, &zones);
        if left_out > 0 {
            events.warning(&*service, FAILED, too_many_ports(left_out));
        }
        let wanted = plan_slices(&service, &groups);
        let known = known_slices(client, key, MANAGER)?;
        let since = trigger_time::changed_at(&service, &pods, &known, &wanted);
        write_slices(client, known, wanted, since).await?;
        endpoints::write(client, key, endpoints::plan(&service, groups), since).await
    }
}

fn too_many_ports(left_out: usize) -> String {
    format!(
        "{left_out} pods have no endpoint: the Service has too many ports for so many pods, or for pods in which they have other numbers"
    )
}

/// A name elsewhere: nothing leads to the pods that its selector still finds (https://issues.k8s.io/105986).
fn is_external_name(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName"))
}

fn zone_of(node: &Node) -> Option<String> {
    node.metadata.labels.as_ref()?.get(ZONE).filter(|zone| !zone.is_empty()).cloned()
}

/// Where one pod is reached, and how far it is with living.
fn endpoint_of(pod: &Pod, service: &Service, zones: &Zones) -> Option<Endpoint> {
    if ask::is_terminal(pod) {
        return None;
    }
    let status = pod.status.as_ref()?;
    let ip = status.pod_ip.clone().filter(|ip| !ip.is_empty())?;
    let terminating = ask::is_deleting(pod);
    let serving = ask::is_ready(pod);
    let spec = pod.spec.as_ref();
    let ready = publishes_not_ready(service) || serving && !terminating;
    let subdomain = spec.and_then(|s| s.subdomain.as_deref());
    // the pod's own name is one in the Service
    let is_named = subdomain.is_some() && subdomain == service.metadata.name.as_deref();
    let hostname = spec.and_then(|s| s.hostname.clone()).filter(|name| is_named && !name.is_empty());
    let node_name = spec.and_then(|s| s.node_name.clone());
    let zone = node_name.as_ref().and_then(|node| zones.get(node)).cloned();
    Some(Endpoint {
        addresses: vec![ip],
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hints: hints(service, zone.as_ref(), node_name.as_ref()).filter(|_| ready),
        hostname,
        node_name,
        zone,
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

/// Whom the endpoint is for before others, as the Service wants traffic to be distributed: upstream's `trafficdist`.
fn hints(service: &Service, zone: Option<&String>, node: Option<&String>) -> Option<EndpointHints> {
    let wanted = service.spec.as_ref()?.traffic_distribution.as_deref()?;
    let node = match wanted {
        "PreferSameNode" => node,
        "PreferClose" | "PreferSameZone" => None,
        _ => return None,
    };
    let hints = EndpointHints {
        for_nodes: node.map(|name| vec![ForNode { name: name.clone() }]),
        for_zones: zone.map(|name| vec![ForZone { name: name.clone() }]),
    };
    (hints != EndpointHints::default()).then_some(hints)
}

fn protocol_of(port: &ServicePort) -> String {
    port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())
}

fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.publish_not_ready_addresses) == Some(true)
}

/// One slice for each set of ports and each hundred pods, in a stable order.
fn plan_slices(service: &Service, groups: &[Group]) -> Vec<EndpointSlice> {
    if groups.is_empty() {
        return vec![slice(service, &[], &[])];
    }
    let chunks = groups.iter().flat_map(|group| {
        group.endpoints.chunks(MOST_ENDPOINTS).map(move |endpoints| (&group.targets, endpoints))
    });
    chunks.map(|(targets, endpoints)| slice(service, targets, endpoints)).collect()
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None")
}

fn slice(service: &Service, targets: &[Option<i32>], endpoints: &[Endpoint]) -> EndpointSlice {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    let name = service.metadata.name.clone().unwrap_or_default();
    labels.insert(SERVICE_LABEL.into(), name.clone());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    if is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    let port = |(port, number): (&ServicePort, i32)| EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        protocol: Some(protocol_of(port)),
        port: Some(number),
        app_protocol: port.app_protocol.clone(),
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
        ports: Some(ports_at(service, targets).map(port).collect()),
    }
}

/// Those of the manager. From the store: a cache that lags behind our own writes would make a slice twice.
fn known_slices(client: &Client, key: &ObjectKey, manager: &str) -> Result<Vec<EndpointSlice>, Status> {
    let labels = BTreeMap::from([
        (SERVICE_LABEL.to_owned(), key.name.to_string()),
        (MANAGED_BY.to_owned(), manager.to_owned()),
    ]);
    client.api::<EndpointSlice>().list(key.namespace.as_deref(), selectors::from_map(&labels))
}

/// The known slices are reused in their order; what is too many goes.
async fn write_slices(
    client: &Client,
    known: Vec<EndpointSlice>,
    wanted: Vec<EndpointSlice>,
    since: Option<Timestamp>,
) -> Result<(), Status> {
    let api = client.api::<EndpointSlice>();
    let mut known = known.into_iter();
    for mut slice in wanted {
        match known.next() {
            None => {
                trigger_time::stamp(&mut slice.metadata, since);
                api.create(slice).await.map(|_| ())?;
            }
            Some(old) if same(&old, &slice) => {}
            Some(old) => {
                slice.metadata.name = old.metadata.name;
                slice.metadata.resource_version = old.metadata.resource_version;
                slice.metadata.annotations = old.metadata.annotations;
                trigger_time::stamp(&mut slice.metadata, since);
                api.update(slice).await.map(|_| ())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "default"}, "spec": spec}))
            .unwrap()
    }

    fn pod(spec: Value, ready: bool) -> Pod {
        let ready = json!({"type": "Ready", "status": if ready { "True" } else { "False" }});
        serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "default"}, "spec": spec,
            "status": {"podIP": "192.0.2.1", "conditions": [ready]},
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_has_a_name_in_the_service_of_its_subdomain() {
        // (name, hostname, subdomain, hostname of the endpoint)
        let cases = [
            ("its own", Some("a"), Some("web"), Some("a")),
            ("of another Service", Some("a"), Some("db"), None),
            ("no subdomain", Some("a"), None, None),
            ("no hostname", None, Some("web"), None),
            ("an empty one", Some(""), Some("web"), None),
        ];
        for (name, hostname, subdomain, want) in cases {
            let pod = pod(json!({"containers": [], "hostname": hostname, "subdomain": subdomain}), true);
            let endpoint = endpoint_of(&pod, &service(json!({})), &Zones::new()).unwrap();
            assert_eq!(endpoint.hostname.as_deref(), want, "{name}");
        }
    }

    #[test]
    fn an_endpoint_is_for_those_whom_the_service_prefers() {
        let zones = Zones::from([("n".to_owned(), "z".to_owned())]);
        let zone = json!({"forZones": [{"name": "z"}]});
        let both = json!({"forNodes": [{"name": "n"}], "forZones": [{"name": "z"}]});
        let node = json!({"forNodes": [{"name": "n"}]});
        // (name, distribution, zones, ready, hints)
        let cases = [
            ("nobody", Value::Null, &zones, true, None),
            ("the zone, by its old name", json!("PreferClose"), &zones, true, Some(&zone)),
            ("the zone", json!("PreferSameZone"), &zones, true, Some(&zone)),
            ("the node", json!("PreferSameNode"), &zones, true, Some(&both)),
            ("no zones", json!("PreferSameZone"), &Zones::new(), true, None),
            ("no zones, and the node", json!("PreferSameNode"), &Zones::new(), true, Some(&node)),
            ("not ready", json!("PreferSameZone"), &zones, false, None),
        ];
        for (name, distribution, zones, ready, want) in cases {
            let pod = pod(json!({"containers": [], "nodeName": "n"}), ready);
            let service = service(json!({"trafficDistribution": distribution}));
            let endpoint = endpoint_of(&pod, &service, zones).unwrap();
            assert_eq!(endpoint.zone.as_ref(), zones.get("n"), "{name}");
            assert_eq!(endpoint.hints.map(|hints| json!(hints)).as_ref(), want, "{name}");
        }
    }

    #[test]
    fn a_slice_has_the_ports_that_its_pods_have() {
        let service = service(json!({"ports": [
            {"name": "a", "port": 1, "targetPort": "http"},
            {"name": "b", "port": 2, "targetPort": "none"},
            {"name": "c", "port": 3},
        ]}));
        let ports = json!([{"name": "http", "containerPort": 80}]);
        let pods = [Arc::new(pod(json!({"containers": [{"name": "c", "ports": ports}]}), true))];
        let slices =
            |pods: &[Arc<Pod>]| plan_slices(&service, &Grouped::of(&service, pods, &Zones::new()).groups);
        let slices_of_one = slices(&pods);
        let ports = slices_of_one.iter().flat_map(|slice| slice.ports.iter().flatten());
        let ports: Vec<_> = ports.map(|port| (port.name.as_deref().unwrap(), port.port.unwrap())).collect();
        assert_eq!(ports, [("a", 80), ("c", 3)]);
        let of_nobody = slices(&[]);
        assert_eq!((of_nobody.len(), of_nobody[0].endpoints.iter().flatten().count()), (1, 0));
    }

    #[test]
    fn the_older_endpoints_have_a_pod_that_goes_where_all_are_published() {
        let mut going = pod(json!({"containers": []}), true);
        going.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let pods = [Arc::new(going)];
        for (publishes, want) in [(false, 0), (true, 1)] {
            let service = service(json!({"publishNotReadyAddresses": publishes}));
            let groups = Grouped::of(&service, &pods, &Zones::new()).groups;
            let subsets = endpoints::plan(&service, groups).subsets;
            let addresses = subsets.iter().flatten().flat_map(|subset| subset.addresses.iter().flatten());
            assert_eq!(addresses.count(), want, "{publishes}");
        }
    }
}
