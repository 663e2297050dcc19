//! Definitions that go, and their objects with them.

mod common;

use api::{Gvr, Object, ObjectKey, Reason, Status};
use cluster::{Client, DeleteOptions, ListParams, Target, Verb, Wanted, WriteOptions};
use common::{object, start, until};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinds::{FieldValidation, Version};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(10);
/// Only for what never comes.
const NEVER: Duration = Duration::from_secs(30);

fn probe(name: &str, finalizers: &[&str]) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Probe", "metadata": {"name": name, "finalizers": finalizers}})
}

async fn created(root: &Client, version: &Arc<Version>, probe: &Value) -> Result<Object, Status> {
    let made = version.decode(probe.to_string().as_bytes(), FieldValidation::Strict).unwrap().instance;
    let all = Target::collection(version, None);
    root.cluster().create(root.actor(), &all, made, &WriteOptions::default()).await
}

fn names(root: &Client, version: &Arc<Version>) -> Vec<String> {
    let all = Target::collection(version, None);
    let list = root.cluster().list(root.actor(), &all, &ListParams::default()).unwrap();
    list.objects.iter().map(|object| object.meta().name.to_string()).collect()
}

fn key() -> ObjectKey {
    ObjectKey::cluster("probes.example.com")
}

fn is(client: &Client, condition: &str) -> bool {
    let found = client.api::<CustomResourceDefinition>().find(&key()).unwrap();
    let conditions = found.and_then(|found| found.status).and_then(|status| status.conditions);
    conditions.into_iter().flatten().any(|is| is.type_ == condition && is.status == "True")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_while_its_definition_goes_holds_up_nothing() {
    let root = start().await;
    let definitions = root.api::<CustomResourceDefinition>();
    let probes = json!({"metadata": {"name": "probes.example.com"}, "spec": {
        "group": "example.com", "scope": "Cluster", "names": {"kind": "Probe", "plural": "probes"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    definitions.create(object(probes)).await.unwrap();
    until::<CustomResourceDefinition>(&root, |c| is(c, "Established")).await;
    let version = root.cluster().registry().by_gvr(&Gvr::new("example.com", "v1", "probes")).unwrap();
    created(&root, &version, &probe("held", &["example.com/wait"])).await.unwrap();
    definitions.delete(&key(), DeleteOptions::default()).await.unwrap();
    until::<CustomResourceDefinition>(&root, |c| is(c, "Terminating")).await;

    let refused = created(&root, &version, &probe("late", &[])).await.unwrap_err();
    let why = "create not allowed while custom resource definition is terminating";
    assert_eq!((refused.reason, refused.message.as_str()), (Reason::MethodNotAllowed, why));

    // as an operator does that applies what it misses
    let wanted = Wanted {
        config: probe("applied", &[]),
        force: false,
        validation: FieldValidation::Strict,
        doubled_keys: Vec::new(),
    };
    let options = WriteOptions { field_manager: "operator".to_owned(), ..WriteOptions::default() };
    let target = Target::object(&version, None, "applied");
    root.cluster().apply(root.actor(), &target, wanted, &options).await.unwrap();
    let goes = async {
        while names(&root, &version) != ["held"] {
            tokio::time::sleep(SOON).await;
        }
    };
    tokio::time::timeout(NEVER, goes).await.expect("what was applied stays");

    let release = |current: &Object| {
        let mut new = version.decode_stored(current)?;
        new.meta_mut().finalizers = None;
        Ok(new)
    };
    let held = Target::object(&version, None, "held");
    root.cluster().modify(root.actor(), &held, Verb::Patch, &options, &release).await.unwrap();
    let is_gone = |c: &Client| c.api::<CustomResourceDefinition>().find(&key()).unwrap().is_none();
    until::<CustomResourceDefinition>(&root, is_gone).await;
}
