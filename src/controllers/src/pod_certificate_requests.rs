//! PodCertificateRequests go when they are old, whatever came of them: upstream's `podcertificaterequestcleaner`.

use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, events, rule};
use cluster::{Actor, Api, Cluster, Controller, DeleteOptions, WorkQueue, unless_replaced};
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "podcertificaterequestcleaner";

/// Longer than anybody needs to answer one, as upstream has it.
const STAYS: Duration = Duration::from_secs(15 * 60);

pub(crate) fn role() -> ComponentRole {
    let requests = &["podcertificaterequests"];
    let requests = rule(&["delete", "get", "list", "watch"], &["certificates.k8s.io"], requests);
    ComponentRole::controller(NAME, vec![requests, events()])
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let requests: Api<PodCertificateRequest> = cluster.acting_as(Actor::controller(NAME)).api();
    let controller = Controller::new(NAME, &cluster).heeds_clock().reconciles::<PodCertificateRequest>();
    let reconciler = (requests, controller.queue());
    controller
        .run(
            stop,
            reconciler,
            |(requests, queue), key| async move { reconcile(&requests, &queue, key).await },
        )
        .await;
}

async fn reconcile(
    requests: &Api<PodCertificateRequest>,
    queue: &WorkQueue<ObjectKey>,
    key: ObjectKey,
) -> Result<(), Status> {
    let Some(request) = requests.find(&key)? else { return Ok(()) };
    let Some(left) = left(&request, Timestamp::now()) else { return Ok(()) };
    if !left.is_zero() {
        queue.add_after(key, left);
        return Ok(());
    }
    let options = DeleteOptions { uid: request.metadata.uid.clone(), ..DeleteOptions::default() };
    unless_replaced(requests.delete(&key, options).await).map(drop)
}

/// How long it stays; `None` for one that is going already.
fn left(request: &PodCertificateRequest, now: Timestamp) -> Option<Duration> {
    if request.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let since = request.metadata.creation_timestamp.as_ref().map_or(now, |created| created.0);
    Some(STAYS.saturating_sub(Duration::try_from(now.duration_since(since)).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

    #[test]
    fn a_request_stays_for_its_time() {
        // (name, deleted, now, seconds left)
        let cases = [
            ("new", false, 100, Some(900)),
            ("it waits", false, 700, Some(300)),
            ("old", false, 1_000, Some(0)),
            ("forgotten", false, 90_000, Some(0)),
            ("a clock that was set back", false, 50, Some(900)),
            ("it is going", true, 90_000, None),
        ];
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (name, deleted, now, want) in cases {
            let metadata = ObjectMeta {
                creation_timestamp: Some(Time(at(100))),
                deletion_timestamp: deleted.then(|| Time(at(100))),
                ..ObjectMeta::default()
            };
            let request = PodCertificateRequest { metadata, ..PodCertificateRequest::default() };
            assert_eq!(left(&request, at(now)).map(|left| left.as_secs()), want, "{name}");
        }
    }
}
