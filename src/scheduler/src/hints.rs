//! What may help a pod that waits: upstream's queueing hints. Who refused it says which changes make a difference to it; only
//! those wake it. Pure.

use crate::Profile;
use crate::filters::cordon;
use crate::node::{allocatable, is_cordoned, is_hard};
use crate::plugin::Plugin;
use crate::pod_info::PodInfo;
use crate::resources::Resources;
use crate::spread::{self, DefaultSpread};
use crate::terms::{Namespaces, Term};
use k8s_openapi::api::core::v1::Node;
use kinds::{declared_features, node_affinity, pod as ask, volume};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) enum Event {
    NodeAdded(Arc<Node>),
    NodeChanged {
        old: Arc<Node>,
        new: Arc<Node>,
    },
    NodeRemoved(Arc<Node>),
    /// A pod is on a node now.
    PodPlaced(Arc<PodInfo>),
    /// One that is on a node.
    PodChanged {
        old: Arc<PodInfo>,
        new: Arc<PodInfo>,
    },
    /// One that was on a node, or had made room for itself on one.
    PodGone(Arc<PodInfo>),
    /// The pod itself that waits.
    Changed {
        old: Arc<PodInfo>,
        new: Arc<PodInfo>,
    },
    Claim {
        namespace: String,
        name: String,
    },
    Volume,
    Class,
    Namespace,
    /// What a driver can do on a node, or is asked to do there.
    Attachment,
}

/// Whether the change may make a pod placeable that the plugin has refused; `profile` is the pod's.
pub(crate) fn may_help(
    plugin: Plugin,
    pod: &PodInfo,
    event: &Event,
    namespaces: &Namespaces,
    profile: &Profile,
) -> bool {
    let spec = pod.pod.spec.as_ref();
    match plugin {
        Plugin::SchedulingGates => matches!(event, Event::Changed { new, .. } if !is_gated(new)),
        Plugin::NodeUnschedulable => match event {
            Event::NodeAdded(node) => !is_cordoned(node),
            Event::NodeChanged { old, new } => is_cordoned(old) && !is_cordoned(new),
            Event::Changed { new, .. } => ask::tolerates(&new.pod, &cordon()),
            _ => false,
        },
        Plugin::TaintToleration => match event {
            Event::NodeAdded(node) => bears(pod, node),
            Event::NodeChanged { old, new } => !bears(pod, old) && bears(pod, new),
            Event::Changed { old, new } => tolerations(old) != tolerations(new),
            _ => false,
        },
        Plugin::NodeAffinity => {
            let added = profile.args.added_affinity.as_ref();
            let fits = |node: &Node| {
                node_affinity::allows(added, node) && spec.is_none_or(|spec| node_affinity::fits(spec, node))
            };
            match event {
                Event::NodeAdded(node) => fits(node),
                Event::NodeChanged { old, new } => !fits(old) && fits(new),
                _ => false,
            }
        }
        Plugin::NodeDeclaredFeatures => {
            let lacks = |node: &Node| !declared_features::missing(&pod.pod, node).is_empty();
            match event {
                Event::NodeAdded(node) => !lacks(node),
                Event::NodeChanged { old, new } => lacks(old) && !lacks(new),
                _ => false,
            }
        }
        Plugin::NodePorts => match event {
            Event::NodeAdded(_) => true,
            Event::PodGone(other) => other.ports.conflict(&pod.ports),
            _ => false,
        },
        Plugin::NodeResourcesFit => resources(pod, event, &profile.args.fit.asked(pod)),
        Plugin::PodTopologySpread => spreading(pod, event, &profile.args.spread),
        Plugin::InterPodAffinity => others(pod, event, namespaces),
        Plugin::VolumeRestrictions => match event {
            Event::Claim { .. } => is_own_claim(pod, event),
            Event::PodGone(other) => other.pod.spec.as_ref().is_some_and(|spec| spec.volumes.is_some()),
            _ => false,
        },
        Plugin::NodeVolumeLimits => match event {
            Event::NodeAdded(_) | Event::Attachment => true,
            Event::Claim { .. } => is_own_claim(pod, event),
            Event::PodGone(other) => other.pod.spec.as_ref().is_some_and(|spec| spec.volumes.is_some()),
            _ => false,
        },
        Plugin::VolumeBinding | Plugin::VolumeZone => match event {
            Event::NodeAdded(_) | Event::Volume | Event::Class => true,
            Event::NodeChanged { old, new } => old.metadata.labels != new.metadata.labels,
            Event::Attachment => plugin == Plugin::VolumeBinding,
            Event::Claim { .. } => is_own_claim(pod, event),
            _ => false,
        },
        // they refuse nobody
        Plugin::PrioritySort
        | Plugin::NodeName
        | Plugin::DefaultPreemption
        | Plugin::NodeResourcesBalancedAllocation
        | Plugin::ImageLocality
        | Plugin::DefaultBinder => false,
    }
}

pub(crate) fn is_gated(pod: &PodInfo) -> bool {
    let gates = pod.pod.spec.as_ref().and_then(|spec| spec.scheduling_gates.as_ref());
    gates.is_some_and(|gates| !gates.is_empty())
}

fn tolerations(pod: &PodInfo) -> Option<&Vec<k8s_openapi::api::core::v1::Toleration>> {
    pod.pod.spec.as_ref()?.tolerations.as_ref()
}

/// Whether it tolerates all that keeps pods away.
fn bears(pod: &PodInfo, node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.into_iter().filter(|taint| is_hard(taint)).all(|taint| ask::tolerates(&pod.pod, taint))
}

fn is_own_claim(pod: &PodInfo, event: &Event) -> bool {
    let Event::Claim { namespace, name } = event else { return false };
    *namespace == pod.likeness.namespace
        && volume::claims_of(&pod.pod).iter().any(|claim| claim.name == *name)
}

/// `asked` is what it asks for of what is looked at.
fn resources(pod: &PodInfo, event: &Event, asked: &Resources) -> bool {
    let would_fit = |node: &Node| allocatable(node).lacks(asked, &Resources::default()).is_empty();
    let pods = |node: &Node| {
        let all = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        ask::quantity(all, "pods").unwrap_or_default()
    };
    match event {
        Event::NodeAdded(node) => would_fit(node),
        Event::NodeChanged { old, new } => {
            let grew = allocatable(new).has_more_for(&allocatable(old), asked) || pods(new) > pods(old);
            grew && would_fit(new)
        }
        Event::PodGone(_) => true,
        Event::PodChanged { old, new } => old.occupied.has_more_for(&new.occupied, &pod.asked),
        Event::Changed { old, new } => old.asked.has_more_for(&new.asked, &old.asked),
        _ => false,
    }
}

fn spreading(pod: &PodInfo, event: &Event, by_default: &DefaultSpread) -> bool {
    let keys = spread::keys(&pod.pod, by_default);
    let is_about = |other: &PodInfo| spread::is_about(&pod.pod, &other.pod, by_default);
    let label = crate::node::label;
    let has_all = |node: &Node| keys.iter().all(|key| label(node, key).is_some());
    match event {
        Event::NodeAdded(node) | Event::NodeRemoved(node) => has_all(node),
        Event::NodeChanged { old, new } => {
            let taints = |node: &Node| node.spec.as_ref().and_then(|spec| spec.taints.clone());
            (has_all(old) || has_all(new))
                && (old.metadata.labels != new.metadata.labels || taints(old) != taints(new))
        }
        Event::PodPlaced(other) | Event::PodGone(other) => is_about(other),
        Event::PodChanged { old, new } => old.likeness != new.likeness && (is_about(old) || is_about(new)),
        Event::Changed { old, new } => old.likeness.labels != new.likeness.labels,
        _ => false,
    }
}

fn others(pod: &PodInfo, event: &Event, namespaces: &Namespaces) -> bool {
    let any =
        |terms: &[Term], other: &PodInfo| terms.iter().any(|term| term.matches(&other.likeness, namespaces));
    let wants = |other: &PodInfo| any(&pod.terms.together, other);
    let avoids = |other: &PodInfo| any(&pod.terms.apart, other) || any(&other.terms.apart, pod);
    // the first of its kind may go where no other is
    let leaves_it_first = |other: &PodInfo| wants(other) && wants(pod);
    match event {
        Event::NodeAdded(_) | Event::Namespace => true,
        Event::NodeChanged { old, new } => old.metadata.labels != new.metadata.labels,
        Event::PodPlaced(other) => wants(other),
        Event::PodChanged { old, new } => {
            (!wants(old) && wants(new))
                || (leaves_it_first(old) && !wants(new))
                || (avoids(old) && !avoids(new))
        }
        Event::PodGone(other) => avoids(other) || leaves_it_first(other),
        Event::Changed { old, new } => old.likeness.labels != new.likeness.labels,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use testkit::objects;

    fn node(more: Value) -> Arc<Node> {
        Arc::new(objects::node("n").with(&more).build())
    }

    fn pod(name: &str, more: Value) -> Arc<PodInfo> {
        let made = objects::pod(name).label("app", name).requests(&json!({"cpu": "1"})).with(&more);
        Arc::new(PodInfo::of(Arc::new(made.build())))
    }

    #[test]
    fn only_what_may_help_wakes() {
        let with = |kind: &str| {
            let term = json!({"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "host"});
            json!({"spec": {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}})
        };
        let none = || json!({});
        let changed = |old: Value, new: Value| Event::NodeChanged { old: node(old), new: node(new) };
        let gone = |name: &str, more: Value| Event::PodGone(pod(name, more));
        let placed = |name: &str, more: Value| Event::PodPlaced(pod(name, more));
        let cpus = |cpus: &str| json!({"status": {"allocatable": {"cpu": cpus}}});
        let tainted = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}});
        let labelled = |value: &str| json!({"metadata": {"labels": {"disk": value}}});
        let wants_ssd = json!({"spec": {"nodeSelector": {"disk": "ssd"}}});
        let port = |port: i64| json!({"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": port}]}]}});
        let restarts = json!({"spec": {"containers": [{"name": "c", "restartPolicyRules": [{"action": "RestartAllContainers"}]}]}});
        let declares = || json!({"status": {"declaredFeatures": ["RestartAllContainersOnContainerExits"]}});
        let cordoned = || json!({"spec": {"unschedulable": true}});
        let spread = json!({"spec": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "disk",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "db"}}}]}});
        let claim =
            json!({"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}});
        let of_claim = |name: &str| Event::Claim { namespace: "default".to_owned(), name: name.to_owned() };
        let resized = |old: &str, new: &str| {
            let cpu = |cpu: &str| {
                let asks = objects::pod("other").requests(&json!({"cpu": cpu})).on("n");
                Arc::new(PodInfo::of(Arc::new(asks.build())))
            };
            Event::PodChanged { old: cpu(old), new: cpu(new) }
        };
        use Plugin::{
            InterPodAffinity, NodeAffinity, NodeDeclaredFeatures, NodePorts, NodeResourcesFit,
            NodeUnschedulable, PodTopologySpread, TaintToleration, VolumeBinding,
        };
        let cases = [
            ("a node with room", NodeResourcesFit, none(), Event::NodeAdded(node(cpus("2"))), true),
            (
                "a node that is too small",
                NodeResourcesFit,
                none(),
                Event::NodeAdded(node(cpus("500m"))),
                false,
            ),
            ("a node grows", NodeResourcesFit, none(), changed(cpus("1"), cpus("2")), true),
            ("a node shrinks", NodeResourcesFit, none(), changed(cpus("3"), cpus("2")), false),
            ("a node gets a label", NodeResourcesFit, none(), changed(none(), labelled("ssd")), false),
            ("a pod goes", NodeResourcesFit, none(), gone("x", none()), true),
            ("a pod comes", NodeResourcesFit, none(), placed("x", none()), false),
            ("a pod is given less", NodeResourcesFit, none(), resized("2", "1"), true),
            ("a pod is given more", NodeResourcesFit, none(), resized("1", "2"), false),
            ("a taint goes", TaintToleration, none(), changed(tainted("a"), none()), true),
            ("another taint comes", TaintToleration, none(), changed(tainted("a"), tainted("b")), false),
            ("a pod goes, beside a taint", TaintToleration, none(), gone("x", none()), false),
            (
                "the label that it wants",
                NodeAffinity,
                wants_ssd.clone(),
                changed(none(), labelled("ssd")),
                true,
            ),
            ("another label", NodeAffinity, wants_ssd.clone(), changed(none(), labelled("hdd")), false),
            ("it had the label", NodeAffinity, wants_ssd, changed(labelled("ssd"), labelled("ssd")), false),
            (
                "the feature that it needs",
                NodeDeclaredFeatures,
                restarts.clone(),
                changed(none(), declares()),
                true,
            ),
            (
                "a label, beside a feature",
                NodeDeclaredFeatures,
                restarts,
                changed(none(), labelled("ssd")),
                false,
            ),
            ("uncordoned", NodeUnschedulable, none(), changed(cordoned(), none()), true),
            ("cordoned", NodeUnschedulable, none(), changed(none(), cordoned()), false),
            ("its port is free", NodePorts, port(80), gone("x", port(80)), true),
            ("another port is free", NodePorts, port(80), gone("x", port(81)), false),
            ("whom it wants comes", InterPodAffinity, with("podAffinity"), placed("db", none()), true),
            ("somebody else comes", InterPodAffinity, with("podAffinity"), placed("x", none()), false),
            ("whom it wants goes", InterPodAffinity, with("podAffinity"), gone("db", none()), false),
            (
                "the last of its own kind goes",
                InterPodAffinity,
                json!({"metadata": {"labels": {"app": "db"}}, "spec": with("podAffinity")["spec"]}),
                gone("db", none()),
                true,
            ),
            ("whom it avoids goes", InterPodAffinity, with("podAntiAffinity"), gone("db", none()), true),
            (
                "who avoids it goes",
                InterPodAffinity,
                json!({"metadata": {"labels": {"app": "db"}}}),
                gone("x", with("podAntiAffinity")),
                true,
            ),
            ("one of the kind comes", PodTopologySpread, spread.clone(), placed("db", none()), true),
            ("one of another kind comes", PodTopologySpread, spread.clone(), placed("x", none()), false),
            (
                "a domain comes",
                PodTopologySpread,
                spread.clone(),
                Event::NodeAdded(node(labelled("x"))),
                true,
            ),
            ("a node of no domain comes", PodTopologySpread, spread, Event::NodeAdded(node(none())), false),
            ("its claim changes", VolumeBinding, claim.clone(), of_claim("data"), true),
            ("another claim changes", VolumeBinding, claim.clone(), of_claim("other"), false),
            ("a pod goes, beside a claim", VolumeBinding, claim, gone("x", none()), false),
        ];
        for (name, plugin, waiting, event, want) in cases {
            let waiting = pod("waiting", waiting);
            let helps = may_help(plugin, &waiting, &event, &Namespaces::new(), &Profile::default());
            assert_eq!(helps, want, "{name}");
        }
    }
}
