//! How containers end: hook, signal, grace, in the order that a pod's parts need.

use crate::handlers::{self, At};
use crate::pod;
use crate::shared::Shared;
use crate::work_counts::Operation;
use cri::{ContainerState, ContainerStatus, SandboxStatus};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const LEAST_AFTER_HOOK: Duration = Duration::from_secs(2); // upstream's minimumGracePeriodInSeconds

/// Ends containers of one pod. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Killer {
    pub shared: Arc<Shared>,
    pub pod: Arc<Pod>,
    /// Whoever waits for a grace period waits no longer.
    pub grace_override: CancellationToken,
}

impl Killer {
    /// Returns when it has ended.
    ///
    /// # Errors
    /// The runtime could not end it.
    pub async fn container(
        &self,
        sandbox: &SandboxStatus,
        status: &ContainerStatus,
        grace: Duration,
        why: Option<String>,
    ) -> cri::Result<()> {
        let began = Instant::now();
        self.thaw(status).await;
        self.announce(status, why);
        self.pre_stop(sandbox, status, grace).await;
        self.stop(status, left(grace, began)).await
    }

    /// Ends what still runs of the pod, sidecars after the others, and then its sandboxes.
    ///
    /// # Errors
    /// The first thing that would not end; the rest was tried nevertheless.
    pub async fn all(&self, sandboxes: Vec<SandboxStatus>, grace: Duration) -> cri::Result<()> {
        let began = Instant::now();
        let mut outcome = Ok(());
        let spec = pod::spec(&self.pod);
        let running: Vec<(&SandboxStatus, &ContainerStatus)> = sandboxes
            .iter()
            .flat_map(|s| s.containers.iter().map(move |c| (s, c)))
            .filter(|(_, c)| matches!(c.state, ContainerState::Running { .. }))
            .collect();
        let is_sidecar = |name: &str| pod::container(spec, name).is_some_and(pod::is_sidecar);
        let (mut sidecars, mains): (Vec<_>, Vec<_>) =
            running.into_iter().partition(|(_, c)| is_sidecar(&c.name));
        for ended in join_all(mains.into_iter().map(|(s, c)| self.container(s, c, grace, None))).await {
            outcome = outcome.and(ended);
        }
        // the one that was started first is needed longest
        sidecars.sort_by_key(|(_, c)| std::cmp::Reverse(position(spec, &c.name)));
        for (sandbox, sidecar) in sidecars {
            outcome = outcome.and(self.container(sandbox, sidecar, left(grace, began), None).await);
        }
        for sandbox in &sandboxes {
            let stop = self.shared.runtime.stop_sandbox(&sandbox.id);
            outcome = outcome.and(self.shared.work_counts.time(Operation::StopSandbox, stop).await);
        }
        outcome
    }

    /// Neither a hook nor a signal reaches who is frozen.
    async fn thaw(&self, status: &ContainerStatus) {
        let thawed =
            self.shared.pauses.thaw(&*self.shared.runtime, pod::namespace(&self.pod), &status.id).await;
        if let Err(error) = thawed {
            tracing::debug!(container = %status.id, %error, "container that is to end is not thawed");
        }
    }

    fn announce(&self, status: &ContainerStatus, why: Option<String>) {
        let message = why.unwrap_or_else(|| format!("Stopping container {}", status.name));
        self.shared.normal(&self.pod, &status.name, "Killing", message);
    }

    async fn pre_stop(&self, sandbox: &SandboxStatus, status: &ContainerStatus, grace: Duration) {
        let container = pod::container(pod::spec(&self.pod), &status.name);
        let Some(container) = container else { return };
        let Some(handler) = container.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref()) else { return };
        let at = At {
            id: status.id.clone(),
            container: container.clone(),
            address: self.shared.address_of(sandbox),
        };
        let hook = handlers::hook(&self.shared, &at, handler, Some(grace));
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(grace, hook) => outcome,
            () = self.grace_override.cancelled() => return,
        };
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(why)) => self.hook_failed(status, &why),
            Err(_) => self.hook_failed(status, "it did not end within the grace period"),
        }
    }

    fn hook_failed(&self, status: &ContainerStatus, why: &str) {
        tracing::debug!(container = status.name, why, "preStop hook failed");
        self.shared.warn(&self.pod, &status.name, "FailedPreStopHook", "PreStopHook failed");
    }

    async fn stop(&self, status: &ContainerStatus, grace: Duration) -> cri::Result<()> {
        let stop = |grace| {
            let stop = self.shared.runtime.stop_container(&status.id, grace, None);
            self.shared.work_counts.time(Operation::StopContainer, stop)
        };
        tokio::select! {
            stopped = stop(grace) => stopped,
            () = self.grace_override.cancelled() => stop(Duration::ZERO).await,
        }
    }
}

fn left(grace: Duration, began: Instant) -> Duration {
    match began.elapsed() {
        spent if spent < Duration::from_millis(1) => grace,
        spent => grace.saturating_sub(spent).max(LEAST_AFTER_HOOK.min(grace)),
    }
}

/// It has not ended: it may not have begun either.
pub(crate) fn runs(status: &ContainerStatus) -> bool {
    !matches!(status.state, ContainerState::Exited { .. })
}

fn position(spec: &k8s_openapi::api::core::v1::PodSpec, name: &str) -> Option<usize> {
    pod::init_containers(spec).iter().position(|c| c.name == name)
}
