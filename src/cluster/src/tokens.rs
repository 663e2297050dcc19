//! Service-account tokens: signed with ES256, good as long as their account, and the pod that they are bound to, exist.

use crate::{Actor, Attributes, Client, Cluster, Target};
use ::api::{ObjectKey, Reason, Status};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kinds::Kind;
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::Resource;

const LIFE_SECONDS: i64 = 3600;
const SHORTEST_SECONDS: i64 = 600; // upstream refuses less

/// Signs and checks. Cloning is cheap.
#[derive(Clone)]
pub struct TokenSigner {
    key: Arc<EcdsaKeyPair>,
    random: SystemRandom,
    issuer: Arc<str>,
}

#[derive(Debug, Clone, Default)]
pub struct TokenRequestParams {
    /// Empty: the API server itself.
    pub audiences: Vec<String>,
    pub expiration_seconds: Option<i64>,
    pub bound_pod: Option<BoundPod>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundPod {
    pub name: String,
    pub uid: String,
}

pub struct IssuedToken {
    pub token: String,
    pub expires_at: jiff::Timestamp,
    pub audiences: Vec<String>,
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
    pub serviceaccount: BoundPod,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<BoundPod>,
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
    fn sign(&self, claims: &Claims) -> Result<String, Status> {
        let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"JWT"}}"#, self.key_id());
        let claims = serde_json::to_vec(claims).map_err(Status::internal)?;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).map_err(Status::internal)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// `None` for what this signer did not sign, or what is out of date.
    fn verify(&self, token: &str, now: i64) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_header, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key());
        key.verify(signed.as_bytes(), &signature).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let good = claims.iss == *self.issuer && claims.nbf <= now && now < claims.exp;
        good.then_some(claims)
    }

    fn key_id(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.key.public_key().as_ref());
        URL_SAFE_NO_PAD.encode(digest)
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

impl Cluster {
    /// Whose token it is.
    ///
    /// # Errors
    /// `Unauthorized` for a token that is not ours, is out of date, or whose account or pod is gone.
    pub fn authenticate_token(&self, token: &str) -> Result<Actor, Status> {
        let refused = || Status::new(Reason::Unauthorized, "Unauthorized");
        let claims = self.tokens().verify(token, jiff::Timestamp::now().as_second()).ok_or_else(refused)?;
        if !claims.aud.iter().any(|audience| audience == self.tokens().issuer()) {
            return Err(refused());
        }
        let KubernetesClaims { namespace, serviceaccount, pod } = &claims.kubernetes;
        if !self.is_there::<ServiceAccount>(namespace, serviceaccount) {
            return Err(refused());
        }
        let mut actor = Actor::service_account(namespace, &serviceaccount.name);
        actor.uid.clone_from(&serviceaccount.uid);
        if let Some(pod) = pod {
            if !self.is_there::<Pod>(namespace, pod) {
                return Err(refused());
            }
            let extra = |key: &str| format!("authentication.kubernetes.io/pod-{key}");
            actor.extra.insert(extra("name"), vec![pod.name.clone()]);
            actor.extra.insert(extra("uid"), vec![pod.uid.clone()]);
        }
        Ok(actor)
    }

    fn is_there<K: Kind>(&self, namespace: &str, who: &BoundPod) -> bool {
        let key = ObjectKey::namespaced(namespace, &who.name);
        let found = self.store().snapshot().get(&Resource::from(&K::info().storage), &key);
        found.is_some_and(|object| object.meta().uid == who.uid)
    }
}

impl Client {
    /// # Errors
    /// `Forbidden`, `NotFound` for a missing account, `Invalid` for a life that is too short.
    pub fn create_token(
        &self,
        namespace: &str,
        name: &str,
        params: TokenRequestParams,
    ) -> Result<IssuedToken, Status> {
        let cluster = self.cluster();
        let info = ServiceAccount::info();
        let handler =
            cluster.registry().by_gvr(&info.gvr).ok_or_else(|| Status::internal("no service accounts"))?;
        let target = Target::object(&handler, Some(namespace), name);
        cluster.authorize(self.actor(), &Attributes::of("create", &target.clone().subresource("token")))?;
        let account = cluster.read_stored(&target)?;
        let seconds = params.expiration_seconds.unwrap_or(LIFE_SECONDS);
        if seconds < SHORTEST_SECONDS {
            let mut errors = kinds::Errors::default();
            errors.invalid(
                "spec.expirationSeconds",
                seconds,
                "may not specify a duration less than 10 minutes",
            );
            let kind = ::api::Gvk::new("authentication.k8s.io", "v1", "TokenRequest");
            return Err(Status::invalid(&kind, name, errors.into_causes()));
        }
        let now = jiff::Timestamp::now().as_second();
        let own = || vec![cluster.tokens().issuer().to_owned()];
        let audiences = if params.audiences.is_empty() { own() } else { params.audiences };
        let claims = Claims {
            iss: cluster.tokens().issuer().to_owned(),
            sub: format!("system:serviceaccount:{namespace}:{name}"),
            aud: audiences.clone(),
            exp: now + seconds,
            iat: now,
            nbf: now,
            jti: uuid::Uuid::new_v4().to_string(),
            kubernetes: KubernetesClaims {
                namespace: namespace.to_owned(),
                serviceaccount: BoundPod { name: name.to_owned(), uid: account.meta().uid.clone() },
                pod: params.bound_pod,
            },
        };
        let expires_at = jiff::Timestamp::from_second(claims.exp).map_err(Status::internal)?;
        Ok(IssuedToken { token: cluster.tokens().sign(&claims)?, expires_at, audiences })
    }
}
