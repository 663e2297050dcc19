//! Services: the address that an older field and a newer one both say is kept the same in both. Addresses and ports are
//! allocated by `cluster`, and judged in `service_validation.rs`.

use super::checks::{list, text};
use super::fill::{self, drop_empty};
use super::service_validation::{self, is_externally_accessible};
use super::{name_of, names, service_update};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age, selectors};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

const AFFINITY_SECONDS: i32 = 10800; // upstream's default of sessionAffinityConfig.clientIP: three hours

impl TypedKind for Service {
    const SINGULAR: &'static str = "service";
    const PLURAL: &'static str = "services";
    const CREATED_BY_UPDATE: bool = true;
    const SHORT_NAMES: &'static [&'static str] = &["svc"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Proxy, Subresource::Status];
    const FIELDS: &'static [&'static str] = &["spec.clusterIP", "spec.type"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Type", "string", "How it is reached"),
        Column::new("Cluster-IP", "string", "Its address inside the cluster"),
        Column::new("External-IP", "string", "Its address outside"),
        Column::new("Port(s)", "string", "Its ports, and the node's"),
        Column::AGE,
        Column::wide("Selector", "string", "Which pods serve it"),
    ];

    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill::text(&mut spec.type_, "ClusterIP");
        fill::text(&mut spec.session_affinity, "None");
        match text(&spec.session_affinity) {
            // SetDefaults_Service, which runs before validation: who turns affinity off by a patch leaves its settings there.
            // Validation's rule against them (ValidateService) is for what comes by no default.
            "None" => spec.session_affinity_config = None,
            "ClientIP" => {
                let config = spec.session_affinity_config.get_or_insert_default();
                config.client_ip.get_or_insert_default().timeout_seconds.get_or_insert(AFFINITY_SECONDS);
            }
            _ => {}
        }
        for port in spec.ports.iter_mut().flatten() {
            fill::text(&mut port.protocol, "TCP");
            fill::port(&mut port.target_port, port.port);
        }
        if is_externally_accessible(spec) {
            fill::text(&mut spec.external_traffic_policy, "Cluster");
        }
        let kind = text(&spec.type_);
        if ["ClusterIP", "LoadBalancer", "NodePort"].contains(&kind) {
            spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
        }
        if kind == "LoadBalancer" {
            spec.allocate_load_balancer_node_ports.get_or_insert(true);
            let balancer = self.status.as_mut().and_then(|s| s.load_balancer.as_mut());
            let entries = balancer.and_then(|b| b.ingress.as_mut()).into_iter().flatten();
            for entry in entries.filter(|entry| !text(&entry.ip).is_empty()) {
                entry.ip_mode.get_or_insert_with(|| "VIP".to_owned());
            }
        }
    }
    fn prepare_create(&mut self) {
        self.status = Some(Default::default());
        let Some(spec) = self.spec.as_mut() else { return };
        one_address(spec);
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
        let none = ServiceSpec::default();
        let before = old.spec.as_ref().unwrap_or(&none);
        let Some(spec) = self.spec.as_mut() else { return };
        drop_empty(&mut spec.cluster_ips);
        addresses_follow(spec, before);
        service_update::prepare(spec, before);
        one_address(spec);
        if text(&spec.type_) != "LoadBalancer" {
            self.status = Some(Default::default());
        }
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    /// It may begin with a digit (KEP-5311).
    fn validate_name(name: &str) -> Result<(), String> {
        names::dns_label(name)
    }
    fn validate(&self, errors: &mut ErrorList) {
        service_validation::validate(self, errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if let (Some(new), Some(old)) = (&self.spec, &old.spec) {
            service_validation::update(new, old, errors);
        }
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        let balancer = self.status.as_ref().and_then(|s| s.load_balancer.as_ref());
        if let (Some(status), Some(spec)) = (balancer, &self.spec) {
            service_validation::balancer_status(status, spec, errors);
        }
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        super::service_warnings::of_service(self)
    }
    fn field(&self, path: &str) -> String {
        let spec = self.spec.as_ref();
        match path {
            "spec.clusterIP" => spec.and_then(|s| s.cluster_ip.clone()).unwrap_or_default(),
            "spec.type" => spec.and_then(|s| s.type_.clone()).unwrap_or_default(),
            _ => String::new(),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = ServiceSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        let or_none = |text: String| if text.is_empty() { "<none>".to_owned() } else { text };
        vec![
            name_of(&self.metadata),
            self.field("spec.type").into(),
            or_none(self.field("spec.clusterIP")).into(),
            external_ip(self, spec).into(),
            or_none(spec.ports.iter().flatten().map(print_port).collect::<Vec<_>>().join(",")).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
            selectors::print_map(spec.selector.as_ref()).into(),
        ]
    }
}

/// The older field says the first of the newer.
fn one_address(spec: &mut ServiceSpec) {
    let address = text(&spec.cluster_ip).to_owned();
    if !address.is_empty() && list(&spec.cluster_ips).is_empty() {
        spec.cluster_ips = Some(vec![address]);
    }
}

/// A client that knows the older field only changes that one.
fn addresses_follow(spec: &mut ServiceSpec, before: &ServiceSpec) {
    let changed = text(&spec.cluster_ip) != text(&before.cluster_ip);
    if changed && list(&spec.cluster_ips) == list(&before.cluster_ips) {
        let address = text(&spec.cluster_ip).to_owned();
        spec.cluster_ips = (!address.is_empty()).then(|| vec![address]);
    }
}

fn print_port(port: &ServicePort) -> String {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    match port.node_port.filter(|p| *p != 0) {
        Some(node) => format!("{}:{node}/{protocol}", port.port),
        None => format!("{}/{protocol}", port.port),
    }
}

fn external_ip(service: &Service, spec: &ServiceSpec) -> String {
    let listed = || spec.external_ips.iter().flatten().cloned();
    let given = || {
        let balancer = service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
        let ingress = balancer.and_then(|b| b.ingress.as_ref()).into_iter().flatten();
        ingress.filter_map(|i| i.ip.clone().or_else(|| i.hostname.clone()))
    };
    let join = |each: Vec<String>, otherwise: &str| {
        if each.is_empty() { otherwise.to_owned() } else { each.join(",") }
    };
    match spec.type_.as_deref() {
        Some("ExternalName") => spec.external_name.clone().unwrap_or_default(),
        Some("LoadBalancer") => join(given().chain(listed()).collect(), "<pending>"),
        _ => join(listed().collect(), "<none>"),
    }
}
