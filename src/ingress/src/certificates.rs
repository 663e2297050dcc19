//! The certificate for the name that a client asks for: from the Secrets that ingresses name, else one that is made anew
//! at each start and that nobody trusts.

use k8s_openapi::api::core::v1::Secret;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// As ingress-nginx calls its own.
const FALLBACK: &str = "Kubernetes Ingress Controller Fake Certificate";

/// By host; `*.example` for one more label.
#[derive(Default, Clone)]
pub(crate) struct Certificates(pub(crate) HashMap<String, Arc<CertifiedKey>>);

/// # Errors
/// What is wrong with it, for the user.
pub(crate) fn of_secret(secret: &Secret) -> Result<Arc<CertifiedKey>, String> {
    let part = |name: &str| {
        let found = secret.data.as_ref().and_then(|data| data.get(name));
        found.map(|bytes| bytes.0.as_slice()).ok_or_else(|| format!("it has no {name}"))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(part(CERTIFICATE)?).collect();
    let chain = chain.map_err(|e| format!("{CERTIFICATE}: {e}"))?;
    let key = PrivateKeyDer::from_pem_slice(part(KEY)?).map_err(|e| format!("{KEY}: {e}"))?;
    certified(chain, &key)
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'_>,
) -> Result<Arc<CertifiedKey>, String> {
    let key = any_supported_type(key).map_err(|e| format!("{KEY}: {e}"))?;
    if chain.is_empty() {
        return Err(format!("{CERTIFICATE} holds no certificate"));
    }
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| format!("{KEY} is not the key of {CERTIFICATE}"))?;
    Ok(Arc::new(certified))
}

/// # Errors
/// The random source.
pub(crate) fn fallback() -> Result<Arc<CertifiedKey>, String> {
    let key = rcgen::KeyPair::generate().map_err(|e| e.to_string())?;
    let mut parameters =
        rcgen::CertificateParams::new(vec!["ingress.local".to_owned()]).map_err(|e| e.to_string())?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, FALLBACK);
    let certificate = parameters.self_signed(&key).map_err(|e| e.to_string())?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    certified(vec![certificate.der().clone()], &der)
}

impl Certificates {
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = || self.0.get(&format!("*.{}", name.split_once('.')?.1));
        self.0.get(&name).or_else(wildcard)
    }
}

/// Looks in the table of the moment.
pub(crate) struct Resolver<F> {
    pub(crate) table: F,
    pub(crate) fallback: Arc<CertifiedKey>,
}

impl<F> fmt::Debug for Resolver<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl<F: Fn(&str) -> Option<Arc<CertifiedKey>> + Send + Sync> ResolvesServerCert for Resolver<F> {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| (self.table)(name));
        Some(found.unwrap_or_else(|| self.fallback.clone()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    pub(crate) fn secret(certificate: &str, key: &str) -> Secret {
        let data =
            [(CERTIFICATE, certificate), (KEY, key)].map(|(n, v)| (n.to_owned(), ByteString(v.into())));
        Secret { data: Some(data.into()), ..Secret::default() }
    }

    #[test]
    fn a_secret_without_a_certificate_says_what_is_wrong() {
        let (one, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let certificate =
            rcgen::CertificateParams::new(vec!["a".into()]).unwrap().self_signed(&one).unwrap().pem();
        assert!(of_secret(&secret(&certificate, &one.serialize_pem())).is_ok());
        for (name, secret, want) in [
            ("nothing in it", Secret::default(), "it has no tls.crt"),
            ("no key", secret(&certificate, "x"), "tls.key"),
            ("no certificate", secret("", &one.serialize_pem()), "holds no certificate"),
            (
                "another key",
                secret(&certificate, &other.serialize_pem()),
                "tls.key is not the key of tls.crt",
            ),
        ] {
            let error = of_secret(&secret).unwrap_err();
            assert!(error.contains(want), "{name}: {error}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let key = fallback().unwrap();
        let all = Certificates([("*.example".to_owned(), key)].into());
        for (name, found) in
            [("a.example", true), ("A.EXAMPLE", true), ("b.a.example", false), ("example", false)]
        {
            assert_eq!(all.find(name).is_some(), found, "{name}");
        }
    }
}
