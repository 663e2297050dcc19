//! Why a pod goes to no node.

use crate::plugin::Plugin;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why no node will do: how many nodes have which reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unschedulable {
    pub nodes: usize,
    /// Why none need be looked at.
    pub of_all: Option<String>,
    pub reasons: BTreeMap<String, usize>,
    /// Who refused a node, or all.
    pub plugins: BTreeSet<Plugin>,
    /// The slots of nodes that may do when some of their pods are gone.
    pub(crate) resolvable: Vec<usize>,
}

impl Unschedulable {
    pub(crate) fn of(nodes: usize) -> Self {
        let (reasons, plugins) = (BTreeMap::new(), BTreeSet::new());
        Unschedulable { nodes, of_all: None, reasons, plugins, resolvable: Vec::new() }
    }

    pub(crate) fn for_all(nodes: usize, (plugin, why): (Plugin, String)) -> Self {
        Unschedulable { of_all: Some(why), plugins: [plugin].into(), ..Unschedulable::of(nodes) }
    }
}

/// Upstream's sentence: `0/1 nodes are available: 1 Insufficient memory.`
impl fmt::Display for Unschedulable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let reasons = match &self.of_all {
            Some(why) => vec![why.clone()],
            None => counted(&self.reasons),
        };
        write!(f, "0/{} nodes are available: {}.", self.nodes, reasons.join(", "))
    }
}

/// `1 Insufficient cpu`, in upstream's order.
pub(crate) fn counted(reasons: &BTreeMap<String, usize>) -> Vec<String> {
    let mut counted: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort();
    counted
}
