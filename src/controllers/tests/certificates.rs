//! Requests for certificates, from the first wish to the answer, on a cluster in memory.

mod common;

use api::ObjectKey;
use cluster::{Actor, Client};
use common::{object, start, until};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Request;
use kinds::Subresource;
use serde_json::json;

fn request(name: &str, says: &str, usages: &[&str]) -> Request {
    let pem = format!("-----BEGIN CERTIFICATE REQUEST-----{says}-----END CERTIFICATE REQUEST-----");
    object(json!({
        "metadata": {"name": name},
        "spec": {
            "request": k8s_openapi::ByteString(pem.into_bytes()), "username": "forged",
            "signerName": "kubernetes.io/kube-apiserver-client", "usages": usages, "expirationSeconds": 3600,
        },
    }))
}

fn find(client: &Client, name: &str) -> Request {
    client.api::<Request>().find(&ObjectKey::cluster(name)).unwrap().expect("it is there")
}

fn decide(request: &mut Request, kind: &str) {
    let decision = json!({"type": kind, "status": "True", "reason": "Test", "message": "said so"});
    request.status.get_or_insert_default().conditions.get_or_insert_default().push(object(decision));
}

async fn approve(client: &Client, name: &str) -> Result<(), api::Status> {
    let mut request = find(client, name);
    decide(&mut request, "Approved");
    client.api::<Request>().replace(request, Some(Subresource::Approval)).await.map(drop)
}

fn condition(client: &Client, name: &str, kind: &str) -> Option<String> {
    let status = find(client, name).status?;
    status.conditions?.into_iter().find(|c| c.type_ == kind)?.message
}

fn certificate(client: &Client, name: &str) -> Option<String> {
    let certificate = find(client, name).status?.certificate?;
    String::from_utf8(certificate.0).ok()
}

#[tokio::test]
async fn what_is_approved_is_signed() {
    let root = start().await;
    let jane = root.cluster().acting_as(Actor::user("jane", &[Actor::MASTERS, "dev"]));
    jane.api::<Request>().create(request("web", "jane,dev", &["client auth"])).await.unwrap();
    // who asks is written down, whatever he wrote there
    let asked = find(&root, "web");
    assert_eq!(asked.spec.username.as_deref(), Some("jane"));
    assert_eq!(certificate(&root, "web"), None);
    approve(&root, "web").await.unwrap();
    until::<Request>(&root, |root| certificate(root, "web").is_some()).await;
    let want = "-----BEGIN CERTIFICATE-----client auth for 3600s-----END CERTIFICATE-----";
    assert_eq!(certificate(&root, "web").as_deref(), Some(want));
}

#[tokio::test]
async fn what_a_signer_does_not_sign_fails_with_its_reason() {
    let root = start().await;
    let cases = [
        (
            "master",
            "jane,system:masters",
            "client auth",
            "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
        ),
        ("server", "jane,dev", "server auth", "invalid usage for kube-apiserver-client: server auth"),
        ("noise", "noise", "client auth", "unable to parse the request"),
    ];
    for (name, says, usage, want) in cases {
        root.api::<Request>().create(request(name, says, &[usage])).await.unwrap();
        approve(&root, name).await.unwrap();
        until::<Request>(&root, |root| condition(root, name, "Failed").is_some()).await;
        assert_eq!(condition(&root, name, "Failed").as_deref(), Some(want), "{name}");
        assert_eq!(certificate(&root, name), None, "{name}");
    }
}

#[tokio::test]
async fn only_who_may_decides_and_only_where_it_is_decided() {
    let root = start().await;
    root.api::<Request>().create(request("web", "jane,dev", &["client auth"])).await.unwrap();
    // may write the object, not decide for the signer
    root.api::<k8s_openapi::api::rbac::v1::ClusterRole>()
        .create(object(json!({"metadata": {"name": "writer"}, "rules": [{
            "apiGroups": ["certificates.k8s.io"], "verbs": ["*"],
            "resources": ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"],
        }]})))
        .await
        .unwrap();
    root.api::<k8s_openapi::api::rbac::v1::ClusterRoleBinding>()
        .create(object(json!({
            "metadata": {"name": "writer"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "writer"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "joe"}],
        })))
        .await
        .unwrap();
    let joe = root.cluster().acting_as(Actor::user("joe", &[]));
    // the rules are read again in a task of their own
    let seen = async {
        while joe.api::<Request>().find(&ObjectKey::cluster("web")).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), seen).await.expect("joe may read");
    let refused = approve(&joe, "web").await.unwrap_err();
    let want =
        "user not permitted to approve requests with signerName \"kubernetes.io/kube-apiserver-client\"";
    assert!(refused.message.contains(want), "{}", refused.message);
    // a certificate is the signer's to write, a decision is not part of the status
    let mut forged = find(&root, "web");
    forged.status.get_or_insert_default().certificate =
        Some(k8s_openapi::ByteString(b"-----BEGIN CERTIFICATE-----x-----END CERTIFICATE-----".to_vec()));
    let refused = joe.api::<Request>().replace(forged, Some(Subresource::Status)).await.unwrap_err();
    assert!(refused.message.contains("user not permitted to sign requests"), "{}", refused.message);
    let mut decided = find(&root, "web");
    decide(&mut decided, "Approved");
    let refused = root.api::<Request>().replace(decided, Some(Subresource::Status)).await.unwrap_err();
    assert!(
        refused.message.contains("updates may not add a condition of type \"Approved\""),
        "{}",
        refused.message
    );
    // and what was decided stays
    approve(&root, "web").await.unwrap();
    until::<Request>(&root, |root| certificate(root, "web").is_some()).await;
    let mut taken_back = find(&root, "web");
    taken_back.status.get_or_insert_default().conditions = None;
    let refused = root.api::<Request>().replace(taken_back, Some(Subresource::Approval)).await.unwrap_err();
    assert!(
        refused.message.contains("updates may not remove a condition of type \"Approved\""),
        "{}",
        refused.message
    );
    let mut both = find(&root, "web");
    decide(&mut both, "Denied");
    let refused = root.api::<Request>().replace(both, Some(Subresource::Approval)).await.unwrap_err();
    assert!(refused.message.contains("mutually exclusive"), "{}", refused.message);
}

#[tokio::test]
async fn who_may_have_a_nodes_certificate_gets_it_at_once() {
    let root = start().await;
    let bind = |role: &str| {
        object::<k8s_openapi::api::rbac::v1::ClusterRoleBinding>(json!({
            "metadata": {"name": role}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "newcomer"}],
        }))
    };
    let bindings = root.api();
    bindings.create(bind("system:node-bootstrapper")).await.unwrap();
    let newcomer = root.cluster().acting_as(Actor::user("newcomer", &[Actor::AUTHENTICATED]));
    // the rules are read again in a task of their own
    let seen = async {
        while newcomer.api::<Request>().list(None, Default::default()).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), seen).await.expect("he may ask");
    let asked = |name: &str, says: &str| {
        let mut asked = request(name, says, &["client auth", "digital signature"]);
        asked.spec.signer_name = "kubernetes.io/kube-apiserver-client-kubelet".into();
        asked
    };
    let requests = newcomer.api::<Request>();
    requests.create(asked("node", "system:node:n,system:nodes")).await.unwrap();
    requests.create(asked("other", "system:node:n,dev")).await.unwrap();
    // he is asked again, until he may
    bindings.create(bind("system:certificates.k8s.io:certificatesigningrequests:nodeclient")).await.unwrap();
    until::<Request>(&root, |root| certificate(root, "node").is_some()).await;
    let want = "Auto approving kubelet client certificate after SubjectAccessReview.";
    assert_eq!(condition(&root, "node", "Approved").as_deref(), Some(want));
    assert_eq!(condition(&root, "other", "Approved"), None, "no node's group");
}
