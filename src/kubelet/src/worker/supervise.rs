//! Keeps a worker at work: after a panic it begins anew with what the cluster and the runtime know of its pod, so that no
//! pod is abandoned. Who sends to its mailbox notices nothing.

use super::{Worker, sleep};
use crate::backoff::Backoffs;
use crate::{labels, pod};
use cluster::EventType;
use cri::SandboxStatus;
use futures::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use tokio_util::sync::CancellationToken;

const WORKER: &str = "the worker";

/// Until nothing is left of the pod, or the daemon stops; then the pod's uid.
pub(crate) async fn supervise(mut worker: Worker, stop: CancellationToken) -> String {
    let mut backoffs = Backoffs::default();
    let mut panicked = false;
    loop {
        let work = async {
            if panicked {
                worker.renew().await;
            }
            worker.run(&stop).await;
        };
        let Err(panic) = AssertUnwindSafe(work).catch_unwind().await else { break };
        panicked = true;
        let now = worker.now();
        let delay = backoffs.next(WORKER, now, now);
        worker.tell_panic(&said(&*panic));
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep(Some(delay)) => {}
        }
    }
    pod::uid(&worker.pod).to_owned()
}

/// What `panic!` was given.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

impl Worker {
    fn tell_panic(&self, why: &str) {
        let pod = pod::full_name(&self.pod);
        tracing::error!(pod, why, "a pod's worker panicked: it is started again");
        let message = format!("error syncing pod: the kubelet's worker panicked: {why}");
        self.shared.record_event(&self.pod, None, EventType::Warning, "FailedSync", message);
    }

    /// Forgets all but its pod and its mailbox. What its jobs had begun in the runtime goes on, and is found there.
    async fn renew(&mut self) {
        let uid = pod::uid(&self.pod).to_owned();
        let is_its = |sandbox: &SandboxStatus| sandbox.config.labels.get(labels::POD_UID) == Some(&uid);
        let all = match self.shared.runtime.list().await {
            Ok(all) => all,
            Err(error) => {
                tracing::warn!(pod = pod::full_name(&self.pod), %error, "the runtime does not say what runs");
                self.sandboxes.clone()
            }
        };
        let sandboxes = all.into_iter().filter(is_its).collect();
        let mut fresh = Worker::idle(self.shared.clone(), self.pod.clone(), sandboxes);
        std::mem::swap(&mut fresh.mailbox, &mut self.mailbox);
        std::mem::swap(&mut fresh.inbox, &mut self.inbox);
        *self = fresh;
        self.adopt();
    }
}
