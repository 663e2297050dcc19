//! Tokens that live in Secrets of the type `kubernetes.io/service-account-token`: good without end, as long as the Secret and
//! the account are there. Upstream's legacy tokens, with their claims, for those who still ask for one by hand; the Secret is
//! filled by a controller.

use crate::Cluster;
use crate::token_authenticator::{Authenticated, TokenError, check};
use crate::token_uses::{TOKEN_INVALID_SINCE, label};
use crate::tokens::NamedObject;
use crate::{Actor, Attributes, Client, Target};
use ::api::{ObjectKey, Status};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kinds::{Subresource, TypedKind};
use serde::{Deserialize, Serialize};

pub const TOKEN_SECRET: &str = "kubernetes.io/service-account-token";
/// On such a Secret: whose token it holds.
pub const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
pub const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
/// The key of the token in the Secret's data.
pub const TOKEN_KEY: &str = "token";

const ISSUER: &str = "kubernetes/serviceaccount";

#[derive(Debug, Serialize, Deserialize)]
struct SecretClaims {
    iss: String,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    namespace: String,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    secret: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    account: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.uid")]
    uid: String,
    sub: String,
}

impl Client {
    /// The token that belongs into a Secret.
    ///
    /// # Errors
    /// `Forbidden` for who may not make tokens of the account.
    pub fn secret_token(&self, secret: &ObjectKey, account: &ServiceAccount) -> Result<String, Status> {
        let cluster = self.cluster();
        let info = ServiceAccount::info();
        let version =
            cluster.registry().by_gvr(&info.gvr).ok_or_else(|| Status::internal("no service accounts"))?;
        let name = account.metadata.name.clone().unwrap_or_default();
        let namespace = secret.namespace.as_deref().unwrap_or_default().to_owned();
        let target = Target::object(&version, Some(&namespace), &name).subresource(Subresource::Token);
        cluster.authorize(self.actor(), &Attributes::of("create", &target))?;
        cluster.tokens().sign(&SecretClaims {
            iss: ISSUER.to_owned(),
            sub: format!("system:serviceaccount:{namespace}:{name}"),
            namespace,
            secret: secret.name.to_string(),
            account: name,
            uid: account.metadata.uid.clone().unwrap_or_default(),
        })
    }
}

impl Cluster {
    /// # Errors
    /// A token that is not ours, is for others than the API server, whose Secret does not hold it any more, or is marked as invalid.
    pub(crate) fn authenticate_secret_token(
        &self,
        token: &str,
        wanted: &[String],
    ) -> Result<Authenticated, TokenError> {
        let claims: SecretClaims = self.tokens().signed(token).ok_or(TokenError::NotOurs)?;
        let subject = format!("system:serviceaccount:{}:{}", claims.namespace, claims.account);
        if claims.iss != ISSUER || claims.sub != subject {
            return Err(TokenError::NotOurs);
        }
        let audiences = self.for_own_audience(wanted)?;
        let at = |name: &str| ObjectKey::namespaced(&claims.namespace, name);
        let key = at(&claims.secret);
        let secret = self.stored::<Secret>(&key).ok_or(TokenError::SecretGone)?;
        let secret: Secret = secret.decode().map_err(|_| TokenError::SecretGone)?;
        let holds = secret.data.as_ref().and_then(|data| data.get(TOKEN_KEY));
        if secret.metadata.deletion_timestamp.is_some() || holds.is_none_or(|held| held.0 != token.as_bytes())
        {
            return Err(TokenError::SecretGone);
        }
        let account = self.stored::<ServiceAccount>(&at(&claims.account));
        let account = account.ok_or_else(|| TokenError::NoAccount(claims.account.clone()))?;
        let claimed = NamedObject { name: claims.account.clone(), uid: claims.uid };
        check(&account, &claimed, "service account", "claim", jiff::Timestamp::now().as_second())?;
        self.note_token_use(&key, &secret);
        if label(&secret, TOKEN_INVALID_SINCE).is_some_and(|since| !since.is_empty()) {
            let (namespace, account) = (claims.namespace, claimed.name);
            return Err(TokenError::MarkedInvalid { namespace, secret: claims.secret, account });
        }
        let mut actor = Actor::service_account(&claims.namespace, &claimed.name);
        actor.uid = claimed.uid;
        Ok(Authenticated { actor, audiences })
    }
}
