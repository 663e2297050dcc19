//! Whose word a registry's certificate needs.

use crate::error::{ImageError, Result};
use crate::registries::Registries;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// TLS towards `host`, as the settings and the machine's own authorities have it.
pub(super) fn tls(registries: &Registries, host: &str) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = match registries.is_insecure(host) {
        true => Trust::Anyone,
        false => authorities(registries, host, &provider)?,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| ImageError::io("set up TLS", e))?;
    let verifier = Arc::new(Verifier { trust, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn authorities(registries: &Registries, host: &str, provider: &Arc<CryptoProvider>) -> Result<Trust> {
    let what = || format!("read the CA file of {host}");
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut named = Vec::new();
    if let Some(pem) = registries.authorities(host)? {
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|e| ImageError::io(what(), e))?;
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
    provider: Arc<CryptoProvider>,
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
            Trust::Anyone => Ok(ServerCertVerified::assertion()),
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
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
