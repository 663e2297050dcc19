//! Who holds which ClusterIP and which node port. Every Service passes the write path, so the allocations are exact.

mod cluster_ips;
mod holders;
mod node_ports;
mod reservation;

use crate::ip_addresses::{self, addresses_of};
use crate::{ClusterConfig, Target};
use ::api::{Object, Status};
use holders::Allocations;
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::Service;
use kinds::{ErrorList, TypedKind};
use node_ports::ports_of;
use parking_lot::Mutex;
use reservation::ServiceReservation;
use std::net::Ipv4Addr;
use std::sync::Arc;
use store::{Resource, Snapshot, Store, Write};

#[derive(Clone)]
pub(crate) struct Allocators {
    allocations: Arc<Mutex<Allocations>>,
    config: Arc<ClusterConfig>,
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

fn uid_of(service: &Service) -> &str {
    service.metadata.uid.as_deref().unwrap_or_default()
}

fn stored_services(store: &Store) -> impl Iterator<Item = Service> {
    let snapshot = store.snapshot();
    let stored: Vec<Object> =
        snapshot.list(&Resource::from(&Service::info().storage), None, None).cloned().collect();
    stored.into_iter().filter_map(|object| object.decode_without_managed_fields().ok())
}
