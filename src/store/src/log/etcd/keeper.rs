//! What goes on beside the writing: the lease is kept alive, and etcd is told what it need not keep.

use ::etcd::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(4); // three in a row may fail
/// etcd keeps what every key once was until it is told not to: its quota would be used up. As often as an API server does it.
const FORGET_EVERY: Duration = Duration::from_secs(300);

/// Keeps the lease, and has etcd forget what is old.
pub(super) async fn keep(client: Arc<Client>, lease: watch::Receiver<i64>) {
    let (mut old, mut noted) = (None, Instant::now());
    loop {
        tokio::time::sleep(KEEP_ALIVE_EVERY).await;
        let held = *lease.borrow();
        let revision = match client.keep_alive(held, Instant::now() + KEEP_ALIVE_EVERY).await {
            Ok(revision) => revision,
            Err(error) => {
                tracing::warn!(%error, "the lease in etcd could not be kept alive, will try again");
                None
            }
        };
        let Some(revision) = revision else { continue };
        let old = old.get_or_insert(revision);
        if noted.elapsed() < FORGET_EVERY {
            continue;
        }
        // one of several may have done so a moment ago
        if let Err(error) = client.compact(*old, Instant::now() + KEEP_ALIVE_EVERY).await {
            tracing::debug!(%error, "etcd did not forget what is old");
        }
        (*old, noted) = (revision, Instant::now());
    }
}
