//! The addresses that a Service asks for, of which family they are, and which of them stay.

use super::super::checks::{among_if_set, ip, list, text};
use super::is_headless;
use crate::ErrorList;
use k8s_openapi::api::core::v1::ServiceSpec;
use std::collections::BTreeSet;
use std::net::IpAddr;

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const FAMILY_POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];

/// Upstream's `ValidateServiceClusterIPsRelatedFields`; what there is to give out is the cluster's matter.
pub(super) fn cluster_addresses(spec: &ServiceSpec, errors: &mut ErrorList) {
    if text(&spec.type_) == "ExternalName" {
        return;
    }
    let (first, all) = (text(&spec.cluster_ip), list(&spec.cluster_ips));
    match (first, all) {
        ("", []) => {}
        ("", all) => {
            errors.invalid(
                "spec.clusterIPs",
                all.to_vec(),
                "must be empty when `clusterIP` is not specified",
            );
        }
        (_, []) => errors.required("spec.clusterIPs", ""),
        (first, all) if all[0] != first => {
            errors.invalid("spec.clusterIPs", all.to_vec(), "first value must match `clusterIP`");
        }
        _ => {}
    }
    let families = list(&spec.ip_families);
    let mut seen = BTreeSet::new();
    for (index, family) in families.iter().enumerate() {
        let at = format!("spec.ipFamilies[{index}]");
        if !FAMILIES.contains(&family.as_str()) {
            errors.not_supported(&at, family.as_str(), &FAMILIES);
        }
        if !seen.insert(family) {
            errors.duplicate(&at, family.as_str());
        }
    }
    let policy = spec.ip_family_policy.as_deref();
    among_if_set(policy, &FAMILY_POLICIES, "spec.ipFamilyPolicy", errors);
    let before = errors.len();
    for (index, address) in all.iter().enumerate() {
        match address.as_str() {
            "None" if index == 0 && all.len() == 1 => {}
            "None" if index == 0 => {
                let why = "'None' must be the first and only value";
                errors.invalid("spec.clusterIPs", all.to_vec(), why);
            }
            address => ip(address, format_args!("spec.clusterIPs[{index}]"), errors),
        }
    }
    if all.len() > 2 {
        errors.invalid("spec.clusterIPs", all.to_vec(), "may only hold up to 2 values");
    }
    if errors.len() == before {
        of_family(all, families, errors);
    }
}

fn of_family(all: &[String], families: &[String], errors: &mut ErrorList) {
    let is_six = |address: &String| address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
    if let [one, other] = all
        && is_six(one) == is_six(other)
    {
        let why = "may specify no more than one IP for each IP family";
        errors.invalid("spec.clusterIPs", all.to_vec(), why);
    }
    for (index, (address, family)) in all.iter().zip(families).enumerate() {
        let given = if is_six(address) { "IPv6" } else { "IPv4" };
        if address != "None" && FAMILIES.contains(&family.as_str()) && given != family {
            let why = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errors.invalid(format_args!("spec.clusterIPs[{index}]"), address.as_str(), why);
        }
    }
}

/// What is there stays; a second address, of the other family, may come and go.
pub(super) fn addresses_stay(new: &ServiceSpec, old: &ServiceSpec, errors: &mut ErrorList) {
    if is_headless(new) && is_headless(old) {
        return;
    }
    let (now, before) = (list(&new.cluster_ips), list(&old.cluster_ips));
    if now.is_empty() && !before.is_empty() {
        return errors.invalid("spec.clusterIPs[0]", now.to_vec(), "primary clusterIP can not be unset");
    }
    for (index, _) in now.iter().zip(before).enumerate().filter(|(_, (now, before))| now != before) {
        errors.invalid(format_args!("spec.clusterIPs[{index}]"), now.to_vec(), "may not change once set");
    }
    if is_headless(new) == is_headless(old) {
        let (now, before) = (list(&new.ip_families), list(&old.ip_families));
        if now.iter().zip(before).any(|(now, before)| now != before) {
            errors.invalid("spec.ipFamilies[0]", now.to_vec(), "may not change once set");
        }
    }
}
