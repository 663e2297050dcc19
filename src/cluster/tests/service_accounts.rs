//! The accounts of pods.

use api::ObjectKey;
use cluster::Actor;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kinds::TypedKind;
use serde_json::{Value, json};

fn object<K: TypedKind>(value: &Value) -> K {
    serde_json::from_value(value.clone()).unwrap()
}

fn pod(name: &str, account: Option<&str>) -> Pod {
    let spec = json!({"serviceAccountName": account, "containers": [{"name": "c", "image": "i"}]});
    object(&json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}))
}

#[tokio::test]
async fn a_pod_right_after_its_namespace_waits_for_its_account() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let (accounts, pods) = (root.api::<ServiceAccount>(), root.api::<Pod>());
    let account = object(&json!({"metadata": {"name": "default", "namespace": "default"}}));
    let (made, created) = tokio::join!(pods.create(pod("early", None)), async {
        tokio::task::yield_now().await;
        assert!(pods.find(&ObjectKey::namespaced("default", "early")).unwrap().is_none(), "it waits");
        accounts.create(account).await
    });
    created.unwrap();
    assert_eq!(made.unwrap().spec.unwrap().service_account_name.as_deref(), Some("default"));
    // one that nobody makes is not waited for
    let refused = pods.create(pod("other", Some("nobody"))).await.unwrap_err();
    let want = "pods \"other\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found";
    assert_eq!(refused.message, want);
}

#[tokio::test]
async fn a_mirror_pod_has_nothing_of_the_cluster_whoever_makes_it() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let mirror = |spec: Value| {
        let mut pod = json!({
            "metadata": {"name": "m", "namespace": "default", "annotations": {"kubernetes.io/config.mirror": "x"}},
            "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
        });
        pod["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        object::<Pod>(&pod)
    };
    let volume = |source: Value| json!({"volumes": [{"name": "v", "projected": {"sources": [source]}}]});
    for (spec, want) in [
        (json!({"serviceAccountName": "default"}), "may not reference service accounts"),
        (json!({"imagePullSecrets": [{"name": "s"}]}), "may not reference secrets"),
        (volume(json!({"secret": {"name": "s"}})), "may not reference secrets"),
        (
            volume(json!({"serviceAccountToken": {"path": "t"}})),
            "may not use ServiceAccountToken volume projections",
        ),
    ] {
        let refused = root.api().create(mirror(spec)).await.unwrap_err();
        assert_eq!(refused.message, format!("pods \"m\" is forbidden: a mirror pod {want}"));
    }
    let made = root.api().create(mirror(json!({}))).await.unwrap();
    assert_eq!(made.spec.unwrap().service_account_name, None, "it is as its file");
}
