//! Which volumes drivers (CSI) attach for the pods that are on nodes, kept pod by pod ([`VolumesInUse`]), and how many a
//! driver says that it can attach to a node; and how much drivers say that they can still make.

use crate::pod_info::PodInfo;
use crate::pod_volumes::{Attached, Attachment, Capacities};
use api::ObjectKey;
use cluster::Cluster;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSINodeDriver, CSIStorageCapacity, StorageClass};
use kinds::{key_of, volume};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Told of each change, so that no decision walks over all pods.
#[derive(Debug, Default)]
pub(crate) struct VolumesInUse {
    /// By node and driver.
    limits: Arc<HashMap<String, BTreeMap<String, i64>>>,
    claims: HashMap<ObjectKey, Claim>,
    /// Those of drivers.
    volumes: HashMap<String, Attachment>,
    /// By the volume's name: who names it.
    claims_of_volumes: HashMap<String, BTreeSet<ObjectKey>>,
    /// Who makes the volumes of each class.
    provisioners: HashMap<String, String>,
    /// By the claim: ids of the pods that use it.
    users: HashMap<ObjectKey, BTreeSet<String>>,
    /// By the pod's id.
    claims_of_pods: HashMap<String, Vec<ObjectKey>>,
    of_pods: Arc<HashMap<String, Vec<Attachment>>>,
}

/// What decides which volume it is.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    volume: String,
    class: String,
}

impl VolumesInUse {
    /// As the pod finds it that is to be placed; nothing, where no driver says how many it can attach.
    pub(crate) fn attached(&self, pod: &Pod) -> Attached {
        if self.limits.is_empty() {
            return Attached::default();
        }
        Attached {
            limits: self.limits.clone(),
            of_pods: self.of_pods.clone(),
            own: self.of_claims(&claims(pod)),
        }
    }

    /// A pod that is on a node.
    pub(crate) fn pod_is(&mut self, pod: &PodInfo) {
        let claims = claims(&pod.pod);
        if self.claims_of_pods.get(&pod.id).is_some_and(|known| *known == claims) {
            return;
        }
        self.pod_is_gone(&pod.id);
        if claims.is_empty() {
            return;
        }
        for claim in &claims {
            self.users.entry(claim.clone()).or_default().insert(pod.id.clone());
        }
        self.claims_of_pods.insert(pod.id.clone(), claims);
        self.count(&pod.id);
    }

    pub(crate) fn pod_is_gone(&mut self, id: &str) {
        for claim in self.claims_of_pods.remove(id).unwrap_or_default() {
            if let Some(users) = self.users.get_mut(&claim) {
                users.remove(id);
                if users.is_empty() {
                    self.users.remove(&claim);
                }
            }
        }
        if self.of_pods.contains_key(id) {
            Arc::make_mut(&mut self.of_pods).remove(id);
        }
    }

    /// `is_gone`, or is there as it says.
    pub(crate) fn claim_is(&mut self, claim: &PersistentVolumeClaim, is_gone: bool) {
        let key = key_of(&claim.metadata);
        let new = (!is_gone).then(|| Claim {
            volume: volume::volume_name(claim).to_owned(),
            class: volume::class_of_claim(claim).to_owned(),
        });
        if self.claims.get(&key) == new.as_ref() {
            return;
        }
        if let Some(Claim { volume, .. }) = self.claims.remove(&key)
            && let Some(claims) = self.claims_of_volumes.get_mut(&volume)
        {
            claims.remove(&key);
            if claims.is_empty() {
                self.claims_of_volumes.remove(&volume);
            }
        }
        if let Some(new) = new {
            if !new.volume.is_empty() {
                self.claims_of_volumes.entry(new.volume.clone()).or_default().insert(key.clone());
            }
            self.claims.insert(key.clone(), new);
        }
        self.count_users(&key);
    }

    /// `is_gone`, or is there as it says.
    pub(crate) fn volume_is(&mut self, of: &PersistentVolume, is_gone: bool) {
        let name = of.metadata.name.clone().unwrap_or_default();
        let csi = of.spec.as_ref().and_then(|spec| spec.csi.as_ref()).filter(|_| !is_gone);
        let new = csi.map(|csi| (csi.driver.clone(), csi.volume_handle.clone()));
        if self.volumes.get(&name) == new.as_ref() {
            return;
        }
        let claims: Vec<ObjectKey> =
            self.claims_of_volumes.get(&name).into_iter().flatten().cloned().collect();
        set(&mut self.volumes, name, new);
        claims.iter().for_each(|claim| self.count_users(claim));
    }

    /// `is_gone`, or is there as it says.
    pub(crate) fn class_is(&mut self, class: &StorageClass, is_gone: bool) {
        let name = class.metadata.name.clone().unwrap_or_default();
        let new = (!is_gone).then(|| class.provisioner.clone());
        if self.provisioners.get(&name) == new.as_ref() {
            return;
        }
        let waits = |claim: &Claim| claim.volume.is_empty() && claim.class == name;
        let waiting = self.claims.iter().filter(|(_, claim)| waits(claim));
        let waiting: Vec<ObjectKey> = waiting.map(|(key, _)| key.clone()).collect();
        set(&mut self.provisioners, name, new);
        waiting.iter().for_each(|claim| self.count_users(claim));
    }

    /// `is_gone`, or is there as it says.
    pub(crate) fn node_is(&mut self, node: &CSINode, is_gone: bool) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let new = limits_of(node).filter(|_| !is_gone);
        if self.limits.get(&name) != new.as_ref() {
            set(Arc::make_mut(&mut self.limits), name, new);
        }
    }

    fn count_users(&mut self, claim: &ObjectKey) {
        let users: Vec<String> = self.users.get(claim).into_iter().flatten().cloned().collect();
        users.iter().for_each(|id| self.count(id));
    }

    fn count(&mut self, id: &str) {
        let claims = self.claims_of_pods.get(id).map(Vec::as_slice).unwrap_or_default();
        let attached = self.of_claims(claims);
        let of_pods = Arc::make_mut(&mut self.of_pods);
        set(of_pods, id.to_owned(), Some(attached).filter(|attached| !attached.is_empty()));
    }

    fn of_claims(&self, claims: &[ObjectKey]) -> Vec<Attachment> {
        claims.iter().filter_map(|claim| self.of_claim(claim)).collect()
    }

    /// The volume's handle; of one that is not made yet, its claim stands for it.
    fn of_claim(&self, key: &ObjectKey) -> Option<Attachment> {
        let claim = self.claims.get(key)?;
        match claim.volume.is_empty() {
            true => Some((self.provisioners.get(&claim.class)?.clone(), key.to_string())),
            false => self.volumes.get(&claim.volume).cloned(),
        }
    }
}

fn set<V>(all: &mut HashMap<String, V>, key: String, value: Option<V>) {
    match value {
        Some(value) => drop(all.insert(key, value)),
        None => drop(all.remove(&key)),
    }
}

/// Of its claims alone: what lives with the pod (`csi` in its own volumes) is not attached, and upstream does not count it.
fn claims(pod: &Pod) -> Vec<ObjectKey> {
    let namespace = pod.metadata.namespace.as_deref();
    volume::claims_of(pod).iter().map(|used| ObjectKey::new(namespace, &used.name)).collect()
}

/// What the drivers say that are to be asked for it.
pub(crate) fn capacities(cluster: &Cluster) -> Capacities {
    let drivers = cluster.informer::<CSIDriver>().list(None);
    let tell = drivers.iter().filter(|driver| driver.spec.storage_capacity == Some(true));
    let drivers: BTreeSet<String> = tell.filter_map(|driver| driver.metadata.name.clone()).collect();
    let all = match drivers.is_empty() {
        true => Vec::new(),
        false => cluster.informer::<CSIStorageCapacity>().list(None),
    };
    Capacities { drivers, all }
}

/// How many volumes each driver can attach there.
fn limits_of(node: &CSINode) -> Option<BTreeMap<String, i64>> {
    let count = |driver: &CSINodeDriver| {
        let most = driver.allocatable.as_ref()?.count?;
        Some((driver.name.clone(), i64::from(most)))
    };
    let limits: BTreeMap<String, i64> = node.spec.drivers.iter().filter_map(count).collect();
    (!limits.is_empty()).then_some(limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use testkit::objects;

    fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn claim(volume: &str) -> PersistentVolumeClaim {
        object(json!({"metadata": {"name": "data", "namespace": "default"},
            "spec": {"volumeName": volume, "storageClassName": "fast"}}))
    }

    fn user(name: &str) -> PodInfo {
        let uses = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]});
        PodInfo::of(Arc::new(objects::pod(name).uid(name).spec(&uses).build()))
    }

    #[test]
    fn what_is_attached_follows_pods_claims_volumes_and_classes() {
        let class: StorageClass = object(json!({"metadata": {"name": "fast"}, "provisioner": "d"}));
        let volume = |source: Value| -> PersistentVolume {
            object(json!({"metadata": {"name": "v"}, "spec": source}))
        };
        let (of_driver, of_host) = (
            volume(json!({"csi": {"driver": "d", "volumeHandle": "h"}})),
            volume(json!({"hostPath": {"path": "/x"}})),
        );
        let node: CSINode = object(json!({"metadata": {"name": "n"},
            "spec": {"drivers": [{"name": "d", "nodeID": "n", "allocatable": {"count": 2}}]}}));
        let check = |kept: &VolumesInUse, name: &str, want: Option<&str>| {
            // of one on a node, and of one that is to be placed
            let found = kept.attached(&user("b").pod);
            let want: Vec<Attachment> =
                want.map(|handle| ("d".to_owned(), handle.to_owned())).into_iter().collect();
            assert_eq!(found.of_pods.get("a").cloned().unwrap_or_default(), want, "{name}");
            assert_eq!(found.own, want, "{name}");
        };
        let mut kept = VolumesInUse::default();
        kept.pod_is(&user("a"));
        kept.node_is(&node, false);
        check(&kept, "a claim that nobody knows", None);
        kept.claim_is(&claim(""), false);
        check(&kept, "a claim of a class that nobody knows", None);
        kept.class_is(&class, false);
        check(&kept, "its class comes", Some("default/data"));
        kept.claim_is(&claim("v"), false);
        check(&kept, "it is bound", None);
        kept.volume_is(&of_driver, false);
        check(&kept, "its volume comes", Some("h"));
        kept.pod_is(&user("a"));
        check(&kept, "the pod says the same again", Some("h"));
        kept.volume_is(&of_host, false);
        check(&kept, "no driver's volume", None);
        kept.volume_is(&of_driver, false);
        check(&kept, "a driver's again", Some("h"));
        kept.volume_is(&of_driver, true);
        check(&kept, "the volume goes", None);
        kept.claim_is(&claim(""), false);
        check(&kept, "it is not bound any more", Some("default/data"));
        kept.class_is(&class, true);
        check(&kept, "the class goes", None);
        kept.claim_is(&claim(""), true);
        kept.pod_is_gone("a");
        // nothing is kept of what is gone
        assert!(kept.users.is_empty() && kept.claims_of_pods.is_empty() && kept.claims_of_volumes.is_empty());
        assert!(kept.claims.is_empty() && kept.volumes.is_empty() && kept.provisioners.is_empty());
        kept.node_is(&node, true);
        assert!(kept.limits.is_empty());
    }
}
