//! Each ClusterIP has its IPAddress, also after a user deleted it, and no other says that a Service holds it: upstream's
//! repair of addresses. Services and their addresses are written together; nothing here runs for those.

use api::ObjectKey;
use cluster::{Cluster, Controller};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::IPAddress;
use kinds::key_of;
use std::net::Ipv4Addr;
use tokio_util::sync::CancellationToken;

const NAME: &str = "ip-address-repair";

/// A Service, and an address that it holds, or is said to hold.
type Holding = (ObjectKey, Ipv4Addr);

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let addresses = cluster.informer::<IPAddress>();
    Controller::<Holding>::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<Service>(move |queue, change| {
            // without one: stored by a version that knew no such objects
            let there =
                |address: &Ipv4Addr| addresses.get(&ObjectKey::cluster(&address.to_string())).is_some();
            let holding = of_service(change.object());
            holding.filter(|(_, address)| !there(address)).into_iter().for_each(|holding| queue.add(holding));
        })
        .watches::<IPAddress>(|queue, change| {
            of_address(change.object()).into_iter().for_each(|holding| queue.add(holding));
        })
        .run(stop, cluster, |cluster, (service, address)| async move {
            cluster.reconcile_ip_address(&service, address).await
        })
        .await;
}

fn of_service(service: &Service) -> Option<Holding> {
    let address = service.spec.as_ref()?.cluster_ip.as_deref()?.parse().ok()?;
    Some((key_of(&service.metadata), address))
}

fn of_address(made: &IPAddress) -> Option<Holding> {
    let parent = &made.spec.parent_ref;
    let is_service = parent.group.as_deref().unwrap_or_default().is_empty() && parent.resource == "services";
    let address = made.metadata.name.as_deref()?.parse().ok()?;
    is_service.then(|| {
        (ObjectKey::namespaced(parent.namespace.as_deref().unwrap_or_default(), &parent.name), address)
    })
}
