//! What is measured: a pod as a chart makes it, and a custom resource with its definition.

#![allow(dead_code)] // each bench uses its part

use schema::Schema;
use serde_json::{Value, json};

pub fn pod() -> Value {
    let container = |name: &str| {
        let env: Vec<Value> = (0..10)
            .map(|n| json!({"name": format!("VARIABLE_{n}"), "value": format!("value {n}")}))
            .collect();
        json!({
            "name": name, "image": "registry.example.com/team/web:1.27", "args": ["--listen", ":8080"], "env": env,
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "initialDelaySeconds": 10},
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
            "securityContext": {"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}, {"name": "cache", "mountPath": "/cache"}],
        })
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-7d4b9c6f5-x2x9z", "namespace": "default",
            "labels": {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "release", "pod-template-hash": "7d4b9c6f5"},
            "annotations": {"checksum/config": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
        },
        "spec": {
            "containers": [container("web"), container("sidecar")],
            "initContainers": [container("migrate")],
            "volumes": [{"name": "config", "configMap": {"name": "web"}}, {"name": "cache", "emptyDir": {}}],
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100,
                "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}}]}},
        },
    })
}

pub fn pod_schema() -> &'static Schema {
    schema::table::named("core.v1.Pod").expect("a type of the table")
}

/// What an operator asks of its users.
pub fn definition() -> Schema {
    let backup = json!({"type": "object", "properties": {
        "schedule": {"type": "string", "default": "0 0 * * *", "pattern": "^[0-9*/ ,-]+$"},
        "keep": {"type": "integer", "default": 7, "minimum": 1},
        "to": {"type": "string", "format": "uri"},
    }});
    let instance = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "maxLength": 63}, "replicas": {"type": "integer", "default": 1},
        "resources": {"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": true}},
        "paused": {"type": "boolean", "default": false},
        "backup": backup,
    }});
    let openapi = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "version": {"type": "string", "enum": ["15", "16", "17"], "default": "17"},
            "instances": {"type": "array", "items": instance, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
        }},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    match schema::from_openapi(&openapi, "schema") {
        Ok(schema) => schema,
        Err(errors) => panic!("{:?}", errors.into_causes()),
    }
}

/// With a field in each instance that the definition does not name.
pub fn custom() -> Value {
    let instances: Vec<Value> = (0..20)
        .map(|n| json!({"name": format!("pg-{n}"), "resources": {"cpu": 2, "memory": "4Gi"}, "backup": {"to": "s3://b/c"}, "typo": n}))
        .collect();
    json!({"apiVersion": "example.com/v1", "kind": "Database", "metadata": {"name": "main", "namespace": "default"},
        "spec": {"instances": instances, "parameters": {"max_connections": "200", "work_mem": "64MB"}}})
}
