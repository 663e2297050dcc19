//! The node in the cluster: its object, and the signs of life that the node lifecycle controller waits for.

use crate::node_events::{self, NodeEvent};
use crate::shared::Shared;
use crate::{image_gc, node};
use api::{ObjectKey, Reason, Status};
use cluster::Api;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Upstream's nodeLeaseDurationSeconds, renewed after a quarter of it. Leases are lazy writes: no fsync for each.
pub(crate) const LEASE: Duration = Duration::from_secs(40);
pub(crate) const RENEW: Duration = Duration::from_secs(10);
/// Upstream's nodeStatusReportFrequency: how often a status is written that says nothing new.
pub(crate) const REPORT: Duration = Duration::from_secs(300);
const NAMESPACE: &str = "kube-node-lease";

pub(crate) struct Heartbeat {
    shared: Arc<Shared>,
    nodes: Api<Node>,
    leases: Api<Lease>,
    /// What the node said at the start is not written yet.
    is_behind: bool,
}

impl Heartbeat {
    /// Makes or takes over the Node object and says at once how it is. A node that is known already can say it later: on a
    /// full disk nothing can be written, and somebody must be able to make room with this very program.
    ///
    /// # Errors
    /// The cluster refused a node that it does not know.
    pub async fn register(shared: Arc<Shared>) -> Result<Self, Status> {
        let mut heartbeat = Heartbeat {
            nodes: shared.client.api(),
            leases: shared.client.api(),
            shared: shared.clone(),
            is_behind: false,
        };
        let is_known = match heartbeat.nodes.create(node::new(&shared.config)).await {
            Err(status) if status.is(Reason::AlreadyExists) => true,
            created => created.map(|_| false)?,
        };
        heartbeat.record_event(node_events::starting());
        match heartbeat.begin(is_known).await {
            Err(status) if is_known => {
                tracing::warn!(node = shared.config.node_name, %status, "the node's status is not written yet");
                heartbeat.is_behind = true;
            }
            begun => begun?,
        }
        Ok(heartbeat)
    }

    async fn sign_of_life(&mut self) -> Result<(), Status> {
        if !self.is_behind {
            self.renew().await?;
            // whoever took it for silent, or was told that it is unwell, hears at once how it is now
            return if self.is_up_to_date()? { Ok(()) } else { self.report().await };
        }
        self.begin(true).await?;
        self.is_behind = false;
        Ok(())
    }

    /// Also where it was deleted: that is for the next report to see.
    fn is_up_to_date(&self) -> Result<bool, Status> {
        let Some(node) = self.nodes.find(&self.key())? else { return Ok(true) };
        let status = node.status.unwrap_or_default();
        let mut conditions = status.conditions.iter().flatten();
        Ok(conditions.any(|c| c.type_ == "Ready" && c.status == "True") && node::lets_use_all(&status))
    }

    async fn begin(&self, is_known: bool) -> Result<(), Status> {
        if is_known {
            self.relabel().await?;
        }
        self.report().await?;
        self.renew().await
    }

    /// Until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut renewals = tokio::time::interval_at(Instant::now() + RENEW, RENEW);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reports = tokio::time::interval_at(Instant::now() + REPORT, REPORT);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                _ = renewals.tick() => self.sign_of_life().await,
                _ = reports.tick() => {
                    image_gc::collect_garbage(&self.shared).await;
                    self.report().await
                }
            };
            if let Err(status) = done {
                tracing::warn!(node = self.shared.config.node_name, %status, "sign of life is not written");
            }
        }
    }

    fn key(&self) -> ObjectKey {
        ObjectKey::new(None, &self.shared.config.node_name)
    }

    /// Labels of an older start, and those that users set, stay.
    async fn relabel(&self) -> Result<(), Status> {
        let labels = node::labels(&self.shared.config);
        let add = |node: &mut Node| {
            node.metadata.labels.get_or_insert_default().extend(labels.clone());
            node::assign_pod_cidr(&self.shared.config, node);
            Ok(())
        };
        self.nodes.modify(&self.key(), add).await.map(|_| ())
    }

    async fn report(&self) -> Result<(), Status> {
        let shared = &self.shared;
        let images = shared.images.list().await.unwrap_or_default();
        let runtime = shared.runtime.list().await.map(|_| ()).map_err(|e| e.to_string());
        let now = shared.clock.now();
        let before = self.nodes.get(&self.key()).ok().and_then(|node| node.status).unwrap_or_default();
        let write = |node: &mut Node| {
            let old = node.status.take().unwrap_or_default();
            node.status = Some(node::status(&shared.config, &old, &images, runtime.clone(), now));
            Ok(())
        };
        let written = match self.nodes.modify_status(&self.key(), write).await {
            // somebody deleted it: it comes back, as upstream's does
            Err(status) if status.is(Reason::NotFound) => {
                self.nodes.create(node::new(&shared.config)).await?;
                shared.csi.node_is_new.send_replace(());
                self.nodes.modify_status(&self.key(), write).await?
            }
            other => other?,
        };
        let now = written.status.unwrap_or_default();
        node_events::between(&shared.config.node_name, &before, &now)
            .into_iter()
            .for_each(|n| self.record_event(n));
        Ok(())
    }

    fn record_event(&self, event: NodeEvent) {
        let about = node_events::about(&self.shared.config.node_name);
        self.shared.events.event(about, event.kind, event.reason, event.message);
    }

    async fn renew(&self) -> Result<(), Status> {
        let name = &self.shared.config.node_name;
        let spec = self.lease();
        let key = ObjectKey::namespaced(NAMESPACE, name);
        let set = |lease: &mut Lease| {
            lease.spec = Some(spec.clone());
            Ok(())
        };
        match self.leases.modify(&key, set).await {
            Err(status) if status.is(Reason::NotFound) => {
                let metadata = ObjectMeta {
                    name: Some(name.clone()),
                    namespace: Some(NAMESPACE.to_owned()),
                    owner_references: self.owner().map(|owner| vec![owner]),
                    ..ObjectMeta::default()
                };
                self.leases.create(Lease { metadata, spec: Some(spec) }).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }

    fn lease(&self) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.shared.config.node_name.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            renew_time: Some(MicroTime(self.shared.clock.now())),
            ..LeaseSpec::default()
        }
    }

    /// The lease goes with its node.
    fn owner(&self) -> Option<OwnerReference> {
        let node = self.nodes.get(&self.key()).ok()?;
        Some(OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: node.metadata.name?,
            uid: node.metadata.uid?,
            ..OwnerReference::default()
        })
    }
}
