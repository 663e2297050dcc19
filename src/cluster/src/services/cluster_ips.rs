//! ClusterIPs: the one that a Service asks for, or one that is free.

use super::reservation::ServiceReservation;
use super::{Allocators, stored_services};
use crate::ip_addresses::{self, addresses_of};
use crate::service_ranges::{admit, find_free};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use kinds::ErrorList;
use rand::Rng;
use std::net::Ipv4Addr;
use store::Store;

impl Allocators {
    pub(super) fn take_address(
        &self,
        store: &Store,
        new: &mut Service,
        old: Option<&Service>,
        reservation: &mut ServiceReservation,
        errors: &mut ErrorList,
    ) {
        let Some(spec) = new.spec.as_mut() else { return };
        let had: Vec<Ipv4Addr> = old.map(addresses_of).unwrap_or_default();
        if spec.type_.as_deref() == Some("ExternalName") {
            reservation.freed_addresses = had;
            return;
        }
        one_family(spec, errors);
        match spec.cluster_ip.as_deref().unwrap_or_default() {
            "None" => {}
            "" => match had.first().copied().or_else(|| self.any_address(store, reservation)) {
                Some(ip) => spec.cluster_ip = Some(ip.to_string()),
                None => errors.invalid(
                    "spec.clusterIPs",
                    Vec::<String>::new(),
                    "failed to allocate a serviceIP: range is full",
                ),
            },
            asked => match asked.parse::<Ipv4Addr>() {
                Ok(ip) if had.contains(&ip) => {}
                Ok(ip) => {
                    if let Err(why) = self.take_asked(store, ip, reservation) {
                        errors.invalid(
                            "spec.clusterIPs",
                            vec![asked.to_owned()],
                            format!("failed to allocate IP {ip}: {why}"),
                        );
                    }
                }
                Err(_) => errors.invalid(
                    "spec.clusterIPs[0]",
                    asked,
                    "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                ),
            },
        }
        if spec.cluster_ips.as_ref().is_none_or(Vec::is_empty) {
            spec.cluster_ips = spec.cluster_ip.clone().map(|ip| vec![ip]);
        }
        spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned()]);
        spec.ip_family_policy.get_or_insert_with(|| "SingleStack".to_owned());
    }

    fn take_asked(
        &self,
        store: &Store,
        ip: Ipv4Addr,
        reservation: &mut ServiceReservation,
    ) -> Result<(), String> {
        let held = || stored_services(store).any(|service| addresses_of(&service).contains(&ip));
        let is_held = ip_addresses::is_held(&store.snapshot(), ip);
        let mut allocations = self.lock();
        admit(&allocations.ranges, ip)?;
        if is_held || !allocations.addresses.take(ip, &reservation.uid, held) {
            return Err("provided IP is already allocated".to_owned());
        }
        reservation.addresses.push(ip);
        Ok(())
    }

    fn any_address(&self, store: &Store, reservation: &mut ServiceReservation) -> Option<Ipv4Addr> {
        let mut allocations = self.lock();
        let snapshot = store.snapshot();
        let free = find_free(
            &allocations.ranges,
            |part| rand::rng().random_range(part),
            |ip| allocations.addresses.is_free(ip) && !ip_addresses::is_held(&snapshot, *ip),
        )?;
        allocations.addresses.take(free, &reservation.uid, || true);
        reservation.addresses.push(free);
        Some(free)
    }
}

/// The cluster has IPv4 only.
fn one_family(spec: &ServiceSpec, errors: &mut ErrorList) {
    for (index, family) in spec.ip_families.iter().flatten().enumerate().filter(|(_, f)| *f == "IPv6") {
        let why = "not configured on this cluster";
        errors.invalid(format_args!("spec.ipFamilies[{index}]"), family.as_str(), why);
    }
    if let Some(policy) = spec.ip_family_policy.as_deref().filter(|policy| *policy == "RequireDualStack") {
        let why = "this cluster is not configured for dual-stack services";
        errors.invalid("spec.ipFamilyPolicy", policy, why);
    }
}
