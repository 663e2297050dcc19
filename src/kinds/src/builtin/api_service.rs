//! APIServices: which group and version is served by whom, the cluster itself or a Service that it is proxied to.

use super::checks::{judged, text};
use super::{name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{
    APIService, APIServiceCondition, APIServiceStatus,
};

pub const AVAILABLE: &str = "Available";

impl TypedKind for APIService {
    const SINGULAR: &'static str = "apiservice";
    const PLURAL: &'static str = "apiservices";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const CATEGORIES: &'static [&'static str] = &["api-extensions"];
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Service", "string", "Who serves it, if not the cluster itself"),
        Column::new("Available", "string", "Whether it can be asked"),
        Column::AGE,
    ];

    super::spec_and_status!();

    /// What the cluster serves itself is there from the first second.
    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        let is_local = self.spec.as_ref().is_none_or(|spec| spec.service.is_none());
        let conditions = is_local.then(|| vec![local(self.metadata.creation_timestamp.clone())]);
        self.status = Some(APIServiceStatus { conditions });
    }
    fn set_defaults(&mut self) {
        if let Some(service) = self.spec.as_mut().and_then(|spec| spec.service.as_mut()) {
            service.port.get_or_insert(443);
        }
    }
    /// That of the core group ends with a dot.
    fn validate_name(name: &str) -> Result<(), String> {
        names::path_segment(name)
    }
    /// Upstream's `kube-aggregator/pkg/apis/apiregistration/validation`.
    fn validate(&self, errors: &mut ErrorList) {
        let spec = self.spec.clone().unwrap_or_default();
        let (group, version) = (text(&spec.group), text(&spec.version));
        let (name, wanted) = (text(&self.metadata.name), format!("{version}.{group}"));
        if name != wanted {
            let why = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
            errors.invalid("metadata.name", name, why);
        }
        match group {
            "" if version != "v1" => {
                let why = "only v1 may have an empty group and it better be legacy kube";
                errors.required("spec.group", why);
            }
            "" => {}
            group => judged(names::dns_subdomain, group, "spec.group", errors),
        }
        judged(names::dns_label_1035, version, "spec.version", errors);
        if !(1..=20_000).contains(&spec.group_priority_minimum) {
            let why = "must be positive and less than 20000";
            errors.invalid("spec.groupPriorityMinimum", spec.group_priority_minimum, why);
        }
        if !(1..=1_000).contains(&spec.version_priority) {
            let why = "must be positive and less than 1000";
            errors.invalid("spec.versionPriority", spec.version_priority, why);
        }
        let bundle = spec.ca_bundle.as_ref().map_or(0, |bundle| bundle.0.len());
        let has_bundle = bundle > 0;
        let is_insecure = spec.insecure_skip_tls_verify.unwrap_or(false);
        let Some(service) = &spec.service else {
            if has_bundle {
                let why = "local APIServices may not have a caBundle";
                errors.invalid("spec.caBundle", format!("{bundle} bytes"), why);
            }
            if is_insecure {
                let why = "local APIServices may not have insecureSkipTLSVerify";
                errors.invalid("spec.insecureSkipTLSVerify", true, why);
            }
            return;
        };
        if text(&service.namespace).is_empty() {
            errors.required("spec.service.namespace", "");
        }
        if text(&service.name).is_empty() {
            errors.required("spec.service.name", "");
        }
        let port = service.port.unwrap_or(443);
        if !(1..=65535).contains(&port) {
            let why = "port is not valid: must be between 1 and 65535, inclusive";
            errors.invalid("spec.service.port", port, why);
        }
        if is_insecure && has_bundle {
            let why = "may not be true if caBundle is present";
            errors.invalid("spec.insecureSkipTLSVerify", true, why);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let service = self.spec.as_ref().and_then(|spec| spec.service.as_ref());
        let service = service.map_or_else(
            || "Local".to_owned(),
            |service| format!("{}/{}", text(&service.namespace), text(&service.name)),
        );
        let available = condition(self).map_or_else(
            || "Unknown".to_owned(),
            |condition| match (condition.status.as_str(), text(&condition.reason)) {
                ("True", _) | (_, "") => condition.status.clone(),
                (status, reason) => format!("{status} ({reason})"),
            },
        );
        vec![
            name_of(&self.metadata),
            service.into(),
            available.into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

/// Whether it can be asked, where that is known.
pub fn condition(service: &APIService) -> Option<&APIServiceCondition> {
    let conditions = service.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == AVAILABLE)
}

fn local(since: Option<Time>) -> APIServiceCondition {
    APIServiceCondition {
        type_: AVAILABLE.to_owned(),
        status: "True".to_owned(),
        reason: Some("Local".to_owned()),
        message: Some("Local APIServices are always available".to_owned()),
        last_transition_time: since,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(name: &str, spec: Value) -> APIService {
        let mut made: APIService =
            serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
        TypedKind::set_defaults(&mut made);
        TypedKind::prepare_create(&mut made);
        made
    }

    fn told(name: &str, change: Value) -> Vec<String> {
        let mut spec = json!({"group": "example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
                              "service": {"namespace": "a", "name": "b"}});
        for (field, value) in change.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let mut errors = ErrorList::default();
        TypedKind::validate(&service(name, spec), &mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn what_can_not_be_is_refused_in_upstreams_words() {
        assert_eq!(told("v1.example.com", json!({})), Vec::<String>::new());
        let cases = [
            (
                "v2.example.com",
                json!({}),
                "metadata.name: Invalid value: \"v2.example.com\": must be `spec.version+\".\"+spec.group`: \"v1.example.com\"",
            ),
            ("v1.example.com", json!({"groupPriorityMinimum": 0}), "must be positive and less than 20000"),
            ("v1.example.com", json!({"versionPriority": 1001}), "must be positive and less than 1000"),
            (
                "v1.example.com",
                json!({"service": null, "insecureSkipTLSVerify": true}),
                "local APIServices may not have insecureSkipTLSVerify",
            ),
            (
                "v1.example.com",
                json!({"service": null, "caBundle": "YQ=="}),
                "local APIServices may not have a caBundle",
            ),
            (
                "v1.example.com",
                json!({"caBundle": "YQ==", "insecureSkipTLSVerify": true}),
                "may not be true if caBundle is present",
            ),
            ("v1.example.com", json!({"service": {"name": "b"}}), "spec.service.namespace: Required value"),
            (
                "v1beta1.",
                json!({"group": "", "version": "v1beta1"}),
                "only v1 may have an empty group and it better be legacy kube",
            ),
        ];
        for (name, change, want) in cases {
            let said = told(name, change);
            assert!(said.iter().any(|message| message.contains(want)), "{want}: {said:?}");
        }
    }

    #[test]
    fn rows() {
        let shown = |service: &APIService| serde_json::to_value(service.row(jiff::Timestamp::now())).unwrap();
        let local = service(
            "v1.apps",
            json!({"group": "apps", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}),
        );
        assert_eq!((&shown(&local)[1], &shown(&local)[2]), (&json!("Local"), &json!("True")));
        let mut remote = service(
            "v1.e",
            json!({"group": "e", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1, "service": {"namespace": "a", "name": "b"}}),
        );
        assert_eq!((&shown(&remote)[1], &shown(&remote)[2]), (&json!("a/b"), &json!("Unknown")));
        remote.status = serde_json::from_value(
            json!({"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]}),
        )
        .unwrap();
        assert_eq!(shown(&remote)[2], "False (MissingEndpoints)");
    }
}
