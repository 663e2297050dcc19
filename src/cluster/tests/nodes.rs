//! What a node may do that comes as a client, and what the node of the process may.

use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Attributes, Client, Cluster, DeleteOptions, Target};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, PodCertificateRequest};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, ServiceAccount,
};
use kinds::TypedKind;
use serde_json::{Value, json};

/// `openssl req -new -newkey ed25519 -nodes -subj /CN=system:node:n1/O=system:nodes`
const OF_NODE: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIGvMGMCAQAwMDEXMBUGA1UEAwwOc3lzdGVtOm5vZGU6bjExFTATBgNVBAoMDHN5
c3RlbTpub2RlczAqMAUGAytlcAMhAIWV/0JroN1s8QsMr+t+Xrx8q/XDIsqF1kEO
4D9O9ndloAAwBQYDK2VwA0EAqYxyYLKn0XWjcaqGDUdv5dOBWN0Poi5Nj3qmwm19
QLpy9awYJ8Y3/PbeYM7j2T5yJcCLzf98L3U/Gy4JNi2TDA==
-----END CERTIFICATE REQUEST-----
";

/// The same for `/CN=jane/O=system:masters`.
const OF_MASTER: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIGnMFsCAQAwKDENMAsGA1UEAwwEamFuZTEXMBUGA1UECgwOc3lzdGVtOm1hc3Rl
cnMwKjAFBgMrZXADIQBL250sNRxXZ9oHqWkwoPd6JtZwB8DZcD90A2pr5C2/ZqAA
MAUGAytlcANBALkgxVn3SyEee0mfH3hxrTjlhlLcHYoFXNkjJjfkt7m4DrZdXW21
OtHdXOdKVPS2u4c+tnK604LlZSdeDawAVAs=
-----END CERTIFICATE REQUEST-----
";

fn object<K: TypedKind>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn named(name: &str) -> Value {
    json!({"name": name, "namespace": "default"})
}

/// Two nodes, a pod on the first that refers to one of each, and as many objects that it does not refer to.
async fn lab() -> (Cluster, Client) {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    for name in ["n1", "n2"] {
        root.api().create(object::<Node>(json!({"metadata": {"name": name}}))).await.unwrap();
    }
    root.api().create(object::<ServiceAccount>(json!({"metadata": named("default")}))).await.unwrap();
    for name in ["used", "other"] {
        root.api().create(object::<Secret>(json!({"metadata": named(name)}))).await.unwrap();
        root.api().create(object::<ConfigMap>(json!({"metadata": named(name)}))).await.unwrap();
        root.api().create(object::<ServiceAccount>(json!({"metadata": named(name)}))).await.unwrap();
        let claim = json!({"metadata": named(name), "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}, "volumeName": name, "storageClassName": ""}});
        root.api().create(object::<PersistentVolumeClaim>(claim)).await.unwrap();
        let volume = json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/data"},
            "claimRef": {"namespace": "default", "name": name}}});
        root.api().create(object::<PersistentVolume>(volume)).await.unwrap();
    }
    let pod = json!({"metadata": named("p"), "spec": {
        "nodeName": "n1", "serviceAccountName": "used",
        "containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "used"}}]}],
        "volumes": [{"name": "m", "configMap": {"name": "used"}},
                    {"name": "v", "persistentVolumeClaim": {"claimName": "used"}}],
    }});
    root.api().create(object::<Pod>(pod)).await.unwrap();
    (cluster, root)
}

fn may<K: TypedKind>(
    cluster: &Cluster,
    actor: &Actor,
    verb: &str,
    namespace: Option<&str>,
    name: &str,
) -> bool {
    let version = cluster.registry().by_gvr(&K::info().gvr).unwrap();
    let target = Target::object(&version, namespace, name);
    cluster.authorize(actor, &Attributes::of(verb, &target)).is_ok()
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, case: &str) -> String {
    let status = outcome.expect_err(case);
    assert_eq!(status.reason, Reason::Forbidden, "{case}: {status}");
    status.message
}

#[tokio::test]
async fn a_node_reads_what_its_pods_refer_to() {
    let (cluster, _) = lab().await;
    for (node, name, want) in [("n1", "used", true), ("n1", "other", false), ("n2", "used", false)] {
        let node = Actor::node(node);
        let here = Some("default");
        for (kind, is) in [
            ("secret", may::<Secret>(&cluster, &node, "get", here, name)),
            ("secret, watched", may::<Secret>(&cluster, &node, "watch", here, name)),
            ("map", may::<ConfigMap>(&cluster, &node, "get", here, name)),
            ("claim", may::<PersistentVolumeClaim>(&cluster, &node, "get", here, name)),
            ("volume", may::<PersistentVolume>(&cluster, &node, "get", None, name)),
            ("account", may::<ServiceAccount>(&cluster, &node, "get", here, name)),
        ] {
            assert_eq!(is, want, "{} may get the {kind} {name}", node.name);
        }
        assert!(!may::<Secret>(&cluster, &node, "delete", here, name));
    }
    assert!(may::<Pod>(&cluster, &Actor::node("n1"), "get", Some("default"), "p"));
    assert!(!may::<Pod>(&cluster, &Actor::node("n2"), "get", Some("default"), "p"));
    // a name without the group, and the group without a name
    let name_only = Actor::user("system:node:n1", &[Actor::AUTHENTICATED]);
    let group_only = Actor::user("n1", &[Actor::NODES, Actor::AUTHENTICATED]);
    for who in [name_only, group_only] {
        assert!(!may::<Secret>(&cluster, &who, "get", Some("default"), "used"), "{}", who.name);
    }
}

#[tokio::test]
async fn a_node_writes_what_is_its_own() {
    let (cluster, _) = lab().await;
    let (n1, n2) = (cluster.acting_as(Actor::node("n1")), cluster.acting_as(Actor::node("n2")));
    let key = ObjectKey::namespaced("default", "p");

    let started = |pod: &mut Pod| {
        pod.status.get_or_insert_default().phase = Some("Running".to_owned());
        Ok(())
    };
    let why = refused(n2.api::<Pod>().modify_status(&key, started).await, "another's pod");
    assert!(
        why.contains("node \"n2\" can only update pod status for pods with spec.nodeName set to itself"),
        "{why}"
    );
    n1.api::<Pod>().modify_status(&key, started).await.unwrap();
    let now = || DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    let why = refused(n2.api::<Pod>().delete(&key, now()).await, "another's pod");
    assert!(why.contains("node \"n2\" can only delete pods with spec.nodeName set to itself"), "{why}");

    let label = |label: &'static str| {
        move |node: &mut Node| {
            node.metadata.labels.get_or_insert_default().insert(label.to_owned(), String::new());
            Ok(())
        }
    };
    let nodes = n1.api::<Node>();
    let (own, other) = (ObjectKey::cluster("n1"), ObjectKey::cluster("n2"));
    nodes.modify(&own, label("disk")).await.unwrap();
    let why = refused(nodes.modify(&own, label("node-restriction.kubernetes.io/x")).await, "a label");
    assert!(why.ends_with("is not allowed to modify labels: node-restriction.kubernetes.io/x"), "{why}");
    let why = refused(nodes.modify(&other, label("disk")).await, "another node");
    assert!(why.ends_with("node \"n1\" is not allowed to modify node \"n2\""), "{why}");
    let untainted = |node: &mut Node| {
        node.spec.get_or_insert_default().taints = Some(vec![object_taint()]);
        Ok(())
    };
    let why = refused(nodes.modify(&own, untainted).await, "a taint");
    assert!(why.ends_with("node \"n1\" is not allowed to modify taints"), "{why}");

    let lease =
        |name: &str| object::<Lease>(json!({"metadata": {"name": name, "namespace": "kube-node-lease"}}));
    let why = refused(n1.api::<Lease>().create(lease("n2")).await, "another's lease");
    assert!(why.ends_with("can only access node lease with the same name as the requesting node"), "{why}");
    n1.api::<Lease>().create(lease("n1")).await.unwrap();

    n1.api::<Pod>().delete(&key, now()).await.unwrap();
}

fn object_taint() -> k8s_openapi::api::core::v1::Taint {
    serde_json::from_value(json!({"key": "mine", "effect": "NoSchedule"})).unwrap()
}

#[tokio::test]
async fn a_node_shows_the_pods_of_its_files_and_makes_no_others() {
    let (cluster, root) = lab().await;
    let uid = root.api::<Node>().get(&ObjectKey::cluster("n1")).unwrap().metadata.uid.unwrap();
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": true});
    let mirror = json!({"kubernetes.io/config.mirror": "x"});
    let pod = |metadata: Value, spec: Value| {
        let mut pod = json!({"metadata": named("m"),
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
        pod["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        pod["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        object::<Pod>(pod)
    };
    let good = || json!({"annotations": mirror, "ownerReferences": [owner]});
    let mut stranger = owner.clone();
    stranger["uid"] = "another".into();
    let n1 = cluster.acting_as(Actor::node("n1"));
    for (case, metadata, spec, want) in [
        (
            "no mirror",
            json!({"ownerReferences": [owner]}),
            json!({}),
            "node \"n1\" can only create mirror pods",
        ),
        (
            "elsewhere",
            good(),
            json!({"nodeName": "n2"}),
            "can only create pods with spec.nodeName set to itself",
        ),
        (
            "nobody's",
            json!({"annotations": mirror}),
            json!({}),
            "can only create pods with an owner reference set to itself",
        ),
        (
            "of an older node",
            json!({"annotations": mirror, "ownerReferences": [stranger]}),
            json!({}),
            "node n1 UID mismatch: expected another got",
        ),
        (
            "with a secret",
            good(),
            json!({"volumes": [{"name": "s", "secret": {"secretName": "other"}}]}),
            "a mirror pod may not reference secrets",
        ),
        (
            "with a map",
            good(),
            json!({"volumes": [{"name": "s", "configMap": {"name": "other"}}]}),
            "can not create pods that reference configmaps",
        ),
        (
            "with a driver",
            good(),
            json!({"volumes": [{"name": "s", "csi": {"driver": "d"}}]}),
            "can not create pods that reference csidrivers",
        ),
        (
            "with an account",
            good(),
            json!({"serviceAccountName": "other"}),
            "a mirror pod may not reference service accounts",
        ),
    ] {
        let why = refused(n1.api::<Pod>().create(pod(metadata, spec)).await, case);
        assert!(why.contains(want), "{case}: {why}");
    }
    n1.api::<Pod>().create(pod(good(), json!({}))).await.unwrap();
}

#[tokio::test]
async fn the_node_of_the_process_has_its_own_role_and_no_other_node_has_it() {
    let (cluster, _) = lab().await;
    cluster
        .bootstrap_components([ComponentRole::own_kubelet(vec![rule(READ, &[""], &["secrets"])])])
        .await
        .unwrap();
    let (own, client) = (Actor::own_kubelet("n2"), Actor::node("n2"));
    assert!(may::<Secret>(&cluster, &own, "list", None, "other"));
    assert!(!may::<ConfigMap>(&cluster, &own, "list", None, "other"));
    assert!(!may::<Secret>(&cluster, &client, "list", None, "other"));
}

#[tokio::test]
async fn a_pod_has_its_nodes_zone_among_its_labels() {
    let (cluster, root) = lab().await;
    let labels =
        json!({"topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "r", "disk": "fast"});
    root.api().create(object::<Node>(json!({"metadata": {"name": "n3", "labels": labels}}))).await.unwrap();
    let pod = |name: &str, node: Option<&str>| {
        let mut metadata = named(name);
        metadata["labels"] = json!({"app": "web", "topology.kubernetes.io/zone": "mine"});
        let spec = json!({"nodeName": node, "containers": [{"name": "c", "image": "i"}]});
        object::<Pod>(json!({"metadata": metadata, "spec": spec}))
    };
    root.api().create(pod("placed", Some("n3"))).await.unwrap();
    root.api().create(pod("bound", None)).await.unwrap();
    let of = |name: &str| {
        let pod = root.api::<Pod>().get(&ObjectKey::namespaced("default", name)).unwrap();
        json!(pod.metadata.labels)
    };
    let before = json!({"app": "web", "topology.kubernetes.io/zone": "mine"});
    let after =
        json!({"app": "web", "topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "a"});
    assert_eq!((of("placed"), of("bound")), (after.clone(), before));
    cluster.acting_as(Actor::root()).bind("default", "bound", "n3").await.unwrap();
    assert_eq!(of("bound"), after);
}

#[tokio::test]
async fn a_node_asks_for_its_own_certificate_and_nobody_for_a_masters() {
    let (cluster, _) = lab().await;
    const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
    const KUBELET: &str = "kubernetes.io/kube-apiserver-client-kubelet";
    let master = format!("use of {CLIENT} signer with system:masters group is not allowed");
    for (case, actor, signer, request, want) in [
        ("its own", Actor::node("n1"), KUBELET, OF_NODE, ""),
        (
            "another's",
            Actor::node("n2"),
            KUBELET,
            OF_NODE,
            "can only create a node CSR with CN=system:node:n2",
        ),
        ("no node", Actor::root(), KUBELET, OF_NODE, ""),
        ("a master", Actor::root(), CLIENT, OF_MASTER, master.as_str()),
        ("a master, of another signer", Actor::root(), "example.com/own", OF_MASTER, ""),
    ] {
        let request: CertificateSigningRequest = object(json!({
            "metadata": {"generateName": "r-"},
            "spec": {"request": ByteString(request.into()), "signerName": signer, "usages": ["client auth"]},
        }));
        let asked = cluster.acting_as(actor).api().create(request).await;
        match want {
            "" => drop(asked.unwrap_or_else(|why| panic!("{case}: {why}"))),
            want => assert!(refused(asked, case).ends_with(want), "{case}"),
        }
    }
}

#[tokio::test]
async fn who_asks_for_a_certificate_is_no_policys_to_say() {
    let (_, root) = lab().await;
    let requests = json!({"resourceRules": [{"operations": ["CREATE"], "apiGroups": ["certificates.k8s.io"],
        "apiVersions": ["v1"], "resources": ["certificatesigningrequests"]}]});
    // the first is evaluated once more, as the second changes what it saw: nobody but the cluster comes after that
    for (name, again, expression) in [
        ("a", "IfNeeded", "Object{spec: Object.spec{username: 'somebody'}}"),
        ("b", "Never", "Object{metadata: Object.metadata{annotations: {'seen': 'yes'}}}"),
    ] {
        let mutation =
            json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}});
        let policy = json!({"metadata": {"name": name}, "spec": {
            "matchConstraints": requests, "reinvocationPolicy": again, "mutations": [mutation]}});
        root.api().create(object::<MutatingAdmissionPolicy>(policy)).await.unwrap();
        let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name}});
        root.api().create(object::<MutatingAdmissionPolicyBinding>(binding)).await.unwrap();
    }
    let request: CertificateSigningRequest = object(json!({
        "metadata": {"name": "r"},
        "spec": {"request": ByteString(OF_NODE.into()), "signerName": "example.com/own", "usages": ["client auth"]},
    }));
    let made = root.api().create(request).await.unwrap();
    assert_eq!(made.metadata.annotations.unwrap()["seen"], "yes");
    assert_eq!(made.spec.username.as_deref(), Some("system:apiserver"));
}

#[tokio::test]
async fn a_node_asks_for_certificates_of_its_pods_as_they_run() {
    let (cluster, root) = lab().await;
    let uid_of = |meta: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| meta.uid.unwrap();
    let in_default = |name: &str| ObjectKey::namespaced("default", name);
    let node = uid_of(root.api::<Node>().get(&ObjectKey::cluster("n1")).unwrap().metadata);
    let pod = uid_of(root.api::<Pod>().get(&in_default("p")).unwrap().metadata);
    let accounts = root.api::<ServiceAccount>();
    let account = |name: &str| uid_of(accounts.get(&in_default(name)).unwrap().metadata);
    let good = json!({"signerName": "example.com/s", "maxExpirationSeconds": 3600, "stubPKCS10Request": "",
        "podName": "p", "podUID": pod, "serviceAccountName": "used", "serviceAccountUID": account("used"),
        "nodeName": "n1", "nodeUID": node});
    for (case, node, changes, want) in [
        ("of another node", "n2", json!({}), "which is not the requesting node \"n2\""),
        ("on another node", "n2", json!({"nodeName": "n2"}), "is not running on node \"n2\""),
        ("an earlier pod", "n1", json!({"podUID": "0"}), "which differs from running pod"),
        (
            "another's account",
            "n1",
            json!({"serviceAccountName": "other", "serviceAccountUID": account("other")}),
            "contains serviceAccountName (\"other\") that differs from running pod (\"used\")",
        ),
        ("an earlier account", "n1", json!({"serviceAccountUID": "0"}), "names service account UID \"0\""),
        ("an earlier node", "n1", json!({"nodeUID": "0"}), "names node UID \"0\""),
    ] {
        let mut spec = good.clone();
        spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let request: PodCertificateRequest = object(json!({"metadata": named("r"), "spec": spec}));
        let why = refused(cluster.acting_as(Actor::node(node)).api().create(request).await, case);
        assert!(why.contains(want), "{case}: {why}");
    }
    // as it runs: what is wrong with it now is that it has no key
    let request: PodCertificateRequest = object(json!({"metadata": named("r"), "spec": good}));
    let status = cluster.acting_as(Actor::node("n1")).api().create(request).await.unwrap_err();
    assert_eq!(status.reason, Reason::Invalid, "{status}");
}
