//! Who may do what.

use crate::objects::{cluster, map, meta, pod, reason, root};
use api::{LabelSelector, Reason};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, ListParams, PodBinding, Target, WriteOptions};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kinds::TypedKind;

#[tokio::test]
async fn the_collection_of_bindings_is_a_permission_of_its_own() {
    let cluster = cluster().await;
    root(&cluster).api::<Pod>().create(pod("p")).await.unwrap();
    for (may, to_collection, allowed) in
        [("pods/binding", true, false), ("bindings", false, false), ("pods/binding", false, true)]
    {
        let name = format!("{}-{to_collection}", may.replace('/', "-"));
        let rules = vec![rule(&["create"], &[""], &[may])];
        cluster.bootstrap_components([ComponentRole::user(&name, &name, rules)]).await.unwrap();
        let binding = PodBinding::new("default", "p", "node-1");
        let path = binding.path.clone().filter(|_| !to_collection);
        let binding = PodBinding { path, ..binding };
        let bound =
            cluster.acting_as(Actor::component(&name)).bind_as(binding, &WriteOptions::default()).await;
        assert_eq!(bound.is_ok(), allowed, "{may}, to the collection: {to_collection}: {bound:?}");
    }
}

#[tokio::test]
async fn nobody_does_more_than_a_role_allows() {
    let cluster = cluster().await;
    let mallory = cluster.acting_as(Actor::user("mallory", &[Actor::AUTHENTICATED]));
    let refused = mallory.api::<ConfigMap>().create(map("a", "x")).await.unwrap_err();
    let want = "configmaps is forbidden: User \"mallory\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(refused.message, want);
    let (name, rules) = ("system:kube-scheduler", vec![rule(READ, &[""], &["pods"])]);
    cluster.bootstrap_components([ComponentRole::user(name, name, rules)]).await.unwrap();
    let scheduler = cluster.acting_as(Actor::component(name));
    assert!(scheduler.api::<Pod>().list(None, LabelSelector::everything()).is_ok());
    assert_eq!(reason(scheduler.api::<Pod>().create(pod("a")).await), Reason::Forbidden);
}

#[tokio::test]
async fn a_role_in_a_namespace_may_allow_to_read_it() {
    use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
    let cluster = cluster().await;
    let rule = PolicyRule {
        verbs: vec!["get".into(), "delete".into()],
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["namespaces".into()]),
        ..PolicyRule::default()
    };
    let role = Role { metadata: meta("reader"), rules: Some(vec![rule]) };
    let subject = Subject { kind: "User".into(), name: "alice".into(), ..Subject::default() };
    let binding = RoleBinding {
        metadata: meta("reader"),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".into()),
            kind: "Role".into(),
            name: "reader".into(),
        },
        subjects: Some(vec![subject]),
    };
    root(&cluster).api().create(role).await.unwrap();
    root(&cluster).api().create(binding).await.unwrap();
    let alice = Actor::user("alice", &[Actor::AUTHENTICATED]);
    let get = |name: &str| {
        let version = cluster.registry().by_gvr(&Namespace::info().gvr).unwrap();
        cluster.get(&alice, &Target::object(&version, None, name)).map(|_| ())
    };
    while get("default").is_err() {
        tokio::task::yield_now().await; // the rules follow the store
    }
    let refused = get("kube-system").unwrap_err();
    let want = "namespaces \"kube-system\" is forbidden: User \"alice\" cannot get resource \"namespaces\" in API group \"\" in the namespace \"kube-system\"";
    assert_eq!((refused.code, refused.message.as_str()), (403, want));
    let version = cluster.registry().by_gvr(&Namespace::info().gvr).unwrap();
    let list = cluster.list(&alice, &Target::collection(&version, None), &ListParams::default());
    assert_eq!(list.unwrap_err().code, 403);
}
