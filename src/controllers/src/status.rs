//! The last step of most controllers: what was found out is written into the object's status.

use crate::owner::is_still;
use api::Status;
use cluster::{Api, unless_gone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{TypedKind, key_of};

/// Writes a status that is another than the one that was seen; to an object that is gone, nothing, and nothing to another that has
/// its name by now: a round may last longer than what it is about. `meta` is the object's as it was seen, `of` is where the kind
/// has its status.
pub(crate) async fn write_status<K: TypedKind, S: Clone + PartialEq + Send + Sync>(
    objects: &Api<K>,
    meta: &ObjectMeta,
    seen: Option<&S>,
    wanted: S,
    of: fn(&mut K) -> &mut Option<S>,
) -> Result<(), Status> {
    if seen == Some(&wanted) {
        return Ok(());
    }
    let key = key_of(meta);
    let written = objects.modify_status(&key, |object| {
        is_still(object, meta)?;
        *of(object) = Some(wanted.clone());
        Ok(())
    });
    unless_gone(written.await).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::{Actor, DeleteOptions};
    use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};

    fn status(replicas: i32) -> DeploymentStatus {
        DeploymentStatus { replicas: Some(replicas), ..DeploymentStatus::default() }
    }

    #[tokio::test]
    async fn what_was_seen_of_one_is_not_said_of_another_of_its_name() {
        let cluster = testkit::cluster(testkit::config()).await;
        let deployments = cluster.acting_as(Actor::root()).api::<Deployment>();
        let told = |key: &api::ObjectKey| {
            let status = deployments.get(key).unwrap().status;
            status.and_then(|status| status.replicas)
        };
        let web = || testkit::objects::deployment("web").build();
        let first = deployments.create(web()).await.unwrap().metadata;
        let key = key_of(&first);
        write_status(&deployments, &first, None, status(1), |one| &mut one.status).await.unwrap();
        assert_eq!(told(&key), Some(1));
        deployments.delete(&key, DeleteOptions::default()).await.unwrap();
        write_status(&deployments, &first, None, status(2), |one| &mut one.status).await.unwrap();
        deployments.create(web()).await.unwrap();
        write_status(&deployments, &first, None, status(2), |one| &mut one.status).await.unwrap();
        assert_eq!(told(&key), None);
    }
}
