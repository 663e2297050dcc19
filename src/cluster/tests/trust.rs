//! Who may say whose certificates are believed, and who may give a pod its certificate.

use cluster::{Actor, Client, Cluster};
use k8s_openapi::api::certificates::v1::{ClusterTrustBundle, PodCertificateRequest};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule};
use kinds::{TypedKind, key_of};
use serde_json::{Value, json};

const AUTHORITY: &str = r"-----BEGIN CERTIFICATE-----
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
/// PKCS#10, signed by the key that is in it.
const REQUEST: &str = "MIG6MGICAQAwADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGBysbH/ZoxcLls6VoeX6f9To0YRSOM4MzQQliweP/VDfTtFGvVREy9q21NXaPxSKWaTzW39xDq7GmoDKzOjL5mgADAKBggqhkjOPQQDAgNIADBFAiEAq52+vqNsoenfEX3xihXT6bHYkZWxe4qzYzceAcghShACIHgVnPZUGJXlyOHqDMtopZECJTH1uGCJPymT62A+DIUY";

fn object<K: TypedKind>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// One who has these rules in the whole cluster.
async fn who_may(cluster: &Cluster, name: &str, rules: &Value) -> Client {
    let root = cluster.acting_as(Actor::root());
    let role = json!({"metadata": {"name": name}, "rules": rules});
    root.api().create(object::<ClusterRole>(role)).await.unwrap();
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    });
    root.api().create(object::<ClusterRoleBinding>(binding)).await.unwrap();
    let actor = Actor::user(name, &[Actor::AUTHENTICATED]);
    // the index of the rules follows the store
    let rules: Vec<PolicyRule> = serde_json::from_value(rules.clone()).unwrap();
    while !rules.iter().all(|rule| cluster.rules_of(&actor, "").contains(rule)) {
        tokio::task::yield_now().await;
    }
    cluster.acting_as(actor)
}

fn writes(resource: &str) -> Value {
    json!({"apiGroups": ["certificates.k8s.io"], "resources": [resource], "verbs": ["*"]})
}

fn signer(verb: &str, name: &str) -> Value {
    json!({"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": [name], "verbs": [verb]})
}

fn bundle(name: &str, signer: Option<&str>) -> ClusterTrustBundle {
    object(json!({"metadata": {"name": name}, "spec": {"signerName": signer, "trustBundle": AUTHORITY}}))
}

#[tokio::test]
async fn a_signers_bundle_is_written_by_who_may_attest_for_it() {
    let cluster = testkit::cluster(testkit::config()).await;
    let rules = json!([writes("clustertrustbundles"), signer("attest", "example.com/s")]);
    let writer = who_may(&cluster, "writer", &rules).await.api::<ClusterTrustBundle>();
    let cases = [
        ("nobody's", bundle("plain", None), ""),
        ("a signer's", bundle("example.com:s:a", Some("example.com/s")), ""),
        (
            "another signer's",
            bundle("example.com:t:a", Some("example.com/t")),
            "user not permitted to attest for signerName \"example.com/t\"",
        ),
    ];
    for (name, bundle, want) in cases {
        let said = writer.create(bundle).await.err().map(|status| status.message).unwrap_or_default();
        assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}: {said}");
    }
    let root = cluster.acting_as(Actor::root());
    let theirs = root.api().create(bundle("example.com:t:b", Some("example.com/t"))).await.unwrap();
    let label = |bundle: &mut ClusterTrustBundle| {
        bundle.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
        Ok(())
    };
    assert_eq!(writer.modify(&key_of(&theirs.metadata), label).await.unwrap_err().code, 403);
}

#[tokio::test]
async fn a_pods_certificate_is_given_by_who_may_sign_for_the_signer() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    root.api().create(object::<ServiceAccount>(account)).await.unwrap();
    let request = root
        .api()
        .create(object::<PodCertificateRequest>(
            json!({"metadata": {"name": "r", "namespace": "default"}, "spec": {
                "signerName": "example.com/s", "podName": "p", "podUID": "1", "serviceAccountName": "default",
                "serviceAccountUID": "2", "nodeName": "n", "nodeUID": "3", "stubPKCS10Request": REQUEST,
            }}),
        ))
        .await
        .unwrap();
    let issue = |request: &mut PodCertificateRequest| {
        request.status.get_or_insert_default().certificate_chain = Some("chain".to_owned());
        Ok(())
    };
    let cases = [
        (
            "of another",
            "example.com/t",
            "User \"a\" is not permitted to \"sign\" for signer \"example.com/s\"",
        ),
        // he may, and what he says is no good
        ("of this one", "example.com/s", "status is immutable unless transitioning to"),
    ];
    for ((name, may, want), user) in cases.into_iter().zip(["a", "b"]) {
        let rules = json!([
            writes("podcertificaterequests"),
            writes("podcertificaterequests/status"),
            signer("sign", may)
        ]);
        let signer = who_may(&cluster, user, &rules).await.api::<PodCertificateRequest>();
        let refused = signer.modify_status(&key_of(&request.metadata), issue).await.unwrap_err();
        assert!(refused.code == 422 && refused.message.contains(want), "{name}: {}", refused.message);
    }
    let deny = |request: &mut PodCertificateRequest| {
        let denied = json!([{"type": "Denied", "status": "True", "reason": "No", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        request.status.get_or_insert_default().conditions = serde_json::from_value(denied).unwrap();
        Ok(())
    };
    for (user, may, want) in [("c", "example.com/t", 422), ("d", "example.com/s", 0)] {
        let rules = json!([writes("podcertificaterequests/status"), signer("sign", may)]);
        let signer = who_may(&cluster, user, &rules).await.api::<PodCertificateRequest>();
        let outcome = signer.modify_status(&key_of(&request.metadata), deny).await;
        assert_eq!(outcome.err().map_or(0, |status| status.code), want, "{may}");
    }
}
