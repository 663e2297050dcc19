//! Bootstrap tokens that have expired go: upstream's token cleaner.

use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, events, rule};
use cluster::{
    Actor, Api, BOOTSTRAP_TOKENS, Cluster, Controller, DeleteOptions, WorkQueue, bootstrap_token_expiration,
    unless_gone,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kinds::key_of;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "token-cleaner";

pub(crate) fn role() -> ComponentRole {
    let secrets = rule(&["delete", "get", "list", "watch"], &[""], &["secrets"]);
    ComponentRole::controller(NAME, vec![secrets, events()])
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let secrets: Api<Secret> = cluster.acting_as(Actor::controller(NAME)).api();
    let controller = Controller::new(NAME, &cluster).heeds_clock().watches::<Secret>(|queue, change| {
        if end_of(change.object()).is_some() {
            queue.add(key_of(&change.object().metadata));
        }
    });
    let reconciler = (secrets, controller.queue());
    controller
        .run(stop, reconciler, |(secrets, queue), key| async move { reconcile(&secrets, &queue, key).await })
        .await;
}

async fn reconcile(
    secrets: &Api<Secret>,
    queue: &WorkQueue<ObjectKey>,
    key: ObjectKey,
) -> Result<(), Status> {
    let Some(secret) = secrets.find(&key)? else { return Ok(()) };
    let Some(end) = end_of(&secret) else { return Ok(()) };
    let left = Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default();
    if !left.is_zero() {
        queue.add_after(key, left);
        return Ok(());
    }
    let options = DeleteOptions { uid: secret.metadata.uid.clone(), ..DeleteOptions::default() };
    unless_gone(secrets.delete(&key, options).await).map(|_| ())
}

fn end_of(secret: &Secret) -> Option<Timestamp> {
    let is_here = secret.metadata.namespace.as_deref() == Some(BOOTSTRAP_TOKENS);
    bootstrap_token_expiration(secret).filter(|_| is_here && secret.metadata.deletion_timestamp.is_none())
}
