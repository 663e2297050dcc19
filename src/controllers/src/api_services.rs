//! Every group and version that the cluster serves itself has an APIService, as upstream's autoregistration makes them. Those
//! that users bring for others' are let be.

use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Client, Cluster, Controller, DeleteOptions, METRICS_GROUP, unless_gone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use kinds::ApiPriority;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

const NAME: &str = "apiservice-registration-controller";
/// Marks what is ours: `onstart` is there for good, `true` goes with its definition.
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

pub(crate) fn role() -> ComponentRole {
    let verbs = &["create", "delete", "get", "list", "watch"];
    ComponentRole::controller(NAME, vec![rule(verbs, &["apiregistration.k8s.io"], &["apiservices"])])
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME).of_program("kube-apiserver"));
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
    // elsewhere somebody brings the metrics server, with its own APIService
    let all = registry.resources().filter(|info| info.gvr.group != METRICS_GROUP);
    all.map(|info| local(&info.gvr.group, &info.gvr.version, registry.is_custom(info))).collect()
}

fn local(group: &str, version: &str, is_custom: bool) -> (String, APIService) {
    let name = format!("{version}.{group}");
    let priority = ApiPriority::of_own(group, version, is_custom);
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
            group_priority_minimum: priority.of_group,
            version_priority: priority.of_version,
            ..APIServiceSpec::default()
        }),
        status: None,
    };
    (name, service)
}
