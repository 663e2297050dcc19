//! What every cluster has, it has again when somebody deleted it: the system's namespaces, the range of its Services'
//! addresses, and the Service by which pods find the API server.

use cluster::{Change, Cluster, Controller, WorkQueue};
use k8s_openapi::api::core::v1::{Endpoints, Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::TypedKind;
use tokio_util::sync::CancellationToken;

const NAME: &str = "kubernetes-service-controller";

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let controller = Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<Namespace>(|queue, change| {
            if matches!(change, Change::Deleted(_)) {
                queue.add(());
            }
        })
        .watches::<ServiceCIDR>(|queue, change| {
            if matches!(change, Change::Deleted(range) if range.metadata.name.as_deref() == Some("kubernetes")) {
                queue.add(());
            }
        })
        .watches::<Service>(|queue, change| {
            if matches!(change, Change::Deleted(service) if is_api(&service.metadata)) {
                queue.add(());
            }
        })
        .watches::<Endpoints>(wake_when_wrong)
        .watches::<EndpointSlice>(wake_when_wrong);
    // what went before anybody listened
    controller.queue().add(());
    controller.run(stop, cluster, |cluster, ()| async move { cluster.ensure_system_objects().await }).await;
}

/// A wrong address is as bad as none.
fn wake_when_wrong<K: TypedKind>(queue: &WorkQueue<()>, change: &Change<K>) {
    if !matches!(change, Change::Added(_)) && is_api(change.object().metadata()) {
        queue.add(());
    }
}

fn is_api(meta: &ObjectMeta) -> bool {
    meta.namespace.as_deref() == Some("default") && meta.name.as_deref() == Some("kubernetes")
}
