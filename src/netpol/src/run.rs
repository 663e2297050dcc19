//! Keeps the kernel as the policies are.

use crate::state::State;
use crate::{ACTOR, NAME, NetpolConfig, Rendered};
use api::ObjectKey;
use cluster::roles::{ComponentRole, events};
use cluster::{Actor, Cluster, Informer, Recorder};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use net::{Gate, Isolation, NetError, Network};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(30); // as the service proxy

/// Upstream has no such thing, and no word for it.
const TOO_LARGE: &str = "NetworkPolicyTooLarge";

pub fn role() -> ComponentRole {
    ComponentRole::user(ACTOR, ACTOR, vec![events()])
}

/// A pod's link waits for this.
struct Arrival {
    uid: String,
    address: Ipv4Addr,
    answer: oneshot::Sender<Result<(), NetError>>,
}

/// Sets the network's gate, and gives what must run until `stop`: before the first pod is made. What was applied stays in the
/// kernel: policies hold while the daemon is away.
pub fn start(
    cluster: Cluster,
    network: Network,
    config: NetpolConfig,
    stop: CancellationToken,
) -> impl Future<Output = ()> {
    let (sender, arrivals) = mpsc::unbounded_channel();
    network.set_gate(gate(sender));
    async move { keep(&cluster, &network, State::new(config), arrivals, &stop).await }
}

fn gate(arrivals: mpsc::UnboundedSender<Arrival>) -> Gate {
    Arc::new(move |uid, address| {
        let (answer, answered) = oneshot::channel();
        let _ = arrivals.send(Arrival { uid, address, answer });
        Box::pin(async move {
            let stopped = |_| failed(address, "network policies are not kept any more: the daemon stops");
            answered.await.unwrap_or_else(|closed| Err(stopped(closed)))
        })
    })
}

fn failed(address: Ipv4Addr, why: &str) -> NetError {
    NetError::Failed { doing: format!("apply the network policies of {address}"), why: why.to_owned() }
}

async fn keep(
    cluster: &Cluster,
    network: &Network,
    mut state: State,
    mut arrivals: mpsc::UnboundedReceiver<Arrival>,
    stop: &CancellationToken,
) {
    let mut policies = cluster.informer::<NetworkPolicy>().subscribe();
    let mut pods = cluster.informer::<Pod>().subscribe();
    let mut namespaces = cluster.informer::<Namespace>().subscribe();
    let mut applied = Applied::Unknown { failure: None, failures: 0, retry_at: Instant::now() };
    let mut closed = Closed::new(cluster);
    let mut waiting: Vec<Arrival> = Vec::new();
    loop {
        while let Ok(arrival) = arrivals.try_recv() {
            waiting.push(arrival);
        }
        // behind the arrivals: what these are judged by is older than they are
        while let Some(change) = policies.try_next() {
            state.policy_changed(&change);
        }
        while let Some(change) = namespaces.try_next() {
            state.namespace_changed(&change);
        }
        while let Some(change) = pods.try_next() {
            state.pod_changed(&change);
        }
        waiting = known(&mut state, waiting);
        applied = apply(network, &mut state, applied, &mut closed, !waiting.is_empty()).await;
        for arrival in waiting.drain(..) {
            let _ = arrival.answer.send(applied.as_answer());
        }
        tokio::select! {
            () = stop.cancelled() => return,
            Some(change) = policies.next() => state.policy_changed(&change),
            Some(change) = pods.next() => state.pod_changed(&change),
            Some(change) = namespaces.next() => state.namespace_changed(&change),
            Some(arrival) = arrivals.recv() => waiting.push(arrival),
            () = applied.retry_is_due() => {}
            else => return,
        }
    }
}

/// Those whose pods there are; the others are told that they wait in vain.
fn known(state: &mut State, waiting: Vec<Arrival>) -> Vec<Arrival> {
    let (known, unknown): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|arrival| state.address_given(&arrival.uid, arrival.address));
    for arrival in unknown {
        let why = format!("there is no pod with the uid {}", arrival.uid);
        let _ = arrival.answer.send(Err(failed(arrival.address, &why)));
    }
    known
}

/// What is known of the kernel's state.
enum Applied {
    Everything(Isolation),
    /// A refusal, or the start.
    Unknown {
        failure: Option<NetError>,
        failures: u32,
        retry_at: Instant,
    },
}

impl Applied {
    async fn retry_is_due(&self) {
        match self {
            Applied::Everything(_) => std::future::pending().await,
            Applied::Unknown { retry_at, .. } => tokio::time::sleep_until(*retry_at).await,
        }
    }

    fn as_answer(&self) -> Result<(), NetError> {
        match self {
            Applied::Unknown { failure: Some(error), .. } => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

async fn apply(
    network: &Network,
    state: &mut State,
    before: Applied,
    closed: &mut Closed,
    somebody_waits: bool,
) -> Applied {
    let changed = state.take_change();
    let failures = match &before {
        Applied::Everything(_) if !changed => return before,
        Applied::Everything(_) => 0,
        // changes do not hurry it: the kernel said no a moment ago
        Applied::Unknown { failures, retry_at, .. }
            if *failures > 0 && !somebody_waits && Instant::now() < *retry_at =>
        {
            return before;
        }
        Applied::Unknown { failures, .. } => *failures,
    };
    // it may take a part of a second, and what else this thread does is not to wait for it
    let snapshot = state.snapshot();
    let rendered = tokio::task::spawn_blocking(move || snapshot.render()).await;
    let done = match rendered {
        Ok(rendered) if matches!(&before, Applied::Everything(applied) if *applied == rendered.isolation) => {
            return before;
        }
        Ok(rendered) => network.set_isolation(rendered.isolation.clone()).await.map(|too_large| {
            closed.tell(&rendered, too_large);
            rendered.isolation
        }),
        Err(error) => {
            Err(NetError::Failed { doing: "render network policies".into(), why: error.to_string() })
        }
    };
    match done {
        Ok(isolation) => Applied::Everything(isolation),
        Err(error) => {
            let wait = FIRST_RETRY.saturating_mul(1 << failures.min(16)).min(LAST_RETRY);
            tracing::warn!(%error, ?wait, "network policies could not be applied; those before stay in force, and it is tried again");
            let retry_at = Instant::now() + wait;
            Applied::Unknown { failure: Some(error), failures: failures + 1, retry_at }
        }
    }
}

/// Policies that say more than is done for a pod, a namespace or all: told of once, and again when they had gone or were mended.
struct Closed {
    events: Recorder,
    told: BTreeSet<ObjectKey>,
    policies: Informer<NetworkPolicy>,
}

impl Closed {
    fn new(cluster: &Cluster) -> Self {
        let events = cluster.acting_as(Actor::component(ACTOR)).recorder(NAME, None);
        Closed { events, told: BTreeSet::new(), policies: cluster.informer() }
    }

    fn tell(&mut self, rendered: &Rendered, mut classes: BTreeSet<String>) {
        classes.extend(rendered.too_large.iter().cloned());
        let now: BTreeSet<ObjectKey> =
            classes.iter().filter_map(|class| rendered.largest_policy(class)).cloned().collect();
        for key in now.difference(&self.told) {
            tracing::warn!(policy = %key, "a network policy is too large: nothing is allowed to the pods that it selects");
            if let Some(policy) = self.policies.get(key) {
                let said = "The policy, with the others of its pods, its namespace or all namespaces, has more rules, peers and ports than are enforced: nothing is allowed to pods that it selects. Say it in fewer rules, or with fewer blocks that overlap";
                self.events.warning(&*policy, TOO_LARGE, said);
            }
        }
        self.told = now;
    }
}
