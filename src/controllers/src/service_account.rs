//! Every namespace has an account `default` and knows the cluster's authority.

use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Change, Client, Cluster, Controller, WorkQueue};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::TypedKind;
use tokio_util::sync::CancellationToken;

const NAME: &str = "service-account-controller";
const ACCOUNT: &str = "default";
const AUTHORITY: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![rule(&["create", "get", "patch", "update"], &[""], &["configmaps", "serviceaccounts"])],
    )
}

pub(crate) async fn run(cluster: Cluster, root_ca_pem: String, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    // a namespace that comes, and what we made in it when it is changed or removed
    Controller::new(NAME, &cluster)
        .watches::<Namespace>(|queue, change| {
            queue.add(change.object().metadata.name.clone().unwrap_or_default());
        })
        .watches::<ServiceAccount>(|queue, change| wake_when_named(queue, change, ACCOUNT))
        .watches::<ConfigMap>(|queue, change| wake_when_named(queue, change, AUTHORITY))
        .run(stop, (client, root_ca_pem), |(client, root_ca_pem), namespace: String| async move {
            ensure(&client, &namespace, &root_ca_pem).await
        })
        .await;
}
fn wake_when_named<K: TypedKind>(queue: &WorkQueue<String>, change: &Change<K>, name: &str) {
    let meta = change.object().metadata();
    if meta.name.as_deref() == Some(name) {
        queue.add(meta.namespace.clone().unwrap_or_default());
    }
}

async fn ensure(client: &Client, namespace: &str, root_ca_pem: &str) -> Result<(), Status> {
    let informer = client.cluster().informer::<Namespace>();
    let alive =
        informer.get(&ObjectKey::cluster(namespace)).is_some_and(|n| n.metadata.deletion_timestamp.is_none());
    if !alive {
        return Ok(());
    }
    let meta = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    create_missing(client, ServiceAccount { metadata: meta(ACCOUNT), ..ServiceAccount::default() }).await?;
    let data = Some([(KEY.to_owned(), root_ca_pem.to_owned())].into());
    let wanted = ConfigMap { metadata: meta(AUTHORITY), data: data.clone(), ..ConfigMap::default() };
    let key = ObjectKey::namespaced(namespace, AUTHORITY);
    let maps = client.api::<ConfigMap>();
    match maps.find(&key)? {
        None => create_missing(client, wanted).await,
        Some(known) if known.data == data => Ok(()),
        Some(_) => maps
            .modify(&key, |map| {
                map.data.clone_from(&data);
                Ok(())
            })
            .await
            .map(|_| ()),
    }
}

async fn create_missing<K: TypedKind>(client: &Client, object: K) -> Result<(), Status> {
    let key = kinds::key_of(object.metadata());
    if client.cluster().informer::<K>().get(&key).is_some() {
        return Ok(());
    }
    match client.api::<K>().create(object).await {
        Err(status)
            if status.is(Reason::AlreadyExists)
                || status.is(Reason::Forbidden)
                || status.is(Reason::NotFound) =>
        {
            Ok(())
        }
        other => other.map(|_| ()),
    }
}
