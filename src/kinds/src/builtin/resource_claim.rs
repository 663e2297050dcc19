//! ResourceClaims and their templates: devices that a pod asks for. No driver and no allocator is part of the cluster: they
//! are served, and wait for whoever allocates.

use super::checks::{list, required, text};
use super::names;
use super::resource_devices::{config, selectors, typed};
use crate::{Cell, ErrorList};
use k8s_openapi::api::resource::v1::{DeviceRequest, DeviceToleration, ResourceClaimSpec};
use serde_json::{Value, json};
use std::collections::HashSet;

const MOST: usize = 32;
const ALL: &str = "All";
const EXACT_COUNT: &str = "ExactCount";
const KINDS_OF_REQUEST: &str = "[exactly firstAvailable]";

pub(super) fn set_defaults(fields: &mut Value) {
    edit(fields, "/spec");
}

pub(super) fn set_template_defaults(fields: &mut Value) {
    edit(fields, "/spec/spec");
}

fn edit(fields: &mut Value, at: &str) {
    let Some(mut spec) = typed::<ResourceClaimSpec>(fields, at) else { return };
    let requests = spec.devices.iter_mut().flat_map(|devices| devices.requests.iter_mut().flatten());
    for request in requests {
        if let Some(exactly) = &mut request.exactly {
            mode_and_count(&mut exactly.allocation_mode, &mut exactly.count);
            tolerations(&mut exactly.tolerations);
        }
        for sub in request.first_available.iter_mut().flatten() {
            mode_and_count(&mut sub.allocation_mode, &mut sub.count);
            tolerations(&mut sub.tolerations);
        }
    }
    if let (Some(place), Ok(spec)) = (fields.pointer_mut(at), api::json::to_value(&spec)) {
        *place = spec;
    }
}

fn mode_and_count(mode: &mut Option<String>, count: &mut Option<i64>) {
    super::fill::text(mode, EXACT_COUNT);
    match (text(mode), *count) {
        (EXACT_COUNT, None | Some(0)) => *count = Some(1),
        (_, Some(0)) => *count = None,
        _ => {}
    }
}

fn tolerations(all: &mut Option<Vec<DeviceToleration>>) {
    all.iter_mut().flatten().for_each(|toleration| super::fill::text(&mut toleration.operator, "Equal"));
}

pub(super) fn validate(fields: &Value, errors: &mut ErrorList) {
    spec(fields, "/spec", errors);
}

pub(super) fn validate_template(fields: &Value, errors: &mut ErrorList) {
    spec(fields, "/spec/spec", errors);
}

fn spec(fields: &Value, pointer: &str, errors: &mut ErrorList) {
    let Some(spec) = typed::<ResourceClaimSpec>(fields, pointer) else { return };
    let Some(devices) = spec.devices else { return };
    let at = format!("{}.devices", pointer.trim_start_matches('/').replace('/', "."));
    let requests = list(&devices.requests);
    let mut seen = HashSet::new();
    for (field, count) in [
        ("requests", requests.len()),
        ("constraints", list(&devices.constraints).len()),
        ("config", list(&devices.config).len()),
    ] {
        if count > MOST {
            errors.too_many(format_args!("{at}.{field}"), count, MOST);
        }
    }
    for (index, asked) in requests.iter().enumerate() {
        let at = format!("{at}.requests[{index}]");
        if !seen.insert(asked.name.as_str()) {
            errors.duplicate(format_args!("{at}.name"), asked.name.as_str());
        }
        request(asked, &at, errors);
    }
    let known: HashSet<Named> = requests.iter().flat_map(names_of).collect();
    for (index, one) in list(&devices.config).iter().enumerate() {
        config(one.opaque.as_ref(), &format!("{at}.config[{index}]"), errors);
        known_requests(one.requests.as_deref(), &known, &format!("{at}.config[{index}].requests"), errors);
    }
    for (index, one) in list(&devices.constraints).iter().enumerate() {
        let at = format!("{at}.constraints[{index}]");
        known_requests(one.requests.as_deref(), &known, &format!("{at}.requests"), errors);
        if one.match_attribute.is_none() && one.distinct_attribute.is_none() {
            errors.required(at, "");
        }
    }
}

fn request(asked: &DeviceRequest, at: &str, errors: &mut ErrorList) {
    required(names::dns_label, &asked.name, format_args!("{at}.name"), errors);
    let subs = list(&asked.first_available);
    match (&asked.exactly, subs) {
        (None, []) => errors.required(at, &format!("exactly one of {KINDS_OF_REQUEST} is required")),
        (Some(_), [_, ..]) => {
            let why = format!("exactly one of {KINDS_OF_REQUEST} is required, but multiple fields are set");
            errors.invalid(at, Value::Null, why);
        }
        _ => {}
    }
    if let Some(exactly) = &asked.exactly {
        let at = format!("{at}.exactly");
        required(
            names::dns_subdomain,
            &exactly.device_class_name,
            format_args!("{at}.deviceClassName"),
            errors,
        );
        selectors(list(&exactly.selectors), &format!("{at}.selectors"), errors);
        count(text(&exactly.allocation_mode), exactly.count, &at, errors);
    }
    let mut seen = HashSet::new();
    for (index, sub) in subs.iter().enumerate() {
        let at = format!("{at}.firstAvailable[{index}]");
        required(names::dns_label, &sub.name, format_args!("{at}.name"), errors);
        if !seen.insert(sub.name.as_str()) {
            errors.duplicate(format_args!("{at}.name"), sub.name.as_str());
        }
        required(names::dns_subdomain, &sub.device_class_name, format_args!("{at}.deviceClassName"), errors);
        selectors(list(&sub.selectors), &format!("{at}.selectors"), errors);
        count(text(&sub.allocation_mode), sub.count, &at, errors);
    }
}

fn count(mode: &str, count: Option<i64>, at: &str, errors: &mut ErrorList) {
    match (mode, count.unwrap_or(0)) {
        (ALL, 0) => {}
        (ALL, count) => {
            let why = format!("must not be specified when allocationMode is '{ALL}'");
            errors.invalid(format_args!("{at}.count"), count, why);
        }
        (EXACT_COUNT, count) if count <= 0 => {
            errors.invalid(format_args!("{at}.count"), count, "must be greater than zero");
        }
        (EXACT_COUNT, _) => {}
        (other, _) => errors.not_supported(format_args!("{at}.allocationMode"), other, &[ALL, EXACT_COUNT]),
    }
}

/// A request, and one of its alternatives.
type Named<'r> = (&'r str, Option<&'r str>);

fn names_of(request: &DeviceRequest) -> impl Iterator<Item = Named<'_>> {
    let name = request.name.as_str();
    let subs = list(&request.first_available).iter().map(move |sub| (name, Some(sub.name.as_str())));
    std::iter::once((name, None)).chain(subs)
}

/// Names of requests, or `request/alternative`.
fn known_requests(asked: Option<&[String]>, known: &HashSet<Named>, at: &str, errors: &mut ErrorList) {
    for (index, name) in asked.into_iter().flatten().enumerate() {
        let named = match name.split_once('/') {
            None => (name.as_str(), None),
            Some((request, sub)) => (request, Some(sub)),
        };
        if !known.contains(&named) {
            let why = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
            errors.invalid(format_args!("{at}[{index}]"), name.as_str(), why);
        }
    }
}

/// `allocated,reserved`
pub(super) fn state(object: &Value) -> Cell {
    let is_going = object.pointer("/metadata/deletionTimestamp").is_some();
    let is_allocated = object.pointer("/status/allocation").is_some();
    let reserved_for = object.pointer("/status/reservedFor").and_then(Value::as_array);
    let is_reserved = reserved_for.is_some_and(|users| !users.is_empty());
    let states = [
        (is_going, "deleted"),
        (!is_allocated && !is_going, "pending"),
        (is_allocated, "allocated"),
        (is_allocated && is_reserved, "reserved"),
    ];
    let told: Vec<&str> = states.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect();
    json!(told.join(","))
}
