//! What a pod's status may become (`ValidatePodStatusUpdate`). What the node's own agent writes is not judged again.

use super::super::checks::{IMMUTABLE, ip, judged, list, text};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

const OF_THE_SYSTEM: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];

pub(in super::super) fn status_update(new: &Pod, old: &Pod, errors: &mut ErrorList) {
    let none = PodStatus::default();
    let (new, old) = (new.status.as_ref().unwrap_or(&none), old.status.as_ref().unwrap_or(&none));
    for (index, condition) in list(&new.conditions).iter().enumerate() {
        if !OF_THE_SYSTEM.contains(&condition.type_.as_str()) {
            // upstream forgets that it has moved on from the metadata
            let at = format!("metadata.conditions[{index}].Type");
            judged(names::qualified, &condition.type_, at, errors);
        }
    }
    let nominated = text(&new.nominated_node_name);
    if new.nominated_node_name != old.nominated_node_name && !nominated.is_empty() {
        judged(names::dns_subdomain, nominated, "status.nominatedNodeName", errors);
    }
    // one that was stored without it may get it
    let (class, before) = (text(&new.qos_class), text(&old.qos_class));
    if class != before && !before.is_empty() {
        errors.invalid("status.qosClass", class, IMMUTABLE);
    }
    for (index, address) in list(&new.pod_ips).iter().enumerate() {
        ip(&address.ip, format_args!("status.podIPs[{index}]"), errors);
    }
    for (index, address) in list(&new.host_ips).iter().enumerate() {
        ip(&address.ip, format_args!("status.hostIPs[{index}]"), errors);
    }
}
