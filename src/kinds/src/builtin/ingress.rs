use super::{name_of, names};
use crate::{Cell, Column, Errors, Kind, age};
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressServiceBackend, IngressSpec, IngressStatus,
};
use std::net::IpAddr;

const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
/// kubectl's list of hosts says how many more there are.
const HOSTS_SHOWN: usize = 3;

impl Kind for Ingress {
    const SINGULAR: &'static str = "ingress";
    const PLURAL: &'static str = "ingresses";
    const SHORT_NAMES: &'static [&'static str] = &["ing"];
    const SUBRESOURCES: &'static [&'static str] = &["status"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Class", "string", "The class of its controller"),
        Column::new("Hosts", "string", "The names that it is reached by"),
        Column::new("Address", "string", "Where it is reached"),
        Column::new("Ports", "string", "80, and 443 with TLS"),
        Column::AGE,
    ];

    crate::builtin::spec_and_status!(IngressStatus);

    fn validate(&self, errors: &mut Errors) {
        let none = IngressSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        if spec.rules.as_ref().is_none_or(Vec::is_empty) && spec.default_backend.is_none() {
            let why = "either `defaultBackend` or `rules` must be specified";
            errors.invalid("spec", serde_json::json!([]), why);
        }
        if let Some(backend) = &spec.default_backend {
            validate_backend(backend, "spec.defaultBackend", errors);
        }
        for (at, host) in spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten()).enumerate() {
            validate_host(host, &format!("spec.tls[0].hosts[{at}]"), errors);
        }
        for (at, rule) in spec.rules.iter().flatten().enumerate() {
            let field = format!("spec.rules[{at}]");
            if let Some(host) = rule.host.as_deref().filter(|host| !host.is_empty()) {
                validate_host(host, &format!("{field}.host"), errors);
            }
            let Some(http) = &rule.http else { continue };
            if http.paths.is_empty() {
                errors.required(format!("{field}.http.paths"), "");
            }
            for (at, path) in http.paths.iter().enumerate() {
                validate_path(path, &format!("{field}.http.paths[{at}]"), errors);
            }
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = IngressSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        let ports = if spec.tls.as_ref().is_some_and(|tls| !tls.is_empty()) { "80, 443" } else { "80" };
        vec![
            name_of(&self.metadata),
            spec.ingress_class_name.clone().unwrap_or_else(|| "<none>".to_owned()).into(),
            hosts(spec).into(),
            addresses(self.status.as_ref()).into(),
            ports.into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

fn hosts(spec: &IngressSpec) -> String {
    let named =
        spec.rules.iter().flatten().filter_map(|rule| rule.host.as_deref()).filter(|host| !host.is_empty());
    let hosts: Vec<&str> = named.collect();
    match hosts.len() {
        0 => "*".to_owned(),
        few if few <= HOSTS_SHOWN => hosts.join(","),
        many => format!("{} + {} more...", hosts[..HOSTS_SHOWN].join(","), many - HOSTS_SHOWN),
    }
}

fn addresses(status: Option<&IngressStatus>) -> String {
    let ingress = status.and_then(|s| s.load_balancer.as_ref()).and_then(|lb| lb.ingress.as_ref());
    let shown = ingress.into_iter().flatten().filter_map(|at| at.ip.clone().or_else(|| at.hostname.clone()));
    shown.collect::<Vec<_>>().join(",")
}

fn validate_host(host: &str, field: &str, errors: &mut Errors) {
    if host.parse::<IpAddr>().is_ok() {
        return errors.invalid(field, host, "must be a DNS name, not an IP address");
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    if let Err(why) = names::dns_subdomain(name) {
        errors.invalid(field, host, why);
    }
}

fn validate_path(path: &HTTPIngressPath, field: &str, errors: &mut Errors) {
    let text = path.path.as_deref().unwrap_or_default();
    match path.path_type.as_str() {
        "" => errors.required(format!("{field}.pathType"), "pathType must be specified"),
        "Exact" | "Prefix" => {
            if !text.starts_with('/') {
                errors.invalid(format!("{field}.path"), text, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].iter().filter(|part| text.contains(**part)) {
                errors.invalid(format!("{field}.path"), text, format!("must not contain '{part}'"));
            }
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                errors.invalid(format!("{field}.path"), text, "must be an absolute path");
            }
        }
        other => errors.not_supported(format!("{field}.pathType"), other, &PATH_TYPES),
    }
    validate_backend(&path.backend, &format!("{field}.backend"), errors);
}

fn validate_backend(backend: &IngressBackend, field: &str, errors: &mut Errors) {
    match (&backend.service, &backend.resource) {
        (Some(_), Some(_)) => {
            errors.invalid(field, "", "cannot set both resource and service backends");
        }
        (None, None) => errors.required(field, "port name or number is required"),
        (None, Some(_)) => {}
        (Some(service), None) => validate_service(service, &format!("{field}.service"), errors),
    }
}

fn validate_service(service: &IngressServiceBackend, field: &str, errors: &mut Errors) {
    if service.name.is_empty() {
        errors.required(format!("{field}.name"), "");
    } else if let Err(why) = names::dns_label_1035(&service.name) {
        errors.invalid(format!("{field}.name"), service.name.clone(), why);
    }
    let port = service.port.as_ref();
    let name = port.and_then(|p| p.name.as_deref()).filter(|name| !name.is_empty());
    let number = port.and_then(|p| p.number).filter(|number| *number != 0);
    match (name, number) {
        (Some(_), Some(_)) => errors.invalid(field, "", "cannot set both port name & port number"),
        (None, None) => errors.required(field, "port name or number is required"),
        (None, Some(number)) if !(1..=65535).contains(&number) => {
            errors.invalid(format!("{field}.port.number"), number, "must be between 1 and 65535, inclusive");
        }
        (Some(name), None) => {
            if let Err(why) = names::port_name(name) {
                errors.invalid(format!("{field}.port.name"), name, why);
            }
        }
        (None, Some(_)) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ingress(spec: Value) -> Ingress {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    fn path(path: &str, kind: &str, service: &Value) -> Value {
        json!({"rules": [{"host": "a.example", "http": {"paths": [{"path": path, "pathType": kind, "backend": {"service": service}}]}}]})
    }

    #[test]
    fn what_can_not_be_served_is_refused() {
        let web = json!({"name": "web", "port": {"number": 80}});
        let cases = [
            ("good", path("/", "Prefix", &web), ""),
            ("any path", path("", "ImplementationSpecific", &web), ""),
            ("nothing in it", json!({}), "either `defaultBackend` or `rules` must be specified"),
            ("a path without a slash", path("a", "Prefix", &web), "must be an absolute path"),
            ("climbing", path("/a/../b", "Exact", &web), "must not contain '/../'"),
            ("no type", path("/", "", &web), "pathType must be specified"),
            ("a strange type", path("/", "Regex", &web), "supported values: \"Exact\""),
            ("no port", path("/", "Prefix", &json!({"name": "web"})), "port name or number is required"),
            (
                "an address for a host",
                json!({"rules": [{"host": "10.0.0.1"}]}),
                "must be a DNS name, not an IP address",
            ),
        ];
        for (name, spec, want) in cases {
            let mut errors = Errors::default();
            ingress(spec).validate(&mut errors);
            let said: Vec<String> = errors.into_causes().into_iter().map(|cause| cause.message).collect();
            match want {
                "" => assert!(said.is_empty(), "{name}: {said:?}"),
                want => assert!(said.iter().any(|text| text.contains(want)), "{name}: {said:?}"),
            }
        }
    }

    #[test]
    fn columns_as_kubectl_knows_them() {
        let rules: Vec<Value> = ["a", "b", "c", "d"].iter().map(|host| json!({"host": host})).collect();
        let mut web =
            ingress(json!({"ingressClassName": "monopod", "rules": rules, "tls": [{"hosts": ["a"]}]}));
        web.status =
            serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})).unwrap();
        let row = web.row(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(row[1..5], ["monopod", "a,b,c + 1 more...", "192.0.2.1", "80, 443"].map(Value::from));
    }
}
