//! Who holds which ClusterIP and which node port. Every Service passes the write path, so the allocations are exact.

use crate::ip_addresses::{self, addresses_of};
use crate::reservations::Reservation;
use crate::service_ranges::{admit, find_free};
use crate::{ClusterConfig, Target};
use ::api::{Object, Status};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{ErrorList, TypedKind};
use parking_lot::Mutex;
use rand::Rng;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::sync::Arc;
use store::{Resource, Snapshot, Store, Write};

const HEALTH_CHECK: &str = "spec.healthCheckNodePort";

#[derive(Clone)]
pub(crate) struct Allocators {
    allocations: Arc<Mutex<Allocations>>,
    config: Arc<ClusterConfig>,
}

#[derive(Default)]
struct Allocations {
    /// Where addresses are given from: the cluster's own range first.
    ranges: Vec<Ipv4Net>,
    addresses: Holders<Ipv4Addr>,
    ports: Holders<u16>,
}

/// Who holds what, by the Service's uid.
struct Holders<T> {
    holders: HashMap<T, Holder>,
    /// How often something was taken.
    takes: u64,
}

struct Holder {
    uid: String,
    /// Which of the takes it was.
    take: u64,
    /// The Service that holds it is in the store; until then its write is on the way.
    stored: bool,
}

impl Allocations {
    fn takes(&self) -> (u64, u64) {
        (self.addresses.takes, self.ports.takes)
    }
}

impl<T> Default for Holders<T> {
    fn default() -> Self {
        Holders { holders: HashMap::new(), takes: 0 }
    }
}

impl<T: Eq + Hash + Copy> Holders<T> {
    fn is_free(&self, what: &T) -> bool {
        !self.holders.contains_key(what)
    }

    /// A holder that was stored, and that the store no longer shows with it, has been deleted this moment: whoever saw that
    /// may have it, though the one who deleted has not come round to the allocations.
    fn take(&mut self, what: T, uid: &str, still_stored: impl FnOnce() -> bool) -> bool {
        if self.holders.get(&what).is_some_and(|holder| !holder.stored || still_stored()) {
            return false;
        }
        self.takes += 1;
        self.holders.insert(what, Holder { uid: uid.to_owned(), take: self.takes, stored: false });
        true
    }

    fn is_any_taken(&self, is_such: impl Fn(&T) -> bool) -> bool {
        self.holders.keys().any(is_such)
    }

    fn is_stored(&mut self, what: &T, uid: &str) {
        if let Some(holder) = self.holders.get_mut(what).filter(|holder| holder.uid == uid) {
            holder.stored = true;
        }
    }

    fn give_back(&mut self, what: &T, uid: &str) {
        if self.holders.get(what).is_some_and(|holder| holder.uid == uid) {
            self.holders.remove(what);
        }
    }

    /// Of what a committed write gave up, that looked at the Service after so many takes. As soon as the store shows that, the
    /// same Service may have taken it again by its next write: that one's it stays.
    fn give_up(&mut self, what: &T, uid: &str, seen: u64) {
        if self.holders.get(what).is_some_and(|holder| holder.take <= seen) {
            self.give_back(what, uid);
        }
    }

    fn load(&mut self, held: impl IntoIterator<Item = T>, uid: &str) {
        let holder = || Holder { uid: uid.to_owned(), take: 0, stored: true };
        self.holders.extend(held.into_iter().map(|what| (what, holder())));
    }
}

/// The addresses and node ports that a write of a Service has taken.
#[derive(Default)]
pub(crate) struct ServiceReservation {
    uid: String,
    addresses: Vec<Ipv4Addr>,
    ports: Vec<u16>,
    /// Given up by this write, free once it is committed.
    freed: Vec<u16>,
    freed_addresses: Vec<Ipv4Addr>,
    /// How often addresses, and ports, had been taken when the Service was looked at.
    seen: (u64, u64),
    from: Option<Arc<Mutex<Allocations>>>,
}

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
    pub(crate) fn load(snapshot: &Snapshot, config: &ClusterConfig) -> Result<Self, Status> {
        let ranges = vec![config.service_cidr];
        let mut allocations = Allocations { ranges, ..Allocations::default() };
        for object in snapshot.list(&Resource::from(&Service::info().storage), None, None) {
            let service: Service = object.decode().map_err(Status::internal)?;
            let uid = uid_of(&service);
            allocations.addresses.load(addresses_of(&service), uid);
            allocations.ports.load(ports_of(&service), uid);
        }
        Ok(Allocators { allocations: Arc::new(Mutex::new(allocations)), config: Arc::new(config.clone()) })
    }

    /// When it returns, no address of another range is given any more.
    pub(crate) fn give_addresses_from(&self, further: &[Ipv4Net]) {
        let mut allocations = self.lock();
        allocations.ranges.truncate(1);
        allocations.ranges.extend(further);
    }

    /// Whether a Service has such an address, or is being written with one.
    pub(crate) fn is_any_taken(&self, is_such: impl Fn(&Ipv4Addr) -> bool) -> bool {
        self.lock().addresses.is_any_taken(is_such)
    }

    /// Fills in what the Service leaves to the cluster, and takes what it asks for by itself.
    pub(crate) fn allocate(
        &self,
        store: &Store,
        new: &mut Service,
        old: Option<&Service>,
    ) -> Result<ServiceReservation, Status> {
        let mut reservation = ServiceReservation::default();
        reservation.from = Some(self.allocations.clone());
        reservation.uid = uid_of(new).to_owned();
        reservation.seen = self.lock().takes();
        let mut errors = ErrorList::default();
        self.take_address(store, new, old, &mut reservation, &mut errors);
        self.take_ports(store, new, old, &mut reservation, &mut errors);
        if errors.is_empty() {
            return Ok(reservation);
        }
        let name = new.metadata.name.clone().unwrap_or_default();
        Err(Status::invalid(&Service::info().gvk, &name, errors.into_causes()))
    }

    fn take_address(
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

    fn take_ports(
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
        let ports = spec.ports.as_deref_mut().unwrap_or_default();
        for index in (0..ports.len()).filter(|_| wants) {
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
                    break;
                }
            }
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

    /// What is committed when an object is removed.
    pub(crate) fn removed_with(
        &self,
        store: &Store,
        target: &Target,
        key: &::api::ObjectKey,
    ) -> Result<Vec<Write>, Status> {
        let info = Service::info();
        if target.version.info().storage != info.storage {
            return Ok(Vec::new());
        }
        let snapshot = store.snapshot();
        let Some(stored) = snapshot.get(&Resource::from(&info.storage), key) else { return Ok(Vec::new()) };
        let service: Service = stored.decode().map_err(Status::internal)?;
        let held = addresses_of(&service).into_iter();
        held.filter_map(|ip| ip_addresses::removed(&snapshot, &service.metadata, ip).transpose()).collect()
    }

    /// After an object was removed.
    pub(crate) fn release(&self, target: &Target, removed: &Object) {
        if target.version.info().storage != Service::info().storage {
            return;
        }
        let Ok(service) = removed.decode::<Service>() else { return };
        let (uid, mut allocations) = (uid_of(&service), self.lock());
        addresses_of(&service).iter().for_each(|ip| allocations.addresses.give_back(ip, uid));
        ports_of(&service).for_each(|port| allocations.ports.give_back(&port, uid));
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Allocations> {
        self.allocations.lock()
    }
}

impl Reservation for ServiceReservation {
    fn written_with(&self, store: &Store, service: &ObjectMeta) -> Result<Vec<Write>, Status> {
        if self.addresses.is_empty() && self.freed_addresses.is_empty() {
            return Ok(Vec::new());
        }
        let snapshot = store.snapshot();
        let freed = self.freed_addresses.iter();
        let freed = freed.filter_map(|ip| ip_addresses::removed(&snapshot, service, *ip).transpose());
        self.addresses.iter().map(|ip| ip_addresses::added(service, *ip)).chain(freed).collect()
    }

    fn commit(mut self: Box<Self>) {
        if let Some(allocations) = self.from.take() {
            let mut allocations = allocations.lock();
            self.addresses.iter().for_each(|ip| allocations.addresses.is_stored(ip, &self.uid));
            self.ports.iter().for_each(|port| allocations.ports.is_stored(port, &self.uid));
            let (addresses, ports) = self.seen;
            for ip in &self.freed_addresses {
                allocations.addresses.give_up(ip, &self.uid, addresses);
            }
            for port in &self.freed {
                allocations.ports.give_up(port, &self.uid, ports);
            }
        }
    }
}

impl Drop for ServiceReservation {
    fn drop(&mut self) {
        if let Some(allocations) = self.from.take() {
            let mut allocations = allocations.lock();
            self.addresses.iter().for_each(|ip| allocations.addresses.give_back(ip, &self.uid));
            self.ports.iter().for_each(|port| allocations.ports.give_back(port, &self.uid));
        }
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

fn uid_of(service: &Service) -> &str {
    service.metadata.uid.as_deref().unwrap_or_default()
}

fn stored_services(store: &Store) -> impl Iterator<Item = Service> {
    let snapshot = store.snapshot();
    let stored: Vec<Object> =
        snapshot.list(&Resource::from(&Service::info().storage), None, None).cloned().collect();
    stored.into_iter().filter_map(|object| object.decode_without_managed_fields().ok())
}

/// Whoever balances to the nodes asks each of them at a port of its own whether it has endpoints: upstream's
/// `NeedsHealthCheck`.
fn is_health_checked(spec: &ServiceSpec) -> bool {
    spec.type_.as_deref() == Some("LoadBalancer") && spec.external_traffic_policy.as_deref() == Some("Local")
}

/// Node ports, and the port of health checks, which comes from the same range.
fn ports_of(service: &Service) -> impl Iterator<Item = u16> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 30000;

    #[test]
    fn what_a_service_takes_again_is_not_freed_by_the_write_that_gave_it_up() {
        let mut book = Holders::default();
        book.load([PORT], "web");
        let seen = book.takes;
        // the store shows that it was given up before the one who did so comes round to it
        assert!(book.take(PORT, "web", || false));
        book.give_up(&PORT, "web", seen);
        book.is_stored(&PORT, "web");
        assert!(!book.take(PORT, "other", || true), "it is the next write's");
        let seen = book.takes;
        book.give_up(&PORT, "web", seen);
        assert!(book.is_free(&PORT));
    }

    #[test]
    fn what_is_given_up_is_free_though_the_one_who_took_it_is_slow() {
        let mut book = Holders::default();
        assert!(book.take(PORT, "web", || false));
        let seen = book.takes;
        book.give_up(&PORT, "web", seen);
        // now he comes round to it
        book.is_stored(&PORT, "web");
        assert!(book.is_free(&PORT));
    }
}
