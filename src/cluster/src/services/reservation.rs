//! What a write of a Service has taken, until it is committed.

use super::holders::Allocations;
use crate::ip_addresses;
use crate::reservations::Reservation;
use ::api::Status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::Mutex;
use std::net::Ipv4Addr;
use std::sync::Arc;
use store::{Store, Write};

/// The addresses and node ports that a write of a Service has taken.
#[derive(Default)]
pub(crate) struct ServiceReservation {
    pub(super) uid: String,
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) ports: Vec<u16>,
    /// Given up by this write, free once it is committed.
    pub(super) freed: Vec<u16>,
    pub(super) freed_addresses: Vec<Ipv4Addr>,
    /// How often addresses, and ports, had been taken when the Service was looked at.
    pub(super) seen: (u64, u64),
    pub(super) from: Option<Arc<Mutex<Allocations>>>,
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
