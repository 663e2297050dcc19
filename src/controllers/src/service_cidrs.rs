//! ServiceCIDRs become ranges that Services get addresses from: upstream's service-cidrs-controller, together with what makes
//! the machine lead packets for a further range to Services. No address is given before the machine does, and it does so
//! until the last one is given back. The range that the cluster was started with is led to from the start, and always used.

mod plan;

use crate::protection::protect_or_release;
use crate::status::write_status;
use api::{LabelSelector, Reason, Status};
use async_trait::async_trait;
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Api, Change, Cluster, Controller, RangeUse, WorkQueue};
use ipnet::Ipv4Net;
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use kinds::key_of;
use plan::{Claim, Verdict};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const NAME: &str = "service-cidrs-controller";
const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
/// Nobody tells when the machine comes into another network: while a range is in conflict with one, it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The machine that leads packets to Services. An error is why it can not, in words for the log.
#[async_trait]
pub trait ServiceNetwork: Send + Sync {
    /// Why addresses of the range can not be Services' on this machine, as the end of a sentence; `None` where they can.
    async fn obstacle(&self, range: Ipv4Net) -> Result<Option<String>, String>;

    /// From now on packets for addresses of these ranges, beside the cluster's own range, go to Services or nowhere; for all
    /// others they go where they would.
    async fn set_further_ranges(&self, ranges: &[Ipv4Net]) -> Result<(), String>;
}

pub(crate) fn role() -> ComponentRole {
    let networking = &["networking.k8s.io"];
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["get", "list", "patch", "update", "watch"], networking, &["servicecidrs"]),
            rule(&["patch", "update"], networking, &["servicecidrs/finalizers", "servicecidrs/status"]),
            rule(READ, networking, &["ipaddresses"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, network: Arc<dyn ServiceNetwork>, stop: CancellationToken) {
    let own = cluster.config().service_cidr;
    let controller = Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<ServiceCIDR>(|queue, _| queue.add(()))
        .watches::<IPAddress>(move |queue, change| {
            // it may have been the last one that a range waits for
            if matches!(change, Change::Deleted(address) if !is_in(own, address)) {
                queue.add(());
            }
        });
    // what an earlier process left to the machine
    controller.queue().add(());
    let ranges = cluster.acting_as(Actor::controller(NAME)).api();
    let reconciler =
        Arc::new(Reconciler { cluster, ranges, network, queue: controller.queue(), state: Mutex::default() });
    controller.run(stop, reconciler, |reconciler, ()| async move { reconciler.reconcile().await }).await;
}

fn is_in(range: Ipv4Net, address: &IPAddress) -> bool {
    let name = address.metadata.name.as_deref().unwrap_or_default();
    name.parse::<Ipv4Addr>().is_ok_and(|address| range.contains(&address))
}

struct Reconciler {
    cluster: Cluster,
    ranges: Api<ServiceCIDR>,
    network: Arc<dyn ServiceNetwork>,
    queue: WorkQueue<()>,
    state: Mutex<State>,
}

/// What was said last.
#[derive(Default)]
struct State {
    /// To the machine; nothing is known before the first time, and after it refused.
    led: Option<Vec<Ipv4Net>>,
    /// To the cluster: where addresses are given from.
    given: Vec<Ipv4Net>,
    /// When it is looked again whether conflicts are over.
    looks_again: Option<Instant>,
}

impl Reconciler {
    async fn reconcile(&self) -> Result<(), Status> {
        let mut state = self.state.lock().await;
        let own = self.cluster.config().service_cidr;
        let (claims, protected) = self.claims(state.led.as_deref().unwrap_or_default()).await?;
        if claims.iter().any(|claim| claim.obstacle.is_some()) {
            self.look_again(&mut state);
        }
        let served = plan::served(&claims, own);
        // of what goes, no address is given from now on: only then it can be said whether one is left
        state.given.retain(|range| served.contains(range));
        self.cluster.give_service_addresses_from(&state.given);
        let others = [&[own][..], &served].concat();
        let use_of = |range: Ipv4Net| self.cluster.use_of_service_range(range, &others);
        let verdicts: Vec<Verdict> = claims.iter().map(|claim| plan::verdict(claim, use_of)).collect();

        let wanted = plan::led(&claims, &served, own, use_of);
        if state.led.as_ref() != Some(&wanted) {
            state.led = None;
            self.network.set_further_ranges(&wanted).await.map_err(refused)?;
            self.cluster.set_further_service_ranges(&wanted);
            state.led = Some(wanted);
        }
        self.cluster.give_service_addresses_from(&served);
        state.given = served;
        protected.and(self.tell(&claims, &verdicts).await)
    }

    /// One look is due at a time, however often others have it looked meanwhile.
    fn look_again(&self, state: &mut State) {
        let now = Instant::now();
        if state.looks_again.is_none_or(|at| at <= now) {
            state.looks_again = Some(now + LOOK_AGAIN);
            self.queue.add_after((), LOOK_AGAIN);
        }
    }

    /// All objects, and why some could not be given the finalizer.
    async fn claims(&self, led: &[Ipv4Net]) -> Result<(Vec<Claim>, Result<(), Status>), Status> {
        let own = self.cluster.config().service_cidr;
        let (mut claims, mut outcome) = (Vec::new(), Ok(()));
        for object in self.ranges.list(None, LabelSelector::default())? {
            let mut claim = Claim::new(object);
            if !claim.is_of(own) {
                match self.protected(&claim.object).await {
                    Ok(Some(now)) => claim = Claim::new(now),
                    Ok(None) => continue,
                    Err(why) => {
                        claim.is_unprotected = true;
                        outcome = Err(why);
                    }
                }
            }
            // one that is in use stays so, whatever network the machine has come into since
            if let Some(range) = claim.range.filter(|range| !led.contains(range)) {
                claim.obstacle = self.network.obstacle(range).await.map_err(refused)?;
            }
            claims.push(claim);
        }
        Ok((claims, outcome))
    }

    /// The object as it is with the finalizer. It may have been deleted before it had it: `None` where it is gone.
    async fn protected(&self, object: &ServiceCIDR) -> Result<Option<ServiceCIDR>, Status> {
        protect_or_release(&self.ranges, object, FINALIZER, || Ok(true)).await?;
        self.ranges.find(&key_of(&object.metadata))
    }

    /// One that can not be written does not hold up the others.
    async fn tell(&self, claims: &[Claim], verdicts: &[Verdict]) -> Result<(), Status> {
        let mut outcome = Ok(());
        for (claim, verdict) in claims.iter().zip(verdicts) {
            // why it is none has been said
            if claim.is_unprotected {
                continue;
            }
            let told = match verdict {
                Verdict::Gone(RangeUse::Free) => {
                    protect_or_release(&self.ranges, &claim.object, FINALIZER, || Ok(false)).await
                }
                // nobody tells when that is over
                Verdict::Gone(RangeUse::Pending) => Err(Status::new(
                    Reason::Conflict,
                    "a Service with an address of the range is being written",
                )),
                Verdict::Gone(RangeUse::Held) | Verdict::Ready | Verdict::Unusable { .. } => {
                    let wanted = plan::status(&claim.object, verdict, jiff::Timestamp::now());
                    let seen = claim.object.status.as_ref();
                    write_status(&self.ranges, &claim.object.metadata, seen, wanted, |range| {
                        &mut range.status
                    })
                    .await
                }
            };
            outcome = outcome.and(told);
        }
        outcome
    }
}

fn refused(why: String) -> Status {
    tracing::warn!(%why, "the machine does not lead to ranges of Services; trying again");
    Status::internal(why)
}
