//! What plug-ins are told, as they ask for it, with upstream's defaults.

use crate::allocation::{Resource, Strategy};
use crate::pod_info::PodInfo;
use crate::resources::Resources;
use crate::spread::DefaultSpread;
use k8s_openapi::api::core::v1::NodeAffinity;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Of all plug-ins that take any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args {
    pub(crate) fit: Fit,
    pub(crate) balanced: Balanced,
    pub(crate) spread: DefaultSpread,
    pub(crate) pod_affinity: PodAffinityArgs,
    /// For all pods, beside their own.
    pub(crate) added_affinity: Option<NodeAffinity>,
    pub(crate) candidates: Candidates,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Fit {
    pub(super) ignored: BTreeSet<String>,
    pub(super) ignored_groups: BTreeSet<String>,
    pub(crate) strategy: Strategy,
}

/// What is to be taken evenly.
#[derive(Debug, Clone)]
pub(crate) struct Balanced(pub(crate) Vec<Resource>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PodAffinityArgs {
    /// What a required term of a pod that is there is worth to one whom it selects.
    pub(crate) required_by_others: i64,
    /// What those that are there say does not count for one who says nothing.
    pub(crate) ignores_others: bool,
}

/// Of so many nodes the best is taken whose pods could go, if there is one where that breaks no budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidates {
    pub(super) percentage: usize,
    pub(super) least: usize,
}

impl Fit {
    /// What the pod asks for of what is looked at.
    pub(crate) fn asked<'p>(&self, pod: &'p PodInfo) -> Cow<'p, Resources> {
        let is_ignored = |name: &str| {
            is_extended(name)
                && (self.ignored.contains(name)
                    || name.split_once('/').is_some_and(|(group, _)| self.ignored_groups.contains(group)))
        };
        if !pod.asked.scalars.iter().any(|(name, _)| is_ignored(name)) {
            return Cow::Borrowed(&pod.asked);
        }
        let mut asked = pod.asked.clone();
        asked.scalars.retain(|(name, _)| !is_ignored(name));
        Cow::Owned(asked)
    }
}

/// Of a device or the like: upstream's `IsExtendedResourceName`.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

impl Default for Balanced {
    fn default() -> Self {
        Balanced(vec![Resource::Cpu, Resource::Memory])
    }
}

impl Default for PodAffinityArgs {
    fn default() -> Self {
        PodAffinityArgs { required_by_others: 1, ignores_others: false } // upstream's hardPodAffinityWeight
    }
}

impl Default for Candidates {
    fn default() -> Self {
        Candidates { percentage: 10, least: 100 }
    }
}

impl Candidates {
    pub(crate) fn of(self, nodes: usize) -> usize {
        (nodes.saturating_mul(self.percentage) / 100).max(self.least)
    }
}
