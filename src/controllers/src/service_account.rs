//! Every namespace has an account `default` and knows the cluster's authority.

use crate::WORKERS;
use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Client, Cluster, WorkQueue, run_workers};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::Kind;
use tokio_util::sync::CancellationToken;

const NAME: &str = "service-account-controller";
const ACCOUNT: &str = "default";
const AUTHORITY: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";

pub(crate) async fn run(cluster: Cluster, root_ca_pem: String, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let queue: WorkQueue<String> = WorkQueue::new();
    let listening = tokio::spawn(listen(cluster, queue.clone(), stop.clone()));
    run_workers(NAME, queue, WORKERS, stop, move |namespace| {
        let (client, root_ca_pem) = (client.clone(), root_ca_pem.clone());
        async move { ensure(&client, &namespace, &root_ca_pem).await }
    })
    .await;
    let _ = listening.await;
}

/// A namespace that comes, and what we made in it when it is changed or removed.
async fn listen(cluster: Cluster, queue: WorkQueue<String>, stop: CancellationToken) {
    let mut namespaces = cluster.informer::<Namespace>().subscribe();
    let mut accounts = cluster.informer::<ServiceAccount>().subscribe();
    let mut maps = cluster.informer::<ConfigMap>().subscribe();
    let named = |meta: &ObjectMeta, name: &str| {
        (meta.name.as_deref() == Some(name)).then(|| meta.namespace.clone().unwrap_or_default())
    };
    loop {
        let woken = tokio::select! {
            () = stop.cancelled() => return,
            Some(change) = namespaces.next() => change.object().metadata.name.clone(),
            Some(change) = accounts.next() => named(&change.object().metadata, ACCOUNT),
            Some(change) = maps.next() => named(&change.object().metadata, AUTHORITY),
            else => return,
        };
        if let Some(namespace) = woken {
            queue.add(namespace);
        }
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

async fn create_missing<K: Kind>(client: &Client, object: K) -> Result<(), Status> {
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
