//! Ingresses: the status, the warning about the old annotation, the columns. Rules, hosts and paths are judged in
//! `ingress_validation.rs`.

use super::checks::{list, text};
use super::service_validation::balancer_entry;
use super::{ingress_validation, name_of};
use crate::annotations::INGRESS_CLASS;
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age};
use k8s_openapi::api::networking::v1::{Ingress, IngressSpec, IngressStatus};

/// kubectl's list of hosts says how many more there are.
const HOSTS_SHOWN: usize = 3;

impl TypedKind for Ingress {
    const SINGULAR: &'static str = "ingress";
    const PLURAL: &'static str = "ingresses";
    const SHORT_NAMES: &'static [&'static str] = &["ing"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Class", "string", "The class of its controller"),
        Column::new("Hosts", "string", "The names that it is reached by"),
        Column::new("Address", "string", "Where it is reached"),
        Column::new("Ports", "string", "80, and 443 with TLS"),
        Column::AGE,
    ];

    crate::builtin::spec_and_status!(IngressStatus);

    fn validate(&self, errors: &mut ErrorList) {
        let none = IngressSpec::default();
        ingress_validation::validate(self.spec.as_ref().unwrap_or(&none), errors);
    }
    fn validate_create(&self, errors: &mut ErrorList) {
        ingress_validation::one_class(self, errors);
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        let balancer = self.status.as_ref().and_then(|s| s.load_balancer.as_ref());
        let entries = balancer.map(|b| list(&b.ingress)).unwrap_or_default();
        for (index, entry) in entries.iter().enumerate() {
            let at = format!("status.loadBalancer.ingress[{index}]");
            balancer_entry(text(&entry.ip), text(&entry.hostname), &at, errors);
        }
    }
    fn warnings(&self, old: Option<&Self>) -> Vec<String> {
        let annotated = self.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(INGRESS_CLASS));
        let has_class = self.spec.as_ref().is_some_and(|spec| spec.ingress_class_name.is_some());
        if old.is_some() || !annotated || has_class {
            return Vec::new();
        }
        vec![format!(
            "annotation {INGRESS_CLASS:?} is deprecated, please use 'spec.ingressClassName' instead"
        )]
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
            let mut errors = ErrorList::default();
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
