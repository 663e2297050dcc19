//! A JSON Web Token (RFC 7519, in its compact form), taken apart.

use crate::keys::Keys;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Clocks of issuers run ahead of ours: what is not valid yet is borne for so long, as upstream's library does.
const LEEWAY_SECONDS: f64 = 300.0;

/// Nothing of it is believed yet.
#[derive(Debug)]
pub struct Token<'t> {
    header: Header,
    claims: Map<String, Value>,
    signed: &'t str,
    signature: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

/// Why a token is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("oidc: verify token: {0}")]
    Unverified(String),
    /// Perhaps the issuer has other keys by now.
    #[error("oidc: verify token: failed to verify signature: failed to verify id token signature")]
    UnknownKey,
    #[error("oidc: {0}")]
    Claims(String),
}

impl<'t> Token<'t> {
    /// `None` for what is no such token.
    pub fn parse(token: &'t str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header = serde_json::from_slice(&decode(header)?).ok()?;
        let claims = serde_json::from_slice(&decode(claims)?).ok()?;
        Some(Token { header, claims, signed, signature: decode(signature)? })
    }

    /// Whom it says to be of.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// What it says, once it is known that the issuer said so, of these audiences, and that its time is now (seconds since 1970).
    ///
    /// # Errors
    /// Why it is not good.
    pub(crate) fn verified(
        &self,
        keys: &Keys,
        audiences: &[String],
        now: f64,
    ) -> Result<&Map<String, Value>, TokenError> {
        let unverified = |why: String| TokenError::Unverified(why);
        let own: Vec<&str> = match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !own.iter().any(|one| audiences.iter().any(|known| known == one)) {
            return Err(unverified(format!("expected audience in {audiences:?} got {own:?}")));
        }
        let number = |claim: &str| self.claims.get(claim).and_then(Value::as_f64);
        match number("exp") {
            Some(expires) if now < expires => {}
            Some(_) => return Err(unverified("token is expired".to_owned())),
            None => return Err(unverified("token has no exp".to_owned())),
        }
        if number("nbf").is_some_and(|begins| now + LEEWAY_SECONDS < begins) {
            return Err(unverified("current time before the nbf (not before) time".to_owned()));
        }
        let Header { alg, kid } = &self.header;
        match keys.signed(alg, kid.as_deref(), self.signed.as_bytes(), &self.signature) {
            true => Ok(&self.claims),
            false => Err(TokenError::UnknownKey),
        }
    }
}
