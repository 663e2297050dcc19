//! What was decided is written beside the decisions: a webhook that is slow to answer holds up the pod that it is asked about,
//! and no other.
//!
//! A pod has one task at a time, which writes all that was decided of it in order; the pod is not tried again before that is
//! over (upstream preempts so as well). What can not be written, or panics, is decided anew after a while.

use crate::config::scheduler_name;
use crate::decision::Decision;
use crate::metrics::Attempt;
use crate::pod_info::PodInfo;
use crate::pod_volumes::Promise;
use crate::preempt::{BY_SCHEDULER, DISRUPTION_TARGET};
use crate::scheduler::Scheduler;
use crate::{Preemption, Unschedulable};
use api::{ObjectKey, Reason, Status};
use cluster::{DeleteOptions, PodBinding, WriteOptions, subject, unless_replaced};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kinds::{key_of, pod as ask, volume};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Upstream's name of what binds.
const BINDER: &str = "DefaultBinder";

impl Scheduler {
    /// `began` is when a node was looked for.
    pub(crate) fn write_down(self: &Arc<Self>, pod: Arc<PodInfo>, decision: Decision, began: Instant) {
        let (this, of) = (self.clone(), pod.clone());
        match decision {
            Decision::Bind { node } => self.bind(pod, node, began),
            Decision::Promise { node, promises } => {
                self.write_held(&pod, move || async move { this.promise(&of.pod, &node, promises).await });
            }
            Decision::Preempt { why, preemption } => {
                let why = found(&why, &preemption);
                self.tell(&pod.pod, |events| events.warning(&*pod.pod, "FailedScheduling", why.clone()));
                self.write_held(&pod, move || async move { this.preempt(&of, &why, preemption).await });
            }
            Decision::Refuse { why, nominated } => {
                self.tell(&pod.pod, |events| events.warning(&*pod.pod, "FailedScheduling", why.clone()));
                let note = move || async move { this.note(&of.pod, &why, nominated.as_deref()).await };
                self.write_held(&pod, note);
            }
        }
    }

    /// What was decided of one that waits, and is held meanwhile.
    pub(crate) fn write_held<F>(self: &Arc<Self>, pod: &PodInfo, write: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (this, key, id) = (self.clone(), key_of(&pod.pod.metadata), pod.id.clone());
        self.writes.begin(write, move |written| {
            if let Err(status) = &written {
                tracing::debug!(pod = %key, %status, "what was decided of the pod is not written, will try again");
            }
            this.note_change(|cache, now| cache.queue.written(&key, &id, written.is_ok(), now));
        });
    }

    fn bind(self: &Arc<Self>, pod: Arc<PodInfo>, node: String, began: Instant) {
        let (this, key) = (self.clone(), key_of(&pod.pod.metadata));
        let namespace = key.namespace.as_deref().unwrap_or_default();
        // one that has its name by now may not fit there
        let binding = PodBinding::new(namespace, &key.name, &node).for_uid(pod.pod.metadata.uid.clone());
        let client = self.client.clone();
        let bind = move || async move { client.bind_as(binding, &WriteOptions::default()).await };
        self.writes.begin(bind, move |bound| {
            let attempt = if bound.is_ok() { Attempt::Scheduled } else { Attempt::Error };
            this.metrics.count_attempt(scheduler_name(&pod.pod), attempt, began.elapsed());
            match bound {
                Ok(()) => {
                    let said = format!("Successfully assigned {key} to {node}");
                    this.tell(&pod.pod, |events| events.normal(&*pod.pod, "Scheduled", said));
                    this.note_change(|cache, _| cache.queue.bound(&key, &pod.id));
                }
                Err(status) => {
                    tracing::debug!(%key, %node, %status, "pod not bound, will try again");
                    // else somebody was faster, which is nobody's concern
                    if !status.is(Reason::Conflict) && !status.is(Reason::NotFound) {
                        let why =
                            format!("binding rejected: running Bind plugin {BINDER:?}: {}", status.message);
                        this.tell(&pod.pod, |events| events.warning(&*pod.pod, "FailedScheduling", why));
                    }
                    this.note_change(|cache, now| {
                        cache.forget(&pod, now);
                        cache.queue.failed(&key, &pod.id, now);
                    });
                }
            }
        });
    }

    /// Claims that waited for the pod are told where it will run, or are given a volume that is reached from there.
    async fn promise(&self, pod: &Pod, node: &str, promises: Vec<Promise>) -> Result<(), Status> {
        let namespace = pod.metadata.namespace.as_deref();
        for promise in promises {
            let done = match promise {
                Promise::Made => continue,
                Promise::Node { claim } => {
                    let key = ObjectKey::new(namespace, &claim);
                    let tell = self.claims.modify(&key, |claim| {
                        volume::annotate(&mut claim.metadata, volume::SELECTED_NODE, node);
                        Ok(())
                    });
                    tell.await.map(|_| ())
                }
                Promise::Volume { claim, volume: name } => {
                    let Some(claim) = self.claims.find(&ObjectKey::new(namespace, &claim))? else { continue };
                    let key = ObjectKey::cluster(&name);
                    let give = self.volumes.modify(&key, |of| {
                        let spec = of.spec.get_or_insert_default();
                        if spec.claim_ref.is_some() {
                            let words = format!("volume \"{name}\" already bound to a different claim.");
                            return Err(Status::new(Reason::Conflict, words));
                        }
                        spec.claim_ref = Some(subject(&claim));
                        volume::annotate(&mut of.metadata, volume::BOUND_BY_CONTROLLER, "yes");
                        Ok(())
                    });
                    give.await.map(|_| ())
                }
            };
            match done {
                Err(status) if status.is(Reason::NotFound) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// The place is written down before anybody goes: whoever is placed meanwhile leaves it free. The victims go beside each
    /// other.
    async fn preempt(
        self: &Arc<Self>,
        pod: &Arc<PodInfo>,
        why: &str,
        preemption: Preemption,
    ) -> Result<(), Status> {
        let Preemption { node, victims } = preemption;
        self.note(&pod.pod, why, Some(&node)).await?;
        let mut evictions = JoinSet::new();
        for victim in victims {
            let (this, by, node) = (self.clone(), pod.clone(), node.clone());
            evictions.spawn(async move { this.evict(&victim, &by.pod, &node).await });
        }
        let mut evicted = Ok(());
        while let Some(done) = evictions.join_next().await {
            evicted = evicted.and(done.unwrap_or_else(|broken| Err(Status::internal(broken))));
        }
        evicted?;
        self.give_up_places(pod, &node).await
    }

    /// Who is on his way out already is not told again, nor spoken of.
    async fn evict(&self, victim: &Pod, by: &Pod, node: &str) -> Result<(), Status> {
        let key = key_of(&victim.metadata);
        let stored = self.pods.find(&key)?.filter(|pod| pod.metadata.uid == victim.metadata.uid);
        if stored.is_none_or(|pod| ask::is_deleting(&pod)) {
            return Ok(());
        }
        let condition = PodCondition {
            type_: DISRUPTION_TARGET.to_owned(),
            status: "True".to_owned(),
            reason: Some(BY_SCHEDULER.to_owned()),
            message: Some(format!("{}: preempting to accommodate a higher priority pod", scheduler_name(by))),
            ..PodCondition::default()
        };
        let mark = |pod: &mut Pod| {
            ask::set_condition(pod.status.get_or_insert_default(), condition.clone(), jiff::Timestamp::now());
        };
        self.write_status(victim, mark).await?;
        let options = DeleteOptions { uid: victim.metadata.uid.clone(), ..DeleteOptions::default() };
        let deleted = self.pods.delete(&key, options).await;
        if deleted.is_ok() {
            let uid = by.metadata.uid.as_deref().unwrap_or_default();
            let said = format!("Preempted by pod {uid} on node {node}");
            self.tell(by, |events| events.normal(victim, "Preempted", said));
        }
        unless_replaced(deleted).map(drop)
    }

    /// Less important pods that were to come to the node look for another.
    async fn give_up_places(&self, pod: &PodInfo, node: &str) -> Result<(), Status> {
        let others = self.cache().nominated_below(pod, node);
        for key in others {
            self.note_change(|cache, now| cache.lose_place(&key, node, now));
            let cleared = self.pods.modify_status(&key, |pod| {
                let status = pod.status.get_or_insert_default();
                // it may have found one meanwhile
                if status.nominated_node_name.as_deref() == Some(node) {
                    status.nominated_node_name = None;
                }
                Ok(())
            });
            unless_replaced(cleared.await)?;
        }
        Ok(())
    }

    async fn note(&self, pod: &Pod, why: &str, nominated: Option<&str>) -> Result<(), Status> {
        let note = |pod: &mut Pod| {
            let condition = PodCondition {
                type_: "PodScheduled".into(),
                status: "False".into(),
                reason: Some("Unschedulable".into()),
                message: Some(why.to_owned()),
                observed_generation: pod.metadata.generation,
                ..PodCondition::default()
            };
            let status = pod.status.get_or_insert_default();
            status.nominated_node_name = nominated.map(str::to_owned);
            ask::set_condition(status, condition, jiff::Timestamp::now());
        };
        self.write_status(pod, note).await
    }

    /// Of this pod, not of another that has its name by now.
    async fn write_status(&self, pod: &Pod, change: impl Fn(&mut Pod) + Send + Sync) -> Result<(), Status> {
        let key = key_of(&pod.metadata);
        let written = self.pods.modify_status(&key, |stored| {
            if stored.metadata.uid != pod.metadata.uid {
                return Err(Status::new(Reason::NotFound, "the pod is gone, another has its name"));
            }
            change(stored);
            Ok(())
        });
        unless_replaced(written.await).map(drop)
    }
}

fn found(why: &Unschedulable, preemption: &Preemption) -> String {
    let Preemption { node, victims } = preemption;
    let victims = victims.len();
    format!(
        "{why} preemption: found a potential placement for pod on node {node}, preempting {victims} victims"
    )
}
