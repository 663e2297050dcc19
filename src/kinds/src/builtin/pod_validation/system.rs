//! The operating system that a pod is for, and what running it costs beside its containers.

use super::{each_container, resources, windows};
use crate::ErrorList;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

const SYSTEMS: [&str; 2] = ["linux", "windows"];

pub(super) fn overhead(overhead: Option<&BTreeMap<String, Quantity>>, at: &str, errors: &mut ErrorList) {
    if let Some(overhead) = overhead {
        resources::of_overhead(overhead, at, errors);
    }
}

pub(super) fn os(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    match spec.os.as_ref().map(|os| os.name.as_str()) {
        None => {}
        Some("") => errors.required(format_args!("{at}.os.name"), "cannot be empty"),
        Some("linux") => linux(spec, at, errors),
        Some("windows") => windows::pod(spec, at, errors),
        Some(other) => errors.not_supported(format_args!("{at}.os"), other, &SYSTEMS),
    }
}

fn linux(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let why = "windows options cannot be set for a linux pod";
    if spec.security_context.as_ref().is_some_and(|c| c.windows_options.is_some()) {
        errors.forbidden(format_args!("{at}.securityContext.windowsOptions"), why);
    }
    for (container, at) in each_container(spec, at) {
        if container.security_context.as_ref().is_some_and(|c| c.windows_options.is_some()) {
            errors.forbidden(format_args!("{at}.securityContext.windowsOptions"), why);
        }
    }
}
