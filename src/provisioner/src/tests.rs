//! Claims and volumes, and what they need of the provisioner.

mod copies;
mod plan;
mod snapshots;
mod volumes;

use crate::ProvisionerConfig;
use cluster::STORAGE_PROVISIONER;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};
use std::path::Path;

const UID: &str = "11111111-2222-4333-8444-555555555555";

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn config(root: &Path) -> ProvisionerConfig {
    ProvisionerConfig { directory: root.join("volumes"), snapshots: root.join("snapshots") }
}

fn merge(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            more.iter().for_each(|(key, value)| merge(base.entry(key.clone()).or_insert(Value::Null), value));
        }
        (base, more) => *base = more.clone(),
    }
}

fn claim(more: &Value) -> PersistentVolumeClaim {
    let mut claim = json!({"metadata": {"name": "data", "namespace": "d", "uid": UID,
        "annotations": {"volume.kubernetes.io/storage-provisioner": STORAGE_PROVISIONER}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "s"}});
    merge(&mut claim, more);
    object(claim)
}

fn class(mode: &str, provisioner: &str) -> StorageClass {
    object(
        json!({"metadata": {"name": "s"}, "provisioner": provisioner, "volumeBindingMode": mode, "reclaimPolicy": "Delete"}),
    )
}

const OTHER_UID: &str = "99999999-2222-4333-8444-555555555555";

/// A claim that has its volume, and the volume.
fn held() -> (Value, Value) {
    let claim = json!({"metadata": {"name": "old", "namespace": "d", "uid": UID},
        "spec": {"storageClassName": "s", "volumeName": format!("pvc-{UID}"),
            "resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Bound"}});
    let volume = json!({"metadata": {"name": format!("pvc-{UID}"),
            "annotations": {"pv.kubernetes.io/provisioned-by": STORAGE_PROVISIONER}},
        "spec": {"hostPath": {"path": format!("/state/volumes/pvc-{UID}")},
            "claimRef": {"namespace": "d", "name": "old", "uid": UID}}, "status": {"phase": "Bound"}});
    (claim, volume)
}
