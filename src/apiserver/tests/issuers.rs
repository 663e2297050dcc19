//! Tokens of OpenID Connect issuers beside the cluster's own.

mod common;

use authentication::Configuration;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Answer, Server, Who};
use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Signer(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap())
    }

    fn keys(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y}]})
    }

    fn token(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "ES256"})), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Answers discovery, and with these keys.
struct Issuer {
    url: String,
    certificate_pem: String,
    keys: Arc<Mutex<Value>>,
    asked: Arc<Mutex<usize>>,
    /// Before each answer.
    pause: Arc<Mutex<Duration>>,
}

impl Issuer {
    async fn start(keys: Value) -> Self {
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
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (keys, asked) = (Arc::new(Mutex::new(keys)), Arc::new(Mutex::new(0)));
        let pause = Arc::new(Mutex::new(Duration::ZERO));
        let issuer = Issuer { url: url.clone(), certificate_pem: certificate.pem(), keys, asked, pause };
        let (keys, asked, pause) = (issuer.keys.clone(), issuer.asked.clone(), issuer.pause.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let pause = *pause.lock().unwrap();
                tokio::time::sleep(pause).await;
                let is_keys = String::from_utf8_lossy(&head[..read]).starts_with("GET /keys ");
                let body = match is_keys {
                    true => {
                        *asked.lock().unwrap() += 1;
                        keys.lock().unwrap().to_string()
                    }
                    false => json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string(),
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        issuer
    }

    fn configuration(&self, more: &str) -> Configuration {
        let authority = self.certificate_pem.replace('\n', "\n      ");
        let text = format!(
            "apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: {}
    audiences: [monopod]
    certificateAuthority: |
      {authority}
  claimMappings:
    username: {{claim: sub, prefix: 'oidc:'}}
    groups: {{claim: groups, prefix: 'oidc:'}}
{more}",
            self.url
        );
        Configuration::parse(&text).unwrap()
    }

    fn claims(&self) -> Value {
        let expires = jiff::Timestamp::now().as_second() + 600;
        json!({"iss": self.url, "aud": "monopod", "exp": expires, "sub": "jane", "groups": ["dev"]})
    }
}

async fn whoami(server: &Server, token: &str) -> Answer {
    let headers = [("Authorization", &*format!("Bearer {token}")), ("Content-Type", "application/json")];
    let body = br#"{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}"#;
    server.ask(Who::Anonymous, "POST /apis/authentication.k8s.io/v1/selfsubjectreviews", &headers, body).await
}

#[tokio::test]
async fn a_token_of_an_issuer_says_who_somebody_is() {
    let signer = Signer::new();
    let issuer = Issuer::start(signer.keys()).await;
    let server = Server::with(None, issuer.configuration(""), None).await;
    let token = signer.token(&issuer.claims());
    let answer = whoami(&server, &token).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
    let user = &answer.json()["status"]["userInfo"];
    assert_eq!(*user, json!({"username": "oidc:jane", "groups": ["oidc:dev", "system:authenticated"]}));
    whoami(&server, &token).await;
    assert_eq!(*issuer.asked.lock().unwrap(), 1, "keys are fetched once");
    // a token that nobody signed whom we know has them fetched again, though not each time
    let stranger = Signer::new();
    for _ in 0..3 {
        assert_eq!(whoami(&server, &stranger.token(&issuer.claims())).await.code, 401);
    }
    assert_eq!(*issuer.asked.lock().unwrap(), 1, "not a moment after the last time");
    let review =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let reviewed =
        server.post(Who::Admin, path, "application/json", review.to_string().as_bytes()).await.json();
    assert_eq!(reviewed["status"]["user"]["username"], "oidc:jane", "{reviewed}");
    let mut others = issuer.claims();
    others["iss"] = "https://localhost:1".into();
    assert_eq!(whoami(&server, &signer.token(&others)).await.code, 401);
}

#[tokio::test(flavor = "current_thread")]
async fn keys_that_change_are_fetched_again() {
    let (signer, next) = (Signer::new(), Signer::new());
    let issuer = Issuer::start(signer.keys()).await;
    let server = Server::with(None, issuer.configuration(""), None).await;
    assert_eq!(whoami(&server, &signer.token(&issuer.claims())).await.code, 201);
    *issuer.keys.lock().unwrap() = next.keys();
    // later than the least time between two questions
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    assert_eq!(whoami(&server, &next.token(&issuer.claims())).await.code, 201);
    assert_eq!(whoami(&server, &signer.token(&issuer.claims())).await.code, 401);
}

/// A read, which ends with its client.
async fn read(server: &Server, token: &str) -> Answer {
    server.ask(Who::Anonymous, "GET /version", &[("Authorization", &*format!("Bearer {token}"))], b"").await
}

#[tokio::test]
async fn a_stranger_who_hangs_up_keeps_nobodys_keys_from_being_fetched() {
    let signer = Signer::new();
    let issuer = Issuer::start(signer.keys()).await;
    *issuer.pause.lock().unwrap() = Duration::from_secs(1);
    let server = Server::with(None, issuer.configuration(""), None).await;
    let forged = Signer::new().token(&issuer.claims());
    let hangs_up = tokio::time::timeout(Duration::from_millis(500), read(&server, &forged)).await;
    assert!(hangs_up.is_err(), "the issuer has not answered yet");
    assert_eq!(whoami(&server, &signer.token(&issuer.claims())).await.code, 201);
    assert_eq!(*issuer.asked.lock().unwrap(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn who_has_a_known_key_waits_for_no_strangers_token() {
    let signer = Signer::new();
    let issuer = Issuer::start(signer.keys()).await;
    let server = Server::with(None, issuer.configuration(""), None).await;
    let token = signer.token(&issuer.claims());
    assert_eq!(read(&server, &token).await.code, 200);
    // the issuer is slow by now, and may be asked again
    *issuer.pause.lock().unwrap() = Duration::from_secs(3);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    let forged = Signer::new().token(&issuer.claims());
    let known = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        read(&server, &token).await
    };
    tokio::select! {
        answer = known => assert_eq!(answer.code, 200),
        answer = read(&server, &forged) => panic!("the stranger is answered first: {}", answer.code),
    }
}

#[tokio::test]
async fn nobody_is_anonymous_where_the_file_says_so() {
    let issuer = Issuer::start(json!({"keys": []})).await;
    let more = "anonymous: {enabled: true, conditions: [{path: /livez}]}\n";
    let server = Server::with(None, issuer.configuration(more), None).await;
    assert_eq!(server.ask(Who::Anonymous, "GET /livez", &[], b"").await.code, 200);
    assert_eq!(server.ask(Who::Anonymous, "GET /version", &[], b"").await.code, 401);
    assert_eq!(server.ask(Who::Admin, "GET /version", &[], b"").await.code, 200);
}

#[tokio::test]
async fn others_are_believed_when_the_file_says_so() {
    let signer = Signer::new();
    let issuer = Issuer::start(signer.keys()).await;
    let server = Server::start().await;
    let token = signer.token(&issuer.claims());
    assert_eq!(whoami(&server, &token).await.code, 401);
    server.authenticate_by(issuer.configuration("anonymous: {enabled: false}\n"));
    assert_eq!(whoami(&server, &token).await.code, 201);
    assert_eq!(server.ask(Who::Anonymous, "GET /livez", &[], b"").await.code, 401);
    server.authenticate_by(Configuration::default());
    assert_eq!(whoami(&server, &token).await.code, 401);
    assert_eq!(server.ask(Who::Anonymous, "GET /livez", &[], b"").await.code, 200);
}

#[tokio::test]
async fn keys_stay_known_when_the_file_changes_elsewhere() {
    let signer = Signer::new();
    let issuer = Issuer::start(signer.keys()).await;
    let server = Server::with(None, issuer.configuration(""), None).await;
    let token = signer.token(&issuer.claims());
    assert_eq!(whoami(&server, &token).await.code, 201);
    // it has no keys any more, which nobody hears of as long as it is not asked
    *issuer.keys.lock().unwrap() = json!({"keys": []});
    let others = issuer.configuration("anonymous: {enabled: false}\n");
    server.authenticate_by(others);
    assert_eq!(whoami(&server, &token).await.code, 201);
    assert_eq!(*issuer.asked.lock().unwrap(), 1, "its keys are known");
    // who comes again is a new one
    server.authenticate_by(Configuration::default());
    server.authenticate_by(issuer.configuration(""));
    assert_eq!(whoami(&server, &token).await.code, 401);
    assert_eq!(*issuer.asked.lock().unwrap(), 2);
}
