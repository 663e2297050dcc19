//! Bindings, accounts and tokens of pods.

use crate::objects::{cluster, key, meta, pod, reason, root};
use api::Reason;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster::{BoundObject, DeleteOptions, PodBinding, TokenRequestParams, WriteOptions};
use k8s_openapi::api::core::v1::{Pod, PodSchedulingGate, ServiceAccount};

#[tokio::test]
async fn a_binding_is_for_the_pod_that_it_means() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let pods = client.api::<Pod>();
    let uid = pods.create(pod("p")).await.unwrap().metadata.uid;
    let mut gated = pod("gated");
    let gate = PodSchedulingGate { name: "example.com/later".into() };
    gated.spec.as_mut().unwrap().scheduling_gates = Some(vec![gate]);
    pods.create(gated).await.unwrap();
    let to = |pod: &str| PodBinding::new("default", pod, "node-1");
    let mut of_revision = to("p");
    of_revision.object.metadata.resource_version = Some("another".to_owned());
    let cases = [
        ("no node", PodBinding::new("default", "p", ""), "target.name: Required value"),
        (
            "another uid",
            to("p").for_uid(Some("another".to_owned())),
            "Precondition failed: UID in precondition: another,",
        ),
        ("another revision", of_revision, "Precondition failed: ResourceVersion in"),
        ("a gate", to("gated"), "pod gated has non-empty .spec.schedulingGates"),
        ("no pod", to("nobody"), "pods \"nobody\" not found"),
    ];
    for (name, binding, words) in cases {
        let refused = client.bind_as(binding, &WriteOptions::default()).await.unwrap_err();
        assert!(refused.message.contains(words), "{name}: {refused}");
    }
    let node_of = || pods.get(&key("p")).unwrap().spec.unwrap().node_name;
    let mut binding = to("p").for_uid(uid);
    binding.object.metadata.annotations = Some([("by".to_owned(), "a binding".to_owned())].into());
    let dry_run = WriteOptions { dry_run: true, ..WriteOptions::default() };
    client.bind_as(binding.clone(), &dry_run).await.unwrap();
    assert_eq!(node_of(), None, "a dry run");
    client.bind_as(binding, &WriteOptions::default()).await.unwrap();
    assert_eq!(node_of().as_deref(), Some("node-1"));
    assert_eq!(pods.get(&key("p")).unwrap().metadata.annotations.unwrap()["by"], "a binding");
}

#[tokio::test]
async fn a_token_is_good_as_long_as_its_account_is_the_same() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let issued = client.create_token("default", "default", TokenRequestParams::default()).unwrap();
    let actor = cluster.authenticate_token(&issued.token).unwrap();
    assert_eq!(actor.name, "system:serviceaccount:default:default");
    let mut forged = issued.token.clone().into_bytes();
    let at = forged.len() - 10; // within the signature
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(reason(cluster.authenticate_token(&forged)), Reason::Unauthorized);
    let short = TokenRequestParams { expiration_seconds: Some(60), ..TokenRequestParams::default() };
    assert_eq!(reason(client.create_token("default", "default", short)), Reason::Invalid);
    let accounts = client.api::<ServiceAccount>();
    accounts.delete(&key("default"), DeleteOptions::default()).await.unwrap();
    accounts.create(ServiceAccount { metadata: meta("default"), ..ServiceAccount::default() }).await.unwrap();
    assert_eq!(
        reason(cluster.authenticate_token(&issued.token)),
        Reason::Unauthorized,
        "another account of that name"
    );
}

/// Who reads the file once, and never again, would be refused after an hour: upstream he is not.
#[tokio::test]
async fn the_token_that_every_pod_has_says_an_hour_and_is_good_for_a_year() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let uid = client.api::<Pod>().create(pod("p")).await.unwrap().metadata.uid.unwrap();
    let own = cluster.tokens().issuer();
    for (name, of_pod, seconds, audience, want) in [
        ("the kubelet's for every pod", true, 3607, own, (3600 * 24 * 365, Some(3607))),
        ("a life that somebody asked for", true, 3600, own, (3600, None)),
        ("for others than the API", true, 3607, "vault", (3607, None)),
        ("bound to no pod", false, 3607, own, (3607, None)),
    ] {
        let params = TokenRequestParams {
            audiences: vec![audience.to_owned()],
            expiration_seconds: Some(seconds),
            bound: of_pod.then(|| BoundObject::pod("p", &uid)),
        };
        let issued = client.create_token("default", "default", params).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(issued.token.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        let begins = claims["iat"].as_i64().unwrap();
        let warns = claims["kubernetes.io"]["warnafter"].as_i64().map(|at| at - begins);
        assert_eq!((claims["exp"].as_i64().unwrap() - begins, warns), want, "{name}");
        assert_eq!(issued.expires_at.as_second() - begins, seconds, "{name}: as it is told");
    }
}

#[tokio::test]
async fn a_pod_gets_its_account_its_token_and_its_tolerations() {
    let cluster = cluster().await;
    let made = root(&cluster).api::<Pod>().create(pod("a")).await.unwrap();
    let spec = made.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert_eq!(spec.tolerations.unwrap().len(), 2);
    let mount = &spec.containers[0].volume_mounts.as_ref().unwrap()[0];
    assert_eq!(mount.mount_path, "/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(spec.volumes.unwrap()[0].name, mount.name);
    let mut stranger = pod("b");
    stranger.spec.as_mut().unwrap().service_account_name = Some("nobody".into());
    assert_eq!(reason(root(&cluster).api::<Pod>().create(stranger).await), Reason::Forbidden);
}
