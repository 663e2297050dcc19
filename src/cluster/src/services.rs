//! Who holds which ClusterIP and which node port. Every Service passes the write path, so the books are exact.

use crate::{ClusterConfig, Target};
use ::api::{Object, Status};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use kinds::{Errors, Kind};
use rand::Rng;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Resource, Snapshot, Store};

#[derive(Clone)]
pub(crate) struct Allocators {
    books: Arc<Mutex<Books>>,
    config: Arc<ClusterConfig>,
}

#[derive(Default)]
struct Books {
    addresses: Book<Ipv4Addr>,
    ports: Book<u16>,
}

/// Who holds what, by the Service's uid.
struct Book<T>(HashMap<T, Holder>);

struct Holder {
    uid: String,
    /// The Service that holds it is in the store; until then its write is on the way.
    stored: bool,
}

impl<T> Default for Book<T> {
    fn default() -> Self {
        Book(HashMap::new())
    }
}

impl<T: Eq + Hash + Copy> Book<T> {
    fn is_free(&self, what: &T) -> bool {
        !self.0.contains_key(what)
    }

    /// A holder that was stored, and that the store no longer shows with it, has been deleted this moment: whoever saw that
    /// may have it, though the one who deleted has not come round to the books.
    fn take(&mut self, what: T, uid: &str, still_stored: impl FnOnce() -> bool) -> bool {
        if self.0.get(&what).is_some_and(|holder| !holder.stored || still_stored()) {
            return false;
        }
        self.0.insert(what, Holder { uid: uid.to_owned(), stored: false });
        true
    }

    fn is_stored(&mut self, what: &T, uid: &str) {
        if let Some(holder) = self.0.get_mut(what).filter(|holder| holder.uid == uid) {
            holder.stored = true;
        }
    }

    fn give_back(&mut self, what: &T, uid: &str) {
        if self.0.get(what).is_some_and(|holder| holder.uid == uid) {
            self.0.remove(what);
        }
    }

    fn load(&mut self, held: impl IntoIterator<Item = T>, uid: &str) {
        let holder = || Holder { uid: uid.to_owned(), stored: true };
        self.0.extend(held.into_iter().map(|what| (what, holder())));
    }
}

/// What a write has taken; given back when it is dropped without being kept.
#[derive(Default)]
pub(crate) struct Taken {
    uid: String,
    addresses: Vec<Ipv4Addr>,
    ports: Vec<u16>,
    /// Given up by this write, free once it is committed.
    freed: Vec<u16>,
    freed_addresses: Vec<Ipv4Addr>,
    from: Option<Arc<Mutex<Books>>>,
}

impl Allocators {
    pub(crate) fn load(snapshot: &Snapshot, config: &ClusterConfig) -> Result<Self, Status> {
        let mut books = Books::default();
        for object in snapshot.list(&Resource::from(&Service::info().storage), None, None) {
            let service: Service = object.decode().map_err(Status::internal)?;
            let uid = uid_of(&service);
            books.addresses.load(addresses_of(&service), uid);
            books.ports.load(ports_of(&service), uid);
        }
        Ok(Allocators { books: Arc::new(Mutex::new(books)), config: Arc::new(config.clone()) })
    }

    /// Fills in what the Service leaves to the cluster, and takes what it asks for by itself.
    pub(crate) fn allocate(
        &self,
        store: &Store,
        new: &mut Service,
        old: Option<&Service>,
    ) -> Result<Taken, Status> {
        let mut taken = Taken::default();
        taken.from = Some(self.books.clone());
        taken.uid = uid_of(new).to_owned();
        let mut errors = Errors::default();
        self.take_address(store, new, old, &mut taken, &mut errors);
        self.take_ports(store, new, old, &mut taken, &mut errors);
        if errors.is_empty() {
            return Ok(taken);
        }
        let name = new.metadata.name.clone().unwrap_or_default();
        Err(Status::invalid(&Service::info().gvk, &name, errors.into_causes()))
    }

    fn take_address(
        &self,
        store: &Store,
        new: &mut Service,
        old: Option<&Service>,
        taken: &mut Taken,
        errors: &mut Errors,
    ) {
        let Some(spec) = new.spec.as_mut() else { return };
        let had: Vec<Ipv4Addr> = old.map(addresses_of).unwrap_or_default();
        if spec.type_.as_deref() == Some("ExternalName") {
            taken.freed_addresses = had;
            return;
        }
        one_family(spec, errors);
        match spec.cluster_ip.as_deref().unwrap_or_default() {
            "None" => {}
            "" => match had.first().map(|ip| Some(*ip)).unwrap_or_else(|| self.any_address(taken)) {
                Some(ip) => spec.cluster_ip = Some(ip.to_string()),
                None => errors.invalid("spec.clusterIPs", Vec::<String>::new(), "failed to allocate a serviceIP: range is full"),
            },
            asked => match asked.parse::<Ipv4Addr>() {
                Ok(ip) if had.contains(&ip) => {}
                Ok(ip) if !self.config.service_cidr.contains(&ip) => errors.invalid(
                    "spec.clusterIPs",
                    vec![asked.to_owned()],
                    format!("failed to allocate IP {ip}: the provided IP is not in the valid range. The range of valid IPs is {}", self.config.service_cidr),
                ),
                Ok(ip) => {
                    let held = || stored_services(store).any(|service| addresses_of(&service).contains(&ip));
                    if !self.lock().addresses.take(ip, &taken.uid, held) {
                        errors.invalid("spec.clusterIPs", vec![asked.to_owned()], format!("failed to allocate IP {ip}: provided IP is already allocated"));
                    } else {
                        taken.addresses.push(ip);
                    }
                }
                Err(_) => errors.invalid("spec.clusterIPs[0]", asked, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
            },
        }
        if spec.cluster_ips.as_ref().is_none_or(Vec::is_empty) {
            spec.cluster_ips = spec.cluster_ip.clone().map(|ip| vec![ip]);
        }
        spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned()]);
        spec.ip_family_policy.get_or_insert_with(|| "SingleStack".to_owned());
    }

    fn any_address(&self, taken: &mut Taken) -> Option<Ipv4Addr> {
        let range = self.config.service_cidr;
        let (first, last) = (u32::from(range.network()), u32::from(range.broadcast()));
        // Upstream keeps the low addresses for those who ask by number (KEP-3070): at most 256, at least 16.
        let size = last - first;
        let reserved = (size / 16).clamp(16, 256).min(size / 2);
        let mut books = self.lock();
        let mut random = rand::rng();
        let start = random.random_range(first + reserved..last);
        let upper = (start..last).chain(first + reserved..start);
        let free = upper
            .chain(first + 1..first + reserved)
            .map(Ipv4Addr::from)
            .find(|ip| books.addresses.is_free(ip))?;
        books.addresses.take(free, &taken.uid, || true);
        taken.addresses.push(free);
        Some(free)
    }

    fn take_ports(
        &self,
        store: &Store,
        new: &mut Service,
        old: Option<&Service>,
        taken: &mut Taken,
        errors: &mut Errors,
    ) {
        let had: HashSet<u16> = old.map(|old| ports_of(old).collect()).unwrap_or_default();
        let mut kept = HashSet::new();
        let Some(spec) = new.spec.as_mut() else { return };
        let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
        let wants = match kind {
            "NodePort" => true,
            "LoadBalancer" => spec.allocate_load_balancer_node_ports != Some(false),
            _ => false,
        };
        for (index, port) in spec.ports.iter_mut().flatten().enumerate() {
            match port.node_port.filter(|p| *p != 0) {
                Some(asked) => {
                    let field = format!("spec.ports[{index}].nodePort");
                    let number = u16::try_from(asked).unwrap_or(0);
                    let held =
                        || stored_services(store).any(|service| ports_of(&service).any(|p| p == number));
                    if had.contains(&number) || kept.contains(&number) {
                        kept.insert(number);
                    } else if !self.config.node_ports.contains(&number) {
                        let range = &self.config.node_ports;
                        errors.invalid(
                            field,
                            asked,
                            format!(
                                "provided port is not in the valid range. The range of valid ports is {}-{}",
                                range.start(),
                                range.end()
                            ),
                        );
                    } else if !self.lock().ports.take(number, &taken.uid, held) {
                        errors.invalid(field, asked, "provided port is already allocated");
                    } else {
                        kept.insert(number);
                        taken.ports.push(number);
                    }
                }
                None if wants => {
                    // the same service port keeps its node port when a client applies a manifest that leaves it out
                    let before = old.and_then(|old| same_port(old, port)).filter(|p| !kept.contains(p));
                    match before.or_else(|| self.any_port(taken)) {
                        Some(number) => {
                            kept.insert(number);
                            port.node_port = Some(i32::from(number));
                        }
                        None => errors.invalid(
                            format!("spec.ports[{index}].nodePort"),
                            0,
                            "failed to allocate a nodePort: range is full",
                        ),
                    }
                }
                None => {}
            }
        }
        taken.freed = had.difference(&kept).copied().collect();
    }

    fn any_port(&self, taken: &mut Taken) -> Option<u16> {
        let (first, last) = (*self.config.node_ports.start(), *self.config.node_ports.end());
        let mut books = self.lock();
        let start = rand::rng().random_range(first..=last);
        let free = (start..=last).chain(first..start).find(|port| books.ports.is_free(port))?;
        books.ports.take(free, &taken.uid, || true);
        taken.ports.push(free);
        Some(free)
    }

    /// After an object was removed.
    pub(crate) fn release(&self, target: &Target, removed: &Object) {
        if target.handler.info().storage != Service::info().storage {
            return;
        }
        let Ok(service) = removed.decode::<Service>() else { return };
        let (uid, mut books) = (uid_of(&service), self.lock());
        addresses_of(&service).iter().for_each(|ip| books.addresses.give_back(ip, uid));
        ports_of(&service).for_each(|port| books.ports.give_back(&port, uid));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The write is committed.
    pub(crate) fn keep(mut self) {
        if let Some(books) = self.from.take() {
            let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
            self.addresses.iter().for_each(|ip| books.addresses.is_stored(ip, &self.uid));
            self.ports.iter().for_each(|port| books.ports.is_stored(port, &self.uid));
            self.freed_addresses.iter().for_each(|ip| books.addresses.give_back(ip, &self.uid));
            self.freed.iter().for_each(|port| books.ports.give_back(port, &self.uid));
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(books) = self.from.take() {
            let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
            self.addresses.iter().for_each(|ip| books.addresses.give_back(ip, &self.uid));
            self.ports.iter().for_each(|port| books.ports.give_back(port, &self.uid));
        }
    }
}

/// The cluster has IPv4 only.
fn one_family(spec: &ServiceSpec, errors: &mut Errors) {
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
    stored.into_iter().filter_map(|object| object.decode().ok())
}

fn addresses_of(service: &Service) -> Vec<Ipv4Addr> {
    let ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    ip.and_then(|ip| ip.parse().ok()).into_iter().collect()
}

fn ports_of(service: &Service) -> impl Iterator<Item = u16> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.filter_map(|port| port.node_port.and_then(|p| u16::try_from(p).ok())).filter(|p| *p != 0)
}

fn same_port(old: &Service, port: &k8s_openapi::api::core::v1::ServicePort) -> Option<u16> {
    let ports = old.spec.as_ref()?.ports.as_ref()?;
    let same = ports.iter().find(|p| p.port == port.port && p.protocol == port.protocol)?;
    same.node_port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p != 0)
}
