//! Bootstrap tokens, `abcdef.0123456789abcdef`: Secrets that stand for who is to join a cluster, and has nothing else yet.

use crate::{Actor, Cluster};
use ::api::ObjectKey;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

pub const NAMESPACE: &str = "kube-system";
pub const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
const NAME_PREFIX: &str = "bootstrap-token-";
const USER_PREFIX: &str = "system:bootstrap:";
const GROUP: &str = "system:bootstrappers";
// a token is `abcdef.0123456789abcdef`
const ID_LENGTH: usize = 6;
const SECRET_LENGTH: usize = 16;
const LONGEST_GROUP: usize = 256;

impl Cluster {
    /// `None` where there is no such token, or it is good no more.
    pub(crate) fn authenticate_bootstrap_token(&self, token: &str) -> Option<Actor> {
        let (id, given) = parts(token)?;
        let key = ObjectKey::namespaced(NAMESPACE, &format!("{NAME_PREFIX}{id}"));
        let secret: Secret = self.stored::<Secret>(&key)?.decode().ok()?;
        whose(&secret, id, given, Timestamp::now())
    }
}

/// Until when a Secret is good; `None` for one that is no bootstrap token or has no end. One that no time can be read of has ended.
pub fn expiration(secret: &Secret) -> Option<Timestamp> {
    if secret.type_.as_deref() != Some(SECRET_TYPE) {
        return None;
    }
    let text = text(secret, "expiration").filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or(Timestamp::UNIX_EPOCH))
}

fn parts(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let is_plain = |part: &str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let fits = id.len() == ID_LENGTH && secret.len() == SECRET_LENGTH && is_plain(id) && is_plain(secret);
    fits.then_some((id, secret))
}

fn whose(secret: &Secret, id: &str, given: &str, now: Timestamp) -> Option<Actor> {
    let is = |key: &str, wanted: &str| text(secret, key).as_deref() == Some(wanted);
    let holds =
        secret.data.as_ref()?.get("token-secret").is_some_and(|held| is_same(&held.0, given.as_bytes()));
    let is_good = secret.type_.as_deref() == Some(SECRET_TYPE)
        && secret.metadata.deletion_timestamp.is_none()
        && expiration(secret).is_none_or(|end| now < end);
    if !is_good || !holds || !is("token-id", id) || !is("usage-bootstrap-authentication", "true") {
        return None;
    }
    let mut groups = vec![GROUP.to_owned()];
    let more = text(secret, "auth-extra-groups").unwrap_or_default();
    for group in more.split(',').filter(|group| !group.is_empty()) {
        if !is_bootstrap_group(group) {
            return None;
        }
        groups.push(group.to_owned());
    }
    groups.push(Actor::AUTHENTICATED.to_owned());
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    Some(Actor::user(&format!("{USER_PREFIX}{id}"), &groups))
}

/// As long for any answer: who guesses learns nothing of how much he guessed.
fn is_same(held: &[u8], given: &[u8]) -> bool {
    held.len() == given.len() && held.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Upstream's `BootstrapGroupPattern`: nobody joins as somebody who has rights already.
fn is_bootstrap_group(group: &str) -> bool {
    let Some(rest) = group.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix(':')) else { return false };
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    rest.len() <= LONGEST_GROUP
        && rest.bytes().all(|b| is_plain(b) || b == b':' || b == b'-')
        && rest.bytes().last().is_some_and(is_plain)
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(given: &[(&str, &str)]) -> Secret {
        let standard = [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
        ];
        let data = standard.iter().chain(given);
        let data = data.map(|(key, value)| ((*key).to_owned(), ByteString((*value).into()))).collect();
        Secret { type_: Some(SECRET_TYPE.into()), data: Some(data), ..Secret::default() }
    }

    #[test]
    fn a_token_is_good_as_its_secret_says() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let groups = |given: &[(&str, &str)]| {
            whose(&secret(given), "abcdef", "0123456789abcdef", now).map(|actor| actor.groups.join(" "))
        };
        let plain = Some("system:bootstrappers system:authenticated".to_owned());
        assert_eq!(groups(&[]), plain);
        assert_eq!(groups(&[("expiration", "2026-01-01T00:00:01Z")]), plain);
        assert_eq!(groups(&[("expiration", "2025-12-31T23:59:59Z")]), None);
        assert_eq!(groups(&[("expiration", "tomorrow")]), None);
        assert_eq!(groups(&[("usage-bootstrap-authentication", "false")]), None);
        assert_eq!(groups(&[("token-id", "another")]), None);
        assert_eq!(groups(&[("token-secret", "0123456789abcdeg")]), None);
        let more = "system:bootstrappers:workers,system:bootstrappers:a-1";
        let want = format!("system:bootstrappers {} system:authenticated", more.replace(',', " "));
        assert_eq!(groups(&[("auth-extra-groups", more)]), Some(want));
        for bad in
            ["system:masters", "system:bootstrappers", "system:bootstrappers:", "system:bootstrappers:A"]
        {
            assert_eq!(groups(&[("auth-extra-groups", bad)]), None, "{bad}");
        }
        let other = Secret { type_: Some("Opaque".into()), ..secret(&[]) };
        assert!(whose(&other, "abcdef", "0123456789abcdef", now).is_none() && expiration(&other).is_none());
        for token in [
            "abcdef",
            "abcdef.",
            "abcdef.0123456789abcde",
            "ABCDEF.0123456789abcdef",
            "a/../b.0123456789abcdef",
        ] {
            assert!(parts(token).is_none(), "{token}");
        }
    }
}
