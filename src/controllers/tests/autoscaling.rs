//! Autoscalers and disruption budgets at work on a cluster in memory, with pods that are said to be well.

mod common;

use api::{LabelSelector, ObjectKey};
use cluster::{
    Actor, Client, DeleteOptions, NodeUsage, PodUsage, Target, Usage, UsageSource, Wanted, Window,
    WriteOptions,
};
use common::{key, object, start, until};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kinds::{FieldValidation, TypedKind, pod as ask};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Every pod uses so much.
struct Everybody(Client, u64);

impl UsageSource for Everybody {
    fn measure(&self) -> BoxFuture<'_, Result<NodeUsage, String>> {
        let window = Window { end: jiff::Timestamp::now(), length: Duration::from_secs(15) };
        let usage = Usage { cpu_nanocores: self.1, memory: 1 << 20 };
        let pods = self.0.cluster().informer::<Pod>().list(None);
        let of = |pod: &Arc<Pod>| PodUsage {
            pod: kinds::key_of(&pod.metadata),
            uid: pod.metadata.uid.clone().unwrap(),
            window,
            containers: [("c".to_owned(), usage)].into(),
        };
        let node = NodeUsage { node: "n".into(), window, usage, pods: pods.iter().map(of).collect() };
        async move { Ok(node) }.boxed()
    }
}

/// A Deployment with so many pods, all of which are ready since long ago.
async fn ready_pods(client: &Client, count: usize) -> Vec<String> {
    ready_pods_of(client, count, &["c"]).await
}

async fn ready_pods_of(client: &Client, count: usize, containers: &[&str]) -> Vec<String> {
    let resources = json!({"requests": {"cpu": "100m"}});
    let containers: Vec<Value> =
        containers.iter().map(|name| json!({"name": name, "image": "i", "resources": resources})).collect();
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}});
    let deployment: Deployment = object(json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": count, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }));
    client.api::<Deployment>().create(deployment).await.unwrap();
    let pods = |c: &Client| c.cluster().informer::<Pod>().list(None);
    until::<Pod>(client, |c| pods(c).len() == count).await;
    let mut names = Vec::new();
    for pod in pods(client) {
        let ready = |pod: &mut Pod| {
            pod.status = Some(object(json!({
                "phase": "Running", "startTime": "2020-01-01T00:00:00Z",
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:10Z"}],
            })));
            Ok(())
        };
        client.api::<Pod>().modify_status(&kinds::key_of(&pod.metadata), ready).await.unwrap();
        names.push(pod.metadata.name.clone().unwrap());
    }
    until::<Pod>(client, |c| pods(c).iter().all(|pod| ask::is_ready(pod))).await;
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_grows_with_what_its_pods_use() {
    let client = start().await;
    let source: Arc<dyn UsageSource> = Arc::new(Everybody(client.clone(), 150_000_000));
    client.cluster().measured_by(&source);
    ready_pods(&client, 2).await;
    let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 100}}});
    let autoscaler: HorizontalPodAutoscaler = object(json!({
        "metadata": {"name": "h", "namespace": "default"},
        "spec": {"maxReplicas": 9, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "metrics": [metric]},
    }));
    client.api().create(autoscaler).await.unwrap();
    until::<HorizontalPodAutoscaler>(&client, |c| {
        let now = c.api::<HorizontalPodAutoscaler>().get(&key("h")).unwrap();
        now.status.is_some_and(|status| status.desired_replicas == 3)
    })
    .await;
    let wanted = client.api::<Deployment>().get(&key("web")).unwrap().spec.replicas;
    assert_eq!(wanted, Some(3), "150 m of 100 m, times two");
    let status = client.api::<HorizontalPodAutoscaler>().get(&key("h")).unwrap().status.unwrap();
    let current = status.current_metrics.unwrap()[0].resource.clone().unwrap().current;
    assert_eq!(current.average_utilization, Some(150));
    let conditions: Vec<String> =
        status.conditions.unwrap().iter().map(|c| format!("{}={}", c.type_, c.status)).collect();
    assert_eq!(
        conditions,
        ["AbleToScale=True", "ScalingActive=True", "ScalingLimited=False", "ScaledToZero=False"]
    );

    // the number is the autoscaler's now: who applies another hears whose it is
    let version = client.cluster().registry().by_gvr(&Deployment::info().gvr).unwrap();
    let web = Target::object(&version, Some("default"), "web");
    let config = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}});
    let wanted =
        Wanted { config, force: false, validation: FieldValidation::Strict, doubled_keys: Vec::new() };
    let options = WriteOptions { field_manager: "kubectl".to_owned(), ..WriteOptions::default() };
    let refused = client.cluster().apply(client.actor(), &web, wanted, &options).await.unwrap_err();
    let words = "Apply failed with 1 conflict: conflict with \"kube-controller-manager\" with subresource \"scale\" using apps/v1 at ";
    assert!(refused.message.starts_with(words) && refused.message.ends_with(": .spec.replicas"), "{refused}");
}

fn autoscaler(name: &str, metric: &Value) -> HorizontalPodAutoscaler {
    object(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"maxReplicas": 9, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "metrics": [metric]},
    }))
}

/// Whether it scales, why and in what words.
fn active(client: &Client, name: &str) -> Option<(String, String, String)> {
    let autoscaler = client.api::<HorizontalPodAutoscaler>().get(&key(name)).unwrap();
    let conditions = autoscaler.status?.conditions?;
    let active = conditions.into_iter().find(|condition| condition.type_ == "ScalingActive")?;
    Some((active.status, active.reason.unwrap_or_default(), active.message.unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_container_alone_says_how_many_pods_there_are() {
    let client = start().await;
    let source: Arc<dyn UsageSource> = Arc::new(Everybody(client.clone(), 150_000_000));
    client.cluster().measured_by(&source);
    // both together use less than they asked for
    ready_pods_of(&client, 2, &["c", "idle"]).await;
    let target = json!({"type": "Utilization", "averageUtilization": 100});
    let metric = json!({
        "type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": target},
    });
    client.api().create(autoscaler("h", &metric)).await.unwrap();
    let is_active = |c: &Client| active(c, "h").is_some_and(|(status, ..)| status == "True");
    until::<HorizontalPodAutoscaler>(&client, is_active).await;
    let (_, reason, why) = active(&client, "h").unwrap();
    assert_eq!(reason, "ValidMetricFound");
    assert!(why.ends_with("from cpu container resource utilization (percentage of request)"), "{why}");
    let status = client.api::<HorizontalPodAutoscaler>().get(&key("h")).unwrap().status.unwrap();
    assert_eq!(status.desired_replicas, 3, "150 m of 100 m, times two");
    let current = status.current_metrics.unwrap()[0].container_resource.clone().unwrap();
    assert_eq!((current.container.as_str(), current.current.average_utilization), ("c", Some(150)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_autoscalers_of_the_same_pods_are_one_too_many() {
    let client = start().await;
    let source: Arc<dyn UsageSource> = Arc::new(Everybody(client.clone(), 100_000_000));
    client.cluster().measured_by(&source);
    ready_pods(&client, 1).await;
    let target = json!({"type": "Utilization", "averageUtilization": 100});
    let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
    for name in ["one", "two"] {
        client.api().create(autoscaler(name, &metric)).await.unwrap();
    }
    // whoever comes second sees it
    let refused = |c: &Client| {
        let both = ["one", "two"].into_iter().filter_map(|name| active(c, name));
        both.into_iter().find(|(_, reason, _)| reason == "AmbiguousSelector")
    };
    until::<HorizontalPodAutoscaler>(&client, |c| refused(c).is_some()).await;
    let (status, _, why) = refused(&client).unwrap();
    assert_eq!(status, "False");
    assert_eq!(why, "pods by selector app=web are controlled by multiple HPAs: [default/one default/two]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_of_two_budgets_is_told_of() {
    let client = start().await;
    for name in ["a", "b"] {
        let budget: PodDisruptionBudget = object(json!({
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        }));
        client.api().create(budget).await.unwrap();
    }
    let pods = ready_pods(&client, 1).await;
    let told = |c: &Client| {
        let events = c.api::<Event>().list(Some("default"), LabelSelector::default()).unwrap();
        events.into_iter().find(|event| event.reason.as_deref() == Some("MultiplePodDisruptionBudgets"))
    };
    until::<Event>(&client, |c| told(c).is_some()).await;
    let event = told(&client).unwrap();
    assert_eq!(event.involved_object.name.as_ref(), Some(&pods[0]));
    let words = format!(
        "Pod \"default\"/{:?} matches multiple PodDisruptionBudgets.  Chose \"a\" arbitrarily.",
        pods[0]
    );
    assert_eq!(event.message.unwrap(), words);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evictions_take_what_the_budget_allows_and_no_more() {
    let client = start().await;
    let pods = ready_pods(&client, 3).await;
    let budget: PodDisruptionBudget = object(json!({
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }));
    client.api().create(budget).await.unwrap();
    let allowed = |c: &Client| {
        let status = c.api::<PodDisruptionBudget>().get(&key("b")).unwrap().status.unwrap();
        (status.expected_pods, status.disruptions_allowed)
    };
    until::<PodDisruptionBudget>(&client, |c| allowed(c) == (Some(3), Some(1))).await;
    let version = client.cluster().registry().by_gvr(&Pod::info().gvr).unwrap();
    let evict = |name: &str| {
        let (cluster, target) = (client.cluster().clone(), Target::object(&version, Some("default"), name));
        async move { cluster.evict(&Actor::root(), &target, &DeleteOptions::default()).await }
    };
    evict(&pods[0]).await.unwrap();
    let refused = evict(&pods[1]).await.unwrap_err();
    assert_eq!(refused.code, 429, "{refused:?}");
    assert_eq!(refused.causes[0].reason, "DisruptionBudget");
    // what never became ready disrupts nothing
    until::<Pod>(&client, |c| {
        let all = c.cluster().informer::<Pod>().list(Some("default"));
        all.iter().any(|pod| !pods.contains(pod.metadata.name.as_ref().unwrap()))
    })
    .await;
    let all = client.cluster().informer::<Pod>().list(Some("default"));
    let new = all.iter().find(|pod| !pods.contains(pod.metadata.name.as_ref().unwrap())).unwrap();
    evict(new.metadata.name.as_deref().unwrap()).await.unwrap();
    assert!(client.api::<Pod>().find(&ObjectKey::namespaced("default", &pods[1])).unwrap().is_some());
}
