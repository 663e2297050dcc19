//! What service-account tokens are: claims, signed with ES256. `token_request.rs` makes them, `token_authenticator.rs` tells
//! whose one is and whether it is still good.

use ::api::Status;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Signs and checks. Cloning is cheap.
#[derive(Clone)]
pub struct TokenSigner {
    key: Arc<EcdsaKeyPair>,
    random: SystemRandom,
    issuer: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedObject {
    pub name: String,
    pub uid: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: Vec<String>,
    pub exp: i64,
    pub iat: i64,
    pub nbf: i64,
    pub jti: String,
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: KubernetesClaims,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KubernetesClaims {
    pub namespace: String,
    pub serviceaccount: NamedObject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<NamedObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<NamedObject>,
    /// That it is bound to, or that its pod is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NamedObject>,
    /// When whoever has it should have taken the next one, where it is good for longer than it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
#[error("service account key: {0}")]
pub struct KeyError(String);

impl TokenSigner {
    /// # Errors
    /// What is no P-256 private key in PKCS#8.
    pub fn from_pkcs8(key: &[u8], issuer: &str) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &random)
            .map_err(|e| KeyError(e.to_string()))?;
        Ok(TokenSigner { key: Arc::new(key), random, issuer: issuer.into() })
    }

    /// A key that nobody else has: for tests and throw-away clusters.
    ///
    /// # Errors
    /// Where the machine has no randomness.
    pub fn generate(issuer: &str) -> Result<Self, KeyError> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|e| KeyError(e.to_string()))?;
        Self::from_pkcs8(key.as_ref(), issuer)
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// # Errors
    /// `InternalError` where the machine has no randomness.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, Status> {
        let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"JWT"}}"#, self.key_id());
        let claims = serde_json::to_vec(claims).map_err(Status::internal)?;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).map_err(Status::internal)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// `None` for what this signer did not sign. Whether it is still good is not looked at.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        self.signed::<Claims>(token).filter(|claims| claims.iss == *self.issuer)
    }

    /// What is said in a token that this signer signed.
    pub(crate) fn signed<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_header, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key());
        key.verify(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    fn key_id(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.key.public_key().as_ref());
        URL_SAFE_NO_PAD.encode(digest)
    }

    /// What OpenID Connect Discovery says of the tokens, where [`TokenSigner::jwks`] is at `jwks_uri`.
    pub fn openid_configuration(&self, jwks_uri: &str) -> serde_json::Value {
        serde_json::json!({
            "issuer": self.issuer(), "jwks_uri": jwks_uri, "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    /// The public key, for those who check tokens themselves (RFC 7517).
    pub fn jwks(&self) -> serde_json::Value {
        // uncompressed point: 4, x, y
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        serde_json::json!({"keys": [{"use": "sig", "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.key_id(),
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)}]})
    }
}
