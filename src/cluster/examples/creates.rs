//! How long a create takes, as a component's and as a client's: the difference is what managed fields cost.
//!
//! `cargo run --release -p cluster --example creates`

use cluster::{Actor, Target, WriteOptions};
use kinds::FieldValidation;
use serde_json::{Value, json};
use std::time::Instant;

const COUNT: usize = 10_000;

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "x".repeat(1000)}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "bench"}}, "spec": {
        "schedulingGates": [{"name": "bench/wait"}],
        "containers": [{"name": "c", "image": "busybox:1", "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}]}})
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (kind, make) in [("ConfigMap", config_map as fn(&str) -> Value), ("Pod", pod)] {
        for manager in ["", "bench", "", "bench"] {
            let cluster = testkit::cluster(testkit::config()).await;
            let account =
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
            create(&cluster, "ServiceAccount", &account, "").await;
            let objects: Vec<Value> = (0..COUNT).map(|n| make(&format!("o-{n}"))).collect();
            let began = Instant::now();
            for object in &objects {
                create(&cluster, kind, object, manager).await;
            }
            let each = began.elapsed() / COUNT as u32;
            let whose = if manager.is_empty() { "a component" } else { "a client" };
            println!("{kind} by {whose}: {each:?}");
        }
    }
}

async fn create(cluster: &cluster::Cluster, kind: &str, object: &Value, manager: &str) {
    let version = cluster.registry().by_gvk(&api::Gvk::parse("v1", kind)).expect("a kind that is served");
    let bytes = serde_json::to_vec(object).expect("JSON");
    let made = version.decode(&bytes, FieldValidation::Strict).expect("a good object").instance;
    let options = WriteOptions { field_manager: manager.to_owned(), ..WriteOptions::default() };
    let target = Target::collection(&version, Some("default"));
    cluster.create(&Actor::root(), &target, made, &options).await.expect("create");
}
