//! Roles that gather the rules of others hold them: upstream's clusterrole-aggregation-controller.
//!
//! Any ClusterRole may be part of any other, by its labels, so each change looks at every role that gathers. There are few.

use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Client, Cluster, Controller, aggregated_rules, unless_gone};
use k8s_openapi::api::rbac::v1::ClusterRole;
use tokio_util::sync::CancellationToken;

const NAME: &str = "clusterrole-aggregation-controller";

/// It writes into roles what others hold
pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![rule(
            &["escalate", "get", "list", "patch", "update", "watch"],
            &["rbac.authorization.k8s.io"],
            &["clusterroles"],
        )],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let roles = cluster.informer::<ClusterRole>();
    // any role may be one that another gathers
    Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<ClusterRole>(move |queue, _| {
            let gathers = roles.list(None).into_iter().filter(|role| role.aggregation_rule.is_some());
            gathers.filter_map(|role| role.metadata.name.clone()).for_each(|name| queue.add(name));
        })
        .run(stop, client, |client, role: String| async move { aggregate(&client, &role).await })
        .await;
}

async fn aggregate(client: &Client, name: &str) -> Result<(), Status> {
    let informer = client.cluster().informer::<ClusterRole>();
    let key = ObjectKey::cluster(name);
    let Some(role) = informer.get(&key) else { return Ok(()) };
    let all = informer.list(None);
    let wanted = aggregated_rules(&role, all.iter().map(AsRef::as_ref));
    if wanted.is_none() || role.rules.as_deref().unwrap_or_default() == wanted.as_deref().unwrap_or_default()
    {
        return Ok(());
    }
    let written = client
        .api::<ClusterRole>()
        .modify(&key, |role| {
            role.rules.clone_from(&wanted);
            Ok(())
        })
        .await;
    unless_gone(written).map(drop)
}
