//! The objects that tests begin with: what matters to the test is said, the rest is what any such object has.
//!
//! `pod("web").label("app", "web").on("node-1").build()`

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::marker::PhantomData;

/// An object in the making.
#[derive(Debug, Clone)]
pub struct Builder<K> {
    object: Value,
    kind: PhantomData<fn() -> K>,
}

/// With one container `c` of the image `i`, in the namespace `default`.
pub fn pod(name: &str) -> Builder<Pod> {
    Builder::namespaced(name).with(&json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}))
}

/// With room for 4 CPUs, 4 GiB and 110 pods.
pub fn node(name: &str) -> Builder<Node> {
    Builder::of(name).allocatable("4", "4Gi")
}

/// Of pods as [`pod`] makes them, which have the label `app` with the deployment's name.
pub fn deployment(name: &str) -> Builder<Deployment> {
    Builder::namespaced(name).with(&json!({"spec": {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    }}))
}

/// For pods with the label `app` of this name. It has no ports yet.
pub fn service(name: &str) -> Builder<Service> {
    Builder::namespaced(name).with(&json!({"spec": {"selector": {"app": name}}}))
}

pub fn config_map(name: &str) -> Builder<ConfigMap> {
    Builder::namespaced(name)
}

pub fn namespace(name: &str) -> Builder<Namespace> {
    Builder::of(name)
}

impl<K: DeserializeOwned> Builder<K> {
    fn of(name: &str) -> Self {
        Builder { object: json!({"metadata": {"name": name}}), kind: PhantomData }
    }

    fn namespaced(name: &str) -> Self {
        Builder::of(name).namespace("default")
    }

    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.with(&json!({"metadata": {"namespace": namespace}}))
    }

    #[must_use]
    pub fn uid(self, uid: &str) -> Self {
        self.with(&json!({"metadata": {"uid": uid}}))
    }

    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.labels(&json!({key: value}))
    }

    #[must_use]
    pub fn labels(self, labels: &Value) -> Self {
        self.with(&json!({"metadata": {"labels": labels}}))
    }

    /// Fields of the spec: objects join those that are there, everything else takes their place.
    #[must_use]
    pub fn spec(self, spec: &Value) -> Self {
        self.with(&json!({"spec": spec}))
    }

    #[must_use]
    pub fn status(self, status: &Value) -> Self {
        self.with(&json!({"status": status}))
    }

    /// Fields of the whole object, as [`Builder::spec`].
    #[must_use]
    pub fn with(mut self, fields: &Value) -> Self {
        merge(&mut self.object, fields);
        self
    }

    /// # Panics
    /// Where a field is not of the kind's type: the test is wrong.
    pub fn build(&self) -> K {
        let built = serde_json::from_value(self.object.clone());
        built.unwrap_or_else(|why| panic!("{why}: {}", self.object))
    }
}

impl Builder<Pod> {
    /// Bound to that node.
    #[must_use]
    pub fn on(self, node: &str) -> Self {
        self.spec(&json!({"nodeName": node}))
    }

    /// Containers of these names instead, of the image `i`.
    #[must_use]
    pub fn containers(self, names: &[&str]) -> Self {
        let containers: Vec<Value> = names.iter().map(|name| json!({"name": name, "image": "i"})).collect();
        self.spec(&json!({"containers": containers}))
    }

    /// What its first container says beside its name and image.
    #[must_use]
    pub fn container(mut self, fields: &Value) -> Self {
        merge(&mut self.object["spec"]["containers"][0], fields);
        self
    }

    /// What its first container asks for: `{"cpu": "1"}`.
    #[must_use]
    pub fn requests(self, amounts: &Value) -> Self {
        self.container(&json!({"resources": {"requests": amounts}}))
    }
}

impl Builder<Node> {
    #[must_use]
    pub fn allocatable(self, cpu: &str, memory: &str) -> Self {
        self.status(&json!({"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}}))
    }
}

impl Builder<Deployment> {
    #[must_use]
    pub fn replicas(self, replicas: i32) -> Self {
        self.spec(&json!({"replicas": replicas}))
    }
}

impl Builder<Service> {
    /// One more: `("http", "TCP", 80)`.
    #[must_use]
    pub fn port(mut self, name: &str, protocol: &str, port: u16) -> Self {
        let ports = self.object["spec"].as_object_mut().map(|spec| spec.entry("ports").or_insert(json!([])));
        if let Some(Value::Array(ports)) = ports {
            ports.push(json!({"name": name, "protocol": protocol, "port": port}));
        }
        self
    }
}

impl Builder<ConfigMap> {
    #[must_use]
    pub fn entry(self, key: &str, value: &str) -> Self {
        self.with(&json!({"data": {key: value}}))
    }
}

fn merge(value: &mut Value, fields: &Value) {
    match (value, fields) {
        (Value::Object(value), Value::Object(fields)) => {
            for (key, field) in fields {
                merge(value.entry(key.clone()).or_insert(Value::Null), field);
            }
        }
        (value, field) => *value = field.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_joins_what_is_there() {
        let made =
            pod("web").label("app", "web").label("tier", "front").on("n").requests(&json!({"cpu": "1"}));
        let pod: Pod = made.spec(&json!({"priority": 5})).build();
        let spec = pod.spec.unwrap();
        assert_eq!(pod.metadata.labels.unwrap().len(), 2);
        assert_eq!((spec.node_name.as_deref(), spec.priority), (Some("n"), Some(5)));
        let container = &spec.containers[0];
        assert_eq!((container.name.as_str(), container.image.as_deref()), ("c", Some("i")));
        assert_eq!(container.resources.as_ref().unwrap().requests.as_ref().unwrap()["cpu"].0, "1");
        let service = service("web").port("http", "TCP", 80).port("dns", "UDP", 53).build();
        assert_eq!(service.spec.unwrap().ports.unwrap().len(), 2);
        assert_eq!(deployment("web").replicas(3).build().spec.replicas, Some(3));
        assert_eq!(namespace("team").build().metadata.namespace, None);
        assert_eq!(config_map("m").entry("k", "v").entry("l", "w").build().data.unwrap().len(), 2);
    }
}
