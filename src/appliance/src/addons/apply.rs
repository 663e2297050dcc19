//! The objects of manifests in the cluster: tried without a trace, applied, found again.

use super::enabled::AddonObject;
use super::manifests::{Faults, Manifest};
use api::{Gvk, Status};
use cluster::{Actor, Cluster, Target, Wanted, WriteOptions};
use kinds::{FieldValidation, Scope};
use serde_json::Value;
use std::time::{Duration, Instant};

const MANAGER: &str = "monopod-addons";
/// For what the manifests themselves bring.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What would be refused, found by applying it without a trace. What needs a kind or a namespace that the same manifests
/// bring can not be tried before they are there.
pub(super) async fn try_out(cluster: &Cluster, manifests: &[Manifest], own: &[AddonObject]) -> Faults {
    let named = |kind: &str, pointer: &str| -> Vec<String> {
        let of_kind = manifests.iter().filter(|m| m.value.get("kind").and_then(Value::as_str) == Some(kind));
        of_kind.filter_map(|m| Some(m.value.pointer(pointer)?.as_str()?.to_owned())).collect()
    };
    let (namespaces, new_kinds) =
        (named("Namespace", "/metadata/name"), named("CustomResourceDefinition", "/spec/names/kind"));
    let mut faults = Vec::new();
    for manifest in manifests {
        let object = object_of(cluster, &manifest.value);
        if target(cluster, &object).is_none() {
            if !new_kinds.contains(&object.kind) {
                let AddonObject { api_version, kind, .. } = &object;
                faults.push(format!("{}: no kind {kind:?} is served in {api_version}", manifest.place));
            }
            continue;
        }
        if object.namespace.as_ref().is_some_and(|namespace| namespaces.contains(namespace)) {
            continue;
        }
        if object.kind != "Namespace" && !own.contains(&object) && exists(cluster, &object) {
            faults.push(format!("{}: {object} is there already, and not of this add-on", manifest.place));
            continue;
        }
        if let Err(status) = apply(cluster, &manifest.value, true).await {
            faults.push(format!("{}: {object}: {status}", manifest.place));
        }
    }
    faults
}

pub(super) fn target(cluster: &Cluster, object: &AddonObject) -> Option<Target> {
    let version = cluster.registry().by_gvk(&Gvk::parse(&object.api_version, &object.kind))?;
    Some(Target::object(&version, object.namespace.as_deref(), &object.name))
}

pub(super) fn exists(cluster: &Cluster, object: &AddonObject) -> bool {
    target(cluster, object).is_some_and(|target| cluster.get(&Actor::root(), &target).is_ok())
}

/// With the namespace `default` where the manifest says none and the kind has namespaces.
pub(super) fn object_of(cluster: &Cluster, value: &Value) -> AddonObject {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let version = cluster.registry().by_gvk(&Gvk::parse(&api_version, &kind));
    let is_namespaced = version.is_none_or(|version| version.info().scope == Scope::Namespaced);
    let namespace = Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty());
    let namespace = is_namespaced.then(|| namespace.unwrap_or_else(|| "default".to_owned()));
    AddonObject { api_version, kind, namespace, name: text("/metadata/name") }
}

/// What the same manifests brought takes a moment: a kind to be served, the account of a new namespace.
pub(super) async fn apply_in_time(cluster: &Cluster, value: &Value) -> Result<(), Status> {
    let began = Instant::now();
    loop {
        let outcome = apply(cluster, value, false).await;
        let is_early = |status: &Status| {
            target(cluster, &object_of(cluster, value)).is_none() || status.message.contains("serviceaccount")
        };
        match outcome {
            Err(status) if is_early(&status) && began.elapsed() < PATIENCE => {
                tokio::time::sleep(LOOK_AGAIN).await
            }
            outcome => return outcome,
        }
    }
}

/// Takes fields that others have set: enabling an add-on means to have it as its manifests say.
async fn apply(cluster: &Cluster, value: &Value, dry_run: bool) -> Result<(), Status> {
    // a kind that the same manifests brought is known only now
    let object = object_of(cluster, value);
    let Some(target) = target(cluster, &object) else {
        return Err(Status::bad_request(format!(
            "no kind {:?} is served in {}",
            object.kind, object.api_version
        )));
    };
    let mut config = value.clone();
    if let (Some(namespace), Some(metadata)) = (object.namespace, config.get_mut("metadata")) {
        metadata["namespace"] = namespace.into();
    }
    let wanted =
        Wanted { config, force: true, validation: FieldValidation::Strict, doubled_keys: Vec::new() };
    let options = WriteOptions { dry_run, field_manager: MANAGER.to_owned(), ..WriteOptions::default() };
    cluster.apply(&Actor::root(), &target, wanted, &options).await.map(drop)
}
