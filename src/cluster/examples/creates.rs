//! How long a create takes, and a write of the status: of pods whose fields have owners, and of pods of which nobody keeps them. The
//! difference is what managed fields cost an update.
//!
//! `cargo run --release -p cluster --example creates`

use api::ObjectKey;
use cluster::{Actor, Api, Client, Target, WriteOptions};
use k8s_openapi::api::core::v1::Pod;
use kinds::FieldValidation;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const COUNT: u32 = 10_000;

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
        for _ in 0..2 {
            let client = testkit::cluster(testkit::config()).await.acting_as(Actor::root());
            let account =
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
            create(&client, "ServiceAccount", &account).await;
            let objects: Vec<Value> = (0..COUNT).map(|n| make(&name(n))).collect();
            let began = Instant::now();
            for object in &objects {
                create(&client, kind, object).await;
            }
            println!("{kind}, created: {:?}", began.elapsed() / COUNT);
            if kind == "Pod" {
                let pods = client.api::<Pod>();
                report(&pods, "one").await;
                println!("{kind}, its status: {:?}", report(&pods, "two").await);
                forget_owners(&pods).await;
                println!("{kind}, its status, without owners: {:?}", report(&pods, "three").await);
            }
        }
    }
}

fn name(n: u32) -> String {
    format!("o-{n}")
}

async fn create(client: &Client, kind: &str, object: &Value) {
    let cluster = client.cluster();
    let version = cluster.registry().by_gvk(&api::Gvk::parse("v1", kind)).expect("a kind that is served");
    let bytes = serde_json::to_vec(object).expect("JSON");
    let made = version.decode(&bytes, FieldValidation::Strict).expect("a good object").instance;
    let target = Target::collection(&version, Some("default"));
    cluster.create(client.actor(), &target, made, &WriteOptions::default()).await.expect("create");
}

/// What each write took.
async fn report(pods: &Api<Pod>, message: &str) -> Duration {
    let began = Instant::now();
    for n in 0..COUNT {
        let say = |pod: &mut Pod| {
            pod.status.get_or_insert_default().message = Some(message.to_owned());
            Ok(())
        };
        pods.modify_status(&ObjectKey::namespaced("default", &name(n)), say).await.expect("a status");
    }
    began.elapsed() / COUNT
}

async fn forget_owners(pods: &Api<Pod>) {
    for n in 0..COUNT {
        let forget = |pod: &mut Pod| {
            pod.metadata.managed_fields = Some(Vec::new());
            Ok(())
        };
        pods.modify(&ObjectKey::namespaced("default", &name(n)), forget).await.expect("an update");
    }
}
