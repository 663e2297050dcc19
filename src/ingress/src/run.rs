//! Follows what routes are made of, and hands each request the newest table of them. Read [`run`] first.

use crate::listen::Ports;
use crate::remarks::Told;
use crate::renewal::{Due, Maker, Sources};
use crate::table::Shared;
use crate::{ACTOR, IngressConfig, NAME, classes, status};
use api::ObjectKey;
use cluster::roles::{ComponentRole, READ, events, rule};
use cluster::{Actor, Client, Cluster, Recorder, Subscription};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kinds::endpoints::service_of;
use kinds::{TypedKind, key_of};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// For ports that another program had, and what was not written.
const RETRY: Duration = Duration::from_secs(30);

pub fn role() -> ComponentRole {
    let rules = vec![
        rule(READ, &[""], &["pods", "secrets", "services"]),
        rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
        rule(READ, &["networking.k8s.io"], &["ingresses", "ingressclasses"]),
        rule(&["patch", "update"], &["networking.k8s.io"], &["ingresses/status"]),
        events(),
    ];
    ComponentRole::service_account("system:ingress-controller", NAME, rules)
}

/// Serves ingresses until `stop`.
pub async fn run(cluster: Cluster, config: IngressConfig, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::component(ACTOR));
    let events = client.recorder(NAME, None);
    let mut controller = Controller {
        cluster,
        client,
        shared: Arc::new(Shared { mark: config.mark, ..Shared::default() }),
        config,
        events,
        ports: None,
        told: Told::default(),
        written: status::Written::default(),
        maker: Maker::default(),
    };
    let mut ingresses = Changes::<Ingress>::of(&controller.cluster);
    let mut classes = Changes::<IngressClass>::of(&controller.cluster);
    let mut services = Changes::<Service>::of(&controller.cluster);
    let mut slices = Changes::<EndpointSlice>::of(&controller.cluster);
    let mut pods = Changes::<Pod>::of(&controller.cluster);
    let mut secrets = Changes::<Secret>::of(&controller.cluster);
    let mut due = Due::default();
    loop {
        // a burst, as the one of the start, makes one table
        let maker = &controller.maker;
        let routes = [ingresses.drain(|_| true), classes.drain(|_| true)].contains(&true);
        let behind = [
            services.drain(|service| maker.leads_to(&key_of(&service.metadata))),
            slices.drain(|slice| service_of(slice).is_some_and(|service| maker.leads_to(&service))),
            pods.drain(|pod| maker.is_named_by_others(pod)),
        ];
        due.routes |= routes;
        due.services |= behind.contains(&true);
        due.certificates |= secrets.drain(|secret| maker.shows(&key_of(&secret.metadata)));
        let mut is_owing = false;
        if due.is_any() {
            (due, is_owing) = controller.renew(due).await;
            if due.is_any() && !stop.is_cancelled() {
                continue;
            }
        }
        let maker = &controller.maker;
        tokio::select! {
            () = stop.cancelled() => return,
            () = ingresses.wait(|_| true) => {}
            () = classes.wait(|_| true) => {}
            () = services.wait(|service| maker.leads_to(&key_of(&service.metadata))) => {}
            () = slices.wait(|slice| service_of(slice).is_some_and(|service| maker.leads_to(&service))) => {}
            () = pods.wait(|pod| maker.is_named_by_others(pod)) => {}
            () = secrets.wait(|secret| maker.shows(&key_of(&secret.metadata))) => {}
            () = tokio::time::sleep(RETRY), if is_owing => due.routes = true,
        }
    }
}

/// Whether anything changed that concerns somebody is all that counts.
struct Changes<K> {
    subscription: Subscription<K>,
    pending: bool,
}

impl<K: TypedKind> Changes<K> {
    fn of(cluster: &Cluster) -> Self {
        Changes { subscription: cluster.informer::<K>().subscribe(), pending: true }
    }

    fn drain(&mut self, concerns: impl Fn(&K) -> bool) -> bool {
        while let Some(change) = self.subscription.try_next() {
            self.pending = self.pending || change.versions().any(|object| concerns(object));
        }
        std::mem::take(&mut self.pending)
    }

    async fn wait(&mut self, concerns: impl Fn(&K) -> bool) {
        while !self.pending {
            match self.subscription.next().await {
                Some(change) => self.pending = change.versions().any(|object| concerns(object)),
                // the cluster ends, and this controller with it
                None => std::future::pending().await,
            }
        }
    }
}

struct Controller {
    cluster: Cluster,
    client: Client,
    config: IngressConfig,
    events: Recorder,
    shared: Arc<Shared>,
    ports: Option<Ports>,
    told: Told,
    written: status::Written,
    maker: Maker,
}

impl Controller {
    /// What is due after it, and whether something has to be tried again later.
    async fn renew(&mut self, due: Due) -> (Due, bool) {
        let (mut maker, cluster) = (std::mem::take(&mut self.maker), self.cluster.clone());
        let made = tokio::task::spawn_blocking(move || {
            let made = maker.renew(due, &cluster);
            (maker, made)
        });
        let made = match made.await {
            Ok((maker, made)) => {
                self.maker = maker;
                made
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // the runtime ends, and this controller with it
                Err(_) => return std::future::pending().await,
            },
        };
        self.shared.table.store(Arc::new(made.table));
        self.told.keep(self.maker.ingresses());
        for remark in made.remarks.0 {
            self.tell(&remark.ingress, remark.reason, remark.words);
        }
        if self.maker.ingresses().is_empty() {
            self.ports = None;
            return (made.rest, false);
        }
        let is_owing = !self.open_ports().await || !self.write_status().await;
        (made.rest, is_owing)
    }

    async fn open_ports(&mut self) -> bool {
        if self.ports.is_some() {
            return true;
        }
        match Ports::open(&self.config, &self.shared).await {
            Ok(ports) => self.ports = Some(ports),
            Err(why) => {
                for ingress in self.maker.ingresses().to_vec() {
                    self.tell(&ingress, "PortUnavailable", format!("it can not be served: {why}"));
                }
            }
        }
        self.ports.is_some()
    }

    /// Whether all is written.
    async fn write_status(&mut self) -> bool {
        let mut all = true;
        for ingress in self.written.due(self.maker.ingresses(), self.config.node_ip) {
            match status::write(&self.client, &ingress, self.config.node_ip).await {
                Ok(()) => self.written.done(&ingress, self.config.node_ip),
                Err(error) => {
                    all = false;
                    tracing::warn!(ingress = %key_of(&ingress.metadata), %error, "the status of an ingress was not written");
                }
            }
        }
        all
    }

    /// Once.
    fn tell(&mut self, ingress: &Ingress, reason: &'static str, words: String) {
        if self.told.is_new(ingress, &words) {
            self.events.warning(ingress, reason, words);
        }
    }
}

impl Sources for Cluster {
    fn ingresses(&self) -> Vec<Arc<Ingress>> {
        let classes = self.informer::<IngressClass>();
        let controller =
            |name: &str| classes.get(&ObjectKey::cluster(name)).map(|class| classes::controller(&class));
        let mut all = self.informer::<Ingress>().list(None);
        all.retain(|ingress| {
            ingress.metadata.deletion_timestamp.is_none() && classes::is_ours(ingress, controller)
        });
        all
    }

    fn service(&self, key: &ObjectKey) -> Option<Arc<Service>> {
        self.informer::<Service>().get(key)
    }

    fn slices(&self) -> Vec<Arc<EndpointSlice>> {
        self.informer::<EndpointSlice>().list(None)
    }

    fn pods(&self) -> Vec<Arc<Pod>> {
        self.informer::<Pod>().list(None)
    }

    fn secret(&self, key: &ObjectKey) -> Option<Arc<Secret>> {
        self.informer::<Secret>().get(key)
    }
}
