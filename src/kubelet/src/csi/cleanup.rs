//! What was mounted for pods that went while this program was away: it can only be taken back by its driver, when that has come.

use super::{Pause, locked, mounter, reconstruct, records};
use crate::shared::Shared;
use crate::worker::tear_down;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Until `stop`: once at the start, again whenever a driver has come, and after a while where one refused.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut registered = shared.csi.registered.subscribe();
    let mut pause = Pause::default();
    loop {
        let failed = clean_up(&shared).await;
        let again = match failed {
            true => Some(pause.next()),
            false => {
                pause = Pause::default();
                None
            }
        };
        let later = async {
            match again {
                Some(delay) => tokio::time::sleep(delay).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = registered.changed() => if changed.is_err() { return },
            () = later => {}
        }
    }
}

/// Whether something is left that a driver who is there did not do.
async fn clean_up(shared: &Shared) -> bool {
    let mut failed = false;
    // a crash may have come between what was unstaged and the node's saying so: it would not be detached
    if let Err(why) = mounter::report_in_use(shared).await {
        tracing::warn!(why, "the node may not say which volumes it has in use");
        failed = true;
    }
    let orphans: Vec<_> = locked(&shared.csi.orphans).iter().cloned().collect();
    for dir in orphans {
        match tear_down(shared, dir.clone()).await {
            Ok(()) => drop(locked(&shared.csi.orphans).remove(&dir)),
            Err(why) => {
                failed |= is_answered_for(shared, &dir).await;
                let dir = dir.display();
                tracing::warn!(%dir, why, "the volumes of a pod that is gone stay until their driver takes them back");
            }
        }
    }
    if let Err(why) = mounter::unmount_unknown(shared).await {
        tracing::warn!(why, "what was staged for nobody stays");
        failed = true;
    }
    let drivers: Vec<String> = locked(&shared.csi.drivers).keys().cloned().collect();
    for driver in drivers {
        if let Err(why) = mounter::unstage_unused(shared, &driver).await {
            tracing::warn!(driver, why, "a volume that no pod uses stays staged");
            failed = true;
        }
    }
    failed
}

/// Whether the drivers of all that is left there have come: without one, trying again is of no use until it has.
async fn is_answered_for(shared: &Shared, dir: &Path) -> bool {
    let left = records::all_of_pod(dir).await.unwrap_or_default();
    let mut left = left.into_iter().filter_map(|found| reconstruct::of_pod(shared, found));
    left.all(|data| shared.csi.driver(&data.driver_name).is_some())
}
