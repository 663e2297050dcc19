//! What every cluster has, it has again when somebody deleted it: the system's namespaces, and the Service by which pods
//! find the API server.

use cluster::{Change, Cluster, WorkQueue, run_workers};
use k8s_openapi::api::core::v1::{Endpoints, Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio_util::sync::CancellationToken;

const NAME: &str = "kubernetes-service-controller";

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let queue: WorkQueue<()> = WorkQueue::new();
    let listening = tokio::spawn(listen(cluster.clone(), queue.clone(), stop.clone()));
    run_workers(NAME, queue, 1, stop, move |()| {
        let cluster = cluster.clone();
        async move { cluster.ensure_essentials().await }
    })
    .await;
    let _ = listening.await;
}

async fn listen(cluster: Cluster, queue: WorkQueue<()>, stop: CancellationToken) {
    let mut namespaces = cluster.informer::<Namespace>().subscribe();
    let mut services = cluster.informer::<Service>().subscribe();
    let mut endpoints = cluster.informer::<Endpoints>().subscribe();
    let mut slices = cluster.informer::<EndpointSlice>().subscribe();
    // what went before anybody listened
    queue.add(());
    loop {
        let touched = tokio::select! {
            () = stop.cancelled() => return,
            Some(change) = namespaces.next() => matches!(change, Change::Deleted(_)),
            Some(change) = services.next() => {
                matches!(&change, Change::Deleted(service) if is_api(&service.metadata))
            }
            // a wrong address is as bad as none
            Some(change) = endpoints.next() => !is_new(&change) && is_api(&change.object().metadata),
            Some(change) = slices.next() => !is_new(&change) && is_api(&change.object().metadata),
            else => return,
        };
        if touched {
            queue.add(());
        }
    }
}

fn is_new<K>(change: &Change<K>) -> bool {
    matches!(change, Change::Added(_))
}

fn is_api(meta: &ObjectMeta) -> bool {
    meta.namespace.as_deref() == Some("default") && meta.name.as_deref() == Some("kubernetes")
}
