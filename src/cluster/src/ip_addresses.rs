//! The IPAddress of each ClusterIP (KEP-1880): committed with the Service that holds the address, and removed with it, so that
//! neither is ever seen without the other. What a user deletes or makes up beside it is put right by
//! [`Cluster::reconcile_ip_address`].

use crate::apply::of_created;
use crate::clock::now;
use crate::{Actor, Cluster, DeleteOptions, Target};
use ::api::{Object, ObjectKey, Reason, Status};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{IPAddress, IPAddressSpec, ParentReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{Instance, TypedKind};
use std::net::Ipv4Addr;
use store::{Change, Durability, Precondition, Resource, Snapshot, Write};

const FAMILY: (&str, &str) = ("ipaddress.kubernetes.io/ip-family", "IPv4");
const MANAGED_BY: (&str, &str) = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io");

/// The ClusterIPs of a Service.
pub(crate) fn addresses_of(service: &Service) -> Vec<Ipv4Addr> {
    let ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    ip.and_then(|ip| ip.parse().ok()).into_iter().collect()
}

fn resource() -> Resource {
    Resource::from(&IPAddress::info().storage)
}

fn key_of(address: Ipv4Addr) -> ObjectKey {
    ObjectKey::cluster(&address.to_string())
}

/// Somebody else may hold an address of the range: then no Service gets it.
pub(crate) fn is_held(snapshot: &Snapshot, address: Ipv4Addr) -> bool {
    snapshot.get(&resource(), &key_of(address)).is_some()
}

/// Whether any of those that Services have is such a one.
pub(crate) fn is_any_allocated(snapshot: &Snapshot, is_such: impl Fn(&Ipv4Addr) -> bool) -> bool {
    let managed =
        |object: &&Object| object.meta().labels.get(MANAGED_BY.0).is_some_and(|by| by == MANAGED_BY.1);
    let mut allocated = snapshot.list(&resource(), None, None).filter(managed);
    allocated.any(|object| object.meta().name.parse::<Ipv4Addr>().is_ok_and(|address| is_such(&address)))
}

/// To be committed with the Service.
pub(crate) fn added(service: &ObjectMeta, address: Ipv4Addr) -> Result<Write, Status> {
    let mut made = ip_address(service, address);
    made.metadata.uid = Some(uuid::Uuid::new_v4().to_string());
    made.metadata.creation_timestamp = Some(now());
    let target = Target::collection(&kinds::version_of::<IPAddress>(), None);
    made.metadata.managed_fields = of_created(Actor::root().field_manager(), &target, None, &made)?;
    Ok(Write {
        resource: resource(),
        key: key_of(address),
        precondition: Precondition::Absent,
        change: Change::Put(made.encode()?),
        durability: Durability::Sync,
    })
}

/// To be committed with the Service; `None` where it is gone already, or somebody else's.
pub(crate) fn removed(
    snapshot: &Snapshot,
    service: &ObjectMeta,
    address: Ipv4Addr,
) -> Result<Option<Write>, Status> {
    let Some(stored) = snapshot.get(&resource(), &key_of(address)) else { return Ok(None) };
    let typed: IPAddress = stored.decode().map_err(Status::internal)?;
    if typed.spec.parent_ref != parent(service) {
        return Ok(None);
    }
    Ok(Some(Write {
        resource: resource(),
        key: key_of(address),
        precondition: Precondition::At(stored.revision()),
        change: Change::Delete { last: typed.encode()? },
        durability: Durability::Sync,
    }))
}

fn ip_address(service: &ObjectMeta, address: Ipv4Addr) -> IPAddress {
    let labels = [FAMILY, MANAGED_BY].map(|(key, value)| (key.to_owned(), value.to_owned()));
    IPAddress {
        metadata: ObjectMeta {
            name: Some(address.to_string()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        spec: IPAddressSpec { parent_ref: parent(service) },
    }
}

fn parent(service: &ObjectMeta) -> ParentReference {
    ParentReference {
        group: None,
        resource: "services".to_owned(),
        namespace: service.namespace.clone(),
        name: service.name.clone().unwrap_or_default(),
    }
}

fn is_ours(made: &IPAddress) -> bool {
    let labels = made.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(MANAGED_BY.0)).is_some_and(|by| by == MANAGED_BY.1)
}

impl Cluster {
    /// Makes the IPAddress that a Service lacks, and removes one that says of a Service that it holds what it does not.
    ///
    /// # Errors
    /// What the store says.
    pub async fn reconcile_ip_address(&self, service: &ObjectKey, address: Ipv4Addr) -> Result<(), Status> {
        let root = self.acting_as(Actor::root());
        let holder = root.api::<Service>().find(service)?;
        let holds = holder.as_ref().is_some_and(|service| addresses_of(service).contains(&address));
        let addresses = root.api::<IPAddress>();
        let key = key_of(address);
        let meta = ObjectMeta {
            name: Some(service.name.to_string()),
            namespace: service.namespace.as_ref().map(ToString::to_string),
            ..ObjectMeta::default()
        };
        let outcome = match addresses.find(&key)? {
            None if holds => addresses.create(ip_address(&meta, address)).await.map(drop),
            Some(made) if !holds && is_ours(&made) && made.spec.parent_ref == parent(&meta) => {
                let uid = made.metadata.uid.unwrap_or_default();
                addresses.delete(&key, DeleteOptions::now(&uid)).await
            }
            _ => Ok(()),
        };
        match outcome {
            Err(status) if status.is(Reason::AlreadyExists) || status.is(Reason::NotFound) => Ok(()),
            other => other,
        }
    }
}
