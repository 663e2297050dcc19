//! A StorageVersionMigration has every object of a resource written anew, so that it is stored in the version in which the
//! resource is stored by now: upstream's storage-version-migrator-controller. What is stored so already is not written.

mod definition;

use api::{LabelSelector, Object, ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{
    Actor, Api, Client, Cluster, Controller, Informer, ListParams, Target, Verb, WriteOptions, unless_gone,
    unless_replaced,
};
use definition::Definition;
use k8s_openapi::api::storagemigration::v1::StorageVersionMigration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, GroupResource};
use kinds::{Kind, key_of, whole_second};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "storage-version-migrator-controller";

/// A condition that holds, and the reason that upstream gives with it.
type Stage = (&'static str, &'static str);
const RUNNING: Stage = ("Running", "MigrationRunning");
/// The same condition when it is over, however it ended.
const COMPLETED: Stage = (RUNNING.0, "MigrationCompleted");
const SUCCEEDED: Stage = ("Succeeded", "StorageVersionMigrationSucceeded");
const FAILED: Stage = ("Failed", "StorageVersionMigrationFailed");

pub(crate) fn role() -> ComponentRole {
    let group = &["storagemigration.k8s.io"];
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, group, &["storageversionmigrations"]),
            rule(&["patch", "update"], group, &["storageversionmigrations/status"]),
            rule(&["list", "patch"], &["*"], &["*"]),
            rule(
                &["get", "patch"],
                &["apiextensions.k8s.io"],
                &["customresourcedefinitions", "customresourcedefinitions/status"],
            ),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let known: Informer<StorageVersionMigration> = cluster.informer();
    Controller::new(NAME, &cluster)
        .reconciles::<StorageVersionMigration>()
        .watches::<StorageVersionMigration>(move |queue, change| {
            // it may be another's turn now
            let of = resource_of(change.object());
            for waiting in known.list(None).iter().filter(|other| is_open(other) && resource_of(other) == of)
            {
                queue.add(key_of(&waiting.metadata));
            }
        })
        .run(stop, client, |client, key: ObjectKey| async move { reconcile(&client, &key).await })
        .await;
}

/// From the beginning after a restart: what was written before is not written again.
async fn reconcile(client: &Client, key: &ObjectKey) -> Result<(), Status> {
    let migrations = client.api::<StorageVersionMigration>();
    let Some(migration) = migrations.find(key)? else { return Ok(()) };
    if !is_open(&migration) || !is_next(&migration, &migrations.list(None, LabelSelector::default())?) {
        return Ok(());
    }
    let of = resource_of(&migration);
    let Some(kind) = kind_of(client, &of) else {
        return tell(&migrations, key, FAILED, "resource does not exist in discovery", None).await;
    };
    let definition = Definition::of(client, &of);
    definition.begin(&kind, &key.name).await?;
    let target = Target::collection(kind.stored(), None);
    let list = client.cluster().list(client.actor(), &target, &ListParams::default())?;
    tell(&migrations, key, RUNNING, "The migration is running", Some(list.revision.to_string())).await?;
    for object in &list.objects {
        if let Err(status) = store_anew(client, &kind, object).await {
            if may_pass(&status) {
                return Err(status);
            }
            let why = format!("migration encountered unhandled error: {}", status.message);
            definition.end(false).await?;
            return tell(&migrations, key, FAILED, &why, None).await;
        }
    }
    definition.end(true).await?;
    tell(&migrations, key, SUCCEEDED, "", None).await
}

/// What another attempt may not meet again: a webhook that is down, a server that is busy (upstream's `isRetriableError`).
fn may_pass(status: &Status) -> bool {
    use Reason::{InternalError, ServiceUnavailable, Timeout, TooManyRequests};
    [InternalError, ServiceUnavailable, Timeout, TooManyRequests].into_iter().any(|reason| status.is(reason))
}

fn is(migration: &StorageVersionMigration, (kind, _): Stage) -> bool {
    let mut all = migration.status.iter().flat_map(|status| status.conditions.iter().flatten());
    all.any(|condition| condition.type_ == kind && condition.status == "True")
}

fn is_open(migration: &StorageVersionMigration) -> bool {
    !is(migration, SUCCEEDED) && !is(migration, FAILED)
}

fn resource_of(migration: &StorageVersionMigration) -> GroupResource {
    migration.spec.as_ref().map(|spec| spec.resource.clone()).unwrap_or_default()
}

/// A resource has one migration at a time (upstream's migration runner): the one that runs already, or else the oldest.
fn is_next(migration: &StorageVersionMigration, all: &[StorageVersionMigration]) -> bool {
    let rank = |of: &StorageVersionMigration| {
        (!is(of, RUNNING), of.metadata.creation_timestamp.clone(), of.metadata.name.clone())
    };
    let (of, own) = (resource_of(migration), rank(migration));
    let mut others = all.iter().filter(|other| is_open(other) && resource_of(other) == of);
    others.all(|other| rank(other) >= own)
}

fn kind_of(client: &Client, of: &GroupResource) -> Option<Arc<Kind>> {
    let is_it = |kind: &&Arc<Kind>| {
        let mut served = kind.versions.iter().map(|version| &version.info().gvr);
        served.any(|gvr| gvr.group == of.group && gvr.resource == of.resource)
    };
    client.cluster().registry().kinds().find(is_it).cloned()
}

/// Whoever has changed the object since has done it, and whoever has removed it as well.
async fn store_anew(client: &Client, kind: &Kind, object: &Object) -> Result<(), Status> {
    let key = object.key();
    let target = Target::object(kind.stored(), key.namespace.as_deref(), &key.name);
    let as_it_is = |current: &Object| kind.stored().decode_stored(current);
    let options = WriteOptions::default();
    let written = client.cluster().modify(client.actor(), &target, Verb::Patch, &options, &as_it_is).await;
    unless_replaced(written).map(drop)
}

/// `revision` is that of the list, and stays what it was first.
async fn tell(
    migrations: &Api<StorageVersionMigration>,
    key: &ObjectKey,
    stage: Stage,
    message: &str,
    revision: Option<String>,
) -> Result<(), Status> {
    let written = migrations.modify_status(key, |migration| {
        let status = migration.status.get_or_insert_default();
        if status.resource_version.is_none() {
            status.resource_version.clone_from(&revision);
        }
        let generation = migration.metadata.generation;
        let all = status.conditions.get_or_insert_default();
        if stage != RUNNING && all.iter().any(|known| known.type_ == RUNNING.0) {
            set(all, condition(COMPLETED, "False", "Migration completed", generation));
        }
        set(all, condition(stage, "True", message, generation));
        Ok(())
    });
    unless_gone(written.await).map(drop)
}

fn condition((kind, reason): Stage, status: &str, message: &str, generation: Option<i64>) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: whole_second(jiff::Timestamp::now()),
    }
}

fn set(all: &mut Vec<Condition>, mut wanted: Condition) {
    match all.iter_mut().find(|known| known.type_ == wanted.type_) {
        Some(known) => {
            if known.status == wanted.status {
                wanted.last_transition_time = known.last_transition_time.clone();
            }
            *known = wanted;
        }
        None => all.push(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_resource_has_one_migration_at_a_time() {
        let made = |name: &str, resource: &str, second: u32, stage: Option<Stage>| {
            let conditions: Vec<Condition> =
                stage.into_iter().map(|stage| condition(stage, "True", "", None)).collect();
            let made = json!({
                "metadata": {"name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
                "spec": {"resource": {"resource": resource}}, "status": {"conditions": conditions},
            });
            serde_json::from_value::<StorageVersionMigration>(made).unwrap()
        };
        let own = made("m", "secrets", 5, None);
        let cases = [
            ("alone", own.clone(), true),
            ("an older one", made("z", "secrets", 4, None), false),
            ("a younger one", made("a", "secrets", 6, None), true),
            ("a younger one that runs", made("a", "secrets", 6, Some(RUNNING)), false),
            ("of the same second", made("a", "secrets", 5, None), false),
            ("an older one that is done", made("a", "secrets", 4, Some(SUCCEEDED)), true),
            ("an older one that failed", made("a", "secrets", 4, Some(FAILED)), true),
            ("of another resource", made("a", "pods", 4, Some(RUNNING)), true),
        ];
        for (name, other, want) in cases {
            assert_eq!(is_next(&own, &[own.clone(), other]), want, "{name}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_stays_wrong_fails() {
        let cases = [
            (Reason::InternalError, true),
            (Reason::ServiceUnavailable, true),
            (Reason::Timeout, true),
            (Reason::TooManyRequests, true),
            (Reason::Invalid, false),
            (Reason::Forbidden, false),
        ];
        for (reason, want) in cases {
            assert_eq!(may_pass(&Status::new(reason, "why")), want, "{reason:?}");
        }
    }

    #[test]
    fn a_condition_is_there_once_and_keeps_the_time_of_its_transition() {
        let mut all = Vec::new();
        let mut first = condition(RUNNING, "True", "", None);
        first.last_transition_time = whole_second(jiff::Timestamp::UNIX_EPOCH);
        set(&mut all, first.clone());
        set(&mut all, condition(RUNNING, "True", "still", None));
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].last_transition_time, first.last_transition_time);
        set(&mut all, condition(RUNNING, "False", "", None));
        assert_eq!((all.len(), all[0].status.as_str()), (1, "False"));
        assert_ne!(all[0].last_transition_time, first.last_transition_time);
    }
}
