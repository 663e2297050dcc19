//! Webhooks that decide who may do what: one question, tried again while there is time, and its answer, which is good for a while.

use crate::client_tls::{self, ClientIdentity, Trust};
use crate::exchange::ask;
use ::authorization::{Answer, Answers, Connection, Ruling, Webhook};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::{AccessWebhook, Decision, Verdict};
use http::{HeaderValue, Method, Uri, header};
use http_body_util::Full;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Before a question is tried again; it grows by half each time, as upstream's does.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// One that is asked over HTTPS.
pub struct AccessWebhookClient {
    webhook: Webhook,
    answers: Answers,
    uri: Uri,
    /// Whom the certificate must be for.
    host: String,
    tls: Arc<ClientConfig>,
    token: Option<HeaderValue>,
}

/// Whether it helps to ask again.
enum Failure {
    Passing(String),
    Lasting(String),
}

impl AccessWebhookClient {
    /// # Errors
    /// In words: an address or certificates that are none.
    pub fn new(webhook: Webhook, connection: Connection) -> Result<Self, String> {
        let Connection { url, certificate_authority, tls_server_name, is_insecure, certificate, token } =
            connection;
        let uri: Uri = url.parse().map_err(|why: http::uri::InvalidUri| format!("{url}: {why}"))?;
        let identity = certificate
            .map(|pair| ClientIdentity { certificate_pem: pair.certificate_pem, key_pem: pair.key_pem });
        let trust = if is_insecure { Trust::Anyone } else { Trust::Bundle(&certificate_authority) };
        let tls = client_tls::config(&trust, identity.as_ref())?;
        let token = token.map(|token| HeaderValue::try_from(format!("Bearer {token}")));
        let mut token = token.transpose().map_err(|_| "the token is none".to_owned())?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        let host = tls_server_name.unwrap_or_else(|| host_of(&uri));
        Ok(AccessWebhookClient { webhook, answers: Answers::default(), uri, host, tls, token })
    }

    async fn answer(&self, review: Vec<u8>) -> Result<Answer, String> {
        let review = Bytes::from(review);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.exchange(review.clone()).await {
                Ok(body) => return self.webhook.answer(&body),
                Err(Failure::Lasting(why)) => return Err(why),
                Err(Failure::Passing(why)) => {
                    tracing::debug!(webhook = self.webhook.name, %why, "asked again")
                }
            }
            sleep(pause).await;
            pause = pause * 3 / 2;
        }
    }

    async fn exchange(&self, review: Bytes) -> Result<Bytes, Failure> {
        let told = |why: String| format!("Post {:?}: {why}", self.uri.to_string());
        let lasting = |why: String| Failure::Lasting(told(why));
        let stream = client_tls::dial(&host_of(&self.uri), self.uri.port_u16().unwrap_or(443)).await;
        let stream = stream.map_err(|why| Failure::Passing(told(why)))?;
        let stream = client_tls::connect(stream, self.tls.clone(), &self.host).await.map_err(lasting)?;
        let mut request = http::Request::builder()
            .method(Method::POST)
            .uri(self.uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, self.uri.authority().map_or("", |authority| authority.as_str()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, */*")
            .body(Full::new(review))
            .map_err(|why| lasting(why.to_string()))?;
        if let Some(token) = &self.token {
            request.headers_mut().insert(header::AUTHORIZATION, token.clone());
        }
        match ask(stream, request).await {
            Ok((status, body)) if status.is_success() => Ok(body),
            Ok((status, _)) if status.is_server_error() || status.as_u16() == 429 => {
                Err(Failure::Passing(told(format!("it answers {status}"))))
            }
            Ok((status, _)) => Err(lasting(format!("it answers {status}"))),
            Err(why) => Err(Failure::Passing(told(why))),
        }
    }

    fn failed(&self, why: String) -> Decision {
        tracing::warn!(webhook = self.webhook.name, %why, "an authorisation webhook did not decide");
        let verdict = if self.webhook.denies_on_failure { Verdict::Deny } else { Verdict::NoOpinion };
        Decision { verdict, reason: Arc::default(), error: Some(why) }
    }
}

#[async_trait]
impl AccessWebhook for AccessWebhookClient {
    async fn decide(&self, question: &SubjectAccessReviewSpec) -> Decision {
        match self.webhook.wants(question) {
            Ok(true) => {}
            Ok(false) => return Decision::default(),
            Err(why) => return self.failed(why),
        }
        let review = self.webhook.review(question);
        if let Some(known) = self.answers.known(&review, Instant::now()) {
            return decision(known);
        }
        let answer = timeout(self.webhook.timeout, self.answer(review.clone())).await;
        match answer.unwrap_or_else(|_| Err("context deadline exceeded".to_owned())) {
            Ok(answer) => {
                if let Some(good_for) = self.webhook.good_for(&answer) {
                    self.answers.keep(review, &answer, good_for, Instant::now());
                }
                decision(answer)
            }
            Err(why) => self.failed(why),
        }
    }
}

fn decision(answer: Answer) -> Decision {
    let verdict = match answer.ruling {
        Ruling::Allow => Verdict::Allow,
        Ruling::Deny => Verdict::Deny,
        Ruling::NoOpinion => Verdict::NoOpinion,
    };
    Decision { verdict, reason: answer.reason.into(), error: None }
}

fn host_of(uri: &Uri) -> String {
    uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned()
}
