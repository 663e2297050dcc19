//! A cluster with policies, and what the tests write there.

use api::Status;
use cluster::{Actor, Cluster, Target, WriteOptions};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kinds::TypedKind;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct Lab(pub Cluster);

pub fn rules(resource: &str) -> Value {
    json!({"resourceRules": [
        {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]},
    ]})
}

pub fn typed<K: DeserializeOwned>(name: &str, spec: Value) -> K {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

pub fn over(mut base: Value, change: Value) -> Value {
    for (field, value) in change.as_object().unwrap() {
        base[field] = value.clone();
    }
    base
}

impl Lab {
    pub async fn new() -> Lab {
        Lab(testkit::cluster(testkit::config()).await)
    }

    pub async fn validating(&self, name: &str, policy: Value, binding: Value) {
        let root = self.0.acting_as(Actor::root());
        let policy = over(json!({"matchConstraints": rules("configmaps")}), policy);
        root.api().create(typed::<ValidatingAdmissionPolicy>(name, policy)).await.unwrap();
        let binding = over(json!({"policyName": name, "validationActions": ["Deny"]}), binding);
        root.api().create(typed::<ValidatingAdmissionPolicyBinding>(name, binding)).await.unwrap();
    }

    pub async fn mutating(&self, name: &str, policy: Value) {
        let root = self.0.acting_as(Actor::root());
        let base = json!({"matchConstraints": rules("configmaps"), "reinvocationPolicy": "Never"});
        root.api().create(typed::<MutatingAdmissionPolicy>(name, over(base, policy))).await.unwrap();
        let binding = json!({"policyName": name});
        root.api().create(typed::<MutatingAdmissionPolicyBinding>(name, binding)).await.unwrap();
    }

    pub async fn create(&self, name: &str, data: Value, options: &WriteOptions) -> Result<ConfigMap, Status> {
        let map: ConfigMap = serde_json::from_value(
            json!({"metadata": {"name": name, "labels": {"app.example/x-y": "z"}}, "data": data}),
        )
        .unwrap();
        let version = self.0.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
        let target = Target::collection(&version, Some("default"));
        let made = self.0.create(&Actor::root(), &target, Box::new(map), options).await?;
        Ok(made.decode().unwrap())
    }

    pub async fn attempt(&self, data: Value) -> Result<ConfigMap, Status> {
        self.create("a", data, &WriteOptions { dry_run: true, ..WriteOptions::default() }).await
    }
}

pub fn data(of: &ConfigMap) -> BTreeMap<&str, &str> {
    of.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

pub fn apply(source: &str) -> Value {
    json!([{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": source}}])
}

pub fn patch(source: &str) -> Value {
    json!([{"patchType": "JSONPatch", "jsonPatch": {"expression": source}}])
}
