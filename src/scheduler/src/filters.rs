//! Why a node will not do, in upstream's words. One function a reason; which of them are asked, and in which order, a pod's
//! profile says ([`crate::Profile`]).

use crate::NodeSnapshot;
use crate::place::Prepared;
use crate::pod_info::PodInfo;
use crate::resources::Resources;
use k8s_openapi::api::core::v1::{NodeAffinity, Pod, Taint};
use kinds::{declared_features, node_affinity, pod as ask};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Upstream's plug-ins: who refuses a pod, or says what a node is worth to it. What may help a pod that was refused depends on
/// who did ([`crate::hints`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plugin {
    SchedulingGates,
    PrioritySort,
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodeDeclaredFeatures,
    NodePorts,
    NodeResourcesFit,
    VolumeRestrictions,
    NodeVolumeLimits,
    VolumeBinding,
    VolumeZone,
    PodTopologySpread,
    InterPodAffinity,
    DefaultPreemption,
    NodeResourcesBalancedAllocation,
    ImageLocality,
    DefaultBinder,
}

/// Why a node will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) plugin: Plugin,
    /// In upstream's words.
    pub(crate) why: Cow<'static, str>,
    /// Whether it may do when some of its pods are gone: upstream's `Unschedulable`, not `UnschedulableAndUnresolvable`.
    pub(crate) resolvable: bool,
}

impl Refusal {
    pub(crate) fn never(plugin: Plugin, why: impl Into<Cow<'static, str>>) -> Self {
        Refusal { plugin, why: why.into(), resolvable: false }
    }

    pub(crate) fn for_now(plugin: Plugin, why: impl Into<Cow<'static, str>>) -> Self {
        Refusal { plugin, why: why.into(), resolvable: true }
    }
}

/// Whether the filter may say anything of the pod, whatever the node: upstream's `Skip`.
pub(crate) fn concerns(plugin: Plugin, prepared: &Prepared) -> bool {
    let pod = prepared.pod;
    match plugin {
        Plugin::NodeAffinity => {
            chooses_nodes(&pod.pod) || prepared.context.profile.args.added_affinity.is_some()
        }
        Plugin::NodeDeclaredFeatures => declared_features::needs_any(&pod.pod),
        Plugin::NodePorts => !pod.ports.is_empty(),
        Plugin::VolumeRestrictions => prepared.volumes.concern(plugin) || disks_of(&pod.pod).next().is_some(),
        Plugin::NodeVolumeLimits | Plugin::VolumeBinding | Plugin::VolumeZone => {
            prepared.volumes.concern(plugin)
        }
        Plugin::PodTopologySpread => !prepared.spread.is_empty(),
        Plugin::NodeUnschedulable
        | Plugin::TaintToleration
        | Plugin::NodeResourcesFit
        | Plugin::InterPodAffinity => true,
        // one that names its node is not placed; the others filter nothing
        Plugin::NodeName
        | Plugin::SchedulingGates
        | Plugin::PrioritySort
        | Plugin::DefaultPreemption
        | Plugin::NodeResourcesBalancedAllocation
        | Plugin::ImageLocality
        | Plugin::DefaultBinder => false,
    }
}

/// Reasons against the node; none is a yes.
pub(crate) fn against(plugin: Plugin, prepared: &Prepared, at: &NodeSnapshot) -> Vec<Refusal> {
    let pod = prepared.pod;
    match plugin {
        Plugin::NodeUnschedulable => unschedulable(pod, at),
        Plugin::TaintToleration => taints(pod, at),
        Plugin::NodeAffinity => affinity(pod, prepared.context.profile.args.added_affinity.as_ref(), at),
        Plugin::NodeDeclaredFeatures => features(pod, at),
        Plugin::NodePorts => ports(pod, at),
        Plugin::NodeResourcesFit => resources(&prepared.asked, at),
        Plugin::VolumeRestrictions => {
            let refusals = disks(pod, at);
            if refusals.is_empty() { prepared.volumes.against(plugin, at) } else { refusals }
        }
        Plugin::NodeVolumeLimits | Plugin::VolumeBinding | Plugin::VolumeZone => {
            prepared.volumes.against(plugin, at)
        }
        Plugin::PodTopologySpread => prepared.spread.against(at.slot, pod).into_iter().collect(),
        Plugin::InterPodAffinity => prepared.others.against(at.slot).into_iter().collect(),
        Plugin::NodeName
        | Plugin::SchedulingGates
        | Plugin::PrioritySort
        | Plugin::DefaultPreemption
        | Plugin::NodeResourcesBalancedAllocation
        | Plugin::ImageLocality
        | Plugin::DefaultBinder => Vec::new(),
    }
}

/// What a cordoned node has, whether somebody put it there or not.
pub(crate) fn cordon() -> Taint {
    Taint { key: "node.kubernetes.io/unschedulable".into(), effect: "NoSchedule".into(), ..Taint::default() }
}

fn unschedulable(pod: &PodInfo, at: &NodeSnapshot) -> Vec<Refusal> {
    let refused = at.is_cordoned && !ask::tolerates(&pod.pod, &cordon());
    let why = "node(s) were unschedulable";
    refused.then(|| Refusal::never(Plugin::NodeUnschedulable, why)).into_iter().collect()
}

fn taints(pod: &PodInfo, at: &NodeSnapshot) -> Vec<Refusal> {
    // which taint it is, upstream tells no more since 1.35: it may be nobody's business
    let refused = at.hard_taints.iter().any(|taint| !ask::tolerates(&pod.pod, taint));
    let why = "node(s) had untolerated taint(s)";
    refused.then(|| Refusal::never(Plugin::TaintToleration, why)).into_iter().collect()
}

/// What the profile adds stands before what the pod says.
fn affinity(pod: &PodInfo, added: Option<&NodeAffinity>, at: &NodeSnapshot) -> Vec<Refusal> {
    let why = if !node_affinity::allows(added, &at.node) {
        "node(s) didn't match scheduler-enforced node affinity"
    } else if pod.pod.spec.as_ref().is_some_and(|spec| !node_affinity::fits(spec, &at.node)) {
        "node(s) didn't match Pod's node affinity/selector"
    } else {
        return Vec::new();
    };
    vec![Refusal::never(Plugin::NodeAffinity, why)]
}

/// Whether the pod says which nodes it wants, or which it had better go to.
pub(crate) fn chooses_nodes(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| {
        let by_labels = spec.node_selector.as_ref().is_some_and(|labels| !labels.is_empty());
        by_labels || spec.affinity.as_ref().is_some_and(|affinity| affinity.node_affinity.is_some())
    })
}

fn features(pod: &PodInfo, at: &NodeSnapshot) -> Vec<Refusal> {
    let refused = !declared_features::missing(&pod.pod, &at.node).is_empty();
    let why = "node(s) didn't match Pod's required features";
    refused.then(|| Refusal::never(Plugin::NodeDeclaredFeatures, why)).into_iter().collect()
}

fn ports(pod: &PodInfo, at: &NodeSnapshot) -> Vec<Refusal> {
    let clash = |port: &ask::HostPort| at.ports.iter().any(|taken| taken.meets(port));
    let why = "node(s) didn't have free ports for the requested pod ports";
    let refused = pod.ports.iter().any(clash);
    refused.then(|| Refusal::for_now(Plugin::NodePorts, why)).into_iter().collect()
}

fn resources(asked: &Resources, at: &NodeSnapshot) -> Vec<Refusal> {
    let plugin = Plugin::NodeResourcesFit;
    let mut reasons = Vec::new();
    if i64::try_from(at.residents.len()).unwrap_or(i64::MAX) >= at.most_pods {
        reasons.push(Refusal::for_now(plugin, "Too many pods"));
    }
    for (why, is_enough) in at.allocatable.lacks(asked, &at.taken) {
        // what the empty node does not have no victim gives back
        reasons.push(Refusal { plugin, why, resolvable: is_enough });
    }
    reasons
}

/// Disks that only one pod may have, or several who only read (upstream's plugin `VolumeRestrictions`).
fn disks(pod: &PodInfo, at: &NodeSnapshot) -> Vec<Refusal> {
    let mut own = disks_of(&pod.pod).peekable();
    if own.peek().is_none() {
        return Vec::new();
    }
    let taken: Vec<Disk> = at.residents.iter().flat_map(|resident| disks_of(&resident.pod)).collect();
    let refused = own.any(|disk| taken.iter().any(|other| disk.meets(other)));
    let why = "node(s) had no available disk";
    refused.then(|| Refusal::for_now(Plugin::VolumeRestrictions, why)).into_iter().collect()
}

struct Disk {
    kind: &'static str,
    id: String,
    /// Where it is found, for those that are found at several places.
    at: BTreeSet<String>,
    /// Who only reads shares it with others who do.
    read_only: bool,
}

impl Disk {
    fn meets(&self, other: &Disk) -> bool {
        let same_place = self.at.is_empty() || self.at.intersection(&other.at).next().is_some();
        self.kind == other.kind && self.id == other.id && same_place && !(self.read_only && other.read_only)
    }
}

fn disks_of(pod: &Pod) -> impl Iterator<Item = Disk> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| {
        let disk = |kind, id: String, read_only: Option<bool>| Disk {
            kind,
            id,
            at: BTreeSet::new(),
            read_only: read_only == Some(true),
        };
        if let Some(gce) = &volume.gce_persistent_disk {
            return Some(disk("gce", gce.pd_name.clone(), gce.read_only));
        }
        if let Some(aws) = &volume.aws_elastic_block_store {
            // nobody shares one, reader or not
            return Some(disk("aws", aws.volume_id.clone(), None));
        }
        if let Some(iscsi) = &volume.iscsi {
            return Some(disk("iscsi", iscsi.iqn.clone(), iscsi.read_only));
        }
        let rbd = volume.rbd.as_ref()?;
        let pool = rbd.pool.as_deref().unwrap_or("rbd");
        let found = disk("rbd", format!("{pool}/{}", rbd.image), rbd.read_only);
        Some(Disk { at: rbd.monitors.iter().cloned().collect(), ..found })
    })
}

/// The nodes that the pod names, where its affinity names them: upstream looks at no others then. `None` is all.
///
/// # Errors
/// It names none that all of a term's rules allow.
pub(crate) fn named_nodes(pod: &Pod) -> Result<Option<BTreeSet<String>>, &'static str> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let affinity = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    let terms = required.map(|selector| selector.node_selector_terms.as_slice()).unwrap_or_default();
    let mut all = BTreeSet::new();
    for term in terms {
        let mut names: Option<BTreeSet<String>> = None;
        for field in term.match_fields.iter().flatten() {
            if field.key == "metadata.name" && field.operator == "In" {
                let values: BTreeSet<String> = field.values.iter().flatten().cloned().collect();
                names = Some(match names {
                    None => values,
                    Some(known) => known.intersection(&values).cloned().collect(),
                });
            }
        }
        // one of them allows any node
        let Some(names) = names else { return Ok(None) };
        all.extend(names);
    }
    match (terms.is_empty(), all.is_empty()) {
        (true, _) => Ok(None),
        (false, true) => Err("pod affinity terms conflict"),
        (false, false) => Ok(Some(all)),
    }
}
