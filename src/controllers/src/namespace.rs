//! Empties a namespace that is to go, and lets it go then.

mod conditions;

use api::{ObjectKey, Status};
use cluster::roles::{ALL, ComponentRole, rule};
use cluster::{
    Actor, Change, Client, Cluster, Controller, DeleteOptions, ListParams, Propagation, Target, unless_gone,
};
use conditions::Left;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kinds::{Kind, Scope, Subresource, TypedKind};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "namespace-controller";
/// Pods with a grace period are waited for by their own deletion events; other finalizers by this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
            let meta = &change.object().metadata;
            if meta.deletion_timestamp.is_some() {
                queue.add(meta.name.clone().unwrap_or_default());
            }
        })
        .watches::<Pod>(|queue, change| {
            if let Change::Deleted(pod) = change {
                queue.add(pod.metadata.namespace.clone().unwrap_or_default());
            }
        });
    let reconciler = (client, controller.queue());
    controller
        .run(stop, reconciler, |(client, queue), namespace: String| async move {
            if !finish(&client, &namespace).await? {
                queue.add_after(namespace, LOOK_AGAIN);
            }
            Ok::<(), Status>(())
        })
        .await;
}

/// Whether there is nothing left to do.
async fn finish(client: &Client, name: &str) -> Result<bool, Status> {
    let namespaces = client.api::<Namespace>();
    let key = ObjectKey::cluster(name);
    let Some(namespace) = namespaces.find(&key)? else { return Ok(true) };
    if namespace.metadata.deletion_timestamp.is_none() {
        return Ok(true);
    }
    let left = empty(client, name).await?;
    if !left.is_empty() {
        say(client, &key, &left).await?;
        return Ok(false);
    }
    let mut done = namespace;
    let finalizers = done.spec.as_mut().and_then(|spec| spec.finalizers.as_mut());
    if let Some(finalizers) = finalizers {
        finalizers.retain(|f| f != "kubernetes");
    }
    namespaces.replace(done, Some(Subresource::Finalize)).await.map(|_| true)
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
async fn empty(client: &Client, name: &str) -> Result<Left, Status> {
    let registry = client.cluster().registry();
    let namespaced = registry.kinds().filter(|kind| kind.scope == Scope::Namespaced);
    let (pods, others): (Vec<_>, Vec<_>) = namespaced.partition(|kind| kind.storage == Pod::info().storage);
    let left = empty_of(client, name, &pods).await?;
    if !left.is_empty() {
        return Ok(left);
    }
    empty_of(client, name, &others).await
}

async fn empty_of(client: &Client, name: &str, kinds: &[&Arc<Kind>]) -> Result<Left, Status> {
    let cluster = client.cluster();
    let mut left = Left::default();
    for kind in kinds {
        let target = Target::collection(kind.stored(), Some(name));
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        let all = ListParams::default();
        if cluster.list(client.actor(), &target, &all)?.objects.is_empty() {
            continue;
        }
        cluster.delete_collection(client.actor(), &target, &all, &options).await?;
        left.add(&target.group_resource(), &cluster.list(client.actor(), &target, &all)?.objects);
    }
    Ok(left)
}
