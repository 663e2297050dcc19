//! What the tests of the controllers begin with: a cluster in memory on which they all work.

// each test binary uses its own part of it
#![allow(dead_code)]

use api::ObjectKey;
use async_trait::async_trait;
use cluster::{Actor, Client, Cluster, Subscription};
use controllers::{Asked, Authority, ControllersConfig, ServiceNetwork};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::ServiceAccount;
use kinds::StoredKind;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Only for what never comes: nothing here measures time.
const NEVER: Duration = Duration::from_secs(30);

/// A certificate that may sign others.
pub const AUTHORITY: &str = r"-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUbbBFl1rpoHUBUGlGuqlJYxZWLeYwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwHhcNMjYxMTI5MTkwNjQxWhcNMzYxMTI2MTkwNjQxWjAN
MQswCQYDVQQDDAJjYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGBysbH/Zoxc
Lls6VoeX6f9To0YRSOM4MzQQliweP/VDfTtFGvVREy9q21NXaPxSKWaTzW39xDq7
GmoDKzOjL5mjUzBRMB0GA1UdDgQWBBTD59hwHWKLjNZfgJDhb8+3W8Zy3DAfBgNV
HSMEGDAWgBTD59hwHWKLjNZfgJDhb8+3W8Zy3DAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIQCpR6jb4qr/mguCvq/utMM5c/AuVAjYN+kni9mGa5TI
hwIgaZWtMYQi/EH2wAI1E6aSPVuPgKFJehrhlePPnI9F13g=
-----END CERTIFICATE-----
";

pub async fn start() -> Client {
    start_on(Arc::default()).await
}

/// With a machine that the test looks at.
pub async fn start_on(machine: Arc<Machine>) -> Client {
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components(controllers::roles()).await.unwrap();
    controllers_on(&cluster, machine);
    let root = cluster.acting_as(Actor::root());
    until::<ServiceAccount>(&root, |_| root.api::<ServiceAccount>().find(&key("default")).unwrap().is_some())
        .await;
    root
}

pub fn controllers(cluster: &Cluster) {
    controllers_on(cluster, Arc::default());
}

pub fn controllers_on(cluster: &Cluster, machine: Arc<Machine>) {
    start_controllers(cluster, machine, None);
}

/// Where definitions may take so many bytes.
pub fn controllers_within(cluster: &Cluster, definitions_memory: usize) {
    start_controllers(cluster, Arc::default(), Some(definitions_memory));
}

fn start_controllers(cluster: &Cluster, machine: Arc<Machine>, definitions_memory: Option<usize>) {
    let config = ControllersConfig {
        root_ca_pem: AUTHORITY.into(),
        front_proxy_ca_pem: "front".into(),
        authority: Arc::new(Scripted),
        service_network: machine,
        definitions_memory,
    };
    controllers::start(cluster, &config, &CancellationToken::new()).detach_all();
}

/// An authority whose requests say in plain words what they ask for: `-----BEGIN CERTIFICATE REQUEST-----jane,dev-----END …`.
struct Scripted;

impl Authority for Scripted {
    fn read(&self, request: &[u8]) -> Result<Asked, String> {
        let text = String::from_utf8_lossy(request);
        let said = text.split("-----").nth(2).unwrap_or_default();
        match said.split_once(',') {
            Some((name, group)) => Ok(Asked {
                common_name: name.to_owned(),
                organizations: vec![group.to_owned()],
                ..Asked::default()
            }),
            None => Err("unable to parse the request".to_owned()),
        }
    }
    fn sign(&self, _: &[u8], usages: &[String], lifetime: Duration) -> Result<Vec<u8>, String> {
        let said = format!("{} for {}s", usages.join(", "), lifetime.as_secs());
        Ok(format!("-----BEGIN CERTIFICATE-----{said}-----END CERTIFICATE-----").into_bytes())
    }
}

/// A machine that reaches 192.168.0.0/16 by itself.
#[derive(Default)]
pub struct Machine {
    /// The ranges that it leads to Services.
    pub leads: Mutex<Vec<Ipv4Net>>,
    /// It has come into another network, and reaches nothing by itself.
    pub has_moved: AtomicBool,
}

#[async_trait]
impl ServiceNetwork for Machine {
    async fn obstacle(&self, range: Ipv4Net) -> Result<Option<String>, String> {
        let lan: Ipv4Net = "192.168.0.0/16".parse().unwrap();
        let is_in_the_way = lan.contains(&range) && !self.has_moved.load(Ordering::Relaxed);
        Ok(is_in_the_way.then(|| format!("it overlaps {lan}, to which this node has a route")))
    }
    async fn set_further_ranges(&self, ranges: &[Ipv4Net]) -> Result<(), String> {
        *self.leads.lock().unwrap() = ranges.to_vec();
        Ok(())
    }
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

pub fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Until it holds; looked at again with each change of a `K`.
pub async fn until<K: StoredKind>(client: &Client, holds: impl Fn(&Client) -> bool) {
    let mut changes: Subscription<K> = client.cluster().informer::<K>().subscribe();
    let waiting = async {
        while !holds(client) {
            changes.next().await.unwrap();
        }
    };
    tokio::time::timeout(NEVER, waiting).await.expect("it never comes to hold");
}
