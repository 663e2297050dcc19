//! Ranges of addresses for Services that come, are used and go.

mod common;

use api::ObjectKey;
use cluster::{Client, DeleteOptions};
use common::{Machine, key, object, start_on, until};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";

async fn make(root: &Client, name: &str, cidr: &str) {
    let range = json!({"metadata": {"name": name}, "spec": {"cidrs": [cidr]}});
    root.api::<ServiceCIDR>().create(object(range)).await.unwrap();
}

async fn service(root: &Client, name: &str, address: &str) -> Result<Service, api::Status> {
    let service = json!({"metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": address, "ports": [{"port": 80}]}});
    root.api::<Service>().create(object(service)).await
}

/// Status and reason of the condition; `None` where the object is gone or not looked at yet.
fn ready(root: &Client, name: &str) -> Option<(String, String)> {
    let range = root.api::<ServiceCIDR>().find(&ObjectKey::cluster(name)).unwrap()?;
    let condition = range.status?.conditions?.into_iter().find(|condition| condition.type_ == "Ready")?;
    Some((condition.status, condition.reason))
}

async fn until_ready(root: &Client, name: &str, status: &str, reason: &str) {
    let want = Some((status.to_owned(), reason.to_owned()));
    until::<ServiceCIDR>(root, |root| ready(root, name) == want).await;
}

async fn until_gone(root: &Client, name: &str) {
    let key = ObjectKey::cluster(name);
    until::<ServiceCIDR>(root, |root| root.api::<ServiceCIDR>().find(&key).unwrap().is_none()).await;
}

fn finalizers(root: &Client, name: &str) -> Vec<String> {
    let range = root.api::<ServiceCIDR>().get(&ObjectKey::cluster(name)).unwrap();
    range.metadata.finalizers.unwrap_or_default()
}

#[tokio::test]
async fn a_range_is_used_and_goes_with_its_last_address() {
    let machine = Arc::new(Machine::default());
    let root = start_on(machine.clone()).await;
    let leads = || -> Vec<String> { machine.leads.lock().unwrap().iter().map(ToString::to_string).collect() };
    let delete = async |name: &str| {
        root.api::<ServiceCIDR>().delete(&ObjectKey::cluster(name), DeleteOptions::default()).await.unwrap();
    };
    until_ready(&root, "kubernetes", "True", "").await;
    assert_eq!((finalizers(&root, "kubernetes"), leads()), (Vec::new(), Vec::new()));

    make(&root, "more", "10.250.0.0/24").await;
    until_ready(&root, "more", "True", "").await;
    assert_eq!(
        (finalizers(&root, "more"), leads()),
        (vec![FINALIZER.to_owned()], vec!["10.250.0.0/24".to_owned()])
    );
    service(&root, "web", "10.250.0.7").await.unwrap();
    assert!(root.api::<IPAddress>().find(&ObjectKey::cluster("10.250.0.7")).unwrap().is_some());

    // what would take the machine's own packets is kept, and not used
    make(&root, "lan", "192.168.1.0/24").await;
    until_ready(&root, "lan", "False", "NetworkConflict").await;
    let refused = service(&root, "thief", "192.168.1.1").await.unwrap_err();
    assert!(refused.message.contains("the provided network does not match the current range"), "{refused}");
    make(&root, "six", "fd00::/112").await;
    until_ready(&root, "six", "False", "UnsupportedIPFamily").await;
    assert_eq!(leads(), ["10.250.0.0/24"]);
    for name in ["lan", "six"] {
        delete(name).await;
        until_gone(&root, name).await;
    }

    delete("more").await;
    until_ready(&root, "more", "False", "Terminating").await;
    assert_eq!(
        (finalizers(&root, "more"), leads()),
        (vec![FINALIZER.to_owned()], vec!["10.250.0.0/24".to_owned()])
    );
    service(&root, "late", "10.250.0.8").await.unwrap_err();
    // another that has the address as well lets it go
    make(&root, "wider", "10.250.0.0/16").await;
    until_gone(&root, "more").await;
    until_ready(&root, "wider", "True", "").await;
    assert_eq!(leads(), ["10.250.0.0/16"]);
    service(&root, "late", "10.250.0.8").await.unwrap();

    delete("wider").await;
    until_ready(&root, "wider", "False", "Terminating").await;
    root.api::<Service>().delete(&key("late"), DeleteOptions::default()).await.unwrap();
    assert_eq!(leads(), ["10.250.0.0/16"], "one is left");
    root.api::<Service>().delete(&key("web"), DeleteOptions::default()).await.unwrap();
    until_gone(&root, "wider").await;
    assert_eq!(leads(), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_earlier_process_left_to_the_machine_goes() {
    let machine =
        Arc::new(Machine { leads: Mutex::new(vec!["10.250.0.0/24".parse().unwrap()]), ..Machine::default() });
    let root = start_on(machine.clone()).await;
    until_ready(&root, "kubernetes", "True", "").await;
    assert!(machine.leads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_conflict_is_over_when_the_machine_comes_into_another_network() {
    let machine = Arc::new(Machine::default());
    let root = start_on(machine.clone()).await;
    make(&root, "lan", "192.168.1.0/24").await;
    until_ready(&root, "lan", "False", "NetworkConflict").await;
    machine.has_moved.store(true, Ordering::Relaxed);
    // nobody tells of that
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    until_ready(&root, "lan", "True", "").await;
    service(&root, "web", "192.168.1.1").await.unwrap();
}
