//! Which volumes drivers (CSI) attach for which pods, where a driver says how many it can attach to a node, and how much they
//! say that they can still make.

use crate::pod_info::PodInfo;
use crate::pod_volumes::{Attached, Attachment, Capacities};
use api::ObjectKey;
use cluster::Cluster;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass};
use kinds::volume;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// As the pod finds it that is to be placed; nothing, where no driver says how many it can attach.
pub(crate) fn attached<'p>(
    cluster: &Cluster,
    pod: &Pod,
    placed: impl Iterator<Item = &'p Arc<PodInfo>>,
) -> Attached {
    let limits: HashMap<String, BTreeMap<String, i64>> =
        cluster.informer::<CSINode>().list(None).iter().filter_map(limits_of).collect();
    if limits.is_empty() {
        return Attached::default();
    }
    let is_limited = |pod: &&Arc<PodInfo>| {
        let node = pod.pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        node.is_some_and(|node| limits.contains_key(node))
    };
    let of_pods = placed.filter(is_limited).map(|pod| (pod.id.clone(), attachments(cluster, &pod.pod)));
    let of_pods = of_pods.filter(|(_, attached)| !attached.is_empty()).collect();
    Attached { of_pods, own: attachments(cluster, pod), limits }
}

/// What the drivers say that are to be asked for it.
pub(crate) fn capacities(cluster: &Cluster) -> Capacities {
    let drivers = cluster.informer::<CSIDriver>().list(None);
    let tell = drivers.iter().filter(|driver| driver.spec.storage_capacity == Some(true));
    let drivers: std::collections::BTreeSet<String> =
        tell.filter_map(|driver| driver.metadata.name.clone()).collect();
    let all = match drivers.is_empty() {
        true => Vec::new(),
        false => cluster.informer::<CSIStorageCapacity>().list(None),
    };
    Capacities { drivers, all }
}

/// The node's name, and how many volumes each driver can attach there.
fn limits_of(node: &Arc<CSINode>) -> Option<(String, BTreeMap<String, i64>)> {
    let count = |driver: &k8s_openapi::api::storage::v1::CSINodeDriver| {
        let most = driver.allocatable.as_ref()?.count?;
        Some((driver.name.clone(), i64::from(most)))
    };
    let limits: BTreeMap<String, i64> = node.spec.drivers.iter().filter_map(count).collect();
    (!limits.is_empty()).then(|| (node.metadata.name.clone().unwrap_or_default(), limits))
}

/// Of its claims alone: what lives with the pod (`csi` in its own volumes) is not attached, and upstream does not count it.
fn attachments(cluster: &Cluster, pod: &Pod) -> Vec<Attachment> {
    let namespace = pod.metadata.namespace.as_deref();
    let claims = volume::claims_of(pod).into_iter().filter_map(|used| {
        let claim =
            cluster.informer::<PersistentVolumeClaim>().get(&ObjectKey::new(namespace, &used.name))?;
        of_claim(cluster, &claim)
    });
    claims.collect()
}

/// The volume's handle; of one that is not made yet, its claim stands for it.
fn of_claim(cluster: &Cluster, claim: &PersistentVolumeClaim) -> Option<Attachment> {
    let name = volume::volume_name(claim);
    if name.is_empty() {
        let class =
            cluster.informer::<StorageClass>().get(&ObjectKey::cluster(volume::class_of_claim(claim)))?;
        return Some((class.provisioner.clone(), kinds::key_of(&claim.metadata).to_string()));
    }
    let of = cluster.informer::<PersistentVolume>().get(&ObjectKey::cluster(name))?;
    let csi = of.spec.as_ref()?.csi.as_ref()?;
    Some((csi.driver.clone(), csi.volume_handle.clone()))
}
