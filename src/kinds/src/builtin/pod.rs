//! Pods. This file has the kind's names and what happens at creations and updates; defaults, validation, warnings, columns,
//! resize and ephemeral containers are in the files `pod_*` beside it.

use super::{pod_columns, pod_defaults, pod_ephemeral, pod_resize, pod_validation, pod_warnings};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, pod as ask};
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

impl TypedKind for Pod {
    const SINGULAR: &'static str = "pod";
    const PLURAL: &'static str = "pods";
    const SHORT_NAMES: &'static [&'static str] = &["po"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const GRACEFUL_DELETION: bool = true;
    const SUBRESOURCES: &'static [Subresource] = &[
        Subresource::Attach,
        Subresource::Binding,
        Subresource::EphemeralContainers,
        Subresource::Eviction,
        Subresource::Exec,
        Subresource::Log,
        Subresource::PortForward,
        Subresource::Proxy,
        Subresource::Resize,
        Subresource::Status,
    ];
    const FIELDS: &'static [&'static str] = &[
        "spec.nodeName",
        "spec.host",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ];
    const COLUMNS: &'static [Column] = pod_columns::COLUMNS;

    fn set_defaults(&mut self) {
        pod_defaults::pod(self.spec.get_or_insert_default());
        pod_ephemeral::set_defaults(self.spec.get_or_insert_default());
    }
    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        let qos = self.spec.as_ref().map(|spec| ask::qos_class(spec).to_owned());
        let is_gated = self.spec.as_ref().is_some_and(|spec| spec.scheduling_gates.is_some());
        self.status = Some(PodStatus {
            phase: Some("Pending".to_owned()),
            qos_class: qos,
            conditions: is_gated.then(|| vec![gated()]),
            ..PodStatus::default()
        });
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    /// Its class of service is said at its creation. Who writes a status without one does not mean that it has none.
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
        let before = old.status.as_ref().and_then(|status| status.qos_class.clone());
        if let Some(status) = &mut self.status
            && status.qos_class.as_deref().unwrap_or_default().is_empty()
        {
            status.qos_class = before;
        }
        if let Some(status) = &mut self.status {
            agree_on_address(status);
        }
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
    fn prepare_subresource_update(&mut self, subresource: Subresource, old: &Self) {
        match subresource {
            Subresource::EphemeralContainers => pod_ephemeral::keep_all_else(self, old),
            Subresource::Resize => pod_resize::keep_all_else(self, old),
            _ => self.prepare_update(old),
        }
    }

    /// Old kubelets wrote owners back that the garbage collector had taken out.
    fn keep_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
        new.owner_references.clone_from(&old.owner_references);
    }

    fn validate(&self, errors: &mut ErrorList) {
        pod_validation::pod(self, errors);
    }
    fn validate_create(&self, errors: &mut ErrorList) {
        pod_validation::pod_create(self, errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        pod_validation::update(self, old, errors);
    }
    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        pod_validation::status_update(self, old, errors);
    }
    fn warnings(&self, old: Option<&Self>) -> Vec<String> {
        if old.is_none() { pod_warnings::of_pod(self) } else { Vec::new() }
    }
    fn validate_subresource_update(&self, subresource: Subresource, old: &Self, errors: &mut ErrorList) {
        match (subresource, &self.spec, &old.spec) {
            (Subresource::EphemeralContainers, ..) if ask::is_mirror(old) => {
                errors.forbidden("", "static pods do not support ephemeral containers");
            }
            (Subresource::EphemeralContainers, Some(new), Some(old)) => {
                pod_ephemeral::validate_update(new, old, errors)
            }
            (Subresource::Resize, Some(_), Some(_)) => pod_resize::validate_update(self, old, errors),
            _ => self.validate_update(old, errors),
        }
    }
    fn field(&self, path: &str) -> String {
        let (spec, status) = (self.spec.as_ref(), self.status.as_ref());
        let value = match path {
            // as clients of the first v1 say it
            "spec.nodeName" | "spec.host" => spec.and_then(|s| s.node_name.clone()),
            "spec.restartPolicy" => spec.and_then(|s| s.restart_policy.clone()),
            "spec.schedulerName" => spec.and_then(|s| s.scheduler_name.clone()),
            "spec.serviceAccountName" => spec.and_then(|s| s.service_account_name.clone()),
            "spec.hostNetwork" => Some(spec.and_then(|s| s.host_network).unwrap_or(false).to_string()),
            "status.phase" => status.and_then(|s| s.phase.clone()),
            "status.podIP" => status.and_then(|s| s.pod_ip.clone()),
            "status.nominatedNodeName" => status.and_then(|s| s.nominated_node_name.clone()),
            _ => None,
        };
        value.unwrap_or_default()
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        pod_columns::row(self, now)
    }
}

/// A pod's address stands twice. Who writes only one of them knows no other, and where they differ the older field counts, as in
/// upstream's conversion.
fn agree_on_address(status: &mut PodStatus) {
    let one = status.pod_ip.take().filter(|ip| !ip.is_empty());
    let first = status.pod_ips.as_ref().and_then(|ips| ips.first()).map(|first| first.ip.clone());
    if let Some(ip) = one.as_ref().filter(|ip| first.as_ref() != Some(*ip)) {
        status.pod_ips = Some(vec![PodIP { ip: ip.clone() }]);
    }
    status.pod_ip = one.or(first).filter(|ip| !ip.is_empty());
}

/// No scheduler looks at it before its gates are gone: the API server itself says so (upstream's
/// `applySchedulingGatedCondition`).
fn gated() -> PodCondition {
    PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("SchedulingGated".to_owned()),
        message: Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()),
        ..PodCondition::default()
    }
}
