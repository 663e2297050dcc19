//! Empties a namespace that is to go, and lets it go then. What can not be deleted stands in nobody's way: the other kinds go, and
//! the namespace's conditions say what was refused (`conditions.rs`). What extension API servers have goes too (`extensions.rs`).

mod conditions;
mod extensions;

use api::{ObjectKey, Status};
use cluster::roles::{ALL, ComponentRole, rule};
use cluster::{
    Actor, Change, Client, Cluster, Controller, DeleteOptions, Informer, ListParams, Propagation, Target,
    WorkQueue, unless_gone,
};
use conditions::Left;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kinds::{Kind, Scope, StoredKind, Subresource, TypedKind};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "namespace-controller";
/// Pods with a grace period are waited for by their own deletion events; other finalizers by this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// After something was refused, or did not answer; upstream's first wait.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["delete", "deletecollection", "get", "list"], ALL, ALL),
            rule(
                &["delete", "get", "list", "patch", "update", "watch"],
                &[""],
                &["namespaces", "namespaces/finalize", "namespaces/status"],
            ),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let controller = Controller::new(NAME, &cluster)
        .watches::<Namespace>(|queue, change| {
            // what is said of its deletion is no reason to try again at once
            let was_going = matches!(change, Change::Modified { old, .. } if is_going(old));
            if is_going(change.object()) && !was_going {
                queue.add(change.object().metadata.name.clone().unwrap_or_default());
            }
        })
        .watches::<Pod>(|queue, change| {
            if let Change::Deleted(pod) = change {
                queue.add(pod.metadata.namespace.clone().unwrap_or_default());
            }
        })
        .watches::<APIService>(wakes_all::<APIService>(&cluster))
        .watches::<MutatingWebhookConfiguration>(wakes_all::<MutatingWebhookConfiguration>(&cluster))
        .watches::<ValidatingWebhookConfiguration>(wakes_all::<ValidatingWebhookConfiguration>(&cluster))
        .watches::<ValidatingAdmissionPolicyBinding>(wakes_all::<ValidatingAdmissionPolicyBinding>(&cluster));
    let reconciler = (client, controller.queue());
    controller
        .run(stop, reconciler, |(client, queue), namespace: String| async move {
            if let Some(after) = finish(&client, &namespace).await? {
                queue.add_after(namespace, after);
            }
            Ok::<(), Status>(())
        })
        .await;
}

fn is_going(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}

/// For what may refuse a deletion, or not answer: with its change another try may do better.
fn wakes_all<K: StoredKind>(
    cluster: &Cluster,
) -> impl Fn(&WorkQueue<String>, &Change<K>) + Send + Sync + use<K> {
    let namespaces: Informer<Namespace> = cluster.informer();
    move |queue: &WorkQueue<String>, _: &Change<K>| {
        for namespace in namespaces.list(None) {
            if is_going(&namespace) {
                queue.add(namespace.metadata.name.clone().unwrap_or_default());
            }
        }
    }
}

/// After what time to look again; `None` where there is nothing left to do.
async fn finish(client: &Client, name: &str) -> Result<Option<Duration>, Status> {
    let namespaces = client.api::<Namespace>();
    let key = ObjectKey::cluster(name);
    let Some(namespace) = namespaces.find(&key)? else { return Ok(None) };
    if !is_going(&namespace) {
        return Ok(None);
    }
    let left = empty(client, name).await;
    if !left.is_empty() {
        say(client, &key, &left).await?;
        return Ok(Some(if left.has_failed() { AFTER_FAILURE } else { LOOK_AGAIN }));
    }
    let mut done = namespace;
    let finalizers = done.spec.as_mut().and_then(|spec| spec.finalizers.as_mut());
    if let Some(finalizers) = finalizers {
        finalizers.retain(|f| f != "kubernetes");
    }
    namespaces.replace(done, Some(Subresource::Finalize)).await.map(|_| None)
}

/// Tells whoever waits what the namespace waits for.
async fn say(client: &Client, key: &ObjectKey, left: &Left) -> Result<(), Status> {
    let namespaces = client.api::<Namespace>();
    let said = namespaces.modify_status(key, |namespace| {
        conditions::set(namespace.status.get_or_insert_default(), left, jiff::Timestamp::now());
        Ok(())
    });
    unless_gone(said.await).map(|_| ())
}

/// Deletes everything in it; what is still there afterwards. While a pod is there nothing else goes: what still runs keeps the
/// network policies that bind it (KEP-5080).
async fn empty(client: &Client, name: &str) -> Left {
    let registry = client.cluster().registry();
    let namespaced = registry.kinds().filter(|kind| kind.scope == Scope::Namespaced);
    let (pods, others): (Vec<_>, Vec<_>) = namespaced.partition(|kind| kind.storage == Pod::info().storage);
    let mut left = Left::default();
    extensions::note_silent(client, &mut left);
    empty_of(client, name, &pods, &mut left).await;
    if !left.has_objects() {
        empty_of(client, name, &others, &mut left).await;
        extensions::empty(client, name, &mut left).await;
    }
    left
}

async fn empty_of(client: &Client, name: &str, kinds: &[&Arc<Kind>], left: &mut Left) {
    for kind in kinds {
        let target = Target::collection(kind.stored(), Some(name));
        if let Err(status) = empty_one(client, &target, left).await {
            left.refused(&status);
        }
    }
}

async fn empty_one(client: &Client, target: &Target, left: &mut Left) -> Result<(), Status> {
    let (cluster, actor) = (client.cluster(), client.actor());
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    let all = ListParams::default();
    if cluster.list(actor, target, &all)?.objects.is_empty() {
        return Ok(());
    }
    let deleted = cluster.delete_collection(actor, target, &all, &options).await;
    let there = cluster.list(actor, target, &all)?.objects;
    let finalizers = there.iter().flat_map(|object| &object.meta().finalizers);
    left.add(&target.group_resource(), there.len(), finalizers);
    deleted.map(drop)
}
