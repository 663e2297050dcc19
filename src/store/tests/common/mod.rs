//! What the tests share: small objects, writes of them, and this test again as a process that may be killed.

#![allow(dead_code)] // each test file uses a part

use api::{Object, ObjectKey, REVISION_PLACEHOLDER, Unstamped};
use std::path::Path;
use std::process::{Command, Stdio};
use store::{Change, Durability, Options, Precondition, Resource, Store, Write};

pub const CHILD: &str = "STORE_TEST_DIRECTORY";

pub fn draft(key: &ObjectKey, value: &str) -> Unstamped {
    let mut metadata = serde_json::json!({"name": &*key.name, "resourceVersion": REVISION_PLACEHOLDER});
    if let Some(namespace) = &key.namespace {
        metadata["namespace"] = (&**namespace).into();
    }
    let json = serde_json::json!({"kind": "ConfigMap", "metadata": metadata, "data": {"value": value}});
    Unstamped::new(serde_json::to_vec(&json).unwrap()).unwrap()
}

pub fn value(object: &Object) -> String {
    let json: serde_json::Value = object.decode().unwrap();
    assert_eq!(json["metadata"]["resourceVersion"], object.revision().to_string());
    json["data"]["value"].as_str().unwrap().to_owned()
}

pub fn maps() -> Resource {
    Resource::from("configmaps")
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

pub fn put(key: &ObjectKey, value: &str) -> Write {
    put_if(Precondition::None, key, value)
}

pub fn put_if(precondition: Precondition, key: &ObjectKey, value: &str) -> Write {
    let change = Change::Put(draft(key, value));
    Write { resource: maps(), key: key.clone(), precondition, change, durability: Durability::Sync }
}

pub fn delete(key: &ObjectKey) -> Write {
    Write { change: Change::Delete { last: draft(key, "last") }, ..put(key, "") }
}

pub fn lazily(write: Write) -> Write {
    Write { durability: Durability::Lazy, ..write }
}

pub fn open(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap().0
}

/// `test` of this binary in a process of its own, which finds `CHILD` set and does its part.
pub fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, dir).stdout(Stdio::piped());
    command
}
