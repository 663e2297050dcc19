//! What a quota allows is used up to the last one, and never beyond.

use api::{ObjectKey, Status};
use cluster::{Actor, Client, Target, WriteOptions};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ResourceQuota, Service, ServiceAccount};
use kinds::{Subresource, TypedKind, quota};
use serde_json::{Value, json};

async fn with_quota(hard: Value) -> Client {
    let cluster = testkit::cluster(testkit::config()).await;
    let client = cluster.acting_as(Actor::root());
    let quota = json!({"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}});
    client.api::<ResourceQuota>().create(serde_json::from_value(quota).unwrap()).await.unwrap();
    client
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"}})).unwrap()
}

fn used(client: &Client) -> String {
    let key = ObjectKey::namespaced("default", "q");
    quota::print(&client.cluster().quota_usage(&client.api::<ResourceQuota>().get(&key).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_get_no_more_than_one_after_the_other() {
    let client = with_quota(json!({"count/configmaps": "5"})).await;
    let tasks: Vec<_> = (0..20)
        .map(|index| {
            let maps = client.api::<ConfigMap>();
            tokio::spawn(async move { maps.create(map(&format!("m{index}"))).await })
        })
        .collect();
    let (mut made, mut refused) = (0, Vec::<Status>::new());
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(status) => refused.push(status),
        }
    }
    assert_eq!((made, refused.len()), (5, 15));
    let want = "exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=5, limited: count/configmaps=5";
    assert!(refused.iter().all(|status| status.code == 403 && status.message.contains(want)), "{refused:?}");
    assert_eq!(used(&client), "count/configmaps=5");
}

#[tokio::test]
async fn what_is_only_tried_or_refused_uses_nothing() {
    let client = with_quota(json!({"configmaps": "1"})).await;
    let version = client.cluster().registry().by_gvr(&ConfigMap::info().gvr).unwrap();
    let target = Target::collection(&version, Some("default"));
    let dry = WriteOptions { dry_run: true, ..WriteOptions::default() };
    client.cluster().create(&Actor::root(), &target, Box::new(map("a")), &dry).await.unwrap();
    client.api::<ConfigMap>().create(map("A_B")).await.unwrap_err();
    assert_eq!(used(&client), "configmaps=0");
    client.api::<ConfigMap>().create(map("a")).await.unwrap();
    client.api::<ConfigMap>().create(map("b")).await.unwrap_err();
    client
        .api::<ConfigMap>()
        .delete(&ObjectKey::namespaced("default", "a"), Default::default())
        .await
        .unwrap();
    client.api::<ConfigMap>().create(map("b")).await.unwrap();
}

#[tokio::test]
async fn a_service_that_becomes_another_type_is_counted_by_what_it_adds() {
    // the cluster's own `kubernetes` counts too
    let client = with_quota(json!({"services": "3", "services.nodeports": "1"})).await;
    let services = client.api::<Service>();
    let service = |name: &str, kind: &str| -> Service {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"type": kind, "ports": [{"port": 80}]}}))
            .unwrap()
    };
    let become_node_port = |name: &'static str| {
        let services = services.clone();
        async move {
            services
                .modify(&ObjectKey::namespaced("default", name), |service| {
                    service.spec.as_mut().unwrap().type_ = Some("NodePort".to_owned());
                    Ok(())
                })
                .await
        }
    };
    services.create(service("a", "ClusterIP")).await.unwrap();
    services.create(service("b", "ClusterIP")).await.unwrap();
    become_node_port("a").await.unwrap();
    let refused = become_node_port("b").await.unwrap_err();
    assert!(
        refused.message.contains("requested: services.nodeports=1, used: services.nodeports=1"),
        "{refused:?}"
    );
    // a change that adds nothing is none of the quota's business
    become_node_port("a").await.unwrap();
}

#[tokio::test]
async fn a_pod_that_is_resized_is_counted_by_what_it_adds() {
    let client = with_quota(json!({"requests.cpu": "500m"})).await;
    let pod =
        |cpu: &str| testkit::objects::pod("p").namespace("default").requests(&json!({"cpu": cpu})).build();
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    client.api::<ServiceAccount>().create(serde_json::from_value(account).unwrap()).await.unwrap();
    client.api::<Pod>().create(pod("200m")).await.unwrap();
    let resize = async |cpu: &str| {
        let mut asked = client.api::<Pod>().get(&ObjectKey::namespaced("default", "p")).unwrap();
        asked.spec.as_mut().unwrap().containers[0].resources =
            pod(cpu).spec.unwrap().containers[0].resources.clone();
        client.api::<Pod>().replace(asked, Some(Subresource::Resize)).await
    };
    let refused = resize("600m").await.unwrap_err();
    let want = "exceeded quota: q, requested: requests.cpu=400m, used: requests.cpu=200m, limited: requests.cpu=500m";
    assert!(refused.code == 403 && refused.message.contains(want), "{refused:?}");
    resize("500m").await.unwrap();
    assert_eq!(used(&client), "requests.cpu=500m");
}

#[tokio::test]
async fn devices_are_counted_by_their_class() {
    let gpus = "gpu.example.com.deviceclass.resource.k8s.io/devices";
    let client = with_quota(json!({gpus: "3"})).await;
    let gvr = api::Gvr::new("resource.k8s.io", "v1", "resourceclaims");
    let version = client.cluster().registry().by_gvr(&gvr).unwrap();
    let target = Target::collection(&version, Some("default"));
    let claim = |name: &str, count: i64| {
        let exactly = json!({"deviceClassName": "gpu.example.com", "count": count});
        let json = json!({
            "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": name, "namespace": "default"},
            "spec": {"devices": {"requests": [{"name": "r", "exactly": exactly}]}},
        });
        version.decode(json.to_string().as_bytes(), kinds::FieldValidation::Strict).unwrap().instance
    };
    let create = async |name: &str, count: i64| {
        let options = WriteOptions::default();
        client.cluster().create(&Actor::root(), &target, claim(name, count), &options).await
    };
    create("a", 2).await.unwrap();
    assert_eq!(used(&client), format!("{gpus}=2"));
    let refused = create("b", 2).await.unwrap_err();
    let want = format!("exceeded quota: q, requested: {gpus}=2, used: {gpus}=2, limited: {gpus}=3");
    assert!(refused.message.contains(&want), "{}", refused.message);
    create("b", 1).await.unwrap();
}
