//! Whose a token is: good as long as its time, its account, and the pod, secret or node that it is bound to.

use crate::tokens::NamedObject;
use crate::{Actor, Cluster};
use ::api::{Object, ObjectKey, Reason, Status};
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};
use kinds::TypedKind;
use store::Resource;

/// A pod whose grace is over may still have a last call to make; upstream's leeway.
const LEEWAY_SECONDS: i64 = 60;

/// Who it is, and for which of the audiences that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    pub actor: Actor,
    pub audiences: Vec<String>,
}

/// Why a token is not good, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("invalid bearer token")]
    NotOurs,
    #[error("[invalid bearer token, service account token has expired]")]
    Expired,
    #[error("[invalid bearer token, service account token is not valid yet]")]
    NotYet,
    #[error("[invalid bearer token, token audiences {} is invalid for the target audiences {}]", quoted(.token), quoted(.wanted))]
    Audiences { token: Vec<String>, wanted: Vec<String> },
    #[error("[invalid bearer token, serviceaccounts {0:?} not found]")]
    NoAccount(String),
    #[error("[invalid bearer token, {what} UID ({found}) does not match {claim} ({claimed})]")]
    OtherUid { what: &'static str, claim: &'static str, found: String, claimed: String },
    #[error("[invalid bearer token, service account token has been invalidated]")]
    Invalidated,
    #[error("[invalid bearer token, Token has been invalidated]")]
    SecretGone,
    #[error(
        "[invalid bearer token, the token in secret {namespace}/{secret} for service account {namespace}/{account} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token]"
    )]
    MarkedInvalid { namespace: String, secret: String, account: String },
}

/// As Go prints a list of strings.
fn quoted(texts: &[String]) -> String {
    let each: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", each.join(" "))
}

impl Cluster {
    /// Whose token it is, for a request to the API server.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub fn authenticate_token(&self, token: &str) -> Result<Actor, Status> {
        let own = [self.tokens().issuer().to_owned()];
        match self.authenticate_token_for(token, &own) {
            Ok(known) => Ok(known.actor),
            Err(_) => Err(Status::new(Reason::Unauthorized, "Unauthorized")),
        }
    }

    /// Whose token it is, if it is meant for one of these audiences.
    ///
    /// # Errors
    /// A token that is not ours, is for others, out of date, or whose account or object is gone.
    pub fn authenticate_token_for(
        &self,
        token: &str,
        wanted: &[String],
    ) -> Result<Authenticated, TokenError> {
        let Some(claims) = self.tokens().verify(token) else {
            return match self.authenticate_bootstrap_token(token) {
                Some(actor) => {
                    self.for_own_audience(wanted).map(|audiences| Authenticated { actor, audiences })
                }
                None => self.authenticate_secret_token(token, wanted),
            };
        };
        let now = jiff::Timestamp::now().as_second();
        let audiences: Vec<String> = wanted.iter().filter(|a| claims.aud.contains(a)).cloned().collect();
        if audiences.is_empty() {
            return Err(TokenError::Audiences { token: claims.aud, wanted: wanted.to_vec() });
        }
        if now >= claims.exp {
            return Err(TokenError::Expired);
        }
        if now < claims.nbf {
            return Err(TokenError::NotYet);
        }
        let kubernetes = &claims.kubernetes;
        let account = &kubernetes.serviceaccount;
        let at = |object: &NamedObject| ObjectKey::namespaced(&kubernetes.namespace, &object.name);
        let found = self.stored::<ServiceAccount>(&at(account));
        let found = found.ok_or_else(|| TokenError::NoAccount(account.name.clone()))?;
        check(&found, account, "service account", "claim", now)?;
        let mut actor = Actor::service_account(&kubernetes.namespace, &account.name);
        actor.uid.clone_from(&account.uid);
        let mut tell = |key: &str, value: String| {
            actor.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
        };
        tell("credential-id", format!("JTI={}", claims.jti));
        if let Some(secret) = &kubernetes.secret {
            let found = self.stored::<Secret>(&at(secret)).ok_or(TokenError::Invalidated)?;
            check(&found, secret, "secret", "service account secret ref claim", now)?;
        }
        if let Some(pod) = &kubernetes.pod {
            let found = self.stored::<Pod>(&at(pod)).ok_or(TokenError::Invalidated)?;
            check(&found, pod, "pod", "service account pod ref claim", now)?;
            tell("pod-name", pod.name.clone());
            tell("pod-uid", pod.uid.clone());
        }
        if let Some(node) = &kubernetes.node {
            // what is bound to a pod only tells where that is
            if kubernetes.pod.is_none() {
                let found =
                    self.stored::<Node>(&ObjectKey::cluster(&node.name)).ok_or(TokenError::Invalidated)?;
                check(&found, node, "node", "service account node ref claim", now)?;
            }
            tell("node-name", node.name.clone());
            tell("node-uid", node.uid.clone());
        }
        Ok(Authenticated { actor, audiences })
    }

    /// Of a token that names none: it is for the API server.
    ///
    /// # Errors
    /// Where that is not asked for.
    pub(crate) fn for_own_audience(&self, wanted: &[String]) -> Result<Vec<String>, TokenError> {
        let own = self.tokens().issuer();
        let audiences: Vec<String> = wanted.iter().filter(|audience| *audience == own).cloned().collect();
        match audiences.is_empty() {
            true => Err(TokenError::Audiences { token: vec![own.to_owned()], wanted: wanted.to_vec() }),
            false => Ok(audiences),
        }
    }

    pub(crate) fn stored<K: TypedKind>(&self, key: &ObjectKey) -> Option<Object> {
        self.store().snapshot().get(&Resource::from(&K::info().storage), key)
    }
}

pub(crate) fn check(
    found: &Object,
    claimed: &NamedObject,
    what: &'static str,
    claim: &'static str,
    now: i64,
) -> Result<(), TokenError> {
    let meta = found.meta();
    if meta.uid != claimed.uid {
        let (found, claimed) = (meta.uid.clone(), claimed.uid.clone());
        return Err(TokenError::OtherUid { what, claim, found, claimed });
    }
    let deleted = meta.deletion_timestamp.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    match deleted {
        Some(at) if at.as_second() + LEEWAY_SECONDS < now => Err(TokenError::Invalidated),
        _ => Ok(()),
    }
}
