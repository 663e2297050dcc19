//! What the kubelet says of its node, and what it shows on its pages.

use super::rig::{phase, rig, web};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn the_node_is_there_ready_and_alive() {
    let rig = rig().await;
    let node: Node = rig.root().api().get(&api::ObjectKey::new(None, "n1")).unwrap();
    for event in ["Starting Starting kubelet.", "NodeReady Node n1 status is now: NodeReady"] {
        rig.until_event("n1", event).await;
    }
    let status = node.status.unwrap();
    let ready = status.conditions.unwrap().into_iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.message.as_deref()),
        ("True", Some("kubelet is posting ready status"))
    );
    assert_eq!(status.capacity.unwrap()["pods"].0, "110");
    let lease =
        || -> Lease { rig.root().api().get(&api::ObjectKey::namespaced("kube-node-lease", "n1")).unwrap() };
    let first = lease().spec.unwrap().renew_time.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    rig.eventually("the lease is renewed", || lease().spec.unwrap().renew_time.unwrap() > first).await;
}

#[tokio::test(start_paused = true)]
async fn pods_may_soon_use_what_an_administrator_adds_to_the_capacity() {
    let rig = rig().await;
    let (nodes, key) = (rig.root().api::<Node>(), api::ObjectKey::new(None, "n1"));
    let add = |node: &mut Node| {
        let status = node.status.get_or_insert_default();
        status
            .capacity
            .get_or_insert_default()
            .insert("example.com/dongle".to_owned(), Quantity("4".to_owned()));
        Ok(())
    };
    nodes.modify_status(&key, add).await.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let amount = || {
        let status = nodes.get(&key).unwrap().status.unwrap();
        let of = |amounts: Option<std::collections::BTreeMap<String, Quantity>>| {
            amounts.and_then(|amounts| amounts.get("example.com/dongle").map(|amount| amount.0.clone()))
        };
        (of(status.capacity), of(status.allocatable))
    };
    let four = || Some("4".to_owned());
    rig.eventually("there are four for pods", || amount() == (four(), four())).await;
}

#[tokio::test(start_paused = true)]
async fn pages_tell_how_it_is_set_and_what_runs() {
    let rig = rig().await;
    rig.run(
        "p",
        json!({"containers": [web(), {"name": "late", "image": "none:1", "imagePullPolicy": "Never"}]}),
    )
    .await;
    rig.until("p", |p| p.status.iter().any(|s| s.container_statuses.iter().flatten().any(|c| c.ready))).await;
    let page = async |path: &str| -> Option<serde_json::Value> {
        let page = rig.kubelet.access.page("n1", path).await.unwrap()?;
        Some(serde_json::from_str(&page.body).unwrap())
    };
    let running = page("/runningpods/").await.unwrap();
    assert_eq!(running["kind"], "PodList");
    let [pod] = running["items"].as_array().unwrap().as_slice() else { panic!("{running}") };
    assert_eq!((&pod["metadata"]["name"], &pod["metadata"]["namespace"]), (&json!("p"), &json!("default")));
    let containers = pod["spec"]["containers"].as_array().unwrap();
    assert_eq!(
        containers.iter().map(|c| &c["name"]).collect::<Vec<_>>(),
        ["web"],
        "the other one does not run"
    );
    assert_eq!(page("/configz").await.unwrap()["kubeletconfig"]["maxPods"], 110);
    assert_eq!(page("/configz/x").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_node_takes_as_many_pods_as_its_last_start_says() {
    let mut rig = rig().await;
    rig.stop().await;
    rig.max_pods = 1;
    rig.start().await;
    let node: Node = rig.root().api().get(&api::ObjectKey::new(None, "n1")).unwrap();
    let status = node.status.unwrap();
    assert_eq!((&*status.capacity.unwrap()["pods"].0, &*status.allocatable.unwrap()["pods"].0), ("1", "1"));
    rig.running("one", json!({"containers": [web()]})).await;
    rig.run("more", json!({"containers": [web()]})).await;
    let refused = rig.until("more", |p| phase(p) == "Failed").await.status.unwrap();
    assert_eq!(refused.reason.as_deref(), Some("OutOfpods"));
    rig.stop().await;
    rig.max_pods = 2;
    rig.start().await;
    rig.running("another", json!({"containers": [web()]})).await;
}
