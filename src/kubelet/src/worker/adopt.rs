//! What a new worker takes over: from the runtime, what runs; from the pod's last status, what was known of it.

use super::Worker;
use crate::status;
use crate::view::Lost;
use crate::{pod, resize};
use cri::ContainerState;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

impl Worker {
    pub(super) fn adopt(&mut self) {
        for id in &self.ids {
            self.shared.sandbox_index.insert(id, pod::uid(&self.pod), &self.mailbox);
        }
        self.shared.certificates.forget_asking(pod::uid(&self.pod));
        if !self.ids.is_empty() && !self.is_history {
            self.shared.limited.insert(&self.pod, &self.mailbox);
        }
        // sources may have changed meanwhile, and tokens grown old
        self.volumes.is_stale = !self.ids.is_empty();
        if !self.ids.is_empty() || kinds::pod::condition(&self.pod, "PodResizePending").is_some() {
            self.memory.given = resize::given_before(&self.pod);
            let pod = resize::as_given(&self.pod, &self.memory.given);
            self.shared.admitted.insert(pod::uid(&pod), kinds::pod::requests(pod::spec(&pod)));
        }
        let known = known_statuses(&self.pod);
        for told in &known {
            let latest = self.view().latest(&told.name).map(|c| (c.id.clone(), c.state.clone()));
            match latest {
                None => self.note_lost(told),
                Some((id, ContainerState::Running { .. }))
                    if told.container_id == Some(status::container_id(&id)) =>
                {
                    if told.started == Some(true) {
                        self.memory.started.insert(id.clone());
                    }
                    if told.ready {
                        self.memory.ready.insert(id);
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// The cluster says that it ran, and the runtime knows nothing of it.
    fn note_lost(&mut self, told: &ContainerStatus) {
        let Some(container_id) = &told.container_id else { return };
        let state = told.state.as_ref().and_then(|s| s.terminated.clone());
        let state = state.unwrap_or_else(|| ContainerStateTerminated {
            container_id: Some(container_id.clone()),
            exit_code: 137,
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some("The container could not be located when the pod was terminated".to_owned()),
            ..ContainerStateTerminated::default()
        });
        let lost = Lost {
            restart_count: told.restart_count,
            state,
            image: told.image.clone(),
            image_id: told.image_id.clone(),
        };
        self.memory.lost.insert(told.name.clone(), lost);
    }
}

fn known_statuses(pod: &Pod) -> Vec<ContainerStatus> {
    let Some(status) = &pod.status else { return Vec::new() };
    let init = status.init_container_statuses.iter().flatten();
    let added = status.ephemeral_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten()).chain(added).cloned().collect()
}
