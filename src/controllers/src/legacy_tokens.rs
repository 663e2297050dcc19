//! Tokens in Secrets that were made for their accounts by themselves, as Kubernetes did until 1.24, and that nobody has used for a
//! year are marked as invalid, and go after another: upstream's legacy-service-account-token-cleaner. Where they come from here is
//! manifests of others: an account that names such a Secret.
//!
//! Since when uses are written down says a ConfigMap, which upstream's API server keeps: [`run_tracking`].

mod mounted;

use crate::token_secrets::{account_of, annotation};
use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{
    ACCOUNT_UID, Actor, Client, Cluster, Controller, DeleteOptions, TOKEN_INVALID_SINCE, TOKEN_LAST_USED,
    WorkQueue, unless_gone, unless_replaced,
};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::key_of;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "legacy-service-account-token-cleaner";
const TRACKER: &str = "legacy-token-tracking-controller";
const NAMESPACE: &str = "kube-system";
const TRACKING: &str = "kube-apiserver-legacy-service-account-token-tracking";
const SINCE: &str = "since";
const YEAR_DAYS: i32 = 365; // upstream's --legacy-service-account-token-clean-up-period
/// A pod that mounts an old token may go any time, and is looked for as often as upstream does.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn role() -> ComponentRole {
    let tracking = PolicyRule {
        resource_names: Some(vec![TRACKING.to_owned()]),
        ..rule(&["get"], &[""], &["configmaps"])
    };
    ComponentRole::controller(NAME, vec![tracking, rule(&["patch", "delete"], &[""], &["secrets"])])
}

/// What is to be done with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing before that.
    Later(Timestamp),
    Mark,
    Remove,
    /// Nothing, until somebody changes it.
    Nothing,
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let all = cluster.informer::<Secret>();
    let controller = Controller::new(NAME, &cluster)
        .watches::<Secret>(|queue, change| {
            if account_of(change.object()).is_some() {
                queue.add(key_of(&change.object().metadata));
            }
        })
        // it may name the Secret from now on
        .watches::<ServiceAccount>(move |queue, change| {
            let account = change.object();
            let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
            for name in account.secrets.iter().flatten().filter_map(|secret| secret.name.as_deref()) {
                let key = ObjectKey::namespaced(namespace, name);
                if all.get(&key).is_some_and(|secret| account_of(&secret).is_some()) {
                    queue.add(key);
                }
            }
        });
    let reconciler = (client, controller.queue());
    controller
        .run(stop, reconciler, |(client, queue), key| async move { reconcile(&client, &queue, key).await })
        .await;
}

async fn reconcile(client: &Client, queue: &WorkQueue<ObjectKey>, key: ObjectKey) -> Result<(), Status> {
    let cluster = client.cluster();
    let Some(secret) = cluster.informer::<Secret>().get(&key) else { return Ok(()) };
    if !is_auto_generated(cluster, &key, &secret) {
        return Ok(());
    }
    let now = Timestamp::now();
    let Some(since) = tracked_since(client)? else {
        return Err(Status::new(Reason::NotFound, "nobody says since when uses of tokens are written down"));
    };
    let step = next_step(&secret, since, now);
    if matches!(step, Step::Mark | Step::Remove) && is_mounted(cluster, &key) {
        queue.add_after(key, DAY);
        return Ok(());
    }
    match step {
        Step::Nothing => Ok(()),
        Step::Later(at) => {
            queue.add_after(key, Duration::try_from(at.duration_since(now)).unwrap_or_default());
            Ok(())
        }
        Step::Mark => mark(client, &key, &secret, day(now)).await,
        Step::Remove => {
            tracing::info!(%key, "auto-generated service account token is removed: nobody has used it for long");
            let options = DeleteOptions {
                uid: secret.metadata.uid.clone(),
                resource_version: secret.metadata.resource_version.as_deref().and_then(|v| v.parse().ok()),
                ..DeleteOptions::default()
            };
            // where it was written meanwhile, it is heard of again
            unless_replaced(client.api::<Secret>().delete(&key, options).await).map(drop)
        }
    }
}

/// Its account names it: no other sign tells it from one that was made by hand.
fn is_auto_generated(cluster: &Cluster, key: &ObjectKey, secret: &Secret) -> bool {
    let Some(name) = account_of(secret).filter(|_| secret.metadata.deletion_timestamp.is_none()) else {
        return false;
    };
    let namespace = key.namespace.as_deref().unwrap_or_default();
    let account = cluster.informer::<ServiceAccount>().get(&ObjectKey::namespaced(namespace, name));
    let uid = annotation(secret, ACCOUNT_UID).unwrap_or_default();
    account.is_some_and(|account| {
        let is_same = uid.is_empty() || account.metadata.uid.as_deref() == Some(uid);
        is_same && account.secrets.iter().flatten().any(|named| named.name.as_deref() == Some(&*key.name))
    })
}

fn is_mounted(cluster: &Cluster, key: &ObjectKey) -> bool {
    let pods = cluster.informer::<Pod>().list(key.namespace.as_deref());
    pods.iter().any(|pod| mounted::secrets(pod).contains(&*key.name))
}

async fn mark(client: &Client, key: &ObjectKey, secret: &Secret, today: Date) -> Result<(), Status> {
    let seen = &secret.metadata.resource_version;
    let secrets = client.api::<Secret>();
    let marked = secrets.modify(key, |secret| {
        // it may just have been used: it is heard of again
        if secret.metadata.resource_version != *seen {
            return Err(Status::new(Reason::NotFound, "it was written meanwhile"));
        }
        let labels = secret.metadata.labels.get_or_insert_default();
        labels.insert(TOKEN_INVALID_SINCE.to_owned(), today.to_string());
        Ok(())
    });
    if unless_gone(marked.await)?.is_some() {
        tracing::info!(%key, "auto-generated service account token is marked as invalid: nobody has used it for a year");
    }
    Ok(())
}

/// `None` where the ConfigMap does not say it, or not yet.
fn tracked_since(client: &Client) -> Result<Option<Date>, Status> {
    let tracking = client.api::<ConfigMap>().find(&ObjectKey::namespaced(NAMESPACE, TRACKING))?;
    Ok(tracking.as_ref().and_then(since))
}

fn since(tracking: &ConfigMap) -> Option<Date> {
    date(tracking.data.as_ref()?.get(SINCE)?)
}

fn next_step(secret: &Secret, tracked_since: Date, now: Timestamp) -> Step {
    let label = |key: &str| secret.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let created = secret.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let used = match label(TOKEN_LAST_USED).map(|text| date(text)) {
        // nobody knows when
        Some(None) => return Step::Nothing,
        Some(Some(day)) => year_after(day),
        None => Timestamp::MIN,
    };
    let year = SignedDuration::from_hours(24 * i64::from(YEAR_DAYS));
    let of_age = created.saturating_add(year).unwrap_or(Timestamp::MAX);
    let unused = of_age.max(used).max(year_after(tracked_since));
    let invalid = label(TOKEN_INVALID_SINCE).and_then(|text| date(text)).map(year_after);
    match invalid {
        _ if now < unused => Step::Later(unused),
        None => Step::Mark,
        Some(end) if now < end => Step::Later(end),
        Some(_) => Step::Remove,
    }
}

/// When the day is more than a year ago: it counts to its end.
fn year_after(day: Date) -> Timestamp {
    let after = day.checked_add((YEAR_DAYS + 1).days()).and_then(|day| day.to_zoned(TimeZone::UTC));
    after.map_or(Timestamp::MAX, |midnight| midnight.timestamp())
}

fn day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

/// As it is written, and in no other form: `2026-05-04`.
fn date(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|date| date.to_string() == text)
}

/// Keeps the ConfigMap that says since when uses are written down; what it says wrongly, or somebody has deleted, begins anew.
pub(crate) async fn run_tracking(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::root());
    let controller =
        Controller::new(TRACKER, &cluster).one_at_a_time().watches::<ConfigMap>(|queue, change| {
            let meta = &change.object().metadata;
            if meta.name.as_deref() == Some(TRACKING) && meta.namespace.as_deref() == Some(NAMESPACE) {
                queue.add(());
            }
        });
    controller.queue().add(());
    controller.run(stop, client, |client, (): ()| async move { track(&client).await }).await;
}

async fn track(client: &Client) -> Result<(), Status> {
    let maps = client.api::<ConfigMap>();
    let key = ObjectKey::namespaced(NAMESPACE, TRACKING);
    let today = day(Timestamp::now()).to_string();
    match maps.find(&key)? {
        Some(there) if since(&there).is_some() => Ok(()),
        Some(_) => {
            let begin = |map: &mut ConfigMap| {
                map.data.get_or_insert_default().insert(SINCE.to_owned(), today.clone());
                Ok(())
            };
            unless_gone(maps.modify(&key, begin).await).map(drop)
        }
        None => {
            let metadata = ObjectMeta {
                name: Some(TRACKING.to_owned()),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            };
            let data = Some([(SINCE.to_owned(), today)].into());
            maps.create(ConfigMap { metadata, data, ..ConfigMap::default() }).await.map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_that_nobody_uses_is_marked_after_a_year_and_goes_after_another() {
        let at = |day: &str| format!("{day}T00:00:00Z").parse::<Timestamp>().unwrap();
        let later = |day: &str| Step::Later(at(day));
        let (used, invalid) = (TOKEN_LAST_USED, TOKEN_INVALID_SINCE);
        let tracked = "2024-01-10";
        // (name, created, tracked since, labels, now, step)
        let cases = [
            ("young", "2025-03-01", tracked, json!({}), "2025-03-02", later("2026-03-01")),
            ("old", "2024-03-01", tracked, json!({}), "2025-03-01", Step::Mark),
            (
                "not tracked for long enough",
                "2020-03-01",
                tracked,
                json!({}),
                "2025-01-09",
                later("2025-01-10"),
            ),
            ("tracked for long", "2020-03-01", tracked, json!({}), "2025-01-10", Step::Mark),
            ("used", "2020-03-01", tracked, json!({used: "2025-03-01"}), "2026-03-01", later("2026-03-02")),
            ("used long ago", "2020-03-01", tracked, json!({used: "2025-03-01"}), "2026-03-02", Step::Mark),
            (
                "used nobody knows when",
                "2020-03-01",
                tracked,
                json!({used: "never"}),
                "2029-01-01",
                Step::Nothing,
            ),
            (
                "marked",
                "2020-03-01",
                tracked,
                json!({invalid: "2026-03-02"}),
                "2026-03-03",
                later("2027-03-03"),
            ),
            (
                "marked long ago",
                "2020-03-01",
                tracked,
                json!({invalid: "2026-03-02"}),
                "2027-03-03",
                Step::Remove,
            ),
            (
                "marked, and tried since",
                "2020-03-01",
                tracked,
                json!({invalid: "2026-03-02", used: "2027-02-02"}),
                "2027-03-03",
                later("2028-02-03"),
            ),
            (
                "marked by nothing",
                "2020-03-01",
                tracked,
                json!({invalid: "20260302"}),
                "2027-03-03",
                Step::Mark,
            ),
        ];
        for (name, created, tracked, labels, now, want) in cases {
            let secret: Secret = serde_json::from_value(json!({
                "metadata": {"name": "s", "creationTimestamp": at(created).to_string(), "labels": labels},
            }))
            .unwrap();
            assert_eq!(next_step(&secret, date(tracked).unwrap(), at(now)), want, "{name}");
        }
    }
}
