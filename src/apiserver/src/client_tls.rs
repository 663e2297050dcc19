//! TLS to servers that the API server asks: webhooks and extension API servers. Who is there must have a certificate of the
//! authority that was named, and for the name that is asked.

use crate::own_authority::OrOneOf;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io::{self, ErrorKind};
use std::sync::{Arc, LazyLock};
use tls::AnyCertificate;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// For those who bring no authority along: the machine's.
static SYSTEM_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        let _ = roots.add(certificate);
    }
    Arc::new(roots)
});

/// Whom to believe.
pub(crate) enum Trust<'b> {
    /// PEM; the machine's authorities where it is empty.
    Bundle(&'b [u8]),
    Anyone,
}

/// What the API server shows of itself.
#[derive(Clone)]
pub struct ClientIdentity {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientIdentity(redacted)")
    }
}

/// # Errors
/// In words: certificates that are none.
pub(crate) fn config(
    trust: &Trust<'_>,
    identity: Option<&ClientIdentity>,
) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Anyone => Arc::new(AnyCertificate::new(provider.clone())),
        Trust::Bundle(bundle) => {
            let roots = if bundle.is_empty() { SYSTEM_ROOTS.clone() } else { Arc::new(authority(bundle)?) };
            let usual = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            let usual = usual.map_err(|why| why.to_string())?;
            let bundle = CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok).collect();
            Arc::new(OrOneOf { usual, bundle })
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes());
            let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|why| why.to_string())?;
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
            let key = key.map_err(|why| why.to_string())?;
            builder.with_client_auth_cert(chain, key).map_err(|why| why.to_string())?
        }
    };
    Ok(Arc::new(config))
}

/// # Errors
/// In the words of Go's client.
pub(crate) async fn connect(
    stream: TcpStream,
    config: Arc<ClientConfig>,
    host: &str,
) -> Result<TlsStream<TcpStream>, String> {
    let _ = stream.set_nodelay(true);
    let name = ServerName::try_from(host.to_owned()).map_err(|why| why.to_string())?;
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|why| untrusted(&why, host))
}

/// # Errors
/// In the words of Go's dialer.
pub(crate) async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((host, port)).await.map_err(|why| dialed(&format!("{host}:{port}"), &why))
}

/// In the words of Go's dialer, which people look for.
pub(crate) fn dialed(address: &str, why: &io::Error) -> String {
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
