//! Follows what routes are made of, and hands each request the newest table of them. Read [`run`] first.

use crate::certificates::{Certificates, of_secret};
use crate::listen::Ports;
use crate::routes::{Routes, by_age};
use crate::table::{Behind, Shared, Table};
use crate::{ACTOR, IngressConfig, NAME, classes, status};
use api::ObjectKey;
use cluster::roles::{ComponentRole, READ, events, rule};
use cluster::{Actor, Client, Cluster, Recorder, Subscription};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kinds::endpoints::service_of;
use kinds::{TypedKind, key_of};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub fn role() -> ComponentRole {
    let rules = vec![
        rule(READ, &[""], &["secrets", "services"]),
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
        config,
        events,
        shared: Arc::default(),
        ports: None,
        told: HashSet::new(),
        written: status::Written::default(),
    };
    let mut ingresses = Changes::<Ingress>::of(&controller.cluster);
    let mut classes = Changes::<IngressClass>::of(&controller.cluster);
    let mut services = Changes::<Service>::of(&controller.cluster);
    let mut slices = Changes::<EndpointSlice>::of(&controller.cluster);
    let mut secrets = Changes::<Secret>::of(&controller.cluster);
    loop {
        // a burst, as the one of the start, makes one table
        let all = [ingresses.drain(), classes.drain(), services.drain(), slices.drain(), secrets.drain()];
        if all.contains(&true) {
            controller.renew().await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = ingresses.wait() => {}
            () = classes.wait() => {}
            () = services.wait() => {}
            () = slices.wait() => {}
            () = secrets.wait() => {}
        }
    }
}

/// Whether anything changed is all that counts.
struct Changes<K> {
    subscription: Subscription<K>,
    pending: bool,
}

impl<K: TypedKind> Changes<K> {
    fn of(cluster: &Cluster) -> Self {
        Changes { subscription: cluster.informer::<K>().subscribe(), pending: true }
    }

    fn drain(&mut self) -> bool {
        while self.subscription.try_next().is_some() {
            self.pending = true;
        }
        std::mem::take(&mut self.pending)
    }

    async fn wait(&mut self) {
        match self.subscription.next().await {
            Some(_) => self.pending = true,
            // the cluster ends, and this controller with it
            None => std::future::pending().await,
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
    /// What was said already.
    told: HashSet<(ObjectKey, String)>,
    written: status::Written,
}

impl Controller {
    async fn renew(&mut self) {
        let ingresses = self.ours();
        if ingresses.is_empty() {
            self.ports = None;
            self.told.clear();
            self.shared.table.store(Arc::default());
            return;
        }
        let table = self.table(&ingresses);
        self.shared.table.store(Arc::new(table));
        if self.ports.is_none() {
            match Ports::open(&self.config, &self.shared).await {
                Ok(ports) => self.ports = Some(ports),
                Err(why) => {
                    for ingress in &ingresses {
                        self.tell(ingress, "PortUnavailable", format!("it can not be served: {why}"));
                    }
                    return;
                }
            }
        }
        for ingress in self.written.due(&ingresses, self.config.node_ip) {
            match status::write(&self.client, &ingress, self.config.node_ip).await {
                Ok(()) => self.written.done(&ingress, self.config.node_ip),
                Err(error) => {
                    tracing::warn!(ingress = %key_of(&ingress.metadata), %error, "the status of an ingress was not written");
                }
            }
        }
    }

    fn ours(&self) -> Vec<Arc<Ingress>> {
        let classes = self.cluster.informer::<IngressClass>();
        let controller =
            |name: &str| classes.get(&ObjectKey::cluster(name)).map(|class| classes::controller(&class));
        let mut all = self.cluster.informer::<Ingress>().list(None);
        all.retain(|ingress| {
            ingress.metadata.deletion_timestamp.is_none() && classes::is_ours(ingress, controller)
        });
        all
    }

    fn table(&mut self, ingresses: &[Arc<Ingress>]) -> Table {
        let routes = Routes::new(ingresses);
        let mut services: HashMap<ObjectKey, Behind> = HashMap::new();
        let known = self.cluster.informer::<Service>();
        for key in routes.services() {
            services
                .entry(key.clone())
                .or_insert_with(|| Behind { service: known.get(key), slices: Vec::new() });
        }
        for slice in self.cluster.informer::<EndpointSlice>().list(None) {
            if let Some(behind) = service_of(&slice).and_then(|key| services.get_mut(&key)) {
                behind.slices.push(slice.clone());
            }
        }
        Table { certificates: self.certificates(ingresses), routes, services }
    }

    fn certificates(&mut self, ingresses: &[Arc<Ingress>]) -> Certificates {
        let secrets = self.cluster.informer::<Secret>();
        let mut all = Certificates::default();
        for ingress in by_age(ingresses) {
            let named = ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
            for tls in named {
                let Some(name) = tls.secret_name.as_deref().filter(|name| !name.is_empty()) else { continue };
                let key = ObjectKey::new(ingress.metadata.namespace.as_deref(), name);
                let found = secrets.get(&key).ok_or_else(|| "it does not exist".to_owned());
                match found.and_then(|secret| of_secret(&secret)) {
                    Ok(certificate) => {
                        let hosts = tls.hosts.iter().flatten().map(|host| host.to_ascii_lowercase());
                        // a newer one, of another namespace perhaps, does not speak for the host of an older one
                        for host in hosts {
                            all.0.entry(host).or_insert_with(|| certificate.clone());
                        }
                    }
                    Err(why) => {
                        let words = format!("the secret {name} holds no certificate: {why}");
                        self.tell(ingress, "BadCertificate", words);
                    }
                }
            }
        }
        all
    }

    /// Once.
    fn tell(&mut self, ingress: &Ingress, reason: &'static str, words: String) {
        if self.told.insert((key_of(&ingress.metadata), words.clone())) {
            self.events.warning(ingress, reason, words);
        }
    }
}
