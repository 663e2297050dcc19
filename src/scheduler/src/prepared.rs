//! What is found out once for a pod before nodes are looked at: upstream's `PreFilter`.

use crate::config::Point;
use crate::plugin::Plugin;
use crate::pod_affinity::PodAffinity;
use crate::pod_info::PodInfo;
use crate::pod_volumes::PodVolumes;
use crate::resources::Resources;
use crate::spread::Spread;
use crate::{Context, NodeSnapshot, Snapshot};
use k8s_openapi::api::core::v1::Pod;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is found out once for a pod before each node is asked.
pub(crate) struct Prepared<'a> {
    pub(crate) pod: &'a PodInfo,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) context: &'a Context,
    /// Nobody else is asked.
    pub(crate) named: Option<BTreeSet<String>>,
    /// Those who are at least as important, by slot.
    pub(crate) nominated: BTreeMap<usize, Vec<Arc<PodInfo>>>,
    /// Those of the profile's that are asked.
    pub(crate) filters: Vec<Plugin>,
    /// What it asks for of what is looked at.
    pub(crate) asked: Cow<'a, Resources>,
    pub(crate) others: PodAffinity,
    pub(crate) spread: Spread,
    pub(crate) volumes: PodVolumes<'a>,
}

impl<'a> Prepared<'a> {
    /// All filters of the profile are asked: [`crate::filters::prepare`] leaves out those that have nothing to say.
    ///
    /// # Errors
    /// Why no node need be looked at.
    pub(crate) fn of(
        pod: &'a PodInfo,
        snapshot: &'a Snapshot,
        context: &'a Context,
    ) -> Result<Self, (Plugin, String)> {
        let profile = &*context.profile;
        let named = match profile.has(Plugin::NodeAffinity, Point::PreFilter) {
            true => named_nodes(&pod.pod).map_err(|why| (Plugin::NodeAffinity, why.to_owned()))?,
            false => None,
        };
        let mut volumes = PodVolumes::of(&pod.pod, &context.storage, profile)?;
        volumes.count_others(snapshot);
        let mut nominated: BTreeMap<usize, Vec<Arc<PodInfo>>> = BTreeMap::new();
        for (node, other) in &context.nominated {
            let counts = other.priority() >= pod.priority() && other.id != pod.id;
            if let Some(node) = snapshot.node(node).filter(|_| counts) {
                nominated.entry(node.slot).or_default().push(other.clone());
            }
        }
        let others = match profile.has(Plugin::InterPodAffinity, Point::Filter) {
            true => PodAffinity::of(pod, snapshot, &context.namespaces),
            false => PodAffinity::default(),
        };
        let spread = match profile.has(Plugin::PodTopologySpread, Point::Filter) {
            true => Spread::of(pod, snapshot, context.owners.as_ref(), &profile.args.spread),
            false => Spread::default(),
        };
        let asked = profile.args.fit.asked(pod);
        let filters = profile.filters().to_vec();
        Ok(Prepared { pod, snapshot, context, named, nominated, filters, asked, others, spread, volumes })
    }

    /// A pod comes to the node, or goes (`by` is -1).
    pub(crate) fn resident(&mut self, resident: &PodInfo, node: &NodeSnapshot, by: i64) {
        let known = (self.snapshot, &*self.context.namespaces);
        self.others.resident(self.pod, resident, node.slot, known, by);
        self.spread.resident(self.pod, resident, node, by);
        self.volumes.resident(resident, by);
    }
}

/// The nodes that the pod names, where its affinity names them: upstream looks at no others then. `None` is all.
///
/// # Errors
/// It names none that all of a term's rules allow.
fn named_nodes(pod: &Pod) -> Result<Option<BTreeSet<String>>, &'static str> {
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
