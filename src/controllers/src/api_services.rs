//! Every group and version that the cluster serves itself has an APIService, as upstream's autoregistration makes them. Those
//! that users bring for others' are let be.

use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Client, Cluster, Controller, DeleteOptions, METRICS_GROUP, unless_gone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use kinds::ResourceInfo;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

const NAME: &str = "apiservice-registration-controller";
/// Marks what is ours: `onstart` is there for good, `true` goes with its definition.
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
/// Upstream's `apiVersionPriorities`: those of a group, and of the version in it.
const PRIORITIES: [(&str, &str, i32, i32); 23] = [
    ("", "v1", 18_000, 1),
    ("apps", "v1", 17_800, 15),
    ("events.k8s.io", "v1", 17_750, 15),
    ("authentication.k8s.io", "v1", 17_700, 15),
    ("authorization.k8s.io", "v1", 17_600, 15),
    ("autoscaling", "v1", 17_500, 15),
    ("autoscaling", "v2", 17_500, 30),
    ("batch", "v1", 17_400, 15),
    ("certificates.k8s.io", "v1", 17_300, 15),
    ("networking.k8s.io", "v1", 17_200, 15),
    ("policy", "v1", 17_100, 15),
    ("rbac.authorization.k8s.io", "v1", 17_000, 15),
    ("storage.k8s.io", "v1", 16_800, 15),
    ("apiextensions.k8s.io", "v1", 16_700, 15),
    ("admissionregistration.k8s.io", "v1", 16_700, 15),
    ("scheduling.k8s.io", "v1", 16_600, 15),
    ("coordination.k8s.io", "v1", 16_500, 15),
    ("node.k8s.io", "v1", 16_300, 15),
    ("discovery.k8s.io", "v1", 16_200, 15),
    ("flowcontrol.apiserver.k8s.io", "v1", 16_100, 21),
    ("resource.k8s.io", "v1", 15_900, 21),
    ("storagemigration.k8s.io", "v1", 15_800, 15),
    ("apiregistration.k8s.io", "v1", 20_000, 100),
];
/// Of a group that the table does not have.
const OTHERS: (i32, i32) = (15_000, 10);
/// Upstream's for custom resources.
const CUSTOM: (i32, i32) = (1_000, 100);

pub(crate) fn role() -> ComponentRole {
    let verbs = &["create", "delete", "get", "list", "watch"];
    ComponentRole::controller(NAME, vec![rule(verbs, &["apiregistration.k8s.io"], &["apiservices"])])
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let mut kinds = cluster.kinds_changed();
    Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<APIService>(|queue, _| queue.add(()))
        .listens(|queue| {
            Box::pin(async move {
                // what is served already, and from then on what changes
                queue.add(());
                while kinds.changed().await.is_ok() {
                    queue.add(());
                }
            })
        })
        .run(stop, client, |client, (): ()| async move { reconcile(&client).await })
        .await;
}

async fn reconcile(client: &Client) -> Result<(), Status> {
    let api = client.api::<APIService>();
    let wanted = wanted(client.cluster());
    let there = client.cluster().informer::<APIService>().list(None);
    for (name, service) in &wanted {
        // from the store: the informer may not have seen what was made in the last round
        if api.find(&ObjectKey::cluster(name))?.is_none() {
            match api.create(service.clone()).await {
                Err(status) if !status.is(Reason::AlreadyExists) => return Err(status),
                _ => {}
            }
        }
    }
    for service in there.iter().filter(|service| is_managed(service)) {
        let name = service.metadata.name.clone().unwrap_or_default();
        if !wanted.contains_key(&name) {
            unless_gone(api.delete(&ObjectKey::cluster(&name), DeleteOptions::default()).await)?;
        }
    }
    Ok(())
}

fn is_managed(service: &APIService) -> bool {
    let is_local = service.spec.as_ref().is_some_and(|spec| spec.service.is_none());
    is_local && service.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(MANAGED))
}

fn wanted(cluster: &Cluster) -> BTreeMap<String, APIService> {
    let registry = cluster.registry();
    let is_custom = |info: &ResourceInfo| {
        registry.by_gvr(&info.gvr).is_some_and(|version| version.published_schema().is_some())
    };
    // elsewhere somebody brings the metrics server, with its own APIService
    let all = registry.resources().filter(|info| info.gvr.group != METRICS_GROUP);
    all.map(|info| local(&info.gvr.group, &info.gvr.version, is_custom(info))).collect()
}

fn local(group: &str, version: &str, is_custom: bool) -> (String, APIService) {
    let name = format!("{version}.{group}");
    let of_table = PRIORITIES.iter().find(|(g, v, ..)| *g == group && *v == version);
    let (of_group, of_version) = match of_table {
        _ if is_custom => CUSTOM,
        Some((_, _, of_group, of_version)) => (*of_group, *of_version),
        None => OTHERS,
    };
    let managed = if is_custom { "true" } else { "onstart" };
    let service = APIService {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some([(MANAGED.to_owned(), managed.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(APIServiceSpec {
            group: Some(group.to_owned()).filter(|group| !group.is_empty()),
            version: Some(version.to_owned()),
            group_priority_minimum: of_group,
            version_priority: of_version,
            ..APIServiceSpec::default()
        }),
        status: None,
    };
    (name, service)
}
