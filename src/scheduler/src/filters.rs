//! Why a node will not do, in upstream's words. One function a reason; which of them are asked, and in which order, a pod's
//! profile says ([`crate::Profile`]).

use crate::plugin::{Plugin, Refusal};
use crate::pod_info::{PodInfo, chooses_nodes};
use crate::prepared::Prepared;
use crate::resources::Resources;
use crate::{Context, NodeSnapshot, Snapshot};
use k8s_openapi::api::core::v1::{NodeAffinity, Pod, Taint};
use kinds::{declared_features, node_affinity, pod as ask};
use std::collections::BTreeSet;

/// What is found out once, and who of the profile is asked of each node.
///
/// # Errors
/// Why no node need be looked at.
pub(crate) fn prepare<'a>(
    pod: &'a PodInfo,
    snapshot: &'a Snapshot,
    context: &'a Context,
) -> Result<Prepared<'a>, (Plugin, String)> {
    let mut prepared = Prepared::of(pod, snapshot, context)?;
    let concern = prepared.filters.iter().copied().filter(|plugin| concerns(*plugin, &prepared));
    prepared.filters = concern.collect();
    Ok(prepared)
}

impl Prepared<'_> {
    /// What the first filter says that refuses the node, with and without those who have made room for themselves there:
    /// who waits for a companion must not count on one who is not there yet, and nobody takes what was made free for another.
    pub(crate) fn against(&mut self, node: &NodeSnapshot) -> Vec<Refusal> {
        let Some(nominated) = self.nominated.get(&node.slot).cloned() else { return self.as_it_is(node) };
        let mut with = node.clone();
        for other in &nominated {
            with.take(other);
            self.resident(other, node, 1);
        }
        let refusals = self.as_it_is(&with);
        nominated.iter().for_each(|other| self.resident(other, node, -1));
        if refusals.is_empty() { self.as_it_is(node) } else { refusals }
    }

    fn as_it_is(&self, node: &NodeSnapshot) -> Vec<Refusal> {
        for plugin in &self.filters {
            let refusals = against(*plugin, self, node);
            if !refusals.is_empty() {
                return refusals;
            }
        }
        Vec::new()
    }
}

/// Whether the filter may say anything of the pod, whatever the node: upstream's `Skip`.
fn concerns(plugin: Plugin, prepared: &Prepared) -> bool {
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
fn against(plugin: Plugin, prepared: &Prepared, at: &NodeSnapshot) -> Vec<Refusal> {
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

fn features(pod: &PodInfo, at: &NodeSnapshot) -> Vec<Refusal> {
    let refused = !declared_features::missing(&pod.pod, &at.node).is_empty();
    let why = "node(s) didn't match Pod's required features";
    refused.then(|| Refusal::never(Plugin::NodeDeclaredFeatures, why)).into_iter().collect()
}

fn ports(pod: &PodInfo, at: &NodeSnapshot) -> Vec<Refusal> {
    let refused = at.ports.conflict(&pod.ports);
    let why = "node(s) didn't have free ports for the requested pod ports";
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
