//! Which lists are merged by which key when a client patches: upstream's tags as the documents carry them.

use serde_json::{Map, Value};

/// Definition, field, key.
const BY_KEY: &[(&str, &str, &str)] = &[
    ("io.k8s.api.core.v1.PodSpec", "containers", "name"),
    ("io.k8s.api.core.v1.PodSpec", "initContainers", "name"),
    ("io.k8s.api.core.v1.PodSpec", "ephemeralContainers", "name"),
    ("io.k8s.api.core.v1.PodSpec", "volumes", "name"),
    ("io.k8s.api.core.v1.PodSpec", "imagePullSecrets", "name"),
    ("io.k8s.api.core.v1.PodSpec", "resourceClaims", "name"),
    ("io.k8s.api.core.v1.PodSpec", "hostAliases", "ip"),
    ("io.k8s.api.core.v1.PodSpec", "topologySpreadConstraints", "topologyKey"),
    ("io.k8s.api.core.v1.Container", "env", "name"),
    ("io.k8s.api.core.v1.Container", "ports", "containerPort"),
    ("io.k8s.api.core.v1.Container", "volumeMounts", "mountPath"),
    ("io.k8s.api.core.v1.Container", "volumeDevices", "devicePath"),
    ("io.k8s.api.core.v1.EphemeralContainer", "env", "name"),
    ("io.k8s.api.core.v1.EphemeralContainer", "ports", "containerPort"),
    ("io.k8s.api.core.v1.EphemeralContainer", "volumeMounts", "mountPath"),
    ("io.k8s.api.core.v1.EphemeralContainer", "volumeDevices", "devicePath"),
    ("io.k8s.api.core.v1.ServiceSpec", "ports", "port"),
    ("io.k8s.api.core.v1.ServiceAccount", "secrets", "name"),
    ("io.k8s.api.core.v1.ServiceAccount", "imagePullSecrets", "name"),
    ("io.k8s.api.core.v1.PodStatus", "conditions", "type"),
    ("io.k8s.api.core.v1.PodStatus", "podIPs", "ip"),
    ("io.k8s.api.core.v1.PodStatus", "hostIPs", "ip"),
    ("io.k8s.api.core.v1.NodeStatus", "conditions", "type"),
    ("io.k8s.api.core.v1.NodeStatus", "addresses", "type"),
    ("io.k8s.api.core.v1.NamespaceStatus", "conditions", "type"),
    ("io.k8s.api.core.v1.ServiceStatus", "conditions", "type"),
    ("io.k8s.api.core.v1.ReplicationControllerStatus", "conditions", "type"),
    ("io.k8s.api.apps.v1.DeploymentStatus", "conditions", "type"),
    ("io.k8s.api.apps.v1.ReplicaSetStatus", "conditions", "type"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", "uid"),
];
/// Merged as sets of values.
const AS_SET: &[(&str, &str)] = &[("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers")];
/// Objects in which a patch says which keys stay.
const RETAIN_KEYS: &[(&str, &str)] =
    &[("io.k8s.api.apps.v1.DeploymentSpec", "strategy"), ("io.k8s.api.core.v1.PodSpec", "volumes")];

pub fn annotate(name: &str, schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (_, field, key) in BY_KEY.iter().filter(|(of, _, _)| *of == name) {
        put(properties, field, "x-kubernetes-patch-merge-key", key);
        put(properties, field, "x-kubernetes-patch-strategy", "merge");
    }
    for (_, field) in AS_SET.iter().filter(|(of, _)| *of == name) {
        put(properties, field, "x-kubernetes-patch-strategy", "merge");
    }
    for (_, field) in RETAIN_KEYS.iter().filter(|(of, _)| *of == name) {
        let merges = BY_KEY.iter().any(|(of, f, _)| of == &name && f == field);
        put(
            properties,
            field,
            "x-kubernetes-patch-strategy",
            if merges { "merge,retainKeys" } else { "retainKeys" },
        );
    }
}

fn put(properties: &mut Map<String, Value>, field: &str, extension: &str, value: &str) {
    if let Some(property) = properties.get_mut(field).and_then(Value::as_object_mut) {
        property.insert(extension.to_owned(), value.into());
    }
}
