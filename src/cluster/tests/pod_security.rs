//! Namespaces whose labels say which pods they take.

use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Client, Cluster, Remarks, Target, Verb, WriteOptions};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kinds::{Instance, TypedKind};
use serde_json::{Value, json};

async fn cluster() -> Cluster {
    let cluster = testkit::cluster(testkit::config()).await;
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    root(&cluster).api().create(object::<ServiceAccount>(&account)).await.unwrap();
    cluster
}

fn root(cluster: &Cluster) -> Client {
    cluster.acting_as(Actor::root())
}

fn object<K: TypedKind>(value: &Value) -> K {
    serde_json::from_value(value.clone()).unwrap()
}

fn pod(name: &str, privileged: bool) -> Pod {
    let container = json!({"name": "c", "image": "i:1", "securityContext": {"privileged": privileged}});
    object(&json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]}}))
}

/// The answer, and what the client hears beside it.
async fn create<K: TypedKind>(cluster: &Cluster, object: K) -> (Result<(), Status>, Vec<String>) {
    let options = WriteOptions { remarks: Remarks::collected(), ..WriteOptions::default() };
    let handler = cluster.registry().by_gvr(&K::info().gvr).unwrap();
    let namespace = object.metadata().namespace.clone();
    let target = Target::collection(&handler, namespace.as_deref());
    let created = cluster.create(&Actor::root(), &target, Box::new(object), &options).await;
    (created.map(|_| ()), options.remarks.take_warnings())
}

async fn label(cluster: &Cluster, labels: &[(&str, &str)]) -> (Result<(), Status>, Vec<String>) {
    let options = WriteOptions { remarks: Remarks::collected(), ..WriteOptions::default() };
    let handler = cluster.registry().by_gvr(&Namespace::info().gvr).unwrap();
    let target = Target::object(&handler, None, "default");
    let edit = |current: &api::Object| {
        let mut namespace: Namespace = current.decode().map_err(Status::internal)?;
        let known = namespace.metadata.labels.get_or_insert_default();
        known.retain(|key, _| !key.starts_with("pod-security"));
        let given = labels
            .iter()
            .map(|(mode, value)| (format!("pod-security.kubernetes.io/{mode}"), (*value).to_owned()));
        known.extend(given);
        namespace.metadata.resource_version = None;
        Ok(Box::new(namespace) as Box<dyn Instance>)
    };
    let written = cluster.modify(&Actor::root(), &target, Verb::Patch, &options, &edit).await;
    (written.map(|_| ()), options.remarks.take_warnings())
}

const PRIVILEGED: &str = "privileged (container \"c\" must not set securityContext.privileged=true)";

#[tokio::test]
async fn a_namespace_takes_the_pods_that_its_labels_allow() {
    let cluster = cluster().await;
    let pods = root(&cluster).api::<Pod>();
    pods.create(pod("first", true)).await.unwrap();
    pods.create(pod("second", true)).await.unwrap();
    pods.create(pod("fine", false)).await.unwrap();
    let (labelled, heard) = label(&cluster, &[("enforce", "baseline")]).await;
    labelled.unwrap();
    let want = [
        "existing pods in namespace \"default\" violate the new PodSecurity enforce level \"baseline:latest\"",
        "first (and 1 other pod): privileged",
    ];
    assert_eq!(heard, want);

    let refused = create(&cluster, pod("third", true)).await.0.unwrap_err();
    assert_eq!(refused.reason, Reason::Forbidden);
    let want = format!("pods \"third\" is forbidden: violates PodSecurity \"baseline:latest\": {PRIVILEGED}");
    assert_eq!(refused.message, want);
    pods.create(pod("allowed", false)).await.unwrap();

    // those that are there stay, and may be labelled; another image is another pod
    let first = ObjectKey::namespaced("default", "first");
    pods.modify(&first, |pod| {
        pod.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
        Ok(())
    })
    .await
    .unwrap();
    let other_image = pods.modify(&first, |pod| {
        pod.spec.as_mut().unwrap().containers[0].image = Some("i:2".into());
        Ok(())
    });
    assert_eq!(other_image.await.unwrap_err().reason, Reason::Forbidden);
    pods.modify_status(&first, |pod| {
        pod.status.get_or_insert_default().phase = Some("Running".into());
        Ok(())
    })
    .await
    .unwrap();
    let (relaxed, heard) = label(&cluster, &[]).await;
    assert!(relaxed.is_ok() && heard.is_empty(), "{heard:?}");
    pods.create(pod("third", true)).await.unwrap();
}

#[tokio::test]
async fn templates_are_warned_of_and_pods_where_the_label_says_warn() {
    let cluster = cluster().await;
    label(&cluster, &[("enforce", "baseline"), ("warn", "baseline"), ("warn-version", "v1.30")])
        .await
        .0
        .unwrap();
    let container = json!({"name": "c", "image": "i", "securityContext": {"privileged": true}});
    let web = json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}}});
    let (created, heard) = create(&cluster, object::<Deployment>(&web)).await;
    created.unwrap();
    assert_eq!(heard, [format!("would violate PodSecurity \"baseline:v1.30\": {PRIVILEGED}")]);
    // who is refused hears no more than that
    assert!(create(&cluster, pod("p", true)).await.1.is_empty());
    label(&cluster, &[("warn", "baseline")]).await.0.unwrap();
    let (created, heard) = create(&cluster, pod("p", true)).await;
    created.unwrap();
    assert_eq!(heard, [format!("would violate PodSecurity \"baseline:latest\": {PRIVILEGED}")]);
}

#[tokio::test]
async fn labels_that_make_no_sense_are_refused() {
    let cluster = cluster().await;
    let (refused, _) = label(&cluster, &[("enforce", "strict")]).await;
    let want = "Namespace \"default\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted";
    assert_eq!(refused.unwrap_err().message, want);
    let bad =
        json!({"metadata": {"name": "x", "labels": {"pod-security.kubernetes.io/audit-version": "1.30"}}});
    assert_eq!(create(&cluster, object::<Namespace>(&bad)).await.0.unwrap_err().reason, Reason::Invalid);
}
