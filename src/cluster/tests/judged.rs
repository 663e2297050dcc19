//! What the write path does with what validation says: of new objects, of those that were stored under laxer rules, of
//! Services that change their type, and of priorities.

use api::{ObjectKey, REVISION_PLACEHOLDER, Status, Unstamped};
use cluster::{Actor, Client, Cluster, DeleteOptions};
use k8s_openapi::api::core::v1::{Pod, Service, ServiceAccount};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kinds::TypedKind;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::{Change, Durability, Precondition, Resource, Write};

async fn root() -> (Cluster, Client) {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    root.api().create(object::<ServiceAccount>(account)).await.unwrap();
    (cluster, root)
}

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn pod(name: &str, spec: Value) -> Pod {
    let mut pod: Value = json!({"metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "x"}]}});
    for (key, value) in spec.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    object(pod)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

fn why<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    result.unwrap_err().message
}

#[tokio::test]
async fn what_was_stored_with_a_fault_can_still_be_changed_and_deleted() {
    let (cluster, root) = root().await;
    let pods = root.api::<Pod>();
    let stored = pods.create(pod("old", json!({}))).await.unwrap();
    let mut faulty = serde_json::to_value(&stored).unwrap();
    faulty["spec"]["dnsPolicy"] = "Bogus".into();
    faulty["metadata"]["finalizers"] = json!(["example.com/hold"]);
    faulty["metadata"]["resourceVersion"] = REVISION_PLACEHOLDER.into();
    let write = Write {
        resource: Resource::from(&Pod::info().storage),
        key: key("old"),
        precondition: Precondition::Exists,
        change: Change::Put(Unstamped::new(serde_json::to_vec(&faulty).unwrap()).unwrap()),
        durability: Durability::Sync,
    };
    cluster.store().commit(vec![write]).await.unwrap();

    let label = |pod: &mut Pod| {
        pod.metadata.labels.get_or_insert_default().insert("a".into(), "b".into());
        Ok(())
    };
    pods.modify(&key("old"), label).await.unwrap();
    let running = |pod: &mut Pod| {
        pod.status.get_or_insert_default().phase = Some("Running".into());
        Ok(())
    };
    pods.modify_status(&key("old"), running).await.unwrap();
    let worse = |pod: &mut Pod| {
        pod.metadata.labels.get_or_insert_default().insert("a".into(), "b c".into());
        Ok(())
    };
    let said = why(pods.modify(&key("old"), worse).await);
    assert!(said.contains("metadata.labels") && !said.contains("dnsPolicy"), "{said}");
    pods.delete(&key("old"), DeleteOptions::default()).await.unwrap();
    let let_go = |pod: &mut Pod| {
        pod.metadata.finalizers = None;
        Ok(())
    };
    pods.modify(&key("old"), let_go).await.unwrap();
    assert!(pods.find(&key("old")).unwrap().is_none());
}

#[tokio::test]
async fn a_pod_says_no_priority_but_that_of_its_class() {
    let (_, root) = root().await;
    let class = |name: &str, default: bool| json!({"metadata": {"name": name}, "value": 5, "globalDefault": default, "preemptionPolicy": "Never"});
    let classes = root.api::<PriorityClass>();
    classes.create(object(class("five", true))).await.unwrap();
    let said = why(classes.create(object(class("other", true))).await);
    assert!(
        said.contains("PriorityClass five is already marked as globalDefault. Only one default can exist"),
        "{said}"
    );
    classes.create(object(class("other", false))).await.unwrap();
    let default = |class: &mut PriorityClass| {
        class.global_default = Some(true);
        Ok(())
    };
    assert!(classes.modify(&ObjectKey::cluster("other"), default).await.is_err(), "by an update");
    let cases = [
        ("none", json!({}), ""),
        ("its own", json!({"priorityClassName": "five", "priority": 5, "preemptionPolicy": "Never"}), ""),
        (
            "another",
            json!({"priorityClassName": "five", "priority": 6}),
            "the integer value of priority (6) must not be provided in pod spec; priority admission controller computed 5 from the given PriorityClass name",
        ),
        (
            "another policy",
            json!({"preemptionPolicy": "PreemptLowerPriority"}),
            "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority admission controller computed Never from the given PriorityClass name",
        ),
        (
            "a class that there is not",
            json!({"priorityClassName": "six"}),
            "no PriorityClass with name six was found",
        ),
    ];
    for (at, (name, spec, want)) in cases.into_iter().enumerate() {
        match root.api::<Pod>().create(pod(&format!("p{at}"), spec)).await {
            Ok(_) => assert_eq!(want, "", "{name}"),
            Err(status) => {
                assert!(!want.is_empty() && status.message.contains(want), "{name}: {}", status.message)
            }
        }
    }
}

#[tokio::test]
async fn a_service_that_becomes_a_name_gives_back_what_it_had() {
    let (_, root) = root().await;
    let services = root.api::<Service>();
    let web = |name: &str, port: i32| -> Service {
        object(json!({"metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": 0, "nodePort": port}]}}))
    };
    let had = services.create(web("web", 30000)).await.unwrap().spec.unwrap();
    assert_eq!(had.cluster_ips, Some(vec![had.cluster_ip.clone().unwrap()]));
    let renamed = |service: &mut Service| {
        let spec = service.spec.as_mut().unwrap();
        spec.type_ = Some("ExternalName".into());
        spec.external_name = Some("example.com".into());
        Ok(())
    };
    let spec = services.modify(&key("web"), renamed).await.unwrap().spec.unwrap();
    assert_eq!(
        (spec.cluster_ip, spec.cluster_ips, spec.ip_families, spec.ip_family_policy),
        (None, None, None, None)
    );
    assert_eq!(spec.ports.unwrap()[0].node_port, None);
    services.create(web("other", 30000)).await.unwrap();
    let two: Service = object(json!({"metadata": {"name": "two", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}}));
    let said = why(services.create(two).await);
    for want in ["spec.ipFamilies[0]", "this cluster is not configured for dual-stack services"] {
        assert!(said.contains(want), "{said}");
    }
}
