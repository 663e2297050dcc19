//! When a token that lives in a Secret was last used: a label with the day, as upstream tracks its legacy tokens. A controller
//! marks those that nobody needs as invalid by another, and they are refused.

use crate::{Actor, Cluster, unless_gone};
use ::api::{ObjectKey, Reason, Status};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1::Secret;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashSet;

/// The day, as `2026-05-04` in UTC.
pub const TOKEN_LAST_USED: &str = "kubernetes.io/legacy-token-last-used";
pub const TOKEN_INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";

/// The Secrets whose label is being written: many requests may come with one token until it is there.
#[derive(Default)]
pub(crate) struct TokenUses(Mutex<HashSet<ObjectKey>>);

impl TokenUses {
    fn locked(&self) -> MutexGuard<'_, HashSet<ObjectKey>> {
        self.0.lock()
    }
}

impl Cluster {
    /// Writes it down beside the request, once a day.
    pub(crate) fn note_token_use(&self, key: &ObjectKey, secret: &Secret) {
        let Some(day) = to_note(label(secret, TOKEN_LAST_USED), Timestamp::now()) else { return };
        if !self.0.token_uses.locked().insert(key.clone()) {
            return;
        }
        let (cluster, key, uid) = (self.clone(), key.clone(), secret.metadata.uid.clone());
        tokio::spawn(async move {
            let used = |secret: &mut Secret| {
                if secret.metadata.uid != uid {
                    return Err(Status::new(Reason::NotFound, "another Secret has its name"));
                }
                let labels = secret.metadata.labels.get_or_insert_default();
                labels.insert(TOKEN_LAST_USED.to_owned(), day.to_string());
                Ok(())
            };
            let secrets = cluster.acting_as(Actor::root()).api::<Secret>();
            if let Err(error) = unless_gone(secrets.modify(&key, used).await) {
                tracing::error!(%key, %error, "the last use of a token is not written down");
            }
            cluster.0.token_uses.locked().remove(&key);
        });
    }
}

pub(crate) fn label<'s>(secret: &'s Secret, key: &str) -> Option<&'s str> {
    secret.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

/// A clock may have been a little ahead around midnight: tomorrow is as good as today.
fn to_note(last_used: Option<&str>, now: Timestamp) -> Option<Date> {
    let today = day(now);
    let is = |day: Date| last_used == Some(day.to_string().as_str());
    let is_noted = is(today) || today.tomorrow().is_ok_and(is);
    (!is_noted).then_some(today)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_down_once_a_day() {
        let cases = [
            ("never used", None, true),
            ("used yesterday", Some("2026-05-03"), true),
            ("used today", Some("2026-05-04"), false),
            ("a clock that was ahead", Some("2026-05-05"), false),
            ("a clock that was wrong", Some("2027-05-05"), true),
            ("no day", Some("today"), true),
        ];
        for (name, last_used, want) in cases {
            let noted = to_note(last_used, "2026-05-04T23:59:59Z".parse().unwrap());
            assert_eq!(noted.map(|day| day.to_string()), want.then(|| "2026-05-04".to_owned()), "{name}");
        }
    }
}
