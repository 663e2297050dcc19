//! The plug-ins by name, and what one of them says against a node.

use std::borrow::Cow;

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
