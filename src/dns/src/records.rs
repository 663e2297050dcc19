//! The index: every name of the cluster at one moment.

use crate::service::ServiceRecords;
use crate::zone::Zone;
use ::api::ObjectKey;
use hickory_proto::rr::Name;
use imbl::{HashMap, HashSet, OrdSet};
use ipnet::Ipv4Net;
use std::net::IpAddr;
use std::sync::Arc;

/// Cloning is cheap (persistent maps), and a change touches what it concerns only: ten thousand services cost a change
/// no more than one does.
#[derive(Debug, Clone)]
pub struct Records {
    pub(crate) zone: Arc<Zone>,
    pub(crate) namespaces: HashSet<String>,
    services: HashMap<ObjectKey, Arc<ServiceRecords>>,
    reverse: HashMap<IpAddr, OrdSet<Pointer>>,
    /// The SOA's serial: one more with each change.
    pub(crate) serial: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pointer {
    of_service: bool,
    name: Name,
}

impl Records {
    pub fn new(zone: Zone) -> Self {
        Records {
            zone: Arc::new(zone),
            namespaces: HashSet::new(),
            services: HashMap::new(),
            reverse: HashMap::new(),
            serial: 1,
        }
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Addresses of services come from these ranges as well: their reverse names are ours, and asked of nobody else.
    pub fn set_further_ranges(&mut self, ranges: &[Ipv4Net]) {
        self.zone = Arc::new(self.zone.with_further(ranges));
        self.serial = self.serial.wrapping_add(1);
    }

    pub fn add_namespace(&mut self, name: &str) {
        self.namespaces.insert(name.to_owned());
        self.serial = self.serial.wrapping_add(1);
    }

    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
        self.serial = self.serial.wrapping_add(1);
    }

    /// What the Service is from now on; `None` where it is gone.
    pub fn set_service(&mut self, key: &ObjectKey, records: Option<ServiceRecords>) {
        if let Some(old) = self.services.remove(key) {
            old.reverse().into_iter().for_each(|pointer| self.unpoint(pointer));
        }
        if let Some(new) = records {
            new.reverse().into_iter().for_each(|pointer| self.point(pointer));
            self.services.insert(key.clone(), Arc::new(new));
        }
        self.serial = self.serial.wrapping_add(1);
    }

    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&ServiceRecords> {
        self.services.get(&ObjectKey::namespaced(namespace, name)).map(Arc::as_ref)
    }

    /// The service that has the address; where none has, every named endpoint with it, up to `most`.
    pub(crate) fn names_of(&self, address: IpAddr, most: usize) -> Vec<Name> {
        let Some(pointers) = self.reverse.get(&address) else { return Vec::new() };
        // services are last in their order
        let any_service = pointers.get_max().is_some_and(|pointer| pointer.of_service);
        let chosen = pointers.iter().rev().take_while(|pointer| pointer.of_service == any_service).take(most);
        let mut names: Vec<Name> = chosen.map(|pointer| pointer.name.clone()).collect();
        names.reverse();
        names
    }

    fn point(&mut self, (address, of_service, name): (IpAddr, bool, Name)) {
        self.reverse.entry(address).or_default().insert(Pointer { of_service, name });
    }

    fn unpoint(&mut self, (address, of_service, name): (IpAddr, bool, Name)) {
        let Some(pointers) = self.reverse.get_mut(&address) else { return };
        pointers.remove(&Pointer { of_service, name });
        if pointers.is_empty() {
            self.reverse.remove(&address);
        }
    }
}
