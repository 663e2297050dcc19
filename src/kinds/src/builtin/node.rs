//! Nodes: what may not change about them once it is known, and the columns. Capacity counts as allocatable where nothing is
//! said of that.

use super::amounts::round_up_all;
use super::checks::{NOT_NEGATIVE, cidr, list, text};
use super::service_warnings::odd_range;
use super::{name_of, pod_validation};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus};
use std::net::IpAddr;

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

impl TypedKind for Node {
    const SINGULAR: &'static str = "node";
    const PLURAL: &'static str = "nodes";
    const SHORT_NAMES: &'static [&'static str] = &["no"];
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Proxy, Subresource::Status];
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

    fn set_defaults(&mut self) {
        let Some(status) = self.status.as_mut() else { return };
        round_up_all(status.capacity.as_mut());
        if status.allocatable.is_none() {
            status.allocatable.clone_from(&status.capacity);
        }
        round_up_all(status.allocatable.as_mut());
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn validate(&self, errors: &mut ErrorList) {
        let none = NodeSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        pod_validation::taints(list(&spec.taints), "metadata.taints", errors);
        pod_networks(list(&spec.pod_cidrs), errors);
        resources(self.status.as_ref(), errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        let (Some(new), Some(old)) = (&self.spec, &old.spec) else { return };
        let before = list(&old.pod_cidrs);
        if !before.is_empty() && list(&new.pod_cidrs) != before {
            let why = "node updates may not change podCIDR except from \"\" to valid";
            errors.forbidden("spec.podCIDRs", why);
        }
        let provider = text(&old.provider_id);
        if !provider.is_empty() && text(&new.provider_id) != provider {
            let why = "node updates may not change providerID except from \"\" to valid";
            errors.forbidden("spec.providerID", why);
        }
        if text(&new.external_id) != text(&old.external_id) {
            errors.forbidden("spec.externalID", "may not be updated");
        }
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        resources(self.status.as_ref(), errors);
        let addresses = self.status.as_ref().map(|s| list(&s.addresses)).unwrap_or_default();
        for (index, address) in addresses.iter().enumerate() {
            if addresses[..index].contains(address) {
                let field = format!("status.addresses[{index}]");
                errors.duplicate(field, serde_json::json!(address));
            }
        }
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        let spec = self.spec.as_ref();
        let source = spec.and_then(|spec| spec.config_source.as_ref());
        let source =
            source.map(|_| "spec.configSource: deprecated in v1.22, support removal is planned in v1.23");
        let id = spec.and_then(|spec| spec.external_id.as_deref()).filter(|id| !id.is_empty());
        let id = id.map(|_| "spec.externalID: this field is deprecated, and is unused by Kubernetes");
        let networks = spec.map(|spec| list(&spec.pod_cidrs)).unwrap_or_default().iter().enumerate();
        let networks =
            networks.filter_map(|(index, network)| odd_range(&format!("spec.podCIDRs[{index}]"), network));
        source.into_iter().chain(id).map(str::to_owned).chain(networks).collect()
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

/// One of each family at most.
fn pod_networks(networks: &[String], errors: &mut ErrorList) {
    for (index, network) in networks.iter().enumerate() {
        cidr(network, format_args!("spec.podCIDRs[{index}]"), errors);
        if networks[..index].contains(network) {
            errors.duplicate(format_args!("spec.podCIDRs[{index}]"), network.as_str());
        }
    }
    let is_six = |network: &String| {
        network.split('/').next().is_some_and(|ip| ip.parse().is_ok_and(|ip: IpAddr| ip.is_ipv6()))
    };
    let six = networks.iter().filter(|network| is_six(network)).count();
    if six > 1 || networks.len() - six > 1 {
        let why = "may specify no more than one CIDR for each IP family";
        errors.invalid("spec.podCIDRs", networks.to_vec(), why);
    }
}

fn resources(status: Option<&NodeStatus>, errors: &mut ErrorList) {
    let Some(status) = status else { return };
    for (field, amounts) in [("capacity", &status.capacity), ("allocatable", &status.allocatable)] {
        for (name, amount) in amounts.iter().flatten() {
            let at = format!("status.{field}.{name}");
            match amount.0.parse::<Quantity>() {
                Ok(parsed) if parsed.is_negative() => errors.invalid(at, amount.0.as_str(), NOT_NEGATIVE),
                Ok(_) => {}
                Err(why) => errors.invalid(at, amount.0.as_str(), why),
            }
        }
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
