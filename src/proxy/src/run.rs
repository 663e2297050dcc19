//! Follows Services and EndpointSlices, and keeps the kernel's frontends as they say. A refusal of the kernel is followed by
//! a comparison with what it has.

use crate::capacity::Capacity;
use crate::health_checks::{HealthCheck, HealthChecks, WantedCheck, health_check};
use crate::render::has_external_addresses;
use crate::{ACTOR, Claims, NAME, OwnAddresses, ProxyConfig, Rendered, balancer, render};
use api::ObjectKey;
use cluster::roles::{ComponentRole, READ, events, rule};
use cluster::{Actor, Change, Cluster, Recorder};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kinds::endpoints::service_of;
use kinds::key_of;
use net::{Action, Frontend, NetError, Network};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Upstream has no such thing, and no word for it.
const TOO_LARGE: &str = "ServiceTooLarge";
/// Elements of services that are rendered once although it is not known yet whether they have room.
const MOST_KEPT: usize = 1 << 16;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(30); // upstream syncs as rarely where nothing happens

pub fn role() -> ComponentRole {
    let rules = vec![
        rule(READ, &[""], &["nodes", "services"]),
        rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
        events(),
        rule(&["patch", "update"], &[""], &["services/status"]),
    ];
    ComponentRole::user("system:node-proxier", ACTOR, rules)
}

/// Keeps the frontends as the services are until `stop`. What was applied stays in the kernel: services answer while the
/// daemon is away.
pub async fn run(cluster: Cluster, network: Network, config: ProxyConfig, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::component(ACTOR));
    let checks = HealthChecks::new(&client, &config.node_name);
    let events = client.recorder(NAME, Some(&config.node_name));
    let balancing = tokio::spawn(balancer::run(client, config.load_balancer_cidr, stop.clone()));
    keep_frontends(&cluster, &network, config.node_name, checks, &events, &stop).await;
    let _ = balancing.await;
}

async fn keep_frontends(
    cluster: &Cluster,
    network: &Network,
    node: String,
    mut checks: HealthChecks,
    events: &Recorder,
    stop: &CancellationToken,
) {
    let mut services = cluster.informer::<Service>().subscribe();
    let mut slices = cluster.informer::<EndpointSlice>().subscribe();
    let mut ranges = cluster.service_ranges();
    let own = OwnAddresses {
        services: ranges.borrow_and_update().to_vec(),
        pods: cluster.config().pod_cidr,
        api: cluster.config().advertise_address,
    };
    let mut state = State::new(node, own);
    let mut applied = Applied::Unknown { failures: 0, retry_at: Instant::now() };
    loop {
        // a burst, as the one of the start, is one transaction
        while let Some(change) = services.try_next() {
            state.service_changed(&change);
        }
        while let Some(change) = slices.try_next() {
            state.slice_changed(&change);
        }
        applied = apply(network, &mut state, applied).await;
        for (service, said) in std::mem::take(&mut state.notes) {
            tracing::warn!(service = %key_of(&service.metadata), "{said}");
            events.warning(&*service, TOO_LARGE, said);
        }
        checks.proxy_is(matches!(applied, Applied::Everything));
        checks.set(&state.checks_changed()).await;
        tokio::select! {
            () = stop.cancelled() => return,
            Some(change) = services.next() => state.service_changed(&change),
            Some(change) = slices.next() => state.slice_changed(&change),
            Ok(()) = ranges.changed() => {
                let now = ranges.borrow_and_update().to_vec();
                state.ranges_changed(now);
            }
            () = applied.retry_is_due() => {}
            else => return,
        }
    }
}

/// What is known of the kernel's state.
enum Applied {
    /// All that was rendered.
    Everything,
    /// A refusal, or the start: it must be compared with what the kernel has.
    Unknown { failures: u32, retry_at: Instant },
}

impl Applied {
    async fn retry_is_due(&self) {
        match self {
            Applied::Everything => std::future::pending().await,
            Applied::Unknown { retry_at, .. } => tokio::time::sleep_until(*retry_at).await,
        }
    }
}

async fn apply(network: &Network, state: &mut State, before: Applied) -> Applied {
    let changed = state.render();
    let (done, failures) = match before {
        Applied::Everything if changed.is_empty() => return before,
        Applied::Everything => (network.change_frontends(changed).await, 0),
        // changes that come meanwhile do not hurry it: the kernel said no a moment ago
        Applied::Unknown { retry_at, failures } if failures > 0 && Instant::now() < retry_at => {
            return before;
        }
        Applied::Unknown { failures, .. } => (network.set_frontends(state.claims.all()).await, failures),
    };
    match done {
        Ok(()) => Applied::Everything,
        Err(error) => retry(failures, &error),
    }
}

fn retry(failures: u32, error: &NetError) -> Applied {
    let wait = FIRST_RETRY.saturating_mul(1 << failures.min(16)).min(LAST_RETRY);
    tracing::warn!(%error, ?wait, "services could not be applied; comparing with the kernel and trying again");
    Applied::Unknown { failures: failures + 1, retry_at: Instant::now() + wait }
}

/// The services and slices that there are, and what they were rendered to.
struct State {
    node: String,
    own: OwnAddresses,
    services: HashMap<ObjectKey, Arc<Service>>,
    slices: HashMap<ObjectKey, BTreeMap<ObjectKey, Arc<EndpointSlice>>>,
    claims: Claims,
    capacity: Capacity,
    /// What was said of services that are not served whole, and what is to be said.
    told: HashMap<ObjectKey, String>,
    notes: Vec<(Arc<Service>, String)>,
    /// To be rendered again.
    dirty: HashSet<ObjectKey>,
    checks: BTreeMap<ObjectKey, HealthCheck>,
    /// Whose health may be asked for elsewhere, or answered otherwise.
    dirty_checks: BTreeSet<ObjectKey>,
}

impl State {
    fn new(node: String, own: OwnAddresses) -> Self {
        State {
            node,
            own,
            services: HashMap::new(),
            slices: HashMap::new(),
            claims: Claims::default(),
            capacity: Capacity::default(),
            told: HashMap::new(),
            notes: Vec::new(),
            dirty: HashSet::new(),
            checks: BTreeMap::new(),
            dirty_checks: BTreeSet::new(),
        }
    }

    fn service_changed(&mut self, change: &Change<Service>) {
        let service = change.object();
        let key = key_of(&service.metadata);
        match change {
            Change::Deleted(_) => self.services.remove(&key),
            _ => self.services.insert(key.clone(), service.clone()),
        };
        self.dirty.insert(key);
    }

    fn slice_changed(&mut self, change: &Change<EndpointSlice>) {
        // its label may have been changed, so that it has left a service
        if let Change::Modified { old, .. } | Change::Deleted(old) = change {
            self.forget_slice(old);
        }
        if let Change::Added(slice) | Change::Modified { new: slice, .. } = change
            && let Some(service) = service_of(slice)
        {
            self.slices.entry(service.clone()).or_default().insert(key_of(&slice.metadata), slice.clone());
            self.dirty.insert(service);
        }
    }

    fn forget_slice(&mut self, slice: &EndpointSlice) {
        let Some(service) = service_of(slice) else { return };
        if let Some(slices) = self.slices.get_mut(&service) {
            slices.remove(&key_of(&slice.metadata));
            if slices.is_empty() {
                self.slices.remove(&service);
            }
        }
        self.dirty.insert(service);
    }

    /// Whoever asks for addresses from outside may ask for one that is the cluster's own by now, or is so no longer.
    fn ranges_changed(&mut self, ranges: Vec<Ipv4Net>) {
        self.own.services = ranges;
        let asking = self.services.iter().filter(|(_, service)| has_external_addresses(service));
        self.dirty.extend(asking.map(|(key, _)| key.clone()));
    }

    /// Renders what changed; gives the frontends that lead elsewhere now.
    fn render(&mut self) -> Vec<(Frontend, Option<Action>)> {
        let mut dirty = std::mem::take(&mut self.dirty);
        let (mut kept, mut left) = (HashMap::new(), MOST_KEPT);
        for key in &dirty {
            let rendered = self.rendered(key);
            self.capacity.set(key, rendered.size);
            if rendered.size <= left {
                left -= rendered.size;
                kept.insert(key.clone(), rendered);
            }
        }
        dirty.extend(self.capacity.divide());
        let mut touched = BTreeSet::new();
        for key in dirty {
            let rendered = match self.capacity.is_left_out(&key) {
                true => Rendered::default(),
                false => kept.remove(&key).unwrap_or_else(|| self.rendered(&key)),
            };
            self.note(&key, rendered.ports_left_out);
            let check = self.services.get(&key);
            let check = check.and_then(|service| health_check(service, &self.slices_of(&key), &self.node));
            let before = match check {
                Some(check) => self.checks.insert(key.clone(), check),
                None => self.checks.remove(&key),
            };
            // as long as it could not listen it tries again when the service or its endpoints change
            if before.is_some() || check.is_some() {
                self.dirty_checks.insert(key.clone());
            }
            touched.extend(self.claims.set(&key, rendered.frontends));
        }
        touched.into_iter().map(|frontend| (frontend, self.claims.action(&frontend).cloned())).collect()
    }

    fn slices_of(&self, service: &ObjectKey) -> Vec<&EndpointSlice> {
        self.slices.get(service).into_iter().flat_map(BTreeMap::values).map(Arc::as_ref).collect()
    }

    fn rendered(&self, key: &ObjectKey) -> Rendered {
        let service = self.services.get(key);
        let render = |service: &Arc<Service>| render(service, &self.slices_of(key), &self.node, &self.own);
        service.map(render).unwrap_or_default()
    }

    /// What is not served of a service is said once, as long as it is the same.
    fn note(&mut self, key: &ObjectKey, ports_left_out: usize) {
        let Some(service) = self.services.get(key) else {
            self.told.remove(key);
            return;
        };
        let said = if self.capacity.is_left_out(key) {
            "The Services of this namespace have more ports, addresses and endpoints than there is room for: this one is not served"
                .to_owned()
        } else if ports_left_out > 0 {
            let all = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).count();
            format!(
                "The Service has more ports, addresses and endpoints than there is room for: the last {ports_left_out} of {all} ports are not served"
            )
        } else {
            self.told.remove(key);
            return;
        };
        if self.told.get(key) != Some(&said) {
            self.notes.push((service.clone(), said.clone()));
            self.told.insert(key.clone(), said);
        }
    }

    fn checks_changed(&mut self) -> Vec<WantedCheck> {
        let changed = std::mem::take(&mut self.dirty_checks);
        let wanted = |key: ObjectKey| {
            let check = self.checks.get(&key).copied().zip(self.services.get(&key).cloned());
            (key, check)
        };
        changed.into_iter().map(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_that_becomes_the_clusters_is_nobodys_external_one() {
        let [own, further]: [Ipv4Net; 2] = ["10.96.0.0/16", "10.250.0.0/24"].map(|net| net.parse().unwrap());
        let asked = Ipv4Addr::new(10, 250, 0, 9);
        let service = json!({"metadata": {"name": "s", "namespace": "default"}, "spec": {"clusterIP": "10.96.0.9",
            "externalIPs": [asked], "ports": [{"port": 80, "protocol": "TCP"}]}});
        let service: Service = serde_json::from_value(service).unwrap();
        let pods = "10.244.0.0/16".parse().unwrap();
        let addresses = OwnAddresses { services: vec![own], pods, api: Ipv4Addr::new(10, 244, 0, 1) };
        let mut state = State::new("here".to_owned(), addresses);
        state.service_changed(&Change::Added(Arc::new(service)));
        for (name, ranges, want) in [
            ("from outside", vec![own], true),
            ("the cluster's", vec![own, further], false),
            ("from outside again", vec![own], true),
        ] {
            state.ranges_changed(ranges);
            let changed = state.render();
            let of_asked = changed.iter().find(|(frontend, _)| frontend.address == Some(asked));
            assert_eq!(of_asked.map(|(_, action)| action.is_some()), Some(want), "{name}");
        }
    }
}
