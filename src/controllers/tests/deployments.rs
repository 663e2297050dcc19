//! Deployments at work on a cluster in memory: nothing runs their pods, so none ever answers.

mod common;

use api::LabelSelector;
use cluster::{Client, Target};
use common::{key, object, start, until};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::TypedKind;
use serde_json::{Value, json};

fn deployment(replicas: i32, image: &str) -> Deployment {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}});
    object(json!({
        "metadata": {"name": "web", "namespace": "default", "annotations": {"kubernetes.io/change-cause": image}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }))
}

/// A set by its image: how many pods it is told to have, and one of its annotations.
fn set(client: &Client, image: &str) -> Option<ReplicaSet> {
    let sets = client.api::<ReplicaSet>().list(Some("default"), LabelSelector::default()).unwrap();
    let of = |set: &ReplicaSet| {
        let template = set.spec.template.as_ref()?;
        template.spec.as_ref()?.containers[0].image.clone()
    };
    sets.into_iter().find(|set| of(set).as_deref() == Some(image))
}

fn replicas(client: &Client, image: &str) -> Option<i32> {
    set(client, image)?.spec.replicas
}

fn annotation(client: &Client, image: &str, key: &str) -> Option<String> {
    set(client, image)?.metadata.annotations?.get(key).cloned()
}

fn status(client: &Client, condition: &str) -> Option<(String, String)> {
    let deployment = client.api::<Deployment>().get(&key("web")).unwrap();
    let found = deployment.status?.conditions?.into_iter().find(|c| c.type_.as_deref() == Some(condition))?;
    Some((found.reason?, found.message?))
}

async fn edit(client: &Client, change: impl Fn(&mut Deployment) + Send + Sync) {
    let change = |deployment: &mut Deployment| {
        change(deployment);
        Ok(())
    };
    client.api::<Deployment>().modify(&key("web"), change).await.unwrap();
}

fn become_(deployment: &mut Deployment, image: &str) {
    let template = &mut deployment.spec.template;
    template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
    let annotations = deployment.metadata.annotations.get_or_insert_default();
    annotations.insert("kubernetes.io/change-cause".to_owned(), image.to_owned());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_deployment_scales_and_does_not_roll() {
    let client = start().await;
    client.api::<Deployment>().create(deployment(2, "one")).await.unwrap();
    until::<ReplicaSet>(&client, |c| replicas(c, "one") == Some(2)).await;
    edit(&client, |deployment| {
        become_(deployment, "two");
        deployment.spec.paused = Some(true);
    })
    .await;
    edit(&client, |deployment| deployment.spec.replicas = Some(5)).await;
    until::<ReplicaSet>(&client, |c| replicas(c, "one") == Some(5)).await;
    assert!(set(&client, "two").is_none());
    let sizes = ["desired-replicas", "max-replicas"];
    let sizes = sizes.map(|key| annotation(&client, "one", &format!("deployment.kubernetes.io/{key}")));
    assert_eq!(sizes, [Some("5".to_owned()), Some("7".to_owned())]);
    let paused =
        |c: &Client| status(c, "Progressing").is_some_and(|(reason, _)| reason == "DeploymentPaused");
    until::<Deployment>(&client, paused).await;
    edit(&client, |deployment| deployment.spec.paused = None).await;
    until::<ReplicaSet>(&client, |c| replicas(c, "two").is_some_and(|replicas| replicas > 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_tells_why_and_what_was_rolled_back_to() {
    const CAUSE: &str = "kubernetes.io/change-cause";
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let client = start().await;
    client.api::<Deployment>().create(deployment(1, "one")).await.unwrap();
    until::<ReplicaSet>(&client, |c| annotation(c, "one", CAUSE).as_deref() == Some("one")).await;
    // told later, as `kubectl annotate` does it
    edit(&client, |deployment| {
        let annotations = deployment.metadata.annotations.get_or_insert_default();
        annotations.insert(CAUSE.to_owned(), "first".to_owned());
    })
    .await;
    until::<ReplicaSet>(&client, |c| annotation(c, "one", CAUSE).as_deref() == Some("first")).await;
    edit(&client, |deployment| become_(deployment, "two")).await;
    until::<ReplicaSet>(&client, |c| annotation(c, "two", REVISION).as_deref() == Some("2")).await;
    // as `kubectl rollout undo` does it
    edit(&client, |deployment| become_(deployment, "one")).await;
    until::<ReplicaSet>(&client, |c| annotation(c, "one", REVISION).as_deref() == Some("3")).await;
    let history = annotation(&client, "one", "deployment.kubernetes.io/revision-history");
    assert_eq!(history.as_deref(), Some("1"));
    assert_eq!(annotation(&client, "two", CAUSE).as_deref(), Some("two"), "the old set keeps its own");
    let numbered = |c: &Client| {
        let annotations = c.api::<Deployment>().get(&key("web")).unwrap().metadata.annotations;
        annotations.is_some_and(|all| all.get(REVISION).is_some_and(|revision| revision == "3"))
    };
    until::<Deployment>(&client, numbered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_are_refused_are_the_deployments_failure() {
    let client = start().await;
    let mut refused = deployment(1, "one");
    let template = &mut refused.spec.template;
    template.spec.as_mut().unwrap().service_account_name = Some("nobody".to_owned());
    client.api::<Deployment>().create(refused).await.unwrap();
    until::<Deployment>(&client, |c| status(c, "ReplicaFailure").is_some()).await;
    let (reason, message) = status(&client, "ReplicaFailure").unwrap();
    assert_eq!(reason, "FailedCreate");
    assert!(message.contains("serviceaccount \"nobody\" not found"), "{message}");
    let account: ServiceAccount = object(json!({"metadata": {"name": "nobody", "namespace": "default"}}));
    client.api::<ServiceAccount>().create(account).await.unwrap();
    until::<Deployment>(&client, |c| status(c, "ReplicaFailure").is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_leads_to_another() {
    let client = start().await;
    let api = client.api::<Deployment>();
    api.create(deployment(1, "one")).await.unwrap();
    until::<ReplicaSet>(&client, |c| replicas(c, "one") == Some(1)).await;
    let name = set(&client, "one").unwrap().metadata.name.unwrap();
    let foreground = cluster::DeleteOptions {
        propagation: Some(cluster::Propagation::Foreground),
        ..cluster::DeleteOptions::default()
    };
    api.delete(&key("web"), foreground).await.unwrap();
    until::<Deployment>(&client, |c| c.api::<Deployment>().find(&key("web")).unwrap().is_none()).await;
    let labels = json!({"app": "other"});
    let template =
        json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "other"}]}});
    let other: ReplicaSet = object(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }));
    client.api::<ReplicaSet>().create(other).await.unwrap();
    api.create(deployment(1, "one")).await.unwrap();
    until::<ReplicaSet>(&client, |c| replicas(c, "one") == Some(1)).await;
    assert_ne!(set(&client, "one").unwrap().metadata.name.unwrap(), name);
    let counted = |c: &Client| {
        c.api::<Deployment>().get(&key("web")).unwrap().status.is_some_and(|s| s.collision_count == Some(1))
    };
    until::<Deployment>(&client, counted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recreated_goes_back_to_a_set_that_is_there() {
    let client = start().await;
    let mut recreated = deployment(1, "one");
    let strategy = json!({"type": "Recreate"});
    recreated.spec.strategy = Some(serde_json::from_value(strategy).unwrap());
    client.api::<Deployment>().create(recreated).await.unwrap();
    until::<ReplicaSet>(&client, |c| replicas(c, "one") == Some(1)).await;
    edit(&client, |deployment| become_(deployment, "two")).await;
    until::<ReplicaSet>(&client, |c| replicas(c, "two") == Some(1)).await;
    assert_eq!(replicas(&client, "one"), Some(0));
    edit(&client, |deployment| become_(deployment, "one")).await;
    until::<ReplicaSet>(&client, |c| replicas(c, "one") == Some(1)).await;
    assert_eq!(replicas(&client, "two"), Some(0));
}

/// What the controller manager has of a part of it, and whether it is the only manager.
fn owned_by_controllers<K: TypedKind>(
    client: &Client,
    meta: &ObjectMeta,
    part: Option<&str>,
) -> (Value, bool) {
    let version = client.cluster().registry().by_gvr(&K::info().gvr).unwrap();
    let target = Target::object(&version, meta.namespace.as_deref(), meta.name.as_deref().unwrap());
    // whole: components see it without
    let stored: K = client.cluster().get(client.actor(), &target).unwrap().decode().unwrap();
    let entries = stored.metadata().managed_fields.clone().unwrap_or_default();
    let is_theirs = |manager: Option<&str>| manager == Some("kube-controller-manager");
    let alone = entries.iter().all(|entry| is_theirs(entry.manager.as_deref()));
    let entry = entries
        .into_iter()
        .find(|entry| is_theirs(entry.manager.as_deref()) && entry.subresource.as_deref() == part);
    (entry.and_then(|entry| entry.fields_v1).map_or(Value::Null, |fields| fields.0), alone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_controllers_make_of_a_template_is_the_controller_managers() {
    let client = start().await;
    client.api::<Deployment>().create(deployment(1, "one")).await.unwrap();
    let pods = |c: &Client| c.api::<Pod>().list(Some("default"), LabelSelector::default()).unwrap();
    until::<Pod>(&client, |c| pods(c).len() == 1).await;
    let (fields, alone) = owned_by_controllers::<Pod>(&client, &pods(&client)[0].metadata, None);
    assert!(alone && fields["f:metadata"]["f:ownerReferences"].is_object(), "{fields}");
    assert!(fields["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]["f:image"].is_object(), "{fields}");
    let counted = |c: &Client| set(c, "one").is_some_and(|set| set.status.is_some_and(|s| s.replicas == 1));
    until::<ReplicaSet>(&client, counted).await;
    let of_set = set(&client, "one").unwrap().metadata;
    let (spec, alone) = owned_by_controllers::<ReplicaSet>(&client, &of_set, None);
    let (status, _) = owned_by_controllers::<ReplicaSet>(&client, &of_set, Some("status"));
    assert!(alone && spec["f:spec"]["f:replicas"].is_object(), "{spec}");
    assert!(status["f:status"]["f:replicas"].is_object() && status["f:spec"].is_null(), "{status}");
    let of_deployment = client.api::<Deployment>().get(&key("web")).unwrap().metadata;
    let (spec, alone) = owned_by_controllers::<Deployment>(&client, &of_deployment, None);
    assert!(!alone && spec["f:spec"].is_null(), "a Deployment is whose it was: {spec}");
}
