//! The way to a webhook and back: TLS that is verified, one POST, one answer. Where a Service is named, a ready endpoint of it
//! is asked, under the Service's name; a connection is made for each question and not kept.
//!
//! Whoever asks limits the time, and says what the answer means.

use crate::client_tls::{self, Trust, config, dialed};
use crate::exchange::ask;
use crate::proxy::behind_service;
use api::Status;
use async_trait::async_trait;
use bytes::Bytes;
use cluster::{Actor, Cluster, WebhookCaller};
use http::{Method, StatusCode, Uri, header};
use http_body_util::Full;
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Asks webhooks over HTTPS.
pub struct WebhookClient;

#[async_trait]
impl WebhookCaller for WebhookClient {
    async fn post(
        &self,
        cluster: &Cluster,
        client: &WebhookClientConfig,
        url: &str,
        review: Vec<u8>,
    ) -> Result<Bytes, String> {
        let uri: Uri = url.parse().map_err(|why: http::uri::InvalidUri| why.to_string())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let stream = match &client.service {
            Some(service) => {
                let port = service.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(443);
                let root = cluster.acting_as(Actor::root());
                let address = behind_service(&root, &service.namespace, &service.name, port);
                let address = address.map_err(|why: Status| why.message)?;
                TcpStream::connect(address).await.map_err(|why| dialed(&address.to_string(), &why))?
            }
            None => client_tls::dial(&host, uri.port_u16().unwrap_or(443)).await?,
        };
        let bundle = client.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice()).unwrap_or_default();
        let stream = client_tls::connect(stream, config(&Trust::Bundle(bundle), None)?, &host).await?;
        exchange(stream, &uri, review).await
    }
}

async fn exchange(stream: TlsStream<TcpStream>, uri: &Uri, review: Vec<u8>) -> Result<Bytes, String> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = http::Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, */*")
        .header(header::USER_AGENT, "kube-apiserver-admission")
        .body(Full::new(Bytes::from(review)))
        .map_err(|why| why.to_string())?;
    let (status, body) = ask(stream, request).await?;
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::NOT_FOUND => Err("the server could not find the requested resource".to_owned()),
        status if status.is_server_error() => {
            let told = String::from_utf8_lossy(&body[..body.len().min(1024)]).trim().to_owned();
            Err(format!("an error on the server ({told:?}) has prevented the request from succeeding"))
        }
        status => Err(format!("the server rejected our request for an unknown reason ({})", status.as_u16())),
    }
}
