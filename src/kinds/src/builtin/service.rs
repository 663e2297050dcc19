use super::{name_of, names};
use crate::{Cell, Column, Errors, Kind, age, selectors};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::HashSet;

const AFFINITY_SECONDS: i32 = 10800;
const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

impl Kind for Service {
    const SINGULAR: &'static str = "service";
    const PLURAL: &'static str = "services";
    const SHORT_NAMES: &'static [&'static str] = &["svc"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [&'static str] = &["status"];
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
        let kind = spec.type_.get_or_insert_with(|| "ClusterIP".to_owned()).clone();
        let affinity = spec.session_affinity.get_or_insert_with(|| "None".to_owned());
        if affinity == "ClientIP" {
            let config = spec.session_affinity_config.get_or_insert_default();
            config.client_ip.get_or_insert_default().timeout_seconds.get_or_insert(AFFINITY_SECONDS);
        } else {
            spec.session_affinity_config = None;
        }
        for port in spec.ports.iter_mut().flatten() {
            port.protocol.get_or_insert_with(|| "TCP".to_owned());
            port.target_port.get_or_insert(IntOrString::Int(port.port));
        }
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
            spec.external_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
        } else {
            spec.external_traffic_policy = None;
        }
        if kind == "LoadBalancer" {
            spec.allocate_load_balancer_node_ports.get_or_insert(true);
        } else {
            spec.allocate_load_balancer_node_ports = None;
        }
        if kind != "ExternalName" {
            spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
        }
    }
    fn prepare_create(&mut self) {
        self.status = Some(Default::default());
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
        let was = old.spec.as_ref().and_then(|s| s.type_.as_deref());
        let Some(spec) = self.spec.as_mut() else { return };
        // a service that is no longer reached through the node gives its ports back
        if spec.type_.as_deref() == Some("ClusterIP") && was != Some("ClusterIP") {
            for port in spec.ports.iter_mut().flatten() {
                port.node_port = None;
            }
        }
        if spec.type_.as_deref() != Some("LoadBalancer") {
            self.status = Some(Default::default());
        }
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn validate_name(name: &str) -> Result<(), String> {
        names::dns_label_1035(name)
    }
    fn validate(&self, errors: &mut Errors) {
        let none = ServiceSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        let kind = spec.type_.as_deref().unwrap_or_default();
        if !TYPES.contains(&kind) {
            errors.not_supported("spec.type", kind, &TYPES);
        }
        if kind == "ExternalName" {
            let name = spec.external_name.as_deref().unwrap_or_default();
            if name.is_empty() {
                errors.required("spec.externalName", "");
            } else if let Err(why) = names::dns_subdomain(name.trim_end_matches('.')) {
                errors.invalid("spec.externalName", name, why);
            }
        } else if spec.ports.as_ref().is_none_or(Vec::is_empty) && spec.cluster_ip.as_deref() != Some("None")
        {
            errors.required("spec.ports", "");
        }
        if let Some(affinity) = spec.session_affinity.as_deref().filter(|a| !["None", "ClientIP"].contains(a))
        {
            errors.not_supported("spec.sessionAffinity", affinity, &["ClientIP", "None"]);
        }
        if kind == "LoadBalancer" && spec.cluster_ip.as_deref() == Some("None") {
            errors.invalid(
                "spec.clusterIPs[0]",
                "None",
                "may not be set to 'None' for LoadBalancer services",
            );
        }
        crate::meta::labels(spec.selector.as_ref(), "spec.selector", errors);
        ports(spec.ports.as_deref().unwrap_or_default(), errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let (Some(new), Some(old)) = (&self.spec, &old.spec) else { return };
        let has = |spec: &ServiceSpec| spec.type_.as_deref() != Some("ExternalName");
        let set = |spec: &ServiceSpec| spec.cluster_ip.clone().filter(|ip| !ip.is_empty());
        if has(new) && has(old) && set(old).is_some() && set(new) != set(old) {
            let value = vec![set(new).unwrap_or_default()];
            errors.invalid("spec.clusterIPs[0]", value, "may not change once set");
        }
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

fn ports(ports: &[ServicePort], errors: &mut Errors) {
    let mut names_seen = HashSet::new();
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        match port.name.as_deref().unwrap_or_default() {
            "" if ports.len() > 1 => errors.required(format!("{at}.name"), ""),
            "" => {}
            name => {
                if let Err(why) = names::dns_label(name) {
                    errors.invalid(format!("{at}.name"), name, why);
                } else if !names_seen.insert(name) {
                    errors.duplicate(format!("{at}.name"), name);
                }
            }
        }
        if !(1..=65535).contains(&port.port) {
            errors.invalid(format!("{at}.port"), port.port, "must be between 1 and 65535, inclusive");
        }
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        if !["TCP", "UDP", "SCTP"].contains(&protocol) {
            errors.not_supported(format!("{at}.protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        }
        match &port.target_port {
            Some(IntOrString::Int(number)) if !(1..=65535).contains(number) => {
                errors.invalid(format!("{at}.targetPort"), *number, "must be between 1 and 65535, inclusive");
            }
            Some(IntOrString::String(name)) => {
                if let Err(why) = names::port_name(name) {
                    errors.invalid(format!("{at}.targetPort"), name.as_str(), why);
                }
            }
            _ => {}
        }
        if !seen.insert((protocol, port.port)) {
            errors.duplicate(&at, serde_json::json!({"port": port.port, "protocol": protocol}));
        }
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
