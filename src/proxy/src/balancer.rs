//! Gives each LoadBalancer service its address, and writes it into the status: there is no cloud to wait for.

use crate::NAME;
use crate::addresses::{Addresses, Refusal};
use api::{ObjectKey, Reason, Status};
use cluster::{Api, Client, Controller, Recorder, WorkQueue};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Service};
use kinds::key_of;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

struct Balancer {
    client: Client,
    services: Api<Service>,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
    range: Ipv4Net,
    allocations: Mutex<Allocations>,
}

struct Allocations {
    addresses: Addresses,
    /// Refused; asked again when an address becomes free.
    waiting: BTreeSet<ObjectKey>,
}

pub(crate) async fn run(client: Client, range: Ipv4Net, stop: CancellationToken) {
    // one at a time, so that addresses are given in the order of creation; and it hears of what is deleted before the
    // allocations are opened
    let controller =
        Controller::new("load-balancer", client.cluster()).one_at_a_time().reconciles::<Service>();
    let balancer = Arc::new(Balancer {
        services: client.api(),
        events: client.recorder(NAME, None),
        queue: controller.queue(),
        range,
        allocations: Mutex::new(Allocations { addresses: Addresses::new(range), waiting: BTreeSet::new() }),
        client,
    });
    balancer.book_existing();
    controller.run(stop, balancer, |balancer, key| async move { balancer.reconcile(&key).await }).await;
}

impl Balancer {
    /// Addresses that were given before a restart stay with their services, the older first where two have the same.
    fn book_existing(&self) {
        let mut services = self.client.cluster().informer::<Service>().list(None);
        services.sort_by_key(|service| service.metadata.creation_timestamp.clone());
        let mut allocations = self.allocations();
        for service in services.iter().filter(|service| is_ours(service)) {
            if let Some(address) = given(service) {
                let _ = allocations.addresses.take(&key_of(&service.metadata), Some(address));
            }
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        let service = self.client.cluster().informer::<Service>().get(key);
        let Some(service) = service.filter(|service| is_ours(service) || self.has_left(service)) else {
            self.release(key);
            return Ok(());
        };
        if self.has_left(&service) {
            // the next one who has the address must not find it in this one's status as well
            self.write(key, None).await?;
            self.release(key);
            return Ok(());
        }
        let taken = self.take(key, &service);
        match taken {
            Ok(address) if ingress_of(&service) == [ingress(address)] => Ok(()),
            Ok(address) => {
                self.write(key, Some(address)).await?;
                self.events.normal(
                    &*service,
                    "EnsuredLoadBalancer",
                    format!("Ensured load balancer at {address}"),
                );
                Ok(())
            }
            Err(refusal) => {
                self.events.warning(
                    &*service,
                    "SyncLoadBalancerFailed",
                    format!("Error syncing load balancer: {refusal}"),
                );
                // an address that it had before it asked for another is not its own any more
                if ingress_of(&service).is_empty() { Ok(()) } else { self.write(key, None).await }
            }
        }
    }

    fn take(&self, key: &ObjectKey, service: &Service) -> Result<Ipv4Addr, Refusal> {
        let asked = service.spec.as_ref().and_then(|spec| spec.load_balancer_ip.as_deref());
        let asked = asked.filter(|asked| !asked.is_empty()).and_then(|asked| asked.parse().ok());
        let mut allocations = self.allocations();
        let had = allocations.addresses.of(key);
        let taken = allocations.addresses.take(key, asked);
        if taken.is_err() {
            allocations.addresses.release(key);
        }
        let freed = had.is_some() && had != taken.as_ref().ok().copied();
        self.wake_waiting(&mut allocations, freed);
        match &taken {
            Ok(_) => allocations.waiting.remove(key),
            Err(_) => allocations.waiting.insert(key.clone()),
        };
        taken
    }

    fn release(&self, key: &ObjectKey) {
        let mut allocations = self.allocations();
        allocations.waiting.remove(key);
        let freed = allocations.addresses.release(key);
        self.wake_waiting(&mut allocations, freed);
    }

    fn wake_waiting(&self, allocations: &mut Allocations, freed: bool) {
        if freed {
            std::mem::take(&mut allocations.waiting).into_iter().for_each(|waiting| self.queue.add(waiting));
        }
    }

    async fn write(&self, key: &ObjectKey, address: Option<Ipv4Addr>) -> Result<(), Status> {
        let written = self.services.modify_status(key, |service| {
            let ingress = address.filter(|_| is_ours(service)).map(|address| vec![ingress(address)]);
            service.status.get_or_insert_default().load_balancer = Some(LoadBalancerStatus { ingress });
            Ok(())
        });
        match written.await {
            Err(status) if status.is(Reason::NotFound) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Not one of ours any more, but it still shows an address: whatever it shows where it balances nothing, and of those that are
    /// given here where another balances it.
    fn has_left(&self, service: &Service) -> bool {
        let shown = ingress_of(service);
        match service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer")) {
            true => {
                let given_here = |ip: &str| ip.parse().is_ok_and(|ip: Ipv4Addr| self.range.contains(&ip));
                !is_ours(service) && shown.iter().filter_map(|at| at.ip.as_deref()).any(given_here)
            }
            false => !shown.is_empty(),
        }
    }

    fn allocations(&self) -> MutexGuard<'_, Allocations> {
        self.allocations.lock()
    }
}

/// One of another class has its own controller.
fn is_ours(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|spec| {
        spec.type_.as_deref() == Some("LoadBalancer") && spec.load_balancer_class.is_none()
    })
}

fn ingress_of(service: &Service) -> &[LoadBalancerIngress] {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default()
}

fn given(service: &Service) -> Option<Ipv4Addr> {
    ingress_of(service).iter().find_map(|ingress| ingress.ip.as_deref()?.parse().ok())
}

fn ingress(address: Ipv4Addr) -> LoadBalancerIngress {
    LoadBalancerIngress {
        ip: Some(address.to_string()),
        ip_mode: Some("VIP".to_owned()),
        ..LoadBalancerIngress::default()
    }
}
