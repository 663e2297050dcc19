//! References to fields of the pod and to resources of its containers.

use super::super::checks::{judged, text};
use super::super::names;
use crate::ErrorList;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{ObjectFieldSelector, ResourceFieldSelector};

pub(super) const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
pub(super) const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// What has a meaning at all (`ConvertDownwardAPIFieldLabel`); whether here, is another question.
const KNOWN_FIELDS: [&str; 13] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const HUGE_PAGES: [&str; 2] = ["limits.hugepages-", "requests.hugepages-"];
const CPU_DIVISORS: [&str; 2] = ["1m", "1"];
const BYTE_DIVISORS: [&str; 13] =
    ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

pub(super) fn field(selector: &ObjectFieldSelector, known: &[&str], at: &str, errors: &mut ErrorList) {
    let version = text(&selector.api_version);
    let path = selector.field_path.as_str();
    if version.is_empty() {
        return errors.required(format_args!("{at}.apiVersion"), "");
    }
    if path.is_empty() {
        return errors.required(format_args!("{at}.fieldPath"), "");
    }
    let wrong = |errors: &mut ErrorList, why: String| {
        errors.invalid(format_args!("{at}.fieldPath"), path, format!("error converting fieldPath: {why}"));
    };
    if version != "v1" {
        return wrong(errors, format!("unsupported pod version: {version}"));
    }
    match subscript(path) {
        Some(("metadata.annotations", key)) => judged(names::qualified, &key.to_lowercase(), at, errors),
        Some(("metadata.labels", key)) => judged(names::qualified, key, at, errors),
        Some(_) => wrong(errors, format!("field label does not support subscript: {path}")),
        None if !KNOWN_FIELDS.contains(&path) => {
            wrong(errors, format!("field label not supported: {path}"));
        }
        None if !known.contains(&path) => {
            errors.not_supported(format_args!("{at}.fieldPath"), path, known);
        }
        None => {}
    }
}

/// `metadata.labels['app']` is `metadata.labels` and `app`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (field, key) = path.strip_suffix("']")?.split_once("['")?;
    (!field.is_empty()).then_some((field, key))
}

pub(super) fn resource(selector: &ResourceFieldSelector, of_volume: bool, at: &str, errors: &mut ErrorList) {
    let resource = selector.resource.as_str();
    let is_huge = HUGE_PAGES.iter().any(|prefix| resource.starts_with(prefix));
    if of_volume && text(&selector.container_name).is_empty() {
        errors.required(format_args!("{at}.containerName"), "");
    } else if resource.is_empty() {
        errors.required(format_args!("{at}.resource"), "");
    } else if !RESOURCES.contains(&resource) && !is_huge {
        errors.not_supported(format_args!("{at}.resource"), resource, &RESOURCES);
    }
    divisor(selector, is_huge, at, errors);
}

fn divisor(selector: &ResourceFieldSelector, is_huge: bool, at: &str, errors: &mut ErrorList) {
    let Some(given) = &selector.divisor else { return };
    let resource = selector.resource.as_str();
    let (known, what) = match resource {
        "limits.cpu" | "requests.cpu" => (&CPU_DIVISORS[..], "cpu resource"),
        "limits.memory" | "requests.memory" => (&BYTE_DIVISORS[..], "memory resource"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            (&BYTE_DIVISORS[..], "local ephemeral storage resource")
        }
        _ if is_huge => (&BYTE_DIVISORS[..], "hugepages resource"),
        _ => return,
    };
    let field = format_args!("{at}.divisor").to_string();
    match given.0.parse::<Quantity>() {
        Err(why) => errors.invalid(field, given.0.as_str(), why),
        Ok(amount) if amount.is_zero() || known.iter().any(|one| one.parse() == Ok(amount)) => {}
        Ok(_) => {
            let each = if known.len() == CPU_DIVISORS.len() {
                "1m and 1".to_owned()
            } else {
                BYTE_DIVISORS.join(", ")
            };
            let why = format!("only divisor's values {each} are supported with the {what}");
            errors.invalid(field, resource, why);
        }
    }
}
