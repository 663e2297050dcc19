//! The pod's status: made from what is, written when it says something new, and never in anybody's way.

use super::jobs::Done;
use super::{Stage, Worker, is_running};
use crate::{conditions, pod, status};
use api::{GroupResource, Status};
use cri::ContainerState;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use std::sync::Arc;

impl Worker {
    pub(super) fn report(&mut self) {
        if self.is_writing || self.is_silent() {
            return;
        }
        if self.write_again_at.is_some_and(|at| self.is_ahead(at)) {
            return;
        }
        if let Some(until) = self.waits_for_replacements() {
            return self.wake(until);
        }
        let wanted = self.wanted_status();
        if is_same(&wanted, self.pod.status.as_ref()) {
            return;
        }
        if let Some(came) = self.came.take_if(|_| is_running(Some(&wanted))) {
            self.shared.work_counts.count_start(came.elapsed());
        }
        self.is_writing = true;
        let (shared, pod) = (self.shared.clone(), self.pod.clone());
        self.jobs.spawn(async move {
            let uid = pod::uid(&pod);
            let change = |current: &mut Pod| match pod::uid(current) == uid {
                true => {
                    merge(current.status.get_or_insert_default(), &wanted);
                    Ok(())
                }
                false => Err(Status::not_found(&GroupResource::new("", "pods"), pod::name(&pod))),
            };
            Done::Written(shared.pods.modify_status(&pod::key(&pod), change).await.map(Arc::new))
        });
    }

    /// What is replaced soon is told once, when the new container runs. A pod that is to end waits for nothing.
    fn waits_for_replacements(&self) -> Option<Timestamp> {
        let untils = self.memory.replacing.values().copied();
        untils.filter(|until| self.is_ahead(*until)).max().filter(|_| self.stage == Stage::Syncing)
    }

    fn is_silent(&self) -> bool {
        // it ends by itself: what it came to is said once it is sure. Sidecars may take long to end; what ran beside
        // them is not said to run until then
        let ends = self.stage == Stage::Terminating && !pod::is_deleting(&self.pod);
        let ends = ends && (self.memory.evicted.is_some() || !self.sidecars_run());
        ends || self.is_gone || self.is_history || matches!(self.stage, Stage::Removing | Stage::Gone)
    }

    fn sidecars_run(&self) -> bool {
        let view = self.view();
        let runs =
            |name: &str| view.latest(name).is_some_and(|c| matches!(c.state, ContainerState::Running { .. }));
        pod::init_containers(pod::spec(&self.pod)).iter().any(|c| pod::is_sidecar(c) && runs(&c.name))
    }

    /// The last word is written.
    pub(super) fn is_reported(&self) -> bool {
        self.is_history || (!self.is_writing && is_same(&self.wanted_status(), self.pod.status.as_ref()))
    }

    fn wanted_status(&self) -> PodStatus {
        let mut wanted =
            status::status(self.view(), self.shared.config.node_ip, self.stage == Stage::Terminated);
        if self.is_refused() {
            // nothing of it is being created: clients would say so instead of the reason
            (wanted.container_statuses, wanted.init_container_statuses) = (None, None);
        }
        wanted
    }
}

/// As it is stored: times lose their fractions there.
fn is_same(wanted: &PodStatus, stored: Option<&PodStatus>) -> bool {
    let json = |status: &PodStatus| api::json::to_value(status).ok();
    stored.is_some_and(|stored| json(wanted) == json(stored))
}

/// What others wrote meanwhile stays.
fn merge(current: &mut PodStatus, wanted: &PodStatus) {
    let theirs: Vec<_> =
        current.conditions.iter().flatten().filter(|c| !conditions::is_ours(&c.type_)).cloned().collect();
    let ours = wanted.conditions.iter().flatten().filter(|c| conditions::is_ours(&c.type_)).cloned();
    let conditions = ours.chain(theirs).collect();
    let wanted = wanted.clone();
    *current = PodStatus {
        conditions: Some(conditions),
        nominated_node_name: current.nominated_node_name.take(),
        ..wanted
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_keeps_what_others_wrote() {
        let mut current: PodStatus = serde_json::from_value(json!({"phase": "Pending", "conditions": [
            {"type": "Ready", "status": "False"}, {"type": "example.com/gate", "status": "True"}]}))
        .unwrap();
        let wanted: PodStatus = serde_json::from_value(json!({"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "example.com/gate", "status": "False"}]}))
        .unwrap();
        merge(&mut current, &wanted);
        let want = json!({"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "example.com/gate", "status": "True"}]});
        assert_eq!(serde_json::to_value(current).unwrap(), want);
    }
}
