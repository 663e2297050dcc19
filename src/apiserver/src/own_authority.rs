//! Servers whose certificate is its own authority: what `openssl req -x509` makes, and many a webhook's instructions ask for. It is
//! in the bundle that was named, so it is believed, as Go believes it; for its time and its names.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// As the usual verifier has it, but for a certificate that is one of these.
#[derive(Debug)]
pub(crate) struct OrOneOf {
    pub(crate) usual: Arc<WebPkiServerVerifier>,
    pub(crate) bundle: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for OrOneOf {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.bundle.iter().any(|known| known == end_entity) {
            return self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        let encoding = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let (_, certificate) = x509_parser::parse_x509_certificate(end_entity).map_err(|_| encoding())?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = certificate.validity();
        if seconds < validity.not_before.timestamp() || seconds > validity.not_after.timestamp() {
            return Err(Error::InvalidCertificate(CertificateError::Expired));
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::RootCertStore;

    #[test]
    fn a_certificate_of_the_bundle_is_believed_for_its_names_and_its_time() {
        let made = || {
            let mut params = CertificateParams::new(vec!["hook.shop.svc".to_owned()]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        let (known, stranger) = (made(), made());
        let mut roots = RootCertStore::empty();
        roots.add(known.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let verifier = OrOneOf { usual, bundle: vec![known.clone()] };
        let verify = |certificate: &CertificateDer<'_>, name: &'static str, now: u64| {
            let name = ServerName::try_from(name).unwrap();
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
            verifier.verify_server_cert(certificate, &[], &name, &[], now).is_ok()
        };
        let now = UnixTime::now().as_secs();
        assert!(verify(&known, "hook.shop.svc", now));
        assert!(!verify(&known, "other.shop.svc", now), "another's name");
        assert!(!verify(&known, "hook.shop.svc", 0), "before its time");
        assert!(!verify(&stranger, "hook.shop.svc", now), "of nobody who is known");
    }
}
