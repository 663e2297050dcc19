//! Says in each ResourceQuota how much of it is used. That nobody uses more is admission's business, which counts anew.

use crate::status::write_status;
use api::{ObjectKey, Status};
use cluster::roles::{ALL, ComponentRole, events, rule};
use cluster::{Actor, Change, Client, Cluster, Controller, WorkQueue};
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kinds::{key_of, quota};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "resourcequota-controller";
/// Writes that come together are counted together.
const TOGETHER: Duration = Duration::from_millis(100);

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["list", "watch"], ALL, ALL),
            rule(&["get"], &[""], &["resourcequotas"]),
            rule(&["patch", "update"], &[""], &["resourcequotas/status"]),
            events(),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<ResourceQuota>(|queue, change| {
            if !matches!(change, Change::Deleted(_)) {
                queue.add(key_of(&change.object().metadata));
            }
        })
        .listens(|queue| Box::pin(listen(cluster.clone(), queue)))
        .run(stop, client, |client, key| async move { reconcile(&client, &key).await })
        .await;
}
async fn listen(cluster: Cluster, queue: WorkQueue<ObjectKey>) {
    let known = cluster.informer::<ResourceQuota>();
    loop {
        for namespace in cluster.quotas_touched().await {
            for quota in known.list(Some(&namespace)) {
                queue.add_after(key_of(&quota.metadata), TOGETHER);
            }
        }
    }
}

async fn reconcile(client: &Client, key: &ObjectKey) -> Result<(), Status> {
    let quotas = client.api::<ResourceQuota>();
    let Some(found) = quotas.find(key)? else { return Ok(()) };
    let used = client.cluster().quota_usage(&found);
    let used =
        used.iter().map(|(name, amount)| (name.clone(), Quantity(quota::written(name, *amount)))).collect();
    let status = ResourceQuotaStatus {
        hard: Some(found.spec.as_ref().and_then(|spec| spec.hard.clone()).unwrap_or_default()),
        used: Some(used),
    };
    write_status(&quotas, &found.metadata, found.status.as_ref(), status, |quota| &mut quota.status).await
}
