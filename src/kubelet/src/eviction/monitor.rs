//! Looks at the pods that have limits, while there are any.

use super::Entry;
use super::usage::Places;
use crate::mailbox::Message;
use crate::pod;
use crate::shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Upstream's `evictionMonitoringPeriod`.
const PAUSE: Duration = Duration::from_secs(10);
/// It rests so many times as long as it has looked: of a core it takes a twentieth, however many files there are.
const REST: u32 = 20;

/// Until `stop`.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    stop.run_until_cancelled(watch(&shared)).await;
}

async fn watch(shared: &Shared) {
    let mut pause = PAUSE;
    loop {
        shared.limited.some().await;
        sleep(pause).await;
        let began = Instant::now();
        for entry in shared.limited.all() {
            check(shared, entry).await;
        }
        pause = PAUSE.max(began.elapsed().saturating_mul(REST));
    }
}

async fn check(shared: &Shared, entry: Entry) {
    let Entry { pod, limits, mailbox } = entry;
    let places = match Places::of(shared, &pod).await {
        Ok(places) => places,
        Err(error) => {
            let pod = pod::full_name(&pod);
            return tracing::warn!(pod, %error, "what a pod has on the disk is not measured: the runtime does not answer");
        }
    };
    let measured = tokio::task::spawn_blocking(move || places.measure()).await;
    if let Some(why) = measured.ok().and_then(|usage| limits.exceeded(&usage)) {
        // a worker that has just ended has nothing to evict
        let _ = mailbox.send(Message::StorageExceeded(why));
    }
}
