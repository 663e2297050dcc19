//! Upstream's `ValidateIngress` (`pkg/apis/networking/validation`).

use super::checks::{judged, list, optional, port_number, required, text};
use super::names;
use crate::ErrorList;
use crate::annotations::INGRESS_CLASS;
use k8s_openapi::api::core::v1::TypedLocalObjectReference;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressServiceBackend, IngressSpec,
};
use std::net::IpAddr;

const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
/// What means another path than it says.
const NOT_IN_PATHS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const NOT_AT_THE_END: [&str; 2] = ["/..", "/."];

pub(super) fn validate(spec: &IngressSpec, errors: &mut ErrorList) {
    let rules = list(&spec.rules);
    if rules.is_empty() && spec.default_backend.is_none() {
        let why = "either `defaultBackend` or `rules` must be specified";
        errors.invalid("spec", serde_json::json!(spec.rules), why);
    }
    if let Some(given) = &spec.default_backend {
        backend(given, "spec.defaultBackend", errors);
    }
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("spec.rules[{index}]");
        let name = text(&rule.host);
        if name.parse::<IpAddr>().is_ok() {
            let why = "must be a DNS name, not an IP address";
            errors.invalid(format_args!("{at}.host"), name, why);
        }
        if !name.is_empty() {
            host(name, &format!("{at}.host"), errors);
        }
        let Some(http) = &rule.http else { continue };
        if http.paths.is_empty() {
            errors.required(format_args!("{at}.http.paths"), "");
        }
        for (index, given) in http.paths.iter().enumerate() {
            path(given, &format!("{at}.http.paths[{index}]"), errors);
        }
    }
    for (index, tls) in list(&spec.tls).iter().enumerate() {
        let at = format!("spec.tls[{index}]");
        for (index, name) in list(&tls.hosts).iter().enumerate() {
            host(name, &format!("{at}.hosts[{index}]"), errors);
        }
        optional(names::dns_subdomain, text(&tls.secret_name), format_args!("{at}.secretName"), errors);
    }
    if let Some(class) = &spec.ingress_class_name {
        judged(names::dns_subdomain, class, "spec.ingressClassName", errors);
    }
}

/// The annotation of old and the field may both be there, if they say the same.
pub(super) fn one_class(ingress: &Ingress, errors: &mut ErrorList) {
    let note = ingress.metadata.annotations.as_ref().and_then(|notes| notes.get(INGRESS_CLASS));
    let field = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_ref());
    if let Some((note, _)) = note.zip(field).filter(|(note, field)| note != field) {
        let why = "must match `ingressClassName` when both are specified";
        errors.invalid(format_args!("annotations.{INGRESS_CLASS}"), note.as_str(), why);
    }
}

fn host(name: &str, at: &str, errors: &mut ErrorList) {
    let judge = if name.contains('*') { names::wildcard_subdomain } else { names::dns_subdomain };
    judged(judge, name, at, errors);
}

fn path(given: &HTTPIngressPath, at: &str, errors: &mut ErrorList) {
    let (text, field) = (text(&given.path), format!("{at}.path"));
    match given.path_type.as_str() {
        "" => return errors.required(format_args!("{at}.pathType"), "pathType must be specified"),
        "Exact" | "Prefix" => {
            if !text.starts_with('/') {
                errors.invalid(&field, text, "must be an absolute path");
            }
            for part in NOT_IN_PATHS.iter().filter(|part| text.contains(**part)) {
                errors.invalid(&field, text, format_args!("must not contain '{part}'"));
            }
            for end in NOT_AT_THE_END.iter().filter(|end| text.ends_with(**end)) {
                errors.invalid(&field, text, format_args!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" if !text.is_empty() && !text.starts_with('/') => {
            errors.invalid(&field, text, "must be an absolute path");
        }
        "ImplementationSpecific" => {}
        other => errors.not_supported(format_args!("{at}.pathType"), other, &PATH_TYPES),
    }
    backend(&given.backend, &format!("{at}.backend"), errors);
}

fn backend(backend: &IngressBackend, at: &str, errors: &mut ErrorList) {
    match (&backend.service, &backend.resource) {
        (Some(_), Some(_)) => errors.invalid(at, "", "cannot set both resource and service backends"),
        (None, None) => errors.invalid(at, "", "resource or service backend is required"),
        (None, Some(given)) => resource(given, &format!("{at}.resource"), errors),
        (Some(given), None) => service(given, at, errors),
    }
}

fn resource(given: &TypedLocalObjectReference, at: &str, errors: &mut ErrorList) {
    if let Some(group) = &given.api_group {
        judged(names::dns_subdomain, group, format_args!("{at}.apiGroup"), errors);
    }
    required(names::path_segment, &given.kind, format_args!("{at}.kind"), errors);
    required(names::path_segment, &given.name, format_args!("{at}.name"), errors);
}

fn service(given: &IngressServiceBackend, at: &str, errors: &mut ErrorList) {
    required(names::dns_label, &given.name, format_args!("{at}.service.name"), errors);
    let port = given.port.as_ref();
    let name = port.map(|port| text(&port.name)).unwrap_or_default();
    let number = port.and_then(|port| port.number).unwrap_or(0);
    match (name, number) {
        ("", 0) => errors.required(at, "port name or number is required"),
        ("", number) => port_number(number, format_args!("{at}.service.port.number"), errors),
        (name, 0) => judged(names::port_name, name, format_args!("{at}.service.port.name"), errors),
        _ => errors.invalid(at, "", "cannot set both port name & port number"),
    }
}
