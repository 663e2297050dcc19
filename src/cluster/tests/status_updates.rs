//! What an update of `status` changes of the metadata: it differs from kind to kind (upstream's status strategies).

use api::ObjectKey;
use cluster::{Actor, Cluster};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ReplicationController, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kinds::TypedKind;
use serde_json::{Value, json};

/// Which of labels, annotations, finalizers and owners changed.
async fn changed<K: TypedKind>(cluster: &Cluster, namespace: Option<&str>, spec: Value) -> [bool; 4] {
    let api = cluster.acting_as(Actor::root()).api::<K>();
    let object = json!({"metadata": {"name": "x", "namespace": namespace}, "spec": spec});
    api.create(serde_json::from_value(object).unwrap()).await.unwrap();
    let key = ObjectKey::new(namespace, "x");
    let pairs = || [("changed".to_owned(), "yes".to_owned())];
    let written = api
        .modify_status(&key, |object| {
            let meta: &mut ObjectMeta = object.metadata_mut();
            meta.labels.get_or_insert_default().extend(pairs());
            meta.annotations.get_or_insert_default().extend(pairs());
            meta.finalizers = Some(vec!["example.com/hold".into()]);
            let owner = OwnerReference {
                api_version: "v1".into(),
                kind: "ConfigMap".into(),
                name: "o".into(),
                uid: "u".into(),
                ..OwnerReference::default()
            };
            meta.owner_references = Some(vec![owner]);
            Ok(())
        })
        .await
        .unwrap();
    let meta = written.metadata();
    let has = |pairs: &Option<std::collections::BTreeMap<String, String>>| {
        pairs.as_ref().is_some_and(|pairs| pairs.contains_key("changed"))
    };
    [has(&meta.labels), has(&meta.annotations), meta.finalizers.is_some(), meta.owner_references.is_some()]
}

#[tokio::test]
async fn what_of_the_metadata_stays_is_per_kind() {
    let cluster = testkit::cluster(testkit::config()).await;
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    let account: ServiceAccount = serde_json::from_value(account).unwrap();
    cluster.acting_as(Actor::root()).api().create(account).await.unwrap();
    let here = Some("default");
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let set = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    let all = [true; 4];
    assert_eq!(
        changed::<Deployment>(&cluster, here, set.clone()).await,
        [false, true, true, true],
        "deployment"
    );
    assert_eq!(changed::<ReplicaSet>(&cluster, here, set).await, all, "replica set");
    let controller = json!({"selector": {"a": "b"}, "template": template});
    assert_eq!(
        changed::<ReplicationController>(&cluster, here, controller).await,
        all,
        "replication controller"
    );
    let pod = json!({"containers": [{"name": "c", "image": "i"}]});
    assert_eq!(changed::<Pod>(&cluster, here, pod).await, [true, true, true, false], "pod");
    assert_eq!(changed::<Service>(&cluster, here, json!({"ports": [{"port": 80}]})).await, all, "service");
    let backend = json!({"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}});
    assert_eq!(changed::<Ingress>(&cluster, here, backend).await, all, "ingress");
    assert_eq!(changed::<Node>(&cluster, None, json!({})).await, all, "node");
    assert_eq!(changed::<Namespace>(&cluster, None, json!({})).await, all, "namespace");
}
