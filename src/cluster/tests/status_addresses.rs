//! Whoever may do everything in his namespace gives his pods and Services no address there that is another's.

use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Attributes, Client, Cluster};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kinds::TypedKind;
use serde_json::{Value, json};

const GROUP: &str = "rbac.authorization.k8s.io";

fn object<K: TypedKind>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn bound(meta: Value, kind: &str, role: &str, user: &str) -> Value {
    json!({
        "metadata": meta,
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": user}],
    })
}

/// `mallory` may do everything in `mal`, and `mesh` writes the status of all pods and Services.
async fn lab() -> Cluster {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let mal = |name: &str| json!({"name": name, "namespace": "mal"});
    root.api().create(object::<Namespace>(json!({"metadata": {"name": "mal"}}))).await.unwrap();
    root.api().create(object::<ServiceAccount>(json!({"metadata": mal("default")}))).await.unwrap();
    root.api().create(object::<Node>(json!({"metadata": {"name": "n1"}}))).await.unwrap();
    let of_kubelet = rule(&["patch", "update"], &[""], &["pods/status"]);
    cluster.bootstrap_components([ComponentRole::own_kubelet(vec![of_kubelet])]).await.unwrap();
    let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    root.api().create(object::<Role>(json!({"metadata": mal("all"), "rules": all}))).await.unwrap();
    root.api().create(object::<RoleBinding>(bound(mal("all"), "Role", "all", "mallory"))).await.unwrap();
    let rules = json!([{"apiGroups": [""], "resources": ["pods/status", "services/status"], "verbs": ["get", "patch"]}]);
    root.api()
        .create(object::<ClusterRole>(json!({"metadata": {"name": "mesh"}, "rules": rules})))
        .await
        .unwrap();
    let binding = bound(json!({"name": "mesh"}), "ClusterRole", "mesh", "mesh");
    root.api().create(object::<ClusterRoleBinding>(binding)).await.unwrap();
    let spec = json!({"containers": [{"name": "c", "image": "i"}], "nodeName": "n1"});
    root.api().create(object::<Pod>(json!({"metadata": mal("p"), "spec": spec}))).await.unwrap();
    let spec = json!({"type": "LoadBalancer", "loadBalancerClass": "x.y/z", "ports": [{"port": 80}]});
    root.api().create(object::<Service>(json!({"metadata": mal("s"), "spec": spec}))).await.unwrap();
    // the index of the rules follows the store
    for (user, verb) in [("mallory", "update"), ("mesh", "patch")] {
        let asked = Attributes {
            verb: verb.to_owned(),
            resource: "pods".to_owned(),
            subresource: "status".to_owned(),
            namespace: Some("mal".to_owned()),
            ..Attributes::default()
        };
        while !cluster.decide(&Actor::user(user, &[]), &asked).is_allowed() {
            tokio::task::yield_now().await;
        }
    }
    cluster
}

async fn give_pod(client: &Client, status: Value) -> Result<(), Status> {
    let (api, key) = (client.api::<Pod>(), ObjectKey::namespaced("mal", "p"));
    let written = api.modify_status(&key, |pod| {
        pod.status = serde_json::from_value(status.clone()).unwrap();
        Ok(())
    });
    written.await.map(drop)
}

async fn give_service(client: &Client, ingress: Value) -> Result<(), Status> {
    let (api, key) = (client.api::<Service>(), ObjectKey::namespaced("mal", "s"));
    let written = api.modify_status(&key, |service| {
        let status = json!({"loadBalancer": {"ingress": ingress}});
        service.status = serde_json::from_value(status).unwrap();
        Ok(())
    });
    written.await.map(drop)
}

fn at(address: &str) -> Value {
    json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]})
}

fn refused(outcome: Result<(), Status>, name: &str) {
    let status = outcome.expect_err(name);
    assert_eq!(status.reason, Reason::Forbidden, "{name}: {status}");
    assert!(status.message.contains("in all namespaces"), "{name}: {status}");
}

#[tokio::test]
async fn a_pod_has_the_address_that_its_node_says() {
    let cluster = lab().await;
    let mallory = cluster.acting_as(Actor::user("mallory", &[Actor::AUTHENTICATED]));
    refused(give_pod(&mallory, at("10.244.0.5")).await, "mallory gives one");
    for (name, actor) in [
        ("the node of the process", Actor::own_kubelet("n1")),
        ("a node that comes as a client", Actor::node("n1")),
        ("who may write all", Actor::user("mesh", &[Actor::AUTHENTICATED])),
        ("an administrator", Actor::user("root", &[Actor::MASTERS])),
    ] {
        let client = cluster.acting_as(actor);
        give_pod(&client, at("10.244.0.6")).await.expect(name);
        give_pod(&client, at("10.244.0.7")).await.expect(name);
    }
    refused(give_pod(&mallory, at("10.244.0.5")).await, "mallory takes another");
    let second = json!({"podIP": "10.244.0.7", "podIPs": [{"ip": "10.244.0.7"}, {"ip": "fd00::5"}]});
    refused(give_pod(&mallory, second).await, "mallory adds one");
    let mut failed = at("10.244.0.7");
    failed["phase"] = json!("Failed");
    give_pod(&mallory, failed.clone()).await.expect("the rest of the status is his");
    failed["reason"] = json!("Evicted");
    give_pod(&mallory, failed).await.expect("also of one that has ended");
    for phase in ["Running", "Pending", "Unknown"] {
        let mut again = at("10.244.0.7");
        again["phase"] = json!(phase);
        refused(give_pod(&mallory, again).await, "it runs again where another may run by now");
    }
    give_pod(&cluster.acting_as(Actor::own_kubelet("n1")), at("10.244.0.7")).await.expect("its node knows");
    give_pod(&mallory, json!({"phase": "Failed"})).await.expect("he may take it away");
    refused(give_pod(&mallory, at("10.244.0.7")).await, "and does not give it back");
}

#[tokio::test]
async fn a_service_has_the_address_that_its_balancer_says() {
    let cluster = lab().await;
    let mallory = cluster.acting_as(Actor::user("mallory", &[Actor::AUTHENTICATED]));
    let mesh = cluster.acting_as(Actor::user("mesh", &[Actor::AUTHENTICATED]));
    refused(give_service(&mallory, json!([{"ip": "10.98.0.1"}])).await, "mallory gives one");
    give_service(&mallory, json!([{"hostname": "a.example"}])).await.expect("nobody is led by a name");
    give_service(&mesh, json!([{"ip": "10.98.0.2"}])).await.expect("who may write all");
    refused(give_service(&mallory, json!([{"ip": "10.98.0.2"}, {"ip": "10.98.0.1"}])).await, "one more");
    give_service(&mallory, json!([{"ip": "10.98.0.2", "ipMode": "Proxy"}])).await.expect("the same");
}
