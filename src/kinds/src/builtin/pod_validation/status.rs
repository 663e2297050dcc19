//! What a pod's status may become (`ValidatePodStatusUpdate`), whoever writes it.

use super::super::checks::{IMMUTABLE, ip, judged, list, text};
use super::super::names;
use super::{annotations, container_status, update};
use crate::ErrorList;
use crate::container_transitions::{Group, revived};
use k8s_openapi::api::core::v1::{
    ContainerStatus, Pod, PodCondition, PodExtendedResourceClaimStatus, PodResourceClaimStatus, PodSpec,
    PodStatus,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const OF_THE_SYSTEM: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
/// Of a generation that was seen. Other kinds say it in other words.
const NO_GENERATION: &str = "must be a non-negative integer";

pub(in super::super) fn status_update(new_pod: &Pod, old_pod: &Pod, errors: &mut ErrorList) {
    let (no_spec, none) = (PodSpec::default(), PodStatus::default());
    let spec = old_pod.spec.as_ref().unwrap_or(&no_spec);
    let (new, old) = (new_pod.status.as_ref().unwrap_or(&none), old_pod.status.as_ref().unwrap_or(&none));
    // a writer of the status may write annotations as well
    if new_pod.metadata.annotations != old_pod.metadata.annotations {
        update::annotations(new_pod, old_pod, errors);
        annotations::specific(new_pod.metadata.annotations.as_ref(), spec, "metadata.annotations", errors);
    }
    conditions(list(&new.conditions), errors);
    nominated(new, old, spec, errors);
    if let Some(generation) = new.observed_generation.filter(|generation| *generation < 0) {
        errors.invalid("status.observedGeneration", generation, NO_GENERATION);
    }
    // one that was stored without it may get it
    let (class, before) = (text(&new.qos_class), text(&old.qos_class));
    if class != before && !before.is_empty() {
        errors.invalid("status.qosClass", class, IMMUTABLE);
    }
    let groups = [
        (Group::Main, "containerStatuses", &new.container_statuses, &old.container_statuses),
        (Group::Init, "initContainerStatuses", &new.init_container_statuses, &old.init_container_statuses),
        (
            Group::Ephemeral,
            "ephemeralContainerStatuses",
            &new.ephemeral_container_statuses,
            &old.ephemeral_container_statuses,
        ),
    ];
    for (group, field, new, old) in groups {
        transitions(spec, group, field, list(new), list(old), errors);
    }
    claims(list(&new.resource_claim_statuses), spec, errors);
    if let Some(claim) = &new.extended_resource_claim_status {
        extended_claim(claim, spec, errors);
    }
    let ips = |of: &PodStatus| list(&of.pod_ips).iter().map(|ip| ip.ip.clone()).collect::<Vec<_>>();
    addresses("status.podIPs", &ips(new), &ips(old), errors);
    let ips = |of: &PodStatus| list(&of.host_ips).iter().map(|ip| ip.ip.clone()).collect::<Vec<_>>();
    let host_ips = ips(new);
    if let Some(first) = host_ips.first().filter(|first| *first != text(&new.host_ip)) {
        errors.invalid("status.hostIPs[0].ip", first.as_str(), "must be equal to `hostIP`");
    }
    addresses("status.hostIPs", &host_ips, &ips(old), errors);
    for (group, field, new, _) in groups {
        container_status::all(list(new), group, spec, &format!("status.{field}"), errors);
    }
}

fn conditions(conditions: &[PodCondition], errors: &mut ErrorList) {
    for (index, condition) in conditions.iter().enumerate() {
        let at = format!("status.conditions[{index}]");
        if let Some(generation) = condition.observed_generation.filter(|generation| *generation < 0) {
            errors.invalid(format_args!("{at}.observedGeneration"), generation, NO_GENERATION);
        }
        if !OF_THE_SYSTEM.contains(&condition.type_.as_str()) {
            judged(names::qualified, &condition.type_, format_args!("{at}.Type"), errors);
        }
    }
}

/// The node that a pod waits for; who is on one waits for none.
fn nominated(new: &PodStatus, old: &PodStatus, spec: &PodSpec, errors: &mut ErrorList) {
    let (field, name) = ("status.nominatedNodeName", text(&new.nominated_node_name));
    if name.is_empty() || name == text(&old.nominated_node_name) {
        return;
    }
    judged(names::dns_subdomain, name, field, errors);
    if !text(&spec.node_name).is_empty() {
        errors.forbidden(field, "may not be set on pods that are already bound to a node");
    }
}

fn transitions(
    spec: &PodSpec,
    group: Group,
    field: &str,
    new: &[ContainerStatus],
    old: &[ContainerStatus],
    errors: &mut ErrorList,
) {
    for place in revived(spec, group, new, old) {
        let at = format!("status.{field}[{place}].state");
        errors.forbidden(at, "may not be transitioned to non-terminated state");
    }
}

fn claims(claims: &[PodResourceClaimStatus], spec: &PodSpec, errors: &mut ErrorList) {
    let known: BTreeSet<&str> = list(&spec.resource_claims).iter().map(|claim| claim.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let at = format!("status.resourceClaimStatuses[{index}].name");
        if !known.contains(claim.name.as_str()) {
            let why = "must match the name of an entry in `spec.resourceClaims`";
            errors.invalid(&at, claim.name.as_str(), why);
        }
        if !seen.insert(claim.name.as_str()) {
            errors.duplicate(&at, claim.name.as_str());
        }
        if let Some(name) = &claim.resource_claim_name {
            judged(names::dns_subdomain, name, &at, errors);
        }
    }
}

/// Which device of which claim is which extended resource of which container (KEP-5004).
fn extended_claim(claim: &PodExtendedResourceClaimStatus, spec: &PodSpec, errors: &mut ErrorList) {
    let at = "status.extendedResourceClaimStatus";
    let containers = list(&spec.init_containers).iter().chain(&spec.containers);
    let containers: BTreeMap<&str, _> = containers.map(|c| (c.name.as_str(), c.resources.as_ref())).collect();
    if claim.request_mappings.is_empty() {
        errors.required(format_args!("{at}.requestMappings"), "at least one request mapping is required");
    }
    let mut seen = BTreeSet::new();
    for (index, mapping) in claim.request_mappings.iter().enumerate() {
        let here = format!("{at}.requestMappings[{index}]");
        let (container, resource, request) =
            (mapping.container_name.as_str(), mapping.resource_name.as_str(), mapping.request_name.as_str());
        match containers.get(container) {
            None => errors.invalid(
                format_args!("{here}.containerName"),
                container,
                "must match the name of an entry in spec.initContainers.name or spec.containers.name",
            ),
            Some(resources) => {
                let requests = resources.and_then(|resources| resources.requests.as_ref());
                if requests.is_none_or(|requests| !requests.contains_key(resource)) {
                    errors.invalid(
                        format_args!("{here}.resourceName"),
                        resource,
                        "must match the extended resource name of an entry in spec.initContainers.resources.requests or \
                         spec.containers.resources.requests",
                    );
                }
            }
        }
        // upstream says it of the claim, not of the mapping
        judged(names::dns_label, request, format_args!("{at}.requestName"), errors);
        if !seen.insert((container, resource, request)) {
            errors.duplicate(format_args!("{here}.containerName"), container);
            errors.duplicate(format_args!("{here}.resourceName"), resource);
            errors.duplicate(format_args!("{here}.requestName"), request);
        }
    }
    match claim.resource_claim_name.as_str() {
        "" => errors.required(format_args!("{at}.resourceClaimName"), ""),
        name => judged(names::dns_subdomain, name, format_args!("{at}.resourceClaimName"), errors),
    }
}

/// Those that were told before may stay, whatever they are. There is at most one of each family.
fn addresses(field: &str, new: &[String], old: &[String], errors: &mut ErrorList) {
    for (index, address) in new.iter().enumerate().filter(|(_, address)| !old.contains(address)) {
        ip(address, format_args!("{field}[{index}]"), errors);
    }
    let families: BTreeSet<bool> =
        new.iter().filter_map(|ip| ip.parse::<IpAddr>().ok()).map(|ip| ip.is_ipv6()).collect();
    if new.len() > 2 || (new.len() == 2 && families.len() < 2) {
        let shown: Vec<_> = new.iter().map(|ip| json!({"ip": ip})).collect();
        errors.invalid(field, shown, "may specify no more than one IP for each IP family");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_one_of_each_family_and_may_stay_what_they_are() {
        let all = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let family = "podIPs: Invalid value: [{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]: may specify no more than one IP \
                      for each IP family";
        for (name, new, old, want) in [
            ("none", "", "10.0.0.1", ""),
            ("one of each", "10.0.0.1 fd00::1", "", ""),
            ("two of one", "10.0.0.1 10.0.0.2", "", family),
            ("what was there", "010.0.0.1", "010.0.0.1", ""),
            ("no address", "web", "", "podIPs[0]: Invalid value: \"web\": must be a valid IP address"),
            ("three", "10.0.0.1 fd00::1 10.0.0.1", "", "may specify no more than one IP for each IP family"),
        ] {
            let mut errors = ErrorList::default();
            addresses("podIPs", &all(new), &all(old), &mut errors);
            let told: Vec<_> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            let told = told.join("; ");
            assert!(if want.is_empty() { told.is_empty() } else { told.contains(want) }, "{name}: {told}");
        }
    }
}
