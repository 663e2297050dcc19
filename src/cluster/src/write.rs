//! The write path: authorise → default → admit → validate → commit.

mod metadata;

use crate::admission::{Admission, Operation};
use crate::apply::{ManagedFields, of_created, of_updated};
use crate::delete::ready_for_removal;
use crate::reservations::Reservations;
use crate::write_priority::{Step, priority};
use crate::{Actor, Attributes, Cluster, Remarks, Target, WriteOptions, admission};
use ::api::{Gvk, Object, ObjectKey, Reason, ResourceVersion, Status, Unstamped};
use kinds::{Durability, ErrorList, Instance, Subresource};
use metadata::{
    asked_revision, drop_empty, fill_system_fields, generate_name, generate_name_again, is_asked_for,
    keep_system_fields, keep_times, keeps_uid, reconcile_with_url, was_stored_before,
};
use store::{Change, CommitError, Precondition, Priority, Write};

/// How often a write that has no precondition of its own is tried again when somebody was faster.
const MOST_CONFLICTS: usize = 32;
/// By so many bytes an object may grow meanwhile.
const MOST_GROWTH: usize = 256 * 1024;
/// Upstream gives up on a generated name after as many collisions.
const MOST_NAMES: usize = 8;

/// From the stored object to what shall take its place; runs again when somebody was faster.
pub type Edit<'a> = dyn Fn(&Object) -> Result<Box<dyn Instance>, Status> + Send + Sync + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Update,
    Patch,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Verb::Update => "update",
            Verb::Patch => "patch",
        }
    }
}

impl Cluster {
    /// Stores a new object. What is returned is what was stored.
    ///
    /// # Errors
    /// `Forbidden`, `BadRequest`, `Invalid`, `AlreadyExists`, `NotFound` for a missing namespace.
    pub async fn create(
        &self,
        actor: &Actor,
        target: &Target,
        object: Box<dyn Instance>,
        options: &WriteOptions,
    ) -> Result<Object, Status> {
        self.authorize(actor, &Attributes::of("create", target))?;
        self.check_definition_stays(target)?;
        self.create_authorized(actor, target, object, options, ManagedFields::Follow).await
    }

    pub(crate) async fn create_authorized(
        &self,
        actor: &Actor,
        target: &Target,
        mut object: Box<dyn Instance>,
        options: &WriteOptions,
        managed: ManagedFields,
    ) -> Result<Object, Status> {
        reconcile_with_url(object.meta_mut(), target)?;
        let was_stored_before = was_stored_before(object.meta());
        let generated = generate_name(object.meta_mut())?;
        object.set_defaults();
        fill_system_fields(object.meta_mut());
        drop_empty(object.meta_mut());
        if managed == ManagedFields::Follow {
            let written = object.meta_mut().managed_fields.take();
            let entries = of_created(options.manager(actor), target, written, &*object)?;
            object.meta_mut().managed_fields = entries;
        }
        // what it adds (a Job's selector, a Namespace's finalizer) is nobody's, as what admission does
        object.prepare_create();
        let asked = self.admission(actor, target, Operation::Create, options);
        let prepare = |changed: &mut dyn Instance| {
            changed.set_defaults();
            drop_empty(changed.meta_mut());
            changed.prepare_create();
        };
        let judge = |new: &mut dyn Instance| {
            validate(target, new, None)?;
            warn(target, new, None, &options.remarks);
            Ok(())
        };
        let reservations = admission::admit_written(&asked, &mut object, None, &prepare, judge).await?;
        if was_stored_before {
            // said by upstream's storage, so after all else, and as an error that nobody has given a code
            let why = "resourceVersion should not be set on objects to be created";
            return Err(Status::new(Reason::Unknown, why));
        }
        let mut tries = 0;
        let priority = priority(actor, target, Step::Create);
        loop {
            let beside = reservations.written_with(self.store(), object.meta())?;
            let draft = object.encode_in_place()?;
            let outcome = self.put(target, draft, Precondition::Absent, options, beside, priority).await;
            match outcome {
                Err(status) if status.is(Reason::AlreadyExists) && generated && tries < MOST_NAMES => {
                    tries += 1;
                    generate_name_again(object.meta_mut());
                }
                Ok(stored) => {
                    reservations.commit_unless(options.dry_run);
                    return Ok(stored);
                }
                Err(status) => return Err(status),
            }
        }
    }

    /// Replaces an object, or a part of it, by what `change` makes of the stored one. Where the changed object carries a
    /// resourceVersion it must be the stored one's; else it is tried again until nobody was faster. So must a uid: of an update that
    /// is a precondition.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict`, `Invalid`, and what `change` returns.
    pub async fn modify(
        &self,
        actor: &Actor,
        target: &Target,
        verb: Verb,
        options: &WriteOptions,
        change: &Edit<'_>,
    ) -> Result<Object, Status> {
        self.authorize(actor, &Attributes::of(verb.as_str(), target))?;
        let checked = |current: &Object| {
            let new = change(current)?;
            let is_update = verb == Verb::Update;
            is_update.then(|| is_asked_for(target, new.meta(), &current.meta().uid)).transpose()?;
            Ok(new)
        };
        self.modify_authorized(actor, target, options, ManagedFields::Follow, &checked).await
    }

    /// For those who have authorised another question: a binding, a scale.
    pub(crate) async fn modify_authorized(
        &self,
        actor: &Actor,
        target: &Target,
        options: &WriteOptions,
        managed: ManagedFields,
        change: &Edit<'_>,
    ) -> Result<Object, Status> {
        let (warned, mut most) = (options.remarks.mark(), None);
        for _ in 0..MOST_CONFLICTS {
            options.remarks.back_to(warned);
            let stored = self.read_stored(target)?;
            // a client's request has its turn for an object of the size that it had, and others change it at the same time
            if stored.bytes().len() > *most.get_or_insert(stored.bytes().len() + MOST_GROWTH) {
                return Err(modified(target));
            }
            let current = self.one_in_version(&target.version, stored.clone()).await?;
            let mut old = target.version.decode_stored(&current)?;
            // as upstream's decoder: a default that this version brings is no change, and nobody has made it
            old.set_defaults();
            let mut new = change(&current)?;
            let asked = asked_revision(new.meta())?;
            if asked.is_some_and(|asked| asked != current.revision()) {
                return Err(modified(target));
            }
            reconcile_with_url(new.meta_mut(), target)?;
            keeps_uid(target, new.meta(), old.meta())?;
            let reservations = self.prepare(actor, target, options, &mut new, &*old, managed).await?;
            keep_times(&mut *new, &*old);
            if new.same_as(&*old) && !Self::moves(&target.version, &stored) {
                return Ok(current);
            }
            let at = Precondition::At(current.revision());
            let outcome = if ready_for_removal(&*new) && !options.dry_run {
                self.remove(target, current.key(), at, new.encode_in_place()?).await
            } else {
                let beside = reservations.written_with(self.store(), new.meta())?;
                let priority = priority(actor, target, Step::Update);
                self.put(target, new.encode_in_place()?, at, options, beside, priority).await
            };
            match outcome {
                Err(status) if status.is(Reason::Conflict) && asked.is_none() => {}
                Ok(stored) => {
                    reservations.commit_unless(options.dry_run);
                    return Ok(stored);
                }
                Err(status) => return Err(status),
            }
        }
        Err(modified(target))
    }

    /// Everything between the client's new version and what is stored.
    async fn prepare(
        &self,
        actor: &Actor,
        target: &Target,
        options: &WriteOptions,
        new: &mut Box<dyn Instance>,
        old: &dyn Instance,
        managed: ManagedFields,
    ) -> Result<Reservations, Status> {
        let written = new.meta_mut().managed_fields.take();
        prepare_update(target, &mut **new, old);
        // what admission changes is nobody's
        let managed = match managed {
            ManagedFields::Written => written,
            ManagedFields::Kept => old.meta().managed_fields.clone(),
            ManagedFields::Follow => {
                of_updated(options.manager(actor), target, &self.registry(), written, &**new, old)?
            }
        };
        let asked = self.admission(actor, target, Operation::Update, options);
        let again = |changed: &mut dyn Instance| prepare_update(target, changed, old);
        let judge = |new: &mut dyn Instance| {
            new.meta_mut().managed_fields = managed;
            validate(target, new, Some(old)).or_else(|refusal| match target.version.without_zeros(old) {
                Some(old) => validate(target, new, Some(&*old)),
                None => Err(refusal),
            })?;
            warn(target, new, Some(old), &options.remarks);
            Ok(())
        };
        admission::admit_written(&asked, new, Some(old), &again, judge).await
    }

    pub(crate) fn admission<'a>(
        &'a self,
        actor: &'a Actor,
        target: &'a Target,
        operation: Operation,
        options: &'a WriteOptions,
    ) -> Admission<'a> {
        let WriteOptions { dry_run, remarks, .. } = options;
        Admission {
            cluster: self,
            actor,
            target,
            operation,
            dry_run: *dry_run,
            told: options.told(),
            remarks,
        }
    }

    /// With what is written beside it: all or nothing.
    pub(crate) async fn put(
        &self,
        target: &Target,
        draft: Unstamped,
        precondition: Precondition,
        options: &WriteOptions,
        beside: Vec<Write>,
        priority: Priority,
    ) -> Result<Object, Status> {
        let draft = self.for_storage(&target.version, draft).await?;
        let key = draft.key();
        if options.dry_run {
            return self.dry_run(target, draft, &precondition);
        }
        self.commit_one(target, key, precondition, Change::Put(draft), beside, priority).await
    }

    pub(crate) async fn remove(
        &self,
        target: &Target,
        key: ObjectKey,
        precondition: Precondition,
        last: Unstamped,
    ) -> Result<Object, Status> {
        let last = self.for_storage(&target.version, last).await?;
        let beside = self.0.services.removed_with(self.store(), target, &key)?;
        let change = Change::Delete { last };
        let removed = self.commit_one(target, key, precondition, change, beside, Priority::Essential).await?;
        self.0.services.release(target, &removed);
        Ok(removed)
    }

    async fn commit_one(
        &self,
        target: &Target,
        key: ObjectKey,
        precondition: Precondition,
        change: Change,
        beside: Vec<Write>,
        priority: Priority,
    ) -> Result<Object, Status> {
        let (name, namespace) = (key.name.to_string(), key.namespace.clone());
        let durability = match target.version.info().durability {
            Durability::Sync => store::Durability::Sync,
            Durability::Lazy => store::Durability::Lazy,
        };
        let absent = matches!(precondition, Precondition::Absent);
        let write = Write { resource: target.stored_in(), key, precondition, change, durability };
        let outcome =
            self.store().commit_with(priority, std::iter::once(write).chain(beside).collect()).await;
        if outcome.is_ok() && target.version.info().gvr.group == "admissionregistration.k8s.io" {
            // from the next write on they are asked
            self.0.webhooks.refresh(self.store());
            self.0.policies.refresh(self.store());
        }
        match outcome {
            Ok(committed) => {
                self.touch_quotas(target, namespace.as_deref());
                let stored = committed.objects.into_iter().next();
                stored.ok_or_else(|| Status::internal("the store returned no object"))
            }
            // somebody was faster with what is written beside it
            Err(CommitError::Precondition { index: 1.., .. }) => Err(modified(target)),
            Err(CommitError::Precondition { .. }) if absent => {
                Err(Status::already_exists(&target.group_resource(), &name))
            }
            Err(CommitError::Precondition { current: None, .. }) => {
                Err(Status::not_found(&target.group_resource(), &name))
            }
            Err(CommitError::Precondition { .. }) => Err(modified(target)),
            Err(error @ CommitError::TooLarge { .. }) => {
                Err(Status::new(Reason::RequestEntityTooLarge, error.to_string()))
            }
            // as upstream's API server hands on what etcd says
            Err(error @ CommitError::OverQuota) => Err(Status::new(Reason::Unknown, error.to_string())),
            Err(other) => Err(Status::internal(other)),
        }
    }

    /// What a dry run answers: as committed, with the current revision, after the same precondition.
    fn dry_run(
        &self,
        target: &Target,
        draft: Unstamped,
        precondition: &Precondition,
    ) -> Result<Object, Status> {
        let snapshot = self.store().snapshot();
        let current = snapshot.get(&target.stored_in(), &draft.key());
        match (precondition, &current) {
            (Precondition::Absent, Some(_)) => {
                Err(Status::already_exists(&target.group_resource(), &draft.key().name))
            }
            (Precondition::At(at), Some(object)) if object.revision() != *at => Err(modified(target)),
            _ => Ok(draft.stamp(current.map_or(ResourceVersion(0), |object| object.revision()))),
        }
    }
}

/// What comes before admission, and again where that has changed something.
fn prepare_update(target: &Target, new: &mut dyn Instance, old: &dyn Instance) {
    new.set_defaults();
    keep_system_fields(new.meta_mut(), old.meta());
    drop_empty(new.meta_mut());
    match target.subresource {
        Some(Subresource::Status) => new.prepare_status_update(old),
        // the binding writes both the node and its condition
        Some(Subresource::Binding) => {}
        Some(other) => new.prepare_subresource_update(other, old),
        None => new.prepare_update(old),
    }
    use Subresource::{EphemeralContainers, Resize, Scale};
    if matches!(target.subresource, None | Some(Scale | EphemeralContainers | Resize))
        && new.generation_changes(old)
    {
        new.meta_mut().generation = Some(old.meta().generation.unwrap_or(0) + 1);
    }
}

/// As upstream, an update of the status judges the status, and a binding nothing but itself. What was wrong before may stay:
/// an object that was stored under laxer rules can still be changed, and lose its finalizers.
fn validate(target: &Target, new: &dyn Instance, old: Option<&dyn Instance>) -> Result<(), Status> {
    let mut errors = ErrorList::default();
    kinds::validate_meta(&target.version, new.meta(), &mut errors);
    let Some(old) = old else {
        new.validate(&mut errors);
        new.validate_create(&mut errors);
        target.version.validate_version(new, None, &mut errors);
        return told(target, new, errors);
    };
    let in_full = !matches!(target.subresource, Some(Subresource::Status | Subresource::Binding));
    if in_full {
        new.validate(&mut errors);
    }
    if !errors.is_empty() {
        let mut before = ErrorList::default();
        kinds::validate_meta(&target.version, old.meta(), &mut before);
        old.validate(&mut before);
        errors.forgive(&before);
    }
    kinds::validate_meta_update(new.meta(), old.meta(), &mut errors);
    match target.subresource {
        Some(Subresource::Status) => new.validate_status_update(old, &mut errors),
        subresource if in_full => {
            match subresource {
                Some(other) => new.validate_subresource_update(other, old, &mut errors),
                None => new.validate_update(old, &mut errors),
            }
            target.version.validate_version(new, Some(old), &mut errors);
        }
        _ => {}
    }
    told(target, new, errors)
}

fn told(target: &Target, new: &dyn Instance, errors: ErrorList) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    let info = target.version.info();
    let kind = Gvk { version: info.gvk.version.clone(), ..info.gvk.clone() };
    Err(Status::invalid(&kind, new.meta().name.as_deref().unwrap_or_default(), errors.into_causes()))
}

/// Upstream's `WarningsOnCreate` and `WarningsOnUpdate`, which have no subresources.
fn warn(target: &Target, new: &dyn Instance, old: Option<&dyn Instance>, remarks: &Remarks) {
    if remarks.is_heard() && target.subresource.is_none() {
        remarks.warn_all(new.warnings(old));
    }
}

fn modified(target: &Target) -> Status {
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    Status::conflict(&target.group_resource(), target.name.as_deref().unwrap_or_default(), why)
}
