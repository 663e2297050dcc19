//! Storage version migrations, and the bundle of the cluster's own authority.

mod common;

use api::{Gvr, LabelSelector, ObjectKey};
use cluster::{Client, ListParams, Target, WriteOptions};
use common::{object, start, until};
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use k8s_openapi::api::storagemigration::v1::StorageVersionMigration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinds::FieldValidation;
use serde_json::{Value, json};

/// `Failed=True StorageVersionMigrationFailed: why`
fn told(client: &Client, name: &str) -> Vec<String> {
    let status = client.api::<StorageVersionMigration>().get(&ObjectKey::cluster(name)).unwrap().status;
    let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
    conditions.iter().map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_ends_and_says_how() {
    let client = start().await;
    let running = "Running=False MigrationCompleted: Migration completed".to_owned();
    let cases = [
        (
            "accounts",
            json!({"resource": "serviceaccounts"}),
            vec![running, "Succeeded=True StorageVersionMigrationSucceeded: ".to_owned()],
        ),
        (
            "nothing",
            json!({"group": "example.com", "resource": "widgets"}),
            vec![
                "Failed=True StorageVersionMigrationFailed: resource does not exist in discovery".to_owned(),
            ],
        ),
    ];
    for (name, resource, want) in cases {
        let migration = json!({"metadata": {"name": name}, "spec": {"resource": resource}});
        client.api::<StorageVersionMigration>().create(object(migration)).await.unwrap();
        until::<StorageVersionMigration>(&client, |c| told(c, name) == want).await;
    }
    // who waits for another's end has his turn
    for name in ["one", "two", "three"] {
        let migration =
            json!({"metadata": {"name": name}, "spec": {"resource": {"resource": "serviceaccounts"}}});
        client.api::<StorageVersionMigration>().create(object(migration)).await.unwrap();
    }
    let succeeded =
        |c: &Client, name: &str| told(c, name).iter().any(|said| said.starts_with("Succeeded=True"));
    let all = |c: &Client| ["one", "two", "three"].into_iter().all(|name| succeeded(c, name));
    until::<StorageVersionMigration>(&client, all).await;
}

/// `["v1"]`
fn stored_versions(client: &Client) -> Vec<String> {
    let definition = client.api::<CustomResourceDefinition>().get(&ObjectKey::cluster("widgets.example.com"));
    definition.unwrap().status.and_then(|status| status.stored_versions).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custom_resources_are_stored_in_the_version_of_now_and_the_others_are_forgotten() {
    let client = start().await;
    let definitions = client.api::<CustomResourceDefinition>();
    let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object"}}});
    let definition = json!({"metadata": {"name": "widgets.example.com"}, "spec": {
        "group": "example.com", "scope": "Cluster", "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [version("v1", true), version("v2", false)],
    }});
    definitions.create(object(definition)).await.unwrap();
    until::<CustomResourceDefinition>(&client, |c| stored_versions(c) == ["v1"]).await;
    let served = client.cluster().registry().by_gvr(&Gvr::new("example.com", "v1", "widgets")).unwrap();
    let widget = br#"{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}"#;
    let widget = served.decode(widget, FieldValidation::Ignore).unwrap().instance;
    let widgets = Target::collection(&served, None);
    client.cluster().create(client.actor(), &widgets, widget, &WriteOptions::default()).await.unwrap();
    let store_v2 = |definition: &mut CustomResourceDefinition| {
        for version in &mut definition.spec.versions {
            version.storage = version.name == "v2";
        }
        Ok(())
    };
    definitions.modify(&ObjectKey::cluster("widgets.example.com"), store_v2).await.unwrap();
    until::<CustomResourceDefinition>(&client, |c| stored_versions(c) == ["v1", "v2"]).await;
    let stored = || {
        let list = client.cluster().list(client.actor(), &widgets, &ListParams::default()).unwrap();
        list.objects[0].decode::<Value>().unwrap()["apiVersion"].clone()
    };
    assert_eq!(stored(), "example.com/v1");
    let migration = json!({"metadata": {"name": "widgets"}, "spec": {"resource": {"group": "example.com", "resource": "widgets"}}});
    client.api::<StorageVersionMigration>().create(object(migration)).await.unwrap();
    let succeeded = |c: &Client| told(c, "widgets").iter().any(|said| said.starts_with("Succeeded=True"));
    until::<StorageVersionMigration>(&client, succeeded).await;
    assert_eq!(stored(), "example.com/v2");
    assert_eq!(stored_versions(&client), ["v2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clusters_authority_is_published_once() {
    let client = start().await;
    let bundles = client.api::<ClusterTrustBundle>();
    let all = |c: &Client| c.api::<ClusterTrustBundle>().list(None, LabelSelector::default()).unwrap();
    until::<ClusterTrustBundle>(&client, |c| !all(c).is_empty()).await;
    let published = all(&client).remove(0);
    assert_eq!(published.spec.signer_name.as_deref(), Some("kubernetes.io/kube-apiserver-serving"));
    assert_eq!(published.spec.trust_bundle, common::AUTHORITY);
    let name = published.metadata.name.clone().unwrap();
    let hash = name.strip_prefix("kubernetes.io:kube-apiserver-serving:").unwrap();
    assert_eq!(hash.len(), 24, "{name}");
    // somebody else's of the same signer goes, and what was taken away comes back
    let other = ObjectKey::cluster("kubernetes.io:kube-apiserver-serving:other");
    let mut copy = published.clone();
    copy.metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        name: Some(other.name.to_string()),
        ..Default::default()
    };
    bundles.create(copy).await.unwrap();
    until::<ClusterTrustBundle>(&client, |c| c.api::<ClusterTrustBundle>().find(&other).unwrap().is_none())
        .await;
    bundles.delete(&ObjectKey::cluster(&name), cluster::DeleteOptions::default()).await.unwrap();
    until::<ClusterTrustBundle>(&client, |c| all(c).len() == 1).await;
}
