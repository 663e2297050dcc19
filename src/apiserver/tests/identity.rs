//! Who somebody is, who he may be, what a token is good for, and what a review tells.

mod common;

use cluster::{Actor, TokenRequestParams};
use common::{Answer, Server, Who};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Secret};
use serde_json::{Value, json};

const ME: &str = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
const TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/default/token";
const TOKEN_REVIEW: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const LOCAL: &str = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews";
const OWN: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

async fn post(server: &Server, who: Who, path: &str, body: &Value) -> Answer {
    server.post(who, path, "application/json", body.to_string().as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_accounts_find_out_who_issues_their_tokens() {
    let server = Server::start().await;
    let discovery = "GET /.well-known/openid-configuration";
    assert_eq!(server.ask(Who::Nobody, discovery, &[], b"").await.code, 403);
    let account = [("Impersonate-User", "system:serviceaccount:default:default")];
    let found = server.ask(Who::Admin, discovery, &account, b"").await;
    assert_eq!(found.code, 200, "{}", found.body);
    let found = found.json();
    assert_eq!(found["issuer"], server.cluster.tokens().issuer());
    let path = found["jwks_uri"].as_str().unwrap().splitn(4, '/').nth(3).unwrap();
    let keys = server.ask(Who::Admin, &format!("GET /{path}"), &account, b"").await.json();
    assert_eq!(found["id_token_signing_alg_values_supported"], json!([keys["keys"][0]["alg"]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impersonation_is_whole_or_refused() {
    let server = Server::start().await;
    let cases: [(&str, Who, &[(&str, &str)], u16, &str); 9] = [
        ("nobody else", Who::Admin, &[], 201, "admin system:masters,system:authenticated"),
        (
            "a name with other letters",
            Who::Admin,
            &[("Impersonate-User", "jürgen")],
            201,
            "jürgen system:authenticated",
        ),
        (
            "an account",
            Who::Admin,
            &[("Impersonate-User", "system:serviceaccount:default:web")],
            201,
            "system:serviceaccount:default:web system:serviceaccounts,system:serviceaccounts:default,system:authenticated",
        ),
        ("a uid alone", Who::Admin, &[("Impersonate-Uid", "u")], 400, ""),
        ("an extra alone", Who::Admin, &[("Impersonate-Extra-a", "b")], 400, ""),
        ("a group alone", Who::Nobody, &[("Impersonate-Group", "system:masters")], 400, ""),
        ("without the right", Who::Nobody, &[("Impersonate-User", "jane")], 403, ""),
        (
            "an account without the right",
            Who::Nobody,
            &[("Impersonate-User", "system:serviceaccount:default:web")],
            403,
            "",
        ),
        ("by somebody unknown", Who::Anonymous, &[("Impersonate-User", "jürgen")], 403, ""),
    ];
    for (name, who, headers, code, want) in cases {
        let answer = server.ask(who, ME, headers, b"").await;
        assert_eq!(answer.code, code, "{name}: {}", answer.message());
        let me = &answer.json()["status"]["userInfo"];
        let groups: Vec<&str> =
            me["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let shown = format!("{} {}", me["username"].as_str().unwrap_or_default(), groups.join(","));
        assert_eq!(shown.trim(), want, "{name}");
    }
    // the rights of the other, not the caller's own
    let secrets = "GET /api/v1/namespaces/default/secrets";
    for (name, code) in [("jürgen", 403), ("system:serviceaccount:default:default", 403)] {
        let answer = server.ask(Who::Admin, secrets, &[("Impersonate-User", name)], b"").await;
        assert_eq!(answer.code, code, "{name}");
    }
    let latin1 = b"GET /api/v1/secrets HTTP/1.1\r\nHost: a\r\nConnection: close\r\nImpersonate-User: j\xfcrgen\r\n\r\n";
    let mut stream = server.connect(Who::Admin).await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, latin1).await.unwrap();
    assert_eq!(Answer::read(stream).await.code, 400);
}

async fn with_pod(server: &Server) -> (Pod, Secret) {
    let root = server.cluster.acting_as(Actor::root());
    let container = Container { name: "c".into(), image: Some("i".into()), ..Container::default() };
    let mut pod = Pod::default();
    (pod.metadata.name, pod.metadata.namespace) = (Some("p".into()), Some("default".into()));
    pod.spec = Some(PodSpec { containers: vec![container], ..PodSpec::default() });
    let mut secret = Secret::default();
    (secret.metadata.name, secret.metadata.namespace) = (Some("s".into()), Some("default".into()));
    (root.api().create(pod).await.unwrap(), root.api().create(secret).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_bound_to_what_is_there() {
    let server = Server::start().await;
    let (pod, secret) = with_pod(&server).await;
    let uid = pod.metadata.uid.clone().unwrap();
    let bound = |kind: &str, name: &str, uid: &str| json!({"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid}}});
    let cases = [
        ("to nothing", json!({"spec": {}}), 201, ""),
        ("to a pod", bound("Pod", "p", &uid), 201, ""),
        ("to a pod of whatever uid", bound("Pod", "p", ""), 201, ""),
        ("to a secret", bound("Secret", "s", &secret.metadata.uid.unwrap()), 201, ""),
        ("to a pod that is not there", bound("Pod", "q", ""), 404, "pods \"q\" not found"),
        ("to a secret that is not there", bound("Secret", "t", "x"), 404, "secrets \"t\" not found"),
        ("to a node that is not there", bound("Node", "n", "x"), 404, "nodes \"n\" not found"),
        (
            "to a pod that was there before",
            bound("Pod", "p", "other"),
            409,
            "Operation cannot be fulfilled on Pod \"p\": the UID in the bound object reference (other) does not match the UID in record. The object might have been deleted and then recreated",
        ),
        (
            "to something else",
            bound("ConfigMap", "p", ""),
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        ("for a minute", json!({"spec": {"expirationSeconds": 60}}), 422, ""),
        ("for ever", json!({"spec": {"expirationSeconds": i64::MAX}}), 422, ""),
        ("for as long as there is", json!({"spec": {"expirationSeconds": 1_i64 << 32}}), 201, ""),
    ];
    for (name, body, code, message) in cases {
        let answer = post(&server, Who::Admin, TOKEN, &body).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.message());
        assert!(answer.message().contains(message), "{name}: {}", answer.message());
    }
    let answer = post(&server, Who::Admin, TOKEN, &bound("Pod", "p", "")).await.json();
    let token = answer["status"]["token"].as_str().unwrap().to_owned();
    assert_eq!(answer["spec"]["expirationSeconds"], 3600);
    let own = server.cluster.authenticate_token(&token).unwrap();
    assert_eq!(own.extra["authentication.kubernetes.io/pod-uid"], [uid]);
    let root = server.cluster.acting_as(Actor::root());
    let key = api::ObjectKey::namespaced("default", "p");
    root.api::<Pod>()
        .delete(&key, cluster::DeleteOptions { grace_period_seconds: Some(0), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(server.cluster.authenticate_token(&token).unwrap_err().code, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_reviewed_for_those_that_it_is_meant_for() {
    let server = Server::start().await;
    let root = server.cluster.acting_as(Actor::root());
    let token = |audiences: &[&str]| {
        let audiences = audiences.iter().map(|a| (*a).to_owned()).collect();
        let params = TokenRequestParams { audiences, ..TokenRequestParams::default() };
        root.create_token("default", "default", params).unwrap().token
    };
    let (own, vault) = (token(&[]), token(&["vault", "other"]));
    let issuer = "https://issuer";
    let cases = [
        ("ours", &own, json!([]), json!([issuer]), ""),
        ("ours, named", &own, json!(["x", issuer]), json!([issuer]), ""),
        ("somebody's", &vault, json!(["vault"]), json!(["vault"]), ""),
        (
            "somebody's, shown to us",
            &vault,
            json!([]),
            Value::Null,
            "[invalid bearer token, token audiences [\"vault\" \"other\"] is invalid for the target audiences [\"https://issuer\"]]",
        ),
        (
            "ours, shown to somebody",
            &own,
            json!(["vault"]),
            Value::Null,
            "[invalid bearer token, token audiences [\"https://issuer\"] is invalid for the target audiences [\"vault\"]]",
        ),
        ("nobody's", &"nonsense".to_owned(), json!(["vault"]), Value::Null, "invalid bearer token"),
    ];
    for (name, token, audiences, want, error) in cases {
        let body = json!({"spec": {"token": token, "audiences": audiences}});
        let answer = post(&server, Who::Admin, TOKEN_REVIEW, &body).await;
        assert_eq!(answer.code, 201, "{name}: {}", answer.message());
        let status = &answer.json()["status"];
        assert_eq!(status["authenticated"].as_bool(), Some(!want.is_null()), "{name}");
        assert_eq!(status["audiences"], want, "{name}");
        assert_eq!(status["error"].as_str().unwrap_or_default(), error, "{name}");
    }
    let answer = post(&server, Who::Admin, TOKEN_REVIEW, &json!({"spec": {}})).await;
    assert_eq!(
        (answer.code, answer.message().as_str()),
        (400, "token is required for TokenReview in authentication")
    );
    // and a token that is meant for others opens nothing here
    let bearer = [("Authorization", format!("Bearer {vault}"))];
    let bearer: Vec<(&str, &str)> = bearer.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(server.ask(Who::Anonymous, "GET /version", &bearer, b"").await.code, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_review_is_asked_as_upstream_takes_it() {
    let server = Server::start().await;
    let pods = |namespace: &str| json!({"verb": "list", "resource": "pods", "namespace": namespace});
    let masters = json!(["system:masters"]);
    let local = |meta: Value, spec: Value| json!({"apiVersion": "authorization.k8s.io/v1", "kind": "LocalSubjectAccessReview", "metadata": meta, "spec": spec});
    let cases = [
        (
            "in its namespace",
            LOCAL,
            local(json!({}), json!({"groups": masters, "resourceAttributes": pods("default")})),
            201,
            "true",
        ),
        (
            "of somebody",
            LOCAL,
            local(
                json!({"namespace": "default"}),
                json!({"user": "jane", "resourceAttributes": pods("default")}),
            ),
            201,
            "false",
        ),
        (
            "in another namespace",
            LOCAL,
            local(json!({}), json!({"groups": masters, "resourceAttributes": pods("kube-system")})),
            422,
            "spec.resourceAttributes.namespace: Invalid value: \"kube-system\": must match metadata.namespace",
        ),
        (
            "in all namespaces",
            LOCAL,
            local(json!({}), json!({"groups": masters, "resourceAttributes": pods("")})),
            422,
            "must match metadata.namespace",
        ),
        (
            "of another path",
            LOCAL,
            local(
                json!({"namespace": "kube-system"}),
                json!({"groups": masters, "resourceAttributes": pods("kube-system")}),
            ),
            400,
            "does not match the namespace",
        ),
        (
            "of a path",
            LOCAL,
            local(json!({}), json!({"user": "jane", "nonResourceAttributes": {"path": "/", "verb": "get"}})),
            422,
            "disallowed on this kind of request",
        ),
        (
            "of nobody",
            ACCESS,
            json!({"spec": {"resourceAttributes": pods("default")}}),
            422,
            "at least one of user or group must be specified",
        ),
        (
            "of nothing",
            OWN,
            json!({"spec": {}}),
            422,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        (
            "of two things",
            OWN,
            json!({"spec": {"resourceAttributes": pods(""), "nonResourceAttributes": {}}}),
            422,
            "cannot be specified in combination with resourceAttributes",
        ),
        (
            "with a name",
            OWN,
            json!({"metadata": {"name": "a"}, "spec": {"resourceAttributes": pods("")}}),
            422,
            "must be empty",
        ),
        ("of oneself", OWN, json!({"spec": {"resourceAttributes": pods("")}}), 201, "true"),
        (
            "of a group",
            ACCESS,
            json!({"spec": {"groups": masters, "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}}),
            201,
            "true",
        ),
    ];
    for (name, path, body, code, want) in cases {
        let answer = post(&server, Who::Admin, path, &body).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.message());
        match answer.json()["status"]["allowed"].as_bool() {
            Some(allowed) => assert_eq!(allowed.to_string(), want, "{name}"),
            None => assert!(answer.message().contains(want), "{name}: {}", answer.message()),
        }
    }
    // what is not stored has no columns
    let table =
        [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), ("Content-Type", "application/json")];
    for path in [OWN, LOCAL, TOKEN, TOKEN_REVIEW] {
        let answer = server.ask(Who::Admin, &format!("POST {path}"), &table, b"{\"spec\":{}}").await;
        assert_eq!(answer.code, 406, "{path}");
    }
}
