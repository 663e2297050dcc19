//! Keys of pods, and requests that show who holds them.

use crate::pem;
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, SignatureAlgorithm,
};

pub(super) struct Made {
    /// PKCS#8, in PEM.
    pub key: String,
    /// PKCS#10, in DER: empty but for the key, as upstream's.
    pub request: Vec<u8>,
}

/// ring makes no keys of RSA and does not know P-521. What could make them is worse than their lack: the crate `rsa` tells keys by its
/// timing (RUSTSEC-2023-0071), `p521` was never audited, and aws-lc would be a second library of ciphers beside this one.
///
/// # Errors
/// For what is no type of key, and for those that nothing here can make.
pub(super) fn algorithm(key_type: &str) -> Result<&'static SignatureAlgorithm, String> {
    match key_type {
        "ECDSAP256" => Ok(&PKCS_ECDSA_P256_SHA256),
        "ECDSAP384" => Ok(&PKCS_ECDSA_P384_SHA384),
        "ED25519" => Ok(&PKCS_ED25519),
        "RSA3072" | "RSA4096" | "ECDSAP521" => Err(format!(
            "key type {key_type:?} is not supported by this node: use ECDSAP256, ECDSAP384 or ED25519"
        )),
        _ => Err(format!("unknown key type {key_type:?}")),
    }
}

/// # Errors
/// In words; the machine has no random numbers, say.
pub(super) fn generate(algorithm: &'static SignatureAlgorithm) -> Result<Made, String> {
    let wrong = |error: rcgen::Error| error.to_string();
    let pair = KeyPair::generate_for(algorithm).map_err(wrong)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(wrong)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&pair).map_err(wrong)?;
    Ok(Made {
        key: pem::encode("PRIVATE KEY", &pkcs8(pair.serialized_der())),
        request: request.der().to_vec(),
    })
}

/// A key of Ed25519 as upstream and OpenSSL write it: ring puts the public key beside it, which older readers do not take (the
/// second version of PKCS#8, RFC 5958).
fn pkcs8(der: &[u8]) -> Vec<u8> {
    const HEAD: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let is_ed25519 = der.get(5..16) == Some(&HEAD[5..]);
    match der.get(16..48) {
        Some(seed) if is_ed25519 => [&HEAD[..], seed].concat(),
        _ => der.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestSpec};
    use kinds::{ErrorList, TypedKind};
    use rcgen::PublicKeyData;

    #[test]
    fn what_is_made_is_taken_and_fits_together() {
        for key_type in ["ECDSAP256", "ECDSAP384", "ED25519"] {
            let made = generate(algorithm(key_type).unwrap()).unwrap();
            let key = KeyPair::from_pem(&made.key).unwrap();
            let public = key.subject_public_key_info();
            let is_there = made.request.windows(public.len()).any(|part| part == public);
            assert!(is_there, "{key_type}: the request is for another key");
            let text = || "x".to_owned();
            let spec = PodCertificateRequestSpec {
                signer_name: "example.com/mesh".to_owned(),
                pod_name: text(),
                pod_uid: text(),
                service_account_name: text(),
                service_account_uid: text(),
                node_name: text(),
                node_uid: text(),
                max_expiration_seconds: Some(3600),
                stub_pkc_s10_request: ByteString(made.request),
                ..PodCertificateRequestSpec::default()
            };
            let mut errors = ErrorList::default();
            PodCertificateRequest { spec, ..PodCertificateRequest::default() }.validate_create(&mut errors);
            assert!(errors.is_empty(), "{key_type}: {errors:?}");
        }
    }

    #[test]
    fn a_key_of_ed25519_is_of_the_first_version() {
        let made = generate(algorithm("ED25519").unwrap()).unwrap();
        let block = &kinds::builtin::pem::blocks(&made.key)[0];
        assert_eq!((block.label.as_str(), block.der.len(), block.der[4]), ("PRIVATE KEY", 48, 0));
    }

    #[test]
    fn what_can_not_be_made_is_said() {
        let cases = [
            ("RSA3072", "key type \"RSA3072\" is not supported by this node: use ECDSAP256,"),
            ("ECDSAP521", "key type \"ECDSAP521\" is not supported by this node"),
            ("DSA", "unknown key type \"DSA\""),
            ("", "unknown key type \"\""),
        ];
        for (key_type, words) in cases {
            let refused = algorithm(key_type).map(|_| ()).unwrap_err();
            assert!(refused.starts_with(words), "{key_type}: {refused}");
        }
    }
}
