//! Finalizers that keep what is in use.

use crate::owner::is_still;
use api::Status;
use cluster::{Api, unless_gone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{TypedKind, key_of, volume};

/// One that is on its way out loses the finalizer when nobody uses it; one that is not has it, also when it was made
/// before there was such a thing.
pub(crate) async fn protect_or_release<K: TypedKind>(
    api: &Api<K>,
    object: &K,
    finalizer: &str,
    in_use: impl Fn() -> Result<bool, Status>,
) -> Result<(), Status> {
    let meta = object.metadata();
    let (is_held, is_going) = (volume::has_finalizer(meta, finalizer), meta.deletion_timestamp.is_some());
    if is_held != is_going || (is_going && in_use()?) {
        return Ok(());
    }
    let key = key_of(meta);
    let changed = api.modify(&key, |now| {
        is_still(now, meta)?;
        let meta: &mut ObjectMeta = now.metadata_mut();
        let finalizers = meta.finalizers.get_or_insert_default();
        match meta.deletion_timestamp {
            Some(_) => finalizers.retain(|known| known != finalizer),
            None if !finalizers.iter().any(|known| known == finalizer) => {
                finalizers.push(finalizer.to_owned())
            }
            None => {}
        }
        Ok(())
    });
    unless_gone(changed.await).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::{Actor, DeleteOptions};
    use k8s_openapi::api::apps::v1::Deployment;

    const FINALIZER: &str = "example.com/in-use";

    #[tokio::test]
    async fn another_of_the_name_is_not_let_go() {
        let cluster = testkit::cluster(testkit::config()).await;
        let deployments = cluster.acting_as(Actor::root()).api::<Deployment>();
        let key = api::ObjectKey::namespaced("default", "web");
        let make_and_delete = async || {
            let mut web = testkit::objects::deployment("web").build();
            web.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
            deployments.create(web).await.unwrap();
            deployments.delete(&key, DeleteOptions::default()).await.unwrap();
            deployments.get(&key).unwrap()
        };
        let first = make_and_delete().await;
        protect_or_release(&deployments, &first, FINALIZER, || Ok(true)).await.unwrap();
        assert!(deployments.find(&key).unwrap().is_some(), "it is in use");
        protect_or_release(&deployments, &first, FINALIZER, || Ok(false)).await.unwrap();
        assert!(deployments.find(&key).unwrap().is_none());
        let second = make_and_delete().await;
        protect_or_release(&deployments, &first, FINALIZER, || Ok(false)).await.unwrap();
        assert_eq!(deployments.find(&key).unwrap().map(|now| now.metadata.uid), Some(second.metadata.uid));
    }
}
