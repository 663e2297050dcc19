//! A node's own Node, and which labels it may give it.

use super::OfNode;
use ::api::Status;
use k8s_openapi::api::core::v1::Node;
use std::collections::{BTreeMap, BTreeSet};

/// Of the labels of `kubernetes.io` and `k8s.io` those that a kubelet gives its node.
const KUBELET_LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const KUBELET_LABEL_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const RESTRICTED: &str = "node-restriction.kubernetes.io";

impl OfNode<'_> {
    pub(super) fn own_node(&self) -> Result<(), Status> {
        let OfNode { node, name, .. } = self;
        self.ensure(node == name, &format!("node {node:?} is not allowed to modify node {name:?}"))
    }

    pub(super) fn registers(&self, node: &Node) -> Result<(), Status> {
        self.own_node()?;
        let configured = node.spec.as_ref().is_some_and(|spec| spec.config_source.is_some());
        let why = format!("node {:?} is not allowed to create pods with a non-nil configSource", self.node);
        self.ensure(!configured, &why)?;
        let labels = forbidden_labels(&labels_of(node), &BTreeMap::new());
        let why = format!("node {:?} is not allowed to set the following labels: {labels}", self.node);
        self.ensure(labels.is_empty(), &why)
    }

    pub(super) fn updates_node(&self, new: &Node, old: &Node) -> Result<(), Status> {
        self.own_node()?;
        let name = self.node;
        let spec = |node: &Node| node.spec.clone().unwrap_or_default();
        let source = spec(new).config_source;
        let why =
            format!("node {name:?} is not allowed to update configSource to a new non-nil configSource");
        self.ensure(source.is_none() || source == spec(old).config_source, &why)?;
        let taints = |node: &Node| spec(node).taints.unwrap_or_default();
        let why = format!("node {name:?} is not allowed to modify taints");
        self.ensure(taints(new) == taints(old), &why)?;
        let labels = forbidden_labels(&labels_of(new), &labels_of(old));
        self.ensure(labels.is_empty(), &format!("is not allowed to modify labels: {labels}"))?;
        let owners = |node: &Node| node.metadata.owner_references.clone().unwrap_or_default();
        // by one, a node could have itself collected
        let why = format!("node {name:?} is not allowed to modify ownerReferences");
        self.ensure(owners(new) == owners(old), &why)
    }
}

fn labels_of(node: &Node) -> BTreeMap<String, String> {
    node.metadata.labels.clone().unwrap_or_default()
}

/// Those that are added, changed or gone, and are not a node's to write; separated by commas.
fn forbidden_labels(new: &BTreeMap<String, String>, old: &BTreeMap<String, String>) -> String {
    let changed: BTreeSet<&str> = new
        .keys()
        .chain(old.keys())
        .filter(|key| new.get(*key) != old.get(*key))
        .map(String::as_str)
        .collect();
    let forbidden: Vec<&str> = changed.into_iter().filter(|label| is_forbidden(label)).collect();
    forbidden.join(", ")
}

fn is_forbidden(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let within = |of: &str| domain == of || domain.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
    let is_kubelets = KUBELET_LABELS.contains(&label) || KUBELET_LABEL_DOMAINS.into_iter().any(within);
    within(RESTRICTED) || ((within("kubernetes.io") || within("k8s.io")) && !is_kubelets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gives_itself_no_labels_that_keep_pods_away() {
        let map = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        for (case, new, old, want) in [
            ("nobody's", map(&[("disk", "fast"), ("example.com/x", "y")]), map(&[]), ""),
            (
                "its own",
                map(&[("kubernetes.io/hostname", "n"), ("topology.kubernetes.io/zone", "z")]),
                map(&[]),
                "",
            ),
            (
                "of its domains",
                map(&[("node.kubernetes.io/x", ""), ("a.kubelet.kubernetes.io/x", "")]),
                map(&[]),
                "",
            ),
            ("a role", map(&[("node-role.kubernetes.io/x", "")]), map(&[]), "node-role.kubernetes.io/x"),
            (
                "restricted ones",
                map(&[("node-restriction.kubernetes.io/a", ""), ("x.node-restriction.kubernetes.io/b", "")]),
                map(&[]),
                "node-restriction.kubernetes.io/a, x.node-restriction.kubernetes.io/b",
            ),
            ("kept", map(&[("k8s.io/x", "y")]), map(&[("k8s.io/x", "y")]), ""),
            ("changed", map(&[("k8s.io/x", "z")]), map(&[("k8s.io/x", "y")]), "k8s.io/x"),
            ("gone", map(&[]), map(&[("k8s.io/x", "y")]), "k8s.io/x"),
            ("no domain of theirs", map(&[("notkubernetes.io/x", "")]), map(&[]), ""),
        ] {
            assert_eq!(forbidden_labels(&new, &old), want, "{case}");
        }
    }
}
