//! Who waits for what: refused pods by who refused them. A change costs what those are whom it may help, and not what all
//! are that wait. Pure.

use crate::hints::Event;
use crate::node::is_cordoned;
use crate::plugin::Plugin;
use crate::pod_info::PodInfo;
use api::ObjectKey;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kinds::volume;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Who refuses a pod because of its claims.
const OF_VOLUMES: [Plugin; 4] =
    [Plugin::VolumeRestrictions, Plugin::NodeVolumeLimits, Plugin::VolumeBinding, Plugin::VolumeZone];

#[derive(Debug, Default)]
pub(crate) struct WaitIndex {
    refused: BTreeMap<Plugin, BTreeSet<ObjectKey>>,
    /// There was no node that could have refused them.
    without_node: BTreeSet<ObjectKey>,
    /// Who uses a claim, of those that [`OF_VOLUMES`] refused.
    by_claim: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
}

/// Whom a change may help of those that a plugin has refused, as far as can be said without looking at them.
#[derive(Debug, PartialEq, Eq)]
enum Reach<'e> {
    Nobody,
    /// Who uses it.
    Claim {
        namespace: &'e str,
        name: &'e str,
    },
    /// Who is in it.
    Namespace(&'e str),
    Everybody,
}

impl WaitIndex {
    pub(crate) fn insert(&mut self, key: &ObjectKey, pod: &PodInfo, refused_by: &BTreeSet<Plugin>) {
        if refused_by.is_empty() {
            self.without_node.insert(key.clone());
        }
        for plugin in refused_by {
            self.refused.entry(*plugin).or_default().insert(key.clone());
        }
        for claim in claims(pod, refused_by) {
            self.by_claim.entry(claim).or_default().insert(key.clone());
        }
    }

    /// With what it was inserted with.
    pub(crate) fn remove(&mut self, key: &ObjectKey, pod: &PodInfo, refused_by: &BTreeSet<Plugin>) {
        self.without_node.remove(key);
        for plugin in refused_by {
            if let Some(keys) = self.refused.get_mut(plugin) {
                keys.remove(key);
            }
        }
        for claim in claims(pod, refused_by) {
            if let Entry::Occupied(mut users) = self.by_claim.entry(claim) {
                users.get_mut().remove(key);
                if users.get().is_empty() {
                    users.remove();
                }
            }
        }
    }

    pub(crate) fn without_node(&self) -> impl Iterator<Item = &ObjectKey> {
        self.without_node.iter()
    }

    /// Who is to be asked whether the change helps ([`crate::hints::may_help`]), once for each plugin that has refused him. The
    /// change is none of his own.
    pub(crate) fn reached(&self, event: &Event) -> Vec<(Plugin, &ObjectKey)> {
        let mut reached = Vec::new();
        for (plugin, keys) in &self.refused {
            let add = |key| reached.push((*plugin, key));
            match reach(*plugin, event) {
                Reach::Nobody => {}
                Reach::Claim { namespace, name } => {
                    let users = self.by_claim.get(&ObjectKey::namespaced(namespace, name));
                    users.into_iter().flatten().filter(|key| keys.contains(*key)).for_each(add);
                }
                Reach::Namespace(namespace) => keys
                    .range(ObjectKey::namespaced(namespace, "")..)
                    .take_while(|key| key.namespace.as_deref() == Some(namespace))
                    .for_each(add),
                Reach::Everybody => keys.iter().for_each(add),
            }
        }
        reached
    }
}

fn claims(pod: &PodInfo, refused_by: &BTreeSet<Plugin>) -> Vec<ObjectKey> {
    if !OF_VOLUMES.iter().any(|plugin| refused_by.contains(plugin)) {
        return Vec::new();
    }
    let key = |name: &str| ObjectKey::namespaced(&pod.likeness.namespace, name);
    volume::claims_of(&pod.pod).iter().map(|claim| key(&claim.name)).collect()
}

fn reach(plugin: Plugin, event: &Event) -> Reach<'_> {
    let relabelled = |old: &Node, new: &Node| old.metadata.labels != new.metadata.labels;
    let is_about_anybody = match (plugin, event) {
        (_, Event::Claim { namespace, name }) if OF_VOLUMES.contains(&plugin) => {
            return Reach::Claim { namespace, name };
        }
        (Plugin::PodTopologySpread, Event::PodPlaced(other) | Event::PodGone(other)) => {
            return Reach::Namespace(&other.likeness.namespace);
        }
        (Plugin::PodTopologySpread, Event::PodChanged { old, new }) if old.likeness != new.likeness => {
            return Reach::Namespace(&new.likeness.namespace);
        }
        (Plugin::NodeUnschedulable, Event::NodeAdded(node)) => !is_cordoned(node),
        (Plugin::NodeUnschedulable, Event::NodeChanged { old, new }) => is_cordoned(old) && !is_cordoned(new),
        (Plugin::TaintToleration, Event::NodeChanged { old, new }) => taints(old) != taints(new),
        (Plugin::NodeDeclaredFeatures, Event::NodeChanged { old, new }) => features(old) != features(new),
        (Plugin::NodeResourcesFit, Event::NodeChanged { old, new }) => amounts(old) != amounts(new),
        (Plugin::PodTopologySpread, Event::NodeChanged { old, new }) => {
            relabelled(old, new) || taints(old) != taints(new)
        }
        (
            Plugin::NodeAffinity | Plugin::VolumeBinding | Plugin::VolumeZone | Plugin::InterPodAffinity,
            Event::NodeChanged { old, new },
        ) => relabelled(old, new),
        (Plugin::NodePorts, Event::PodGone(other)) => !other.ports.is_empty(),
        (Plugin::VolumeRestrictions | Plugin::NodeVolumeLimits, Event::PodGone(other)) => {
            other.pod.spec.as_ref().is_some_and(|spec| spec.volumes.is_some())
        }
        (Plugin::NodeResourcesFit, Event::PodChanged { old, new }) => old.occupied != new.occupied,
        (Plugin::NodeResourcesFit, Event::PodGone(_))
        | (
            Plugin::InterPodAffinity,
            Event::PodPlaced(_) | Event::PodChanged { .. } | Event::PodGone(_) | Event::Namespace,
        )
        | (Plugin::PodTopologySpread, Event::NodeRemoved(_))
        | (Plugin::VolumeBinding | Plugin::VolumeZone, Event::Volume | Event::Class)
        | (Plugin::VolumeBinding | Plugin::NodeVolumeLimits, Event::Attachment) => true,
        (Plugin::VolumeRestrictions, Event::NodeAdded(_)) => false,
        (_, Event::NodeAdded(_)) => true,
        _ => false,
    };
    if is_about_anybody { Reach::Everybody } else { Reach::Nobody }
}

fn taints(node: &Node) -> Option<&Vec<Taint>> {
    node.spec.as_ref()?.taints.as_ref()
}

fn features(node: &Node) -> Option<&Vec<String>> {
    node.status.as_ref()?.declared_features.as_ref()
}

fn amounts(node: &Node) -> Option<&BTreeMap<String, Quantity>> {
    node.status.as_ref()?.allocatable.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use crate::hints::may_help;
    use crate::terms::Namespaces;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use testkit::objects;

    const ALL: [Plugin; 13] = [
        Plugin::SchedulingGates,
        Plugin::NodeUnschedulable,
        Plugin::TaintToleration,
        Plugin::NodeAffinity,
        Plugin::NodeDeclaredFeatures,
        Plugin::NodePorts,
        Plugin::NodeResourcesFit,
        Plugin::VolumeRestrictions,
        Plugin::NodeVolumeLimits,
        Plugin::VolumeBinding,
        Plugin::VolumeZone,
        Plugin::PodTopologySpread,
        Plugin::InterPodAffinity,
    ];

    fn node(more: Value) -> Arc<Node> {
        Arc::new(objects::node("n").with(&more).build())
    }

    fn pod(namespace: &str, name: &str, more: Value) -> Arc<PodInfo> {
        Arc::new(PodInfo::of(Arc::new(objects::pod(name).namespace(namespace).uid(name).with(&more).build())))
    }

    /// It asks for something of each plug-in.
    fn demanding() -> Value {
        let term = json!({"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "disk"});
        json!({"metadata": {"labels": {"app": "db"}}, "spec": {
            "nodeSelector": {"disk": "ssd"},
            "affinity": {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]},
                "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "disk",
                "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "db"}}}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}},
                "restartPolicyRules": [{"action": "RestartAllContainers"}],
                "ports": [{"containerPort": 80, "hostPort": 80}]}]}})
    }

    fn events() -> Vec<(&'static str, Event)> {
        let none = || node(json!({}));
        let changed = |old: Arc<Node>, new: Arc<Node>| Event::NodeChanged { old, new };
        let cordoned = node(json!({"spec": {"unschedulable": true}}));
        let tainted = node(json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}));
        let labelled = node(json!({"metadata": {"labels": {"disk": "ssd"}}}));
        let small = node(json!({"status": {"allocatable": {"cpu": "500m"}}}));
        let able = node(json!({"status": {"declaredFeatures": ["RestartAllContainersOnContainerExits"]}}));
        let claim = |name: &str| Event::Claim { namespace: "shop".to_owned(), name: name.to_owned() };
        let other = || pod("shop", "other", demanding());
        let lesser = pod("shop", "other", json!({}));
        vec![
            ("a node comes", Event::NodeAdded(none())),
            ("a node with the label comes", Event::NodeAdded(labelled.clone())),
            ("a node goes", Event::NodeRemoved(labelled.clone())),
            ("uncordoned", changed(cordoned, none())),
            ("a taint goes", changed(tainted, none())),
            ("a label comes", changed(none(), labelled)),
            ("it grows", changed(small, none())),
            ("a feature comes", changed(none(), able)),
            ("a pod comes", Event::PodPlaced(other())),
            ("a pod changes", Event::PodChanged { old: other(), new: lesser.clone() }),
            ("a pod becomes like it", Event::PodChanged { old: lesser, new: other() }),
            ("a pod goes", Event::PodGone(other())),
            ("its claim", claim("data")),
            ("another claim", claim("other")),
            ("a volume", Event::Volume),
            ("a class", Event::Class),
            ("a namespace", Event::Namespace),
            ("an attachment", Event::Attachment),
        ]
    }

    /// The plug-ins that have refused one of `waiting` of whom the event may be about.
    fn reached(waiting: &Arc<PodInfo>, event: &Event) -> Vec<Plugin> {
        let mut index = WaitIndex::default();
        let key = kinds::key_of(&waiting.pod.metadata);
        index.insert(&key, waiting, &ALL.into());
        let reached = index.reached(event).into_iter().map(|(plugin, _)| plugin).collect();
        index.remove(&key, waiting, &ALL.into());
        assert!(index.reached(event).is_empty() && index.by_claim.is_empty());
        reached
    }

    #[test]
    fn whom_a_change_helps_is_asked() {
        let waiting = pod("shop", "waiting", demanding());
        for (name, event) in events() {
            let reached = reached(&waiting, &event);
            let helps = |plugin: &Plugin| {
                may_help(*plugin, &waiting, &event, &Namespaces::new(), &Profile::default())
            };
            let missed: Vec<&Plugin> =
                ALL.iter().filter(|plugin| helps(plugin) && !reached.contains(plugin)).collect();
            assert!(missed.is_empty(), "{name}: {missed:?}");
        }
    }

    #[test]
    fn whom_a_change_can_not_help_is_not_asked() {
        use Plugin::{InterPodAffinity, NodeResourcesFit, NodeUnschedulable, NodeVolumeLimits};
        use Plugin::{PodTopologySpread, TaintToleration, VolumeBinding, VolumeRestrictions, VolumeZone};
        let waiting = pod("shop", "waiting", demanding());
        let elsewhere = |more: Value| pod("elsewhere", "other", more);
        let claims = [VolumeRestrictions, NodeVolumeLimits, VolumeBinding, VolumeZone];
        let of_claim =
            |namespace: &str| Event::Claim { namespace: namespace.to_owned(), name: "data".to_owned() };
        let tainted = node(json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}));
        let cordoned = || node(json!({"spec": {"unschedulable": true}}));
        for (name, event, want) in [
            ("its claim", of_claim("shop"), &claims[..]),
            ("one of its name", of_claim("elsewhere"), &[]),
            (
                "a pod without ports and volumes",
                Event::PodGone(elsewhere(json!({}))),
                &[NodeResourcesFit, InterPodAffinity],
            ),
            (
                "another pod of its namespace",
                Event::PodPlaced(pod("shop", "other", json!({}))),
                &[PodTopologySpread, InterPodAffinity],
            ),
            (
                "a taint",
                Event::NodeChanged { old: tainted, new: node(json!({})) },
                &[TaintToleration, PodTopologySpread],
            ),
            ("cordoned", Event::NodeChanged { old: node(json!({})), new: cordoned() }, &[]),
            (
                "uncordoned",
                Event::NodeChanged { old: cordoned(), new: node(json!({})) },
                &[NodeUnschedulable],
            ),
        ] {
            assert_eq!(reached(&waiting, &event), want, "{name}");
        }
    }

    /// A thousand pods that wait for claims of their own, and as many for whom there was no node.
    #[test]
    fn a_claim_is_asked_for_by_who_uses_it() {
        let mut index = WaitIndex::default();
        for n in 0..1000 {
            let claim = json!({"name": "v", "persistentVolumeClaim": {"claimName": format!("data-{n}")}});
            let waiting = pod("shop", &format!("p{n}"), json!({"spec": {"volumes": [claim]}}));
            let key = kinds::key_of(&waiting.pod.metadata);
            index.insert(&key, &waiting, &[Plugin::VolumeBinding].into());
            index.insert(&ObjectKey::namespaced("none", &key.name), &waiting, &BTreeSet::new());
        }
        let event = Event::Claim { namespace: "shop".to_owned(), name: "data-7".to_owned() };
        let p7 = ObjectKey::namespaced("shop", "p7");
        assert_eq!(index.reached(&event), [(Plugin::VolumeBinding, &p7)]);
        assert_eq!(index.without_node().count(), 1000);
        assert!(index.reached(&Event::Namespace).is_empty());
    }
}
