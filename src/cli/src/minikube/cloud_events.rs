//! What is told as JSON: a CloudEvent each.

use serde_json::{Value, json};

/// Of the shape of a UUID.
pub(super) fn event_id() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:08x}-{:04x}-4000-8000-{:012x}", now.as_secs(), std::process::id() & 0xffff, now.subsec_nanos())
}

/// One line of `-o json`.
pub(super) fn cloud_event(kind: &str, data: &Value) {
    let id = event_id();
    println!(
        "{}",
        json!({
            "specversion": "1.0", "id": id, "source": "https://minikube.sigs.k8s.io/",
            "type": format!("io.k8s.sigs.minikube.{kind}"), "datacontenttype": "application/json", "data": data,
        })
    );
}
