//! Deletion: what has finalizers or a grace period is marked and stays until both are over, everything else goes at once.
//! What becomes of the objects that it owns, finalizers tell the garbage collector. Read `mark` first.

use crate::admission::{Admission, Operation, admit_deleted};
use crate::clock::now;
use crate::{Actor, Attributes, Cluster, List, ListParams, Remarks, Target, WriteOptions};
use ::api::{GroupResource, Gvk, Object, Reason, ResourceVersion, Status};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kinds::Instance;
use serde_json::{Map, Value};
use store::{Precondition, Priority};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What happens to the objects that it owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    Orphan,
    Background,
    Foreground,
}

#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    pub grace_period_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
    pub uid: Option<String>,
    pub resource_version: Option<ResourceVersion>,
    pub dry_run: bool,
    /// Where warnings go.
    pub remarks: Remarks,
}

#[derive(Debug, Clone)]
pub enum Deleted {
    /// It is gone.
    Now(Object),
    /// It is marked, and goes when its grace period is over or its finalizers are done.
    Later(Object),
}

impl DeleteOptions {
    /// At once, if it is still the same object.
    pub fn now(uid: &str) -> Self {
        DeleteOptions { grace_period_seconds: Some(0), uid: Some(uid.to_owned()), ..Self::default() }
    }
}

impl Cluster {
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict` where a precondition does not hold.
    pub async fn delete(
        &self,
        actor: &Actor,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        self.authorize(actor, &Attributes::of("delete", target))?;
        self.delete_authorized(actor, target, options).await
    }

    /// Deletes what a list with these parameters would give now, whatever revision they name: what was selected then may be another
    /// object, or one that the actor may not delete, by now. Each is deleted by itself; the first refusal ends it.
    ///
    /// # Errors
    /// As [`Cluster::list_in_version`] and [`Cluster::delete`].
    pub async fn delete_collection(
        &self,
        actor: &Actor,
        target: &Target,
        params: &ListParams,
        options: &DeleteOptions,
    ) -> Result<List, Status> {
        let asked = Attributes::of("deletecollection", target).selecting(&params.labels, &params.fields);
        self.authorize(actor, &asked)?;
        let list = self.list_selected(&Actor::root(), target, &params.of_now()?).await?;
        for object in &list.objects {
            let meta = object.meta();
            let one = Target::object(&target.version, meta.namespace.as_deref(), &meta.name);
            match self.delete_authorized(actor, &one, options).await {
                Err(status) if !status.is(Reason::NotFound) => return Err(status),
                _ => {}
            }
        }
        Ok(list)
    }

    pub(crate) async fn delete_authorized(
        &self,
        actor: &Actor,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        self.delete_admitted(target, options, Some(actor)).await
    }

    /// What others have been asked about in another form: behind an eviction nobody is asked about a deletion.
    pub(crate) async fn delete_unasked(
        &self,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        self.delete_admitted(target, options, None).await
    }

    async fn delete_admitted(
        &self,
        target: &Target,
        options: &DeleteOptions,
        admitted_for: Option<&Actor>,
    ) -> Result<Deleted, Status> {
        loop {
            let current = self.one_in_version(&target.version, self.read_stored(target)?).await?;
            check_preconditions(target, &current, options)?;
            let mut object = target.version.decode_stored(&current)?;
            if let Some(actor) = admitted_for {
                let (operation, told) = (Operation::Delete, told(&*object, target, options));
                let (dry_run, remarks) = (options.dry_run, &options.remarks);
                let asked = Admission { cluster: self, actor, target, operation, dry_run, told, remarks };
                admit_deleted(&asked, &*object).await?;
            }
            let outcome = match mark(&mut *object, target, options) {
                Mark::Nothing => return Ok(Deleted::Later(current)),
                Mark::Gone if options.dry_run => return Ok(Deleted::Now(current)),
                Mark::Gone => {
                    let at = Precondition::At(current.revision());
                    self.remove(target, current.key(), at, object.encode()?).await.map(Deleted::Now)
                }
                Mark::Changed => {
                    let write = WriteOptions { dry_run: options.dry_run, ..WriteOptions::default() };
                    let at = Precondition::At(current.revision());
                    // also where the store is full: it waits for its finalizers only
                    let marked =
                        self.put(target, object.encode()?, at, &write, Vec::new(), Priority::Essential).await;
                    marked.map(Deleted::Later)
                }
            };
            match outcome {
                Err(status) if status.is(Reason::Conflict) => {}
                outcome => return outcome,
            }
        }
    }
}

enum Mark {
    Gone,
    Changed,
    Nothing,
}

/// Marks the object as upstream's `BeforeDelete` does, and says what is left to do.
fn mark(object: &mut dyn Instance, target: &Target, options: &DeleteOptions) -> Mark {
    let grace = grace_of(object, target, options);
    let before = object.meta().clone();
    finalizers(object.meta_mut(), target, options);
    mark_namespace(object);
    let meta = object.meta_mut();
    match meta.deletion_grace_period_seconds {
        Some(before) if meta.deletion_timestamp.is_some() => {
            if grace < before {
                meta.deletion_grace_period_seconds = Some(grace);
                meta.deletion_timestamp = Some(after_now(grace));
            }
        }
        _ => {
            meta.deletion_grace_period_seconds = Some(grace);
            meta.deletion_timestamp = meta.deletion_timestamp.take().or_else(|| Some(after_now(grace)));
            if meta.generation.is_some() {
                meta.generation = meta.generation.map(|g| g + 1);
            }
        }
    }
    let changed = *meta != before;
    match ready_for_removal(object) {
        true => Mark::Gone,
        false if changed => Mark::Changed,
        false => Mark::Nothing,
    }
}

/// Only a pod that runs somewhere has a grace period: nobody else would end it.
fn grace_of(object: &dyn Instance, target: &Target, options: &DeleteOptions) -> i64 {
    if !target.version.graceful_deletion() {
        return 0;
    }
    let Some(pod) = object.downcast_ref::<Pod>() else { return 0 };
    let spec = pod.spec.as_ref();
    let scheduled = spec.and_then(|s| s.node_name.as_deref()).is_some_and(|node| !node.is_empty());
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
    if !scheduled || matches!(phase, "Succeeded" | "Failed") {
        return 0;
    }
    let own = spec.and_then(|s| s.termination_grace_period_seconds);
    match options.grace_period_seconds.or(own).unwrap_or(30) {
        // upstream takes it for the shortest grace there is, not for none
        ..0 => 1,
        grace => grace,
    }
}

/// What webhooks and policies are told of the options. Upstream's `BeforeDelete` has filled in a pod's grace by then.
fn told(object: &dyn Instance, target: &Target, options: &DeleteOptions) -> Vec<(&'static str, Value)> {
    let grace = match target.version.graceful_deletion() {
        true => Some(grace_of(object, target, options)),
        false => options.grace_period_seconds,
    };
    let propagation = options.propagation.map(|propagation| format!("{propagation:?}"));
    let mut preconditions = Map::new();
    if let Some(uid) = &options.uid {
        preconditions.insert("uid".to_owned(), uid.clone().into());
    }
    if let Some(revision) = options.resource_version {
        preconditions.insert("resourceVersion".to_owned(), revision.to_string().into());
    }
    let preconditions = (!preconditions.is_empty()).then_some(preconditions);
    let fields = [
        ("gracePeriodSeconds", grace.map(Value::from)),
        ("propagationPolicy", propagation.map(Value::from)),
        ("preconditions", preconditions.map(Value::from)),
    ];
    fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

/// A deletion that says nothing leaves to a finalizer that is there what it asks for.
fn finalizers(meta: &mut ObjectMeta, target: &Target, options: &DeleteOptions) {
    let settled = meta.finalizers.iter().flatten().any(|f| f == ORPHAN || f == FOREGROUND);
    let by_default = (target.version.orphans_by_default() && !settled).then_some(Propagation::Orphan);
    let Some(propagation) = options.propagation.or(by_default) else { return };
    let mut kept: Vec<String> = meta.finalizers.take().unwrap_or_default();
    kept.retain(|f| f != ORPHAN && f != FOREGROUND);
    match propagation {
        Propagation::Orphan => kept.push(ORPHAN.to_owned()),
        Propagation::Foreground => kept.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    meta.finalizers = (!kept.is_empty()).then_some(kept);
}

/// A namespace goes when the namespace controller has emptied it and taken its own finalizer out of the spec.
fn mark_namespace(object: &mut dyn Instance) {
    if let Some(namespace) = object.downcast_mut::<Namespace>() {
        namespace.status.get_or_insert_default().phase = Some("Terminating".to_owned());
    }
}

/// It was to be deleted, and what held it back is gone.
pub(crate) fn ready_for_removal(object: &dyn Instance) -> bool {
    let meta = object.meta();
    meta.deletion_timestamp.is_some()
        && meta.finalizers.as_ref().is_none_or(Vec::is_empty)
        && meta.deletion_grace_period_seconds.unwrap_or(0) == 0
        && !namespace_is_held(object)
}

fn namespace_is_held(object: &dyn Instance) -> bool {
    let namespace = object.downcast_ref::<Namespace>();
    let finalizers = namespace.and_then(|n| n.spec.as_ref()).and_then(|s| s.finalizers.as_ref());
    finalizers.is_some_and(|f| !f.is_empty())
}

fn after_now(seconds: i64) -> Time {
    let Time(now) = now();
    // a grace beyond all time is no reason to take it for none
    Time(now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(jiff::Timestamp::MAX))
}

fn check_preconditions(target: &Target, current: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let meta = current.meta();
    // upstream's `BeforeDelete` puts the kind where all others have the resource
    let Gvk { group, kind, .. } = target.version.info().gvk.clone();
    let of = GroupResource { group, resource: kind };
    let conflict = |why: String| Err(Status::conflict(&of, &meta.name, why));
    match (&options.uid, options.resource_version) {
        (Some(uid), _) if *uid != meta.uid => conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            meta.uid
        )),
        (_, Some(revision)) if revision != current.revision() => conflict(format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({}). The object might have been modified",
            current.revision()
        )),
        _ => Ok(()),
    }
}
