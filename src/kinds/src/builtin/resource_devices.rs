//! DeviceClasses and ResourceSlices: which devices there are, and what kinds of them. Drivers publish them.

use super::checks::{list, required};
use super::csi_driver::driver_name;
use super::names;
use crate::ErrorList;
use k8s_openapi::api::resource::v1::{
    DeviceClassSpec, DeviceSelector, OpaqueDeviceConfiguration, ResourceSliceSpec,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;

const MOST: usize = 32;
const MOST_DEVICES: usize = 128;
const PLACES: &str =
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";

/// A part of an object as its type, where its logic is asked.
pub(super) fn typed<T: DeserializeOwned>(fields: &Value, at: &str) -> Option<T> {
    api::json::from_value(fields.pointer(at)?).ok()
}

pub(super) fn validate_class(fields: &Value, errors: &mut ErrorList) {
    let Some(spec) = typed::<DeviceClassSpec>(fields, "/spec") else { return };
    selectors(list(&spec.selectors), "spec.selectors", errors);
    let configs = list(&spec.config);
    if configs.len() > MOST {
        errors.too_many("spec.config", configs.len(), MOST);
    }
    for (index, one) in configs.iter().enumerate() {
        config(one.opaque.as_ref(), &format!("spec.config[{index}]"), errors);
    }
}

/// The expressions are a driver's and an allocator's, who are told where one is wrong; that there is one is checked here.
pub(super) fn selectors(all: &[DeviceSelector], at: &str, errors: &mut ErrorList) {
    if all.len() > MOST {
        errors.too_many(at, all.len(), MOST);
    }
    for (index, selector) in all.iter().enumerate() {
        match &selector.cel {
            None => errors.required(format_args!("{at}[{index}].cel"), ""),
            Some(cel) if cel.expression.is_empty() => {
                errors.required(format_args!("{at}[{index}].cel.expression"), "");
            }
            Some(_) => {}
        }
    }
}

pub(super) fn config(opaque: Option<&OpaqueDeviceConfiguration>, at: &str, errors: &mut ErrorList) {
    let at = format!("{at}.opaque");
    let Some(opaque) = opaque else { return errors.required(at, "") };
    driver_name(&opaque.driver, &format!("{at}.driver"), errors);
    match &opaque.parameters.0 {
        Value::Null => errors.required(format_args!("{at}.parameters"), ""),
        Value::Object(_) => {}
        other => {
            errors.invalid(format_args!("{at}.parameters"), other.clone(), "must be a valid JSON object")
        }
    }
}

/// Names of domains with slashes between them.
pub(super) fn pool_name(name: &str, at: &str, errors: &mut ErrorList) {
    match name {
        "" => errors.required(at, ""),
        name => {
            name.split('/').for_each(|part| super::checks::judged(names::dns_subdomain, part, at, errors));
        }
    }
}

pub(super) fn validate_slice(fields: &Value, errors: &mut ErrorList) {
    let Some(spec) = typed::<ResourceSliceSpec>(fields, "/spec") else { return };
    driver_name(&spec.driver, "spec.driver", errors);
    pool_name(&spec.pool.name, "spec.pool.name", errors);
    if spec.pool.resource_slice_count <= 0 {
        let why = "must be greater than zero";
        errors.invalid("spec.pool.resourceSliceCount", spec.pool.resource_slice_count, why);
    }
    if spec.pool.generation < 0 {
        let why = "must be greater than or equal to zero";
        errors.invalid("spec.pool.generation", spec.pool.generation, why);
    }
    let places = [
        spec.node_name.as_deref().is_some_and(|name| !name.is_empty()),
        spec.node_selector.is_some(),
        spec.all_nodes == Some(true),
        spec.per_device_node_selection == Some(true),
    ];
    match places.into_iter().filter(|given| *given).count() {
        0 => errors.required("spec", PLACES),
        1 => {}
        _ => errors.invalid("spec", Value::Null, format_args!("{PLACES}, but multiple fields are set")),
    }
    let devices = list(&spec.devices);
    if devices.len() > MOST_DEVICES {
        errors.too_many("spec.devices", devices.len(), MOST_DEVICES);
    }
    let mut seen = HashSet::new();
    for (index, device) in devices.iter().enumerate() {
        let field = format!("spec.devices[{index}].name");
        required(names::dns_label, &device.name, &field, errors);
        if !seen.insert(device.name.as_str()) {
            errors.duplicate(field, device.name.as_str());
        }
    }
}
