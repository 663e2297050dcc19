//! The claims of a pod: which nodes reach their volumes, and what must be promised before the pod is bound (upstream's
//! plugin `VolumeBinding`). Pure.

use crate::filters::Refusal;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::volume::{self, Seeker};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NOT_FOUND: &str = "node(s) didn't find available persistent volumes to bind";
const NOT_REACHED: &str = "node(s) didn't match PersistentVolume's node affinity";
const NO_VOLUME: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

/// What is known of storage: the claims that the pod uses, by name, and all volumes and classes.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    pub claims: BTreeMap<String, PersistentVolumeClaim>,
    pub volumes: Vec<Arc<PersistentVolume>>,
    pub classes: Vec<Arc<StorageClass>>,
}

/// The claims of one pod.
pub(crate) struct PodVolumes<'s> {
    storage: &'s Storage,
    bound: Vec<&'s PersistentVolumeClaim>,
    /// Those that wait for the pod, the one that asks for least first.
    waiting: Vec<&'s PersistentVolumeClaim>,
}

/// What a claim that waits needs before the pod is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Its volume is being made, or bound.
    Made,
    Node {
        claim: String,
    },
    Volume {
        claim: String,
        volume: String,
    },
}

impl Storage {
    fn class_of(&self, claim: &PersistentVolumeClaim) -> Option<&StorageClass> {
        let name = volume::class_of_claim(claim);
        self.classes.iter().find(|class| class.metadata.name.as_deref() == Some(name)).map(|class| &**class)
    }

    fn volume(&self, name: &str) -> Option<&PersistentVolume> {
        self.volumes.iter().find(|of| of.metadata.name.as_deref() == Some(name)).map(|of| &**of)
    }
}

impl<'s> PodVolumes<'s> {
    /// # Errors
    /// Why no node will do, whichever.
    pub(crate) fn of(pod: &Pod, storage: &'s Storage) -> Result<Self, String> {
        let (mut bound, mut waiting, mut is_early) = (Vec::new(), Vec::new(), false);
        for used in volume::claims_of(pod) {
            let name = &used.name;
            let Some(claim) = storage.claims.get(name) else {
                return Err(match used.is_ephemeral {
                    true => format!(
                        "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\""
                    ),
                    false => format!("persistentvolumeclaim \"{name}\" not found"),
                });
            };
            if volume::phase(claim) == "Lost" {
                let of = volume::volume_name(claim);
                return Err(format!(
                    "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{of}\""
                ));
            }
            if claim.metadata.deletion_timestamp.is_some() {
                return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
            }
            if used.is_ephemeral {
                volume::is_for_pod(pod, claim)?;
            }
            let waits = volume::waits_for_consumer(storage.class_of(claim));
            match (volume::is_fully_bound(claim), waits && volume::volume_name(claim).is_empty()) {
                (true, _) => bound.push(claim),
                (false, true) => waiting.push(claim),
                (false, false) => is_early = true,
            }
        }
        if is_early {
            return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
        waiting.sort_by_key(|claim| volume::request(claim));
        Ok(PodVolumes { storage, bound, waiting })
    }

    /// Why the node will not do.
    pub(crate) fn against(&self, node: &Node) -> Vec<Refusal> {
        let mut reasons = BTreeSet::new();
        for claim in &self.bound {
            match self.storage.volume(volume::volume_name(claim)) {
                None => reasons.insert(NO_VOLUME),
                Some(of) if !volume::reaches(of, node) => reasons.insert(NOT_REACHED),
                Some(_) => false,
            };
        }
        if self.plan(node).is_none() {
            reasons.insert(NOT_FOUND);
        }
        reasons.into_iter().map(Refusal::never).collect()
    }

    /// What is left to be done before the pod is bound to the node; nothing, when all claims are bound.
    pub(crate) fn promises(&self, node: &Node) -> Vec<Promise> {
        self.plan(node).unwrap_or_default()
    }

    fn plan(&self, node: &Node) -> Option<Vec<Promise>> {
        let mut taken = BTreeSet::new();
        self.waiting.iter().map(|claim| self.promise(claim, node, &mut taken)).collect()
    }

    fn promise(
        &self,
        claim: &PersistentVolumeClaim,
        node: &Node,
        taken: &mut BTreeSet<String>,
    ) -> Option<Promise> {
        let node_name = node.metadata.name.as_deref().unwrap_or_default();
        // whoever makes its volume makes it there
        if let Some(selected) = volume::annotation(&claim.metadata, volume::SELECTED_NODE) {
            return (selected == node_name).then_some(Promise::Made);
        }
        let name = claim.metadata.name.clone().unwrap_or_default();
        let found =
            volume::find_match(claim, &self.storage.volumes, Seeker::Scheduler { node, taken: &*taken });
        if let Some(of) = found {
            if volume::is_bound_to(of, claim) {
                return Some(Promise::Made);
            }
            let of = of.metadata.name.clone().unwrap_or_default();
            taken.insert(of.clone());
            return Some(Promise::Volume { claim: name, volume: of });
        }
        let class = self.storage.class_of(claim)?;
        let makes = class.provisioner != volume::NO_PROVISIONER && is_allowed(class, node);
        makes.then_some(Promise::Node { claim: name })
    }
}

/// Whether the class makes volumes for nodes like this one.
fn is_allowed(class: &StorageClass, node: &Node) -> bool {
    let terms = class.allowed_topologies.as_deref().unwrap_or_default();
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    terms.is_empty()
        || terms.iter().any(|term| {
            let mut rules = term.match_label_expressions.iter().flatten();
            rules.all(|rule| label(&rule.key).is_some_and(|value| rule.values.contains(value)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn merge(base: &mut Value, more: &Value) {
        match (base, more) {
            (Value::Object(base), Value::Object(more)) => {
                more.iter().for_each(|(k, value)| merge(base.entry(k.clone()).or_insert(Value::Null), value));
            }
            (base, more) => *base = more.clone(),
        }
    }

    fn storage(claim: Option<Value>, volumes: Vec<Value>) -> Storage {
        let claim = claim.map(|more| {
            let mut claim = json!({"metadata": {"name": "data", "namespace": "d", "uid": "u"}, "spec": {"storageClassName": "now",
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
            merge(&mut claim, &more);
            ("data".to_owned(), object(claim))
        });
        let volume = |more: Value| {
            let mut volume = json!({"metadata": {"name": "v"}, "spec": {"storageClassName": "hand",
                "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}});
            merge(&mut volume, &more);
            object(volume)
        };
        let class = |name: &str, by: &str, mode: &str, zone: Option<&str>| {
            let zones =
                zone.map(|zone| json!([{"matchLabelExpressions": [{"key": "zone", "values": [zone]}]}]));
            object(
                json!({"metadata": {"name": name}, "provisioner": by, "volumeBindingMode": mode, "allowedTopologies": zones}),
            )
        };
        Storage {
            claims: claim.into_iter().collect(),
            volumes: volumes.into_iter().map(volume).collect(),
            classes: vec![
                class("now", "p", "Immediate", None),
                class("later", "p", "WaitForFirstConsumer", None),
                class("hand", volume::NO_PROVISIONER, "WaitForFirstConsumer", None),
                class("far", "p", "WaitForFirstConsumer", Some("far")),
            ],
        }
    }

    fn outcome(pod: &Pod, storage: &Storage) -> String {
        let node: Node = object(
            json!({"metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n", "zone": "near"}}}),
        );
        match PodVolumes::of(pod, storage) {
            Err(why) => format!("none: {why}"),
            Ok(volumes) => match volumes.against(&node).first() {
                Some(refusal) => refusal.why.clone(),
                None => format!("{:?}", volumes.promises(&node)),
            },
        }
    }

    #[test]
    fn claims_and_the_nodes_that_reach_their_volumes() {
        let pod: Pod = object(
            json!({"metadata": {"name": "p", "namespace": "d", "uid": "pod"}, "spec": {"containers": [],
            "volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "data"}}]}}),
        );
        let at = |host: &str| {
            json!({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions":
            [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}]}}}})
        };
        let bound = || {
            Some(
                json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": "v"}}),
            )
        };
        let of = |class: &str| Some(json!({"spec": {"storageClassName": class}}));
        let selected = |node: &str| {
            Some(
                json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": node}}, "spec": {"storageClassName": "later"}}),
            )
        };
        let cases = [
            ("no claim", None, vec![], "none: persistentvolumeclaim \"data\" not found"),
            ("unbound", of("now"), vec![], "none: pod has unbound immediate PersistentVolumeClaims"),
            (
                "it names a volume, and waits for it",
                Some(json!({"spec": {"storageClassName": "later", "volumeName": "v"}})),
                vec![],
                "none: pod has unbound immediate PersistentVolumeClaims",
            ),
            (
                "lost",
                Some(json!({"spec": {"volumeName": "v"}, "status": {"phase": "Lost"}})),
                vec![],
                "none: persistentvolumeclaim \"data\" bound to non-existent persistentvolume \"v\"",
            ),
            (
                "on its way out",
                Some(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
                vec![],
                "none: persistentvolumeclaim \"data\" is being deleted",
            ),
            ("bound", bound(), vec![json!({})], "[]"),
            ("bound, here", bound(), vec![at("n")], "[]"),
            ("bound, elsewhere", bound(), vec![at("m")], NOT_REACHED),
            ("bound to nothing", bound(), vec![], NO_VOLUME),
            ("one is made", of("later"), vec![], "[Node { claim: \"data\" }]"),
            ("one is being made", selected("n"), vec![], "[Made]"),
            ("one is being made elsewhere", selected("m"), vec![], NOT_FOUND),
            ("made by hand, here", of("hand"), vec![at("n")], "[Volume { claim: \"data\", volume: \"v\" }]"),
            ("made by hand, elsewhere", of("hand"), vec![at("m")], NOT_FOUND),
            ("none is made by hand", of("hand"), vec![], NOT_FOUND),
            ("not in this zone", of("far"), vec![], NOT_FOUND),
        ];
        for (name, claim, volumes, want) in cases {
            assert_eq!(outcome(&pod, &storage(claim, volumes)), want, "{name}");
        }
    }

    #[test]
    fn a_claim_of_a_pods_own() {
        let pod: Pod = object(
            json!({"metadata": {"name": "p", "namespace": "d", "uid": "pod"}, "spec": {"containers": [],
            "volumes": [{"name": "x", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]}}),
        );
        let mut others = storage(None, vec![]);
        let waits =
            "none: waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-x\"";
        assert_eq!(outcome(&pod, &others), waits);
        others.claims.insert(
            "p-x".to_owned(),
            object(json!({"metadata": {"name": "p-x", "namespace": "d"}, "spec": {}})),
        );
        let foreign = "none: PVC d/p-x was not created for pod d/p (pod is not owner)";
        assert_eq!(outcome(&pod, &others), foreign);
    }

    #[test]
    fn two_claims_are_not_given_the_same_volume() {
        let pod: Pod = object(
            json!({"metadata": {"name": "p", "namespace": "d"}, "spec": {"containers": [], "volumes": [
            {"name": "x", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "y", "persistentVolumeClaim": {"claimName": "more"}}]}}),
        );
        let mut one = storage(Some(json!({"spec": {"storageClassName": "hand"}})), vec![json!({})]);
        let mut more = one.claims["data"].clone();
        more.metadata.name = Some("more".to_owned());
        more.metadata.uid = Some("other".to_owned());
        one.claims.insert("more".to_owned(), more);
        assert_eq!(outcome(&pod, &one), NOT_FOUND);
    }
}
