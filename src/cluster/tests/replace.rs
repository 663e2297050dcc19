//! A PUT of what is not there.

use api::{Gvk, Reason, Status};
use cluster::{Actor, Applied, Cluster, Target, WriteOptions};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kinds::FieldValidation;
use serde_json::{Value, json};

const GROUP: &str = "rbac.authorization.k8s.io";

async fn replace(
    cluster: &Cluster,
    actor: &Actor,
    gvk: Gvk,
    namespace: Option<&str>,
    object: &Value,
) -> Result<Applied, Status> {
    let version = cluster.registry().by_gvk(&gvk).unwrap();
    let target = Target::object(&version, namespace, "it");
    let new = version.decode(object.to_string().as_bytes(), FieldValidation::Strict).unwrap().instance;
    let options = WriteOptions { field_manager: "test".to_owned(), ..WriteOptions::default() };
    cluster.replace(actor, &target, &*new, &options).await
}

/// Whether it was created, or why it was not written.
fn told(outcome: Result<Applied, Status>) -> Result<bool, Reason> {
    outcome.map(|applied| applied.created).map_err(|status| status.reason)
}

#[tokio::test]
async fn what_is_not_there_is_created_where_the_kind_has_it_so() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = Actor::root();
    let ports =
        json!({"metadata": {"name": "it"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}});
    let roles = json!({"metadata": {"name": "it"}, "rules": []});
    let cases = [
        ("a service", Gvk::new("", "v1", "Service"), Some("default"), ports, true),
        ("a role of the cluster", Gvk::new(GROUP, "v1", "ClusterRole"), None, roles, true),
        (
            "limits",
            Gvk::new("", "v1", "LimitRange"),
            Some("default"),
            json!({"metadata": {"name": "it"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}}),
            true,
        ),
        (
            "a config map",
            Gvk::new("", "v1", "ConfigMap"),
            Some("default"),
            json!({"metadata": {"name": "it"}, "data": {"a": "b"}}),
            false,
        ),
    ];
    for (name, gvk, namespace, object, is_created) in cases {
        let first = replace(&cluster, &root, gvk.clone(), namespace, &object).await;
        let meta = first.as_ref().ok().map(|applied| applied.object.meta().clone());
        assert_eq!(told(first), if is_created { Ok(true) } else { Err(Reason::NotFound) }, "{name}");
        if let Some(meta) = meta {
            assert!(meta.name == "it" && !meta.uid.is_empty(), "{name}: {meta:?}");
            assert_eq!(told(replace(&cluster, &root, gvk, namespace, &object).await), Ok(false), "{name}");
        }
    }
}

#[tokio::test]
async fn who_holds_one_that_is_gone_does_not_make_another_of_it() {
    let cluster = testkit::cluster(testkit::config()).await;
    let lease = |mut meta: Value| {
        meta["name"] = "it".into();
        json!({"metadata": meta, "spec": {"holderIdentity": "me"}})
    };
    let gvk = Gvk::new("coordination.k8s.io", "v1", "Lease");
    let put = |object: Value| {
        let (cluster, gvk) = (cluster.clone(), gvk.clone());
        async move { told(replace(&cluster, &Actor::root(), gvk, Some("default"), &object).await) }
    };
    assert_eq!(put(lease(json!({"uid": "7", "resourceVersion": "5"}))).await, Err(Reason::Conflict));
    // a revision alone names nobody
    assert_eq!(put(lease(json!({"resourceVersion": "5"}))).await, Ok(true));
    assert_eq!(put(lease(json!({"resourceVersion": "5"}))).await, Err(Reason::Conflict));
    // which one he replaces he has to say
    assert_eq!(put(lease(json!({}))).await, Err(Reason::Invalid));
}

#[tokio::test]
async fn a_body_says_what_it_replaces() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = Actor::root();
    let (leases, maps) = (Gvk::new("coordination.k8s.io", "v1", "Lease"), Gvk::new("", "v1", "ConfigMap"));
    let bare = json!({"metadata": {"name": "it"}});
    let lease = replace(&cluster, &root, leases.clone(), Some("default"), &bare).await.unwrap().object;
    let (uid, revision) = (lease.meta().uid.clone(), lease.revision().to_string());
    let operation = "Operation cannot be fulfilled on";
    let other = |resource: &str, stored: &str| {
        format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{resource}/default/it, ResourceVersion: 0, AdditionalErrorMsg: \
             Precondition failed: UID in precondition: other, UID in object meta: {stored}"
        )
    };
    for (name, gvk, meta, want) in [
        (
            "no name",
            &maps,
            json!({}),
            "the name of the object (it based on URL) was undeterminable: name must be provided".to_owned(),
        ),
        (
            "another name, before anybody asks for a revision",
            &leases,
            json!({"name": "other"}),
            "the name of the object (other) does not match the name on the URL (it)".to_owned(),
        ),
        ("none is there", &maps, json!({"name": "it"}), "configmaps \"it\" not found".to_owned()),
        (
            "one that is gone",
            &maps,
            json!({"name": "it", "uid": "other"}),
            format!("{operation} configmaps \"it\": {}", other("configmaps", "")),
        ),
        (
            "another of the name, whatever its revision",
            &leases,
            json!({"name": "it", "uid": "other", "resourceVersion": "1"}),
            format!("{operation} leases.coordination.k8s.io \"it\": {}", other("leases", &uid)),
        ),
        (
            "no revision",
            &leases,
            json!({"name": "it", "uid": uid}),
            "leases.coordination.k8s.io \"it\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for \
             an update"
                .to_owned(),
        ),
        ("its revision", &leases, json!({"name": "it", "resourceVersion": revision}), String::new()),
    ] {
        let body = json!({"metadata": meta});
        let outcome = replace(&cluster, &root, gvk.clone(), Some("default"), &body).await;
        let said = outcome.err().map(|status| status.message).unwrap_or_default();
        assert_eq!(said, want, "{name}");
    }
}

/// From now on the user of that name may do that with the lease.
async fn may(cluster: &Cluster, name: &str, verbs: &[&str]) {
    let root = cluster.acting_as(Actor::root());
    let rules = json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs, "resourceNames": ["it"]}]);
    let role: ClusterRole =
        serde_json::from_value(json!({"metadata": {"name": name}, "rules": rules})).unwrap();
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": name}],
    }))
    .unwrap();
    let wanted = role.rules.clone().unwrap();
    root.api().create(role).await.unwrap();
    root.api().create(binding).await.unwrap();
    let actor = Actor::user(name, &[Actor::AUTHENTICATED]);
    // the index of the rules follows the store
    while !wanted.iter().all(|rule| cluster.rules_of(&actor, "").contains(rule)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_may_only_update_creates_nothing() {
    let cluster = testkit::cluster(testkit::config()).await;
    let gvk = Gvk::new("coordination.k8s.io", "v1", "Lease");
    may(&cluster, "ulla", &["update"]).await;
    may(&cluster, "clara", &["create", "update"]).await;
    may(&cluster, "carl", &["create"]).await;
    let mut lease = json!({"metadata": {"name": "it"}, "spec": {"holderIdentity": "me"}});
    for (name, want) in [
        ("ulla", Err(Reason::Forbidden)),
        ("carl", Err(Reason::Forbidden)),
        ("clara", Ok(true)),
        ("ulla", Ok(false)),
    ] {
        let actor = Actor::user(name, &[Actor::AUTHENTICATED]);
        let outcome = replace(&cluster, &actor, gvk.clone(), Some("default"), &lease).await;
        if let Ok(applied) = &outcome {
            lease["metadata"]["resourceVersion"] = applied.object.revision().to_string().into();
        }
        assert_eq!(told(outcome), want, "{name}");
    }
    let leases = cluster.registry().by_gvk(&gvk).unwrap();
    let stored = cluster.get(&Actor::root(), &Target::object(&leases, Some("default"), "it")).unwrap();
    let stored: Lease = stored.decode().unwrap();
    assert!(
        stored.metadata.managed_fields.is_some_and(|entries| entries[0].manager.as_deref() == Some("test"))
    );
}
