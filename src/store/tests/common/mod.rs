//! What the tests share: small objects, writes of them, where a store is kept, and this test again as a process that may be killed.

#![allow(dead_code, unused_macros, unused_imports)] // each test file uses a part

pub mod etcd;

use etcd::EtcdServer;

use ::encryption::Encryption;
use api::{Object, ObjectKey, REVISION_PLACEHOLDER, Unstamped};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use store::{
    Backend, Change, Durability, OpenError, Options, Precondition, Recovery, Resource, Store, Write,
};

pub const CHILD: &str = "STORE_TEST_DIRECTORY";
const CHILD_ETCD: &str = "STORE_TEST_ETCD";

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

/// ConfigMaps under the first of these keys: `aesgcm/NAME`, or `identity`. A name has one secret.
pub fn encrypted_by(providers: &[&str]) -> Arc<Encryption> {
    let provider = |provider: &&str| match provider.split_once('/') {
        None => format!("{{{provider}: {{}}}}"),
        Some((kind, name)) => {
            let secret = format!("{name:A<43}=");
            format!("{{{kind}: {{keys: [{{name: {name}, secret: '{secret}'}}]}}}}")
        }
    };
    let providers: Vec<String> = providers.iter().map(provider).collect();
    let text = format!(
        "{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{{resources: [configmaps], \
         providers: [{}]}}]}}",
        providers.join(", ")
    );
    Arc::new(Encryption::parse(&text).unwrap())
}

/// Where a store of a test is kept. A directory goes with it, and an etcd.
pub struct Kept {
    dir: PathBuf,
    endpoint: Option<String>,
    /// In a child they are its parent's.
    owned: Option<tempfile::TempDir>,
    encryption: Option<Arc<Encryption>>,
    pub server: Option<EtcdServer>,
}

impl Kept {
    pub fn in_file() -> Kept {
        Kept::somewhere(None)
    }

    /// `None`, loudly, where there is no etcd.
    pub fn in_etcd() -> Option<Kept> {
        match std::env::var(CHILD) {
            Ok(_) => Some(Kept::somewhere(None)),
            Err(_) => EtcdServer::start().map(|server| Kept::somewhere(Some(server))),
        }
    }

    fn somewhere(server: Option<EtcdServer>) -> Kept {
        if let Ok(dir) = std::env::var(CHILD) {
            let endpoint = std::env::var(CHILD_ETCD).ok();
            return Kept { dir: dir.into(), endpoint, owned: None, encryption: None, server: None };
        }
        let owned = tempfile::tempdir().unwrap();
        let endpoint = server.as_ref().map(EtcdServer::endpoint);
        Kept { dir: owned.path().to_owned(), endpoint, owned: Some(owned), encryption: None, server }
    }

    pub fn encrypted(self) -> Kept {
        Kept { encryption: Some(encrypted_by(&["aesgcm/key"])), ..self }
    }

    /// This is the process that may be killed.
    pub fn is_child(&self) -> bool {
        self.owned.is_none()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn options(&self) -> Options {
        let backend = match &self.endpoint {
            None => Backend::File,
            Some(endpoint) => Backend::Etcd(etcd::place(&[endpoint])),
        };
        let encryption = self.encryption.clone().unwrap_or_default();
        Options { backend, encryption, ..Options::default() }
    }

    pub fn try_open(&self) -> Result<(Store, Recovery), OpenError> {
        Store::open(&self.dir, self.options())
    }

    pub fn open(&self) -> Store {
        self.try_open().unwrap().0
    }

    /// `test` of this binary, on the same back end, in a process of its own that does its part.
    pub fn child(&self, test: &str) -> Command {
        let (backend, endpoint) = match &self.endpoint {
            None => ("on_file", None),
            Some(endpoint) => ("on_etcd", Some((CHILD_ETCD, endpoint))),
        };
        let encrypted = if self.encryption.is_some() { "_encrypted" } else { "" };
        let mut command = child(&format!("{backend}{encrypted}::{test}"), &self.dir);
        command.envs(endpoint);
        command
    }
}

/// What holds of every back end: functions that take a [`Kept`], a test of each on each.
macro_rules! on_each_backend {
    ($($name:ident)*) => {
        mod on_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(&super::common::Kept::in_file()).await;
            })*
        }
        mod on_etcd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let Some(kept) = super::common::Kept::in_etcd() else { return };
                super::$name(&kept).await;
            })*
        }
    };
}
pub(crate) use on_each_backend;

/// What holds of every back end, where all of it is encrypted.
macro_rules! on_each_backend_encrypted {
    ($($name:ident)*) => {
        mod on_file_encrypted {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(&super::common::Kept::in_file().encrypted()).await;
            })*
        }
        mod on_etcd_encrypted {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let Some(kept) = super::common::Kept::in_etcd() else { return };
                super::$name(&kept.encrypted()).await;
            })*
        }
    };
}
pub(crate) use on_each_backend_encrypted;

/// `test` of this binary in a process of its own, which finds `CHILD` set and does its part.
pub fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, dir).stdout(Stdio::piped());
    command
}
