//! Webhooks that decide who may do what, beside RBAC.

mod common;

use apiserver::AccessWebhookClient;
use authorization::{Configuration, Connection};
use cluster::Authorizer;
use common::{Answer, Server, Who};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Decides by a function of the review's spec: a status, or nothing at all.
struct Webhook {
    url: String,
    certificate_pem: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    async fn start(decide: fn(&Value) -> Option<Value>) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("https://localhost:{}/authorize", listener.local_addr().unwrap().port());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let webhook = Webhook { url, certificate_pem: certificate.pem(), asked: asked.clone() };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut sent = Vec::new();
                let review: Value = loop {
                    let mut part = [0; 4096];
                    let read = stream.read(&mut part).await.unwrap_or(0);
                    sent.extend_from_slice(&part[..read]);
                    let text = String::from_utf8_lossy(&sent);
                    let body =
                        text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                    match (body, read) {
                        (Some(body), _) => break body,
                        (None, 0) => break Value::Null,
                        _ => {}
                    }
                };
                asked.lock().unwrap().push(review["spec"].clone());
                let answer = match decide(&review["spec"]) {
                    Some(status) => {
                        let body = json!({"status": status}).to_string();
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                    }
                    None => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_owned(),
                };
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        webhook
    }

    /// Asked before RBAC; `more` are fields of the webhook.
    fn before_rbac(&self, failure_policy: &str, more: &str) -> Vec<Authorizer> {
        let file = format!(
            "apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- type: Webhook
  name: w
  webhook:
    timeout: 3s
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: {failure_policy}
    connectionInfo: {{type: KubeConfigFile, kubeConfigFile: /w}}
    {more}
"
        );
        let mut all = Vec::new();
        for authorizer in Configuration::parse(&file).unwrap().authorizers {
            let authorization::Authorizer::Webhook(webhook) = authorizer else { continue };
            let connection = Connection {
                url: self.url.clone(),
                certificate_authority: self.certificate_pem.clone().into_bytes(),
                ..Connection::default()
            };
            let client = AccessWebhookClient::new(*webhook, connection).unwrap();
            all.push(Authorizer::Webhook(Arc::new(client)));
        }
        all.push(Authorizer::Rbac);
        all
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn ask(server: &Server, path: &str, who: Who) -> Answer {
    server.ask(who, &format!("GET {path}"), &[], b"").await
}

async fn get(server: &Server, path: &str) -> Answer {
    ask(server, path, Who::Nobody).await
}

/// Whether it is about this namespace.
fn of(spec: &Value, namespace: &str) -> bool {
    spec["resourceAttributes"]["namespace"] == namespace
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_allows_and_denies_before_rbac_is_asked() {
    let webhook = Webhook::start(|spec| {
        Some(match () {
            () if of(spec, "default") => json!({"allowed": true}),
            () if of(spec, "closed") => json!({"allowed": false, "denied": true, "reason": "not today"}),
            () => json!({"allowed": false, "reason": "no idea"}),
        })
    })
    .await;
    let server = Server::start().await;
    server.cluster.authorize_by(webhook.before_rbac("NoOpinion", ""));
    assert_eq!(get(&server, "/api/v1/namespaces/default/configmaps").await.code, 200);
    let denied = get(&server, "/api/v1/namespaces/closed/configmaps").await;
    assert_eq!(denied.code, 403);
    let message = denied.message();
    assert!(message.ends_with("in API group \"\" in the namespace \"closed\": not today"), "{message}");
    let unknown = get(&server, "/api/v1/namespaces/other/configmaps").await;
    assert_eq!(unknown.code, 403);
    assert!(unknown.message().ends_with(": no idea"), "{}", unknown.message());
    // RBAC allows it to everybody who is known
    assert_eq!(get(&server, "/version").await.code, 200);
    let first = webhook.asked.lock().unwrap()[0].clone();
    assert_eq!(
        first["resourceAttributes"],
        json!({"namespace": "default", "verb": "list", "version": "v1", "resource": "configmaps"})
    );
    assert!(first["groups"].as_array().unwrap().contains(&json!("system:authenticated")), "{first}");
    // the answers are known now; an administrator is not asked about
    let asked = webhook.asked();
    get(&server, "/api/v1/namespaces/default/configmaps").await;
    assert_eq!(ask(&server, "/api/v1/namespaces/closed/configmaps", Who::Admin).await.code, 200);
    assert_eq!(webhook.asked(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_forbids_nothing_that_others_allow_unless_it_shall() {
    let webhook = Webhook::start(|_| None).await;
    for (policy, of_everybody, of_nobody) in [("NoOpinion", 200, 500), ("Deny", 500, 500)] {
        let server = Server::start().await;
        server.cluster.authorize_by(webhook.before_rbac(policy, ""));
        assert_eq!(get(&server, "/version").await.code, of_everybody, "{policy}");
        let path = "/api/v1/namespaces/default/secrets";
        assert_eq!(get(&server, path).await.code, of_nobody, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_conditions_leave_out_it_is_not_asked() {
    let webhook = Webhook::start(|_| Some(json!({"allowed": true}))).await;
    let server = Server::start().await;
    let conditions = "matchConditions: [{expression: \"has(request.resourceAttributes) && request.resourceAttributes.namespace == 'default'\"}]";
    server.cluster.authorize_by(webhook.before_rbac("Deny", conditions));
    assert_eq!(get(&server, "/api/v1/namespaces/default/configmaps").await.code, 200);
    let asked = webhook.asked();
    assert!(asked > 0);
    assert_eq!(get(&server, "/api/v1/namespaces/other/configmaps").await.code, 403);
    assert_eq!(get(&server, "/version").await.code, 200);
    assert_eq!(webhook.asked(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_told_what_is_selected() {
    // the pods of the node n1, and nothing else
    let webhook = Webhook::start(|spec| {
        let resource = &spec["resourceAttributes"];
        let of_node = json!([{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]);
        let is_allowed =
            resource["resource"] == "pods" && resource["fieldSelector"]["requirements"] == of_node;
        Some(json!({"allowed": is_allowed}))
    })
    .await;
    let server = Server::start().await;
    let conditions = "matchConditions: [{expression: \"has(request.resourceAttributes) && has(request.resourceAttributes.fieldSelector)\"}]";
    server.cluster.authorize_by(webhook.before_rbac("Deny", conditions));
    let pods = "/api/v1/namespaces/default/pods";
    for (query, code) in [
        ("", 403),
        ("?fieldSelector=spec.nodeName%3Dn1", 200),
        ("?fieldSelector=spec.nodeName%3Dn1&watch=true&timeoutSeconds=1", 200),
        ("?watch=true&timeoutSeconds=1", 403),
        ("?fieldSelector=spec.nodeName%3Dn2", 403),
        ("?fieldSelector=spec.nodeName!%3Dn1", 403),
        // less than what is allowed; but the webhook knows only what it compares
        ("?fieldSelector=spec.nodeName%3Dn1,status.phase%3DFailed", 403),
        ("?labelSelector=app", 403),
        // what can not be read selects nothing
        ("?fieldSelector=spec.nodeName", 403),
    ] {
        assert_eq!(get(&server, &format!("{pods}{query}")).await.code, code, "{query}");
    }
    // nobody measures here, which is said to whoever may ask
    let metrics = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
    for (query, code) in [("", 403), ("?fieldSelector=spec.nodeName%3Dn1", 503)] {
        assert_eq!(get(&server, &format!("{metrics}{query}")).await.code, code, "{metrics}{query}");
    }
    let delete = |query: &str| format!("DELETE {pods}?{query}");
    let selected = delete("fieldSelector=spec.nodeName%3Dn1&labelSelector=app%20in%20(web,db),!old");
    assert_eq!(server.ask(Who::Nobody, &selected, &[], b"").await.code, 200);
    assert_eq!(server.ask(Who::Nobody, &delete("labelSelector=app"), &[], b"").await.code, 403);
    let asked = webhook.asked.lock().unwrap().clone();
    let told: Vec<&Value> = asked.iter().map(|spec| &spec["resourceAttributes"]).collect();
    assert!(told.iter().all(|asked| asked["fieldSelector"].is_object()), "its conditions say so: {told:?}");
    let deletion = told.iter().find(|asked| asked["verb"] == "deletecollection").unwrap();
    let labels = json!([{"key": "app", "operator": "In", "values": ["db", "web"]}, {"key": "old", "operator": "DoesNotExist"}]);
    assert_eq!(deletion["labelSelector"], json!({"requirements": labels}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_reviews_ask_with_selectors() {
    let webhook = Webhook::start(|spec| {
        let of_node = json!([{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]);
        Some(json!({"allowed": spec["resourceAttributes"]["fieldSelector"]["requirements"] == of_node}))
    })
    .await;
    let server = Server::start().await;
    server.cluster.authorize_by(webhook.before_rbac("Deny", ""));
    let review = async |selector: Value| {
        let asked = json!({"verb": "list", "resource": "pods", "fieldSelector": selector});
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        server.post(Who::Nobody, path, "application/json", review.to_string().as_bytes()).await
    };
    let requirement = |operator: &str, values: &[&str]| json!({"key": "spec.nodeName", "operator": operator, "values": values});
    let ignored = "spec.resourceAttributes.fieldSelector ignored due to parse error";
    let partially = "spec.resourceAttributes.fieldSelector partially ignored due to parse error";
    for (name, selector, want, error) in [
        ("none", Value::Null, false, ""),
        ("a text", json!({"rawSelector": "spec.nodeName=n1"}), true, ""),
        ("a requirement", json!({"requirements": [requirement("In", &["n1"])]}), true, ""),
        ("another", json!({"requirements": [requirement("NotIn", &["n1"])]}), false, ""),
        (
            "one that is not understood",
            json!({"requirements": [requirement("Near", &["n1"])]}),
            false,
            ignored,
        ),
        (
            "one that is, and one that is not",
            json!({"requirements": [requirement("In", &["n1"]), requirement("Exists", &[])]}),
            true,
            partially,
        ),
        ("a text that says nothing", json!({"rawSelector": "what"}), false, ignored),
    ] {
        let answer = review(selector).await;
        let status = &answer.json()["status"];
        assert_eq!((answer.code, &status["allowed"]), (201, &json!(want)), "{name}: {}", answer.body);
        assert_eq!(status["evaluationError"].as_str().unwrap_or_default(), error, "{name}");
    }
    let refused = review(json!({})).await;
    assert_eq!(refused.code, 422, "{}", refused.body);
    let why = "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required";
    assert!(refused.message().contains(why), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_asked_from_the_next_question_on() {
    let webhook = Webhook::start(|_| Some(json!({"allowed": true}))).await;
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/secrets";
    for (name, authorizers, code) in [
        ("a webhook", webhook.before_rbac("Deny", ""), 200),
        ("RBAC", vec![Authorizer::Rbac], 403),
        ("everything", vec![Authorizer::AlwaysAllow], 200),
        ("nothing", vec![Authorizer::AlwaysDeny], 403),
    ] {
        server.cluster.authorize_by(authorizers);
        assert_eq!(get(&server, path).await.code, code, "{name}");
    }
}
