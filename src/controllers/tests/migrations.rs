//! Storage version migrations, and the bundle of the cluster's own authority.

mod common;

use api::{LabelSelector, ObjectKey};
use cluster::Client;
use common::{object, start, until};
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use k8s_openapi::api::storagemigration::v1::StorageVersionMigration;
use serde_json::json;

/// `Failed=True StorageVersionMigrationFailed: why`
fn told(client: &Client, name: &str) -> Vec<String> {
    let status = client.api::<StorageVersionMigration>().get(&ObjectKey::cluster(name)).unwrap().status;
    let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
    conditions.iter().map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_ends_and_says_how() {
    let client = start().await;
    let running = "Running=False StorageVersionMigrationInProgress: ".to_owned();
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
                "Failed=True StorageVersionMigrationFailed: there is no resource widgets.example.com"
                    .to_owned(),
            ],
        ),
    ];
    for (name, resource, want) in cases {
        let migration = json!({"metadata": {"name": name}, "spec": {"resource": resource}});
        client.api::<StorageVersionMigration>().create(object(migration)).await.unwrap();
        until::<StorageVersionMigration>(&client, |c| told(c, name) == want).await;
    }
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
