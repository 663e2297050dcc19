//! Whose word a registry's certificate needs.

use crate::error::{ImageError, Result};
use crate::registries::{Certificates, Registries};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;
use tls::AnyCertificate;

/// TLS as it goes with the registry at `host`. `shows_itself`: towards the registry, which may want a certificate of this
/// machine; where it sends us on is told nothing of who we are.
pub(super) fn tls(registries: &Registries, host: &str, shows_itself: bool) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = registries.certificates(host)?;
    let trust = match registries.is_insecure(host) {
        true => Trust::Anyone,
        false => authorities(&certificates, host, &provider)?,
    };
    let any = AnyCertificate::new(provider.clone());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ImageError::io("set up TLS", e))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { trust, any }));
    let Some((certificate, key)) = certificates.identity.filter(|_| shows_itself) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = read_certificates(&certificate)?;
    let key_of = |e: &dyn std::fmt::Display| ImageError::io(format!("read the key {}", key.display()), e);
    let secret = PrivateKeyDer::from_pem_file(&key).map_err(|e| key_of(&e))?;
    builder.with_client_auth_cert(chain, secret).map_err(|e| key_of(&e))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = |e| ImageError::io(format!("read the certificates {}", file.display()), e);
    CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(failed)
}

fn authorities(certificates: &Certificates, host: &str, provider: &Arc<CryptoProvider>) -> Result<Trust> {
    let what = || format!("read the CA file of {host}");
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut named = Vec::new();
    for file in &certificates.authorities {
        for certificate in read_certificates(file)? {
            roots.add(certificate.clone()).map_err(|e| ImageError::io(what(), e))?;
            named.push(certificate);
        }
    }
    if roots.is_empty() {
        // a machine without a store of authorities: nobody's word counts
        return Ok(Trust::Nobody);
    }
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    Ok(Trust::Authorities { chains: chains.map_err(|e| ImageError::io("set up TLS", e))?, named })
}

#[derive(Debug)]
enum Trust {
    /// For registries that the settings call insecure: encryption without knowing to whom, as Docker does it there.
    Anyone,
    Nobody,
    Authorities {
        chains: Arc<WebPkiServerVerifier>,
        /// Those that the user named for this registry. One of them may be the registry's own certificate, which signed
        /// itself: everybody makes them so with `openssl req -x509`, and Go's clients take them.
        named: Vec<CertificateDer<'static>>,
    },
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    /// Proves that the server has the key to its certificate, whoever trusts that.
    any: AnyCertificate,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.trust {
            Trust::Anyone => self.any.verify_server_cert(certificate, intermediates, name, ocsp, now),
            Trust::Nobody => Err(CertificateError::UnknownIssuer.into()),
            Trust::Authorities { named, .. } if named.contains(certificate) => {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            Trust::Authorities { chains, .. } => {
                chains.verify_server_cert(certificate, intermediates, name, ocsp, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.any.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.any.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.any.supported_verify_schemes()
    }
}
