//! More definitions are stored than there is memory for: the controllers start, say so, and serve them when there is room.

mod common;

use api::{Gvr, ObjectKey};
use cluster::{Actor, Client, DeleteOptions};
use common::{controllers_within, object, until};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value, json};

const MEMORY: usize = 1_000_000;
/// Of which two fit and three do not.
const FIELDS: usize = 500;

fn large(kind: &str) -> Value {
    let fields: Map<String, Value> = (0..FIELDS)
        .map(|number| (format!("field{number}"), json!({"type": "string", "maxLength": 5})))
        .collect();
    let plural = format!("{}s", kind.to_lowercase());
    json!({"metadata": {"name": format!("{plural}.example.com")}, "spec": {
        "group": "example.com", "scope": "Cluster", "names": {"kind": kind, "plural": plural},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": fields}}}]}})
}

fn key(plural: &str) -> ObjectKey {
    ObjectKey::cluster(&format!("{plural}.example.com"))
}

/// `True InitialNamesAccepted`; nothing where the definition is gone.
fn established(client: &Client, plural: &str) -> Option<String> {
    let definition = client.api::<CustomResourceDefinition>().find(&key(plural)).unwrap()?;
    let conditions = definition.status.and_then(|status| status.conditions).unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition.type_ == "Established");
    Some(
        found
            .map(|found| format!("{} {}", found.status, found.reason.unwrap_or_default()))
            .unwrap_or_default(),
    )
}

fn is_served(client: &Client, plural: &'static str) -> bool {
    client.cluster().registry().by_gvr(&Gvr::new("example.com", "v1", plural)).is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_beyond_the_memory_wait_for_room() {
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components(controllers::roles()).await.unwrap();
    let client = cluster.acting_as(Actor::root());
    let definitions = client.api::<CustomResourceDefinition>();
    for kind in ["Alpha", "Beta", "Delta", "Gamma"] {
        definitions.create(object(large(kind))).await.unwrap();
    }
    controllers_within(&cluster, MEMORY);
    let served = |client: &Client| ["alphas", "betas", "deltas", "gammas"].map(|of| is_served(client, of));
    assert_eq!(served(&client), [true, true, false, false]);
    let accepted = Some("True InitialNamesAccepted".to_owned());
    let waits = Some("False InsufficientMemory".to_owned());
    let told = |c: &Client| ["alphas", "betas", "deltas", "gammas"].map(|of| established(c, of));
    let want = [accepted.clone(), accepted.clone(), waits.clone(), waits.clone()];
    until::<CustomResourceDefinition>(&client, |c| told(c) == want).await;
    // one that is not served can be deleted
    definitions.delete(&key("deltas"), DeleteOptions::default()).await.unwrap();
    let want = [accepted.clone(), accepted.clone(), None, waits];
    until::<CustomResourceDefinition>(&client, |c| told(c) == want).await;
    // and one that is makes room for the one that waits
    definitions.delete(&key("alphas"), DeleteOptions::default()).await.unwrap();
    let want = [None, accepted.clone(), None, accepted];
    until::<CustomResourceDefinition>(&client, |c| told(c) == want).await;
    assert_eq!(served(&client), [false, true, false, true]);
}
