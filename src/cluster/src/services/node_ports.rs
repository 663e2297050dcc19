//! Node ports, and the port at which a load balancer asks for a Service's health, which comes from the same range.

use super::reservation::ServiceReservation;
use super::{Allocators, stored_services};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use kinds::ErrorList;
use rand::Rng;
use std::cell::OnceCell;
use std::collections::HashSet;
use store::Store;

const HEALTH_CHECK: &str = "spec.healthCheckNodePort";

/// The ports of one Service, while a write of it is looked at.
struct Numbers<'n> {
    had: &'n HashSet<u16>,
    /// Those of all stored Services: read once, when one is asked for that another had.
    stored: OnceCell<HashSet<u16>>,
    kept: HashSet<u16>,
    reservation: &'n mut ServiceReservation,
    errors: &'n mut ErrorList,
}

impl Allocators {
    pub(super) fn take_ports(
        &self,
        store: &Store,
        new: &mut Service,
        old: Option<&Service>,
        reservation: &mut ServiceReservation,
        errors: &mut ErrorList,
    ) {
        let had: HashSet<u16> = old.map(|old| ports_of(old).collect()).unwrap_or_default();
        let Some(spec) = new.spec.as_mut() else { return };
        let wants = match spec.type_.as_deref().unwrap_or("ClusterIP") {
            "NodePort" => true,
            "LoadBalancer" => spec.allocate_load_balancer_node_ports != Some(false),
            _ => false,
        };
        let mut numbers =
            Numbers { had: &had, stored: OnceCell::new(), kept: HashSet::new(), reservation, errors };
        for (index, port) in spec.ports.iter().flatten().enumerate() {
            if let Some(asked) = port.node_port.filter(|asked| *asked != 0) {
                self.take_port(store, asked, &format!("spec.ports[{index}].nodePort"), &mut numbers);
            }
        }
        let asked_for_checks = spec.health_check_node_port.filter(|asked| *asked != 0);
        if let Some(asked) = asked_for_checks {
            // what goes to a node port never comes to who listens there
            match numbers.kept.iter().any(|port| i32::from(*port) == asked) {
                true => numbers.errors.invalid(HEALTH_CHECK, asked, "provided port is already allocated"),
                false => self.take_port(store, asked, HEALTH_CHECK, &mut numbers),
            }
        }
        let is_checked = asked_for_checks.is_none() && is_health_checked(spec);
        if wants {
            self.give_ports(spec.ports.as_deref_mut().unwrap_or_default(), &mut numbers);
        }
        if is_checked {
            match self.any_port(numbers.reservation) {
                Some(number) => {
                    numbers.kept.insert(number);
                    spec.health_check_node_port = Some(i32::from(number));
                }
                None => {
                    let why = "failed to allocate a HealthCheck NodePort: range is full";
                    numbers.errors.invalid(HEALTH_CHECK, 0, why);
                }
            }
        }
        numbers.reservation.freed = had.difference(&numbers.kept).copied().collect();
    }

    /// To those that ask for none.
    fn give_ports(&self, ports: &mut [ServicePort], numbers: &mut Numbers<'_>) {
        for index in 0..ports.len() {
            if ports[index].node_port.unwrap_or(0) != 0 {
                continue;
            }
            match twin(ports, index).or_else(|| self.any_port(numbers.reservation)) {
                Some(number) => {
                    numbers.kept.insert(number);
                    ports[index].node_port = Some(i32::from(number));
                }
                None => {
                    let why = "failed to allocate a nodePort: range is full";
                    numbers.errors.invalid(format!("spec.ports[{index}].nodePort"), 0, why);
                    // so it is for the thousands behind it, for each of which the whole range would be gone through
                    return;
                }
            }
        }
    }

    /// One that the Service asks for.
    fn take_port(&self, store: &Store, asked: i32, field: &str, numbers: &mut Numbers<'_>) {
        let number = u16::try_from(asked).unwrap_or(0);
        let all =
            || stored_services(store).flat_map(|service| ports_of(&service).collect::<Vec<_>>()).collect();
        let held = || numbers.stored.get_or_init(all).contains(&number);
        let range = &self.config.node_ports;
        if numbers.had.contains(&number) || numbers.kept.contains(&number) {
            numbers.kept.insert(number);
        } else if !range.contains(&number) {
            let (first, last) = (range.start(), range.end());
            let why = format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            );
            numbers.errors.invalid(field, asked, why);
        } else if !self.lock().ports.take(number, &numbers.reservation.uid, held) {
            numbers.errors.invalid(field, asked, "provided port is already allocated");
        } else {
            numbers.kept.insert(number);
            numbers.reservation.ports.push(number);
        }
    }

    fn any_port(&self, reservation: &mut ServiceReservation) -> Option<u16> {
        let (first, last) = (*self.config.node_ports.start(), *self.config.node_ports.end());
        let mut allocations = self.lock();
        let start = rand::rng().random_range(first..=last);
        let free = (start..=last).chain(first..start).find(|port| allocations.ports.is_free(port))?;
        allocations.ports.take(free, &reservation.uid, || true);
        reservation.ports.push(free);
        Some(free)
    }
}

/// Whoever balances to the nodes asks each of them at a port of its own whether it has endpoints: upstream's
/// `NeedsHealthCheck`.
fn is_health_checked(spec: &ServiceSpec) -> bool {
    spec.type_.as_deref() == Some("LoadBalancer") && spec.external_traffic_policy.as_deref() == Some("Local")
}

/// Node ports, and the port of health checks, which comes from the same range.
pub(super) fn ports_of(service: &Service) -> impl Iterator<Item = u16> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let health_check = service.spec.iter().filter_map(|spec| spec.health_check_node_port);
    let all = ports.filter_map(|port| port.node_port).chain(health_check);
    all.filter_map(|number| u16::try_from(number).ok()).filter(|number| *number != 0)
}

/// The node port of the same port by another protocol: DNS is reached by TCP and UDP at one number (upstream's
/// `initNodePorts`).
fn twin(ports: &[ServicePort], of: usize) -> Option<u16> {
    let protocol = |port: &ServicePort| port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let (own, number) = (protocol(&ports[of]), ports[of].port);
    let mut same = ports.iter().filter(|port| port.port == number).filter_map(|port| port.node_port);
    let found = same.find(|found| *found != 0)?;
    let is_used = ports.iter().any(|port| port.node_port == Some(found) && protocol(port) == own);
    u16::try_from(found).ok().filter(|_| !is_used)
}
