use super::name_of;
use crate::{Cell, Column, Kind, Scope, age};
use k8s_openapi::api::core::v1::{Node, NodeStatus};

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

impl Kind for Node {
    const SINGULAR: &'static str = "node";
    const PLURAL: &'static str = "nodes";
    const SHORT_NAMES: &'static [&'static str] = &["no"];
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [&'static str] = &["status"];
    const FIELDS: &'static [&'static str] = &["spec.unschedulable"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Status", "string", "Whether it is ready"),
        Column::new("Roles", "string", "What it is for"),
        Column::AGE,
        Column::new("Version", "string", "The kubelet's version"),
        Column::wide("Internal-IP", "string", "Its address inside the cluster"),
        Column::wide("External-IP", "string", "Its address outside"),
        Column::wide("OS-Image", "string", "Its operating system"),
        Column::wide("Kernel-Version", "string", "Its kernel"),
        Column::wide("Container-Runtime", "string", "What runs its containers"),
    ];

    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn field(&self, path: &str) -> String {
        match path {
            "spec.unschedulable" => unschedulable(self).to_string(),
            _ => String::new(),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = NodeStatus::default();
        let status = self.status.as_ref().unwrap_or(&none);
        let info = status.node_info.clone().unwrap_or_default();
        vec![
            name_of(&self.metadata),
            status_word(self).into(),
            roles(self).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
            info.kubelet_version.into(),
            address(status, "InternalIP").into(),
            address(status, "ExternalIP").into(),
            info.os_image.into(),
            info.kernel_version.into(),
            info.container_runtime_version.into(),
        ]
    }
}

fn unschedulable(node: &Node) -> bool {
    node.spec.as_ref().and_then(|s| s.unschedulable).unwrap_or(false)
}

fn status_word(node: &Node) -> String {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.status.as_str());
    let mut word = match ready {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if unschedulable(node) {
        word.push_str(",SchedulingDisabled");
    }
    word
}

fn roles(node: &Node) -> String {
    let labels = node.metadata.labels.iter().flatten();
    let roles: Vec<&str> =
        labels.filter_map(|(key, _)| key.strip_prefix(ROLE_PREFIX)).filter(|r| !r.is_empty()).collect();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn address(status: &NodeStatus, kind: &str) -> String {
    let found = status.addresses.iter().flatten().find(|a| a.type_ == kind);
    found.map_or_else(|| "<none>".to_owned(), |a| a.address.clone())
}
