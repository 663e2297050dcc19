//! A cluster whose webhooks answer by a function, and what the tests do there.

use api::Status;
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use cluster::{Actor, Cluster, DeleteOptions, PodBinding, Remarks, Target, WebhookCaller, WriteOptions};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::policy::v1::Eviction;
use kinds::{Subresource, TypedKind};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

type Respond = dyn Fn(&Value) -> Result<Value, String> + Send + Sync;

/// Answers by a function, and remembers what it was asked.
struct Scripted {
    asked: Mutex<Vec<Value>>,
    respond: Box<Respond>,
}

#[async_trait]
impl WebhookCaller for Scripted {
    async fn post(
        &self,
        _: &Cluster,
        _: &WebhookClientConfig,
        url: &str,
        review: Vec<u8>,
    ) -> Result<Bytes, String> {
        let mut review: Value = serde_json::from_slice(&review).unwrap();
        review["url"] = url.into();
        self.asked.lock().unwrap().push(review.clone());
        if url.contains("hangs") {
            std::future::pending::<()>().await;
        }
        let mut response = (self.respond)(&review)?;
        response["uid"] = review["request"]["uid"].clone();
        let answer =
            json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response});
        Ok(answer.to_string().into_bytes().into())
    }
}

pub fn hook(change: Value) -> Value {
    let mut hook = json!({
        "name": "hook.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "hook", "namespace": "default", "path": "/ask"}},
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
    });
    for (field, value) in change.as_object().unwrap() {
        hook[field] = value.clone();
    }
    hook
}

pub struct Lab {
    pub cluster: Cluster,
    caller: Arc<Scripted>,
}

impl Lab {
    pub async fn new(respond: impl Fn(&Value) -> Result<Value, String> + Send + Sync + 'static) -> Lab {
        let cluster = testkit::cluster(testkit::config()).await;
        let caller = Arc::new(Scripted { asked: Mutex::default(), respond: Box::new(respond) });
        cluster.call_webhooks_through(caller.clone());
        Lab { cluster, caller }
    }

    pub async fn mutating(&self, name: &str, hooks: Vec<Value>) {
        let made: MutatingWebhookConfiguration =
            serde_json::from_value(json!({"metadata": {"name": name}, "webhooks": hooks})).unwrap();
        self.cluster.acting_as(Actor::root()).api().create(made).await.unwrap();
    }

    pub async fn validating(&self, name: &str, hooks: Vec<Value>) {
        let made: ValidatingWebhookConfiguration =
            serde_json::from_value(json!({"metadata": {"name": name}, "webhooks": hooks})).unwrap();
        self.cluster.acting_as(Actor::root()).api().create(made).await.unwrap();
    }

    pub async fn create(&self, name: &str, options: &WriteOptions) -> Result<ConfigMap, Status> {
        let map: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": name}, "data": {"a": "1"}})).unwrap();
        let version = self.cluster.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
        let target = Target::collection(&version, Some("default"));
        let made = self.cluster.create(&Actor::root(), &target, Box::new(map), options).await?;
        Ok(made.decode().unwrap())
    }

    pub fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.caller.asked.lock().unwrap())
    }
}

pub fn allow(patch: Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": BASE64_STANDARD.encode(patch.to_string())})
}

/// About whatever happens there.
pub fn on(resource: &str, path: &str, change: Value) -> Value {
    let mut hook = hook(change);
    hook["rules"] =
        json!([{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]}]);
    hook["name"] = format!("{path}.example.com").into();
    hook["clientConfig"] = json!({"url": format!("https://{path}/")});
    hook
}

impl Lab {
    /// A pod that is on no node.
    pub async fn waiting(&self, name: &str) {
        let root = self.cluster.acting_as(Actor::root());
        let account: k8s_openapi::api::core::v1::ServiceAccount =
            serde_json::from_value(json!({"metadata": {"name": "default", "namespace": "default"}})).unwrap();
        let _ = root.api().create(account).await;
        root.api().create(testkit::objects::pod(name).build()).await.unwrap();
    }

    /// What is said meanwhile.
    pub async fn bind(&self, binding: PodBinding) -> Result<Vec<String>, Status> {
        let options = WriteOptions { remarks: Remarks::collected(), ..WriteOptions::default() };
        self.cluster.acting_as(Actor::root()).bind_as(binding, &options).await?;
        Ok(options.remarks.take_warnings())
    }

    pub fn pod(&self, name: &str) -> Pod {
        self.cluster.acting_as(Actor::root()).api().get(&api::ObjectKey::namespaced("default", name)).unwrap()
    }
}

pub fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref())
}

impl Lab {
    pub fn part(&self, of: &api::Gvr, name: &str, part: Subresource) -> Target {
        let version = self.cluster.registry().by_gvr(of).unwrap();
        Target::object(&version, Some("default"), name).subresource(part)
    }

    /// As a request does it.
    pub async fn evict(&self, actor: &Actor, pod: &str, eviction: Value) -> Result<(), Status> {
        let part = self.part(&Pod::info().gvr, pod, Subresource::Eviction);
        let eviction: Eviction = serde_json::from_value(eviction).unwrap();
        self.cluster.admit_eviction(actor, &part, eviction, &WriteOptions::default()).await?;
        self.cluster.evict(actor, &part, &DeleteOptions::default()).await
    }
}
