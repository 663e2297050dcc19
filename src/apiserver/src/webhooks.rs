//! The way to a webhook and back: TLS that is verified, one POST, one answer. Where a Service is named, a ready endpoint of it
//! is asked, under the Service's name; a connection is made for each question and not kept.
//!
//! Whoever asks limits the time, and says what the answer means.

use crate::proxy::behind_service;
use api::Status;
use async_trait::async_trait;
use bytes::Bytes;
use cluster::{Actor, Cluster, WebhookCaller};
use http::{Method, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::{self, ErrorKind};
use std::sync::{Arc, LazyLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An answer repeats the object at most, as a patch: twice what an object may be, and some.
const LARGEST_ANSWER: usize = 8 << 20;

/// For webhooks that bring no authority along: the machine's.
static SYSTEM_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        let _ = roots.add(certificate);
    }
    Arc::new(roots)
});

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
            None => {
                let port = uri.port_u16().unwrap_or(443);
                let address = format!("{host}:{port}");
                let connected = TcpStream::connect((host.as_str(), port)).await;
                connected.map_err(|why| dialed(&address, &why))?
            }
        };
        let bundle = client.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice()).unwrap_or_default();
        let stream = secured(stream, &host, bundle).await?;
        exchange(stream, &uri, review).await
    }
}

/// In the words of Go's dialer, which people look for.
fn dialed(address: &str, why: &io::Error) -> String {
    let why = match why.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        ErrorKind::TimedOut => "connect: connection timed out".to_owned(),
        _ => why.to_string(),
    };
    format!("dial tcp {address}: {why}")
}

/// The certificate must be one of the webhook's own authority, and for the name that is asked.
async fn secured(stream: TcpStream, host: &str, bundle: &[u8]) -> Result<TlsStream<TcpStream>, String> {
    let _ = stream.set_nodelay(true);
    let roots = if bundle.is_empty() { SYSTEM_ROOTS.clone() } else { Arc::new(authority(bundle)?) };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|why| why.to_string())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|why| why.to_string())?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|why| untrusted(&why, host))
}

fn authority(bundle: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.is_empty() { Err(unusable()) } else { Ok(roots) }
}

fn unusable() -> String {
    "unable to load root certificates: unable to parse bytes as PEM block".to_owned()
}

/// In Go's words: charts' documentation says what to do about them.
fn untrusted(why: &io::Error, host: &str) -> String {
    let cause = why.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let told = match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "x509: certificate signed by unknown authority".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("x509: certificate is not valid for {host}"),
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "x509: certificate has expired or is not yet valid".to_owned(),
        _ => return why.to_string(),
    };
    format!("tls: failed to verify certificate: {told}")
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
    let words =
        |why: hyper::Error| if why.is_incomplete_message() { "EOF".to_owned() } else { why.to_string() };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    // ends with the answer, or when nobody waits for it any more
    let connection = tokio::spawn(connection);
    let _ended = Ended(connection.abort_handle());
    let answer = sender.send_request(request).await.map_err(words)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
    let body = body.map_err(|why| why.to_string())?.to_bytes();
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

struct Ended(tokio::task::AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}
