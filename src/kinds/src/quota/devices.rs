//! What a ResourceClaim uses of a quota: devices, by their class.

use super::Usage;
use api::quantity::Quantity;
use k8s_openapi::api::resource::v1::{DeviceRequest, ResourceClaimSpec};
use serde_json::Value;
use std::collections::BTreeMap;

const OF_CLASS: &str = ".deviceclass.resource.k8s.io/devices";
/// Of a request for all that there are: upstream's `AllocationResultsMaxSize`, more than which no claim gets.
const ALL: i64 = 32;

pub(super) fn is_of_devices(name: &str) -> bool {
    name.ends_with(OF_CLASS)
}

/// `fields` are those of the claim.
pub(super) fn of_claim(fields: &Value, usage: &mut Usage) {
    let spec = fields.pointer("/spec").and_then(|spec| api::json::from_value::<ResourceClaimSpec>(spec).ok());
    let requests = spec.and_then(|spec| spec.devices).and_then(|devices| devices.requests);
    let mut sum = BTreeMap::<String, i64>::new();
    for request in requests.iter().flatten() {
        for (class, count) in most_of(request) {
            let devices = sum.entry(class).or_default();
            *devices = devices.saturating_add(count);
        }
    }
    usage.extend(sum.into_iter().map(|(class, n)| (format!("{class}{OF_CLASS}"), Quantity::from_units(n))));
}

/// One of `firstAvailable` is chosen later: of each class the most that it can be.
fn most_of(request: &DeviceRequest) -> BTreeMap<String, i64> {
    let exactly =
        request.exactly.iter().map(|r| (&r.device_class_name, r.allocation_mode.as_deref(), r.count));
    let first = request.first_available.iter().flatten();
    let first = first.map(|r| (&r.device_class_name, r.allocation_mode.as_deref(), r.count));
    let mut most = BTreeMap::<String, i64>::new();
    for (class, mode, count) in exactly.chain(first) {
        let count = match mode {
            None | Some("" | "ExactCount") => count.unwrap_or(1),
            Some("All") => ALL,
            Some(_) => 0,
        };
        let known = most.entry(class.clone()).or_default();
        *known = count.max(*known);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_use_devices_of_their_classes() {
        let exactly = |class: &str, mode: &str, count: Value| json!({"name": "r", "exactly": {"deviceClassName": class, "allocationMode": mode, "count": count}});
        let sub = |class: &str, count: i64| json!({"name": "s", "deviceClassName": class, "count": count});
        let gpu = |n: u32| format!("gpu.deviceclass.resource.k8s.io/devices={n}");
        let nic = |n: u32| format!("nic.deviceclass.resource.k8s.io/devices={n}");
        // (name, requests, usage)
        let cases = [
            ("none", json!([]), String::new()),
            ("so many", json!([exactly("gpu", "ExactCount", json!(2))]), gpu(2)),
            ("all", json!([exactly("gpu", "All", Value::Null)]), gpu(32)),
            ("a mode of another version", json!([exactly("gpu", "Some", Value::Null)]), gpu(0)),
            (
                "several",
                json!([exactly("gpu", "ExactCount", json!(2)), exactly("gpu", "ExactCount", json!(1))]),
                gpu(3),
            ),
            (
                "the most that it can be",
                json!([{"name": "r", "firstAvailable": [sub("gpu", 1), sub("gpu", 4), sub("nic", 2)]}]),
                format!("{},{}", gpu(4), nic(2)),
            ),
        ];
        for (name, requests, want) in cases {
            let mut usage = Usage::new();
            of_claim(&json!({"spec": {"devices": {"requests": requests}}}), &mut usage);
            assert_eq!(crate::quota::print(&usage), want, "{name}");
        }
    }
}
