//! A client's PUT: it changes what is there, and of some kinds makes what is not.

use crate::apply::{Applied, ManagedFields};
use crate::identity::{check_name, uid_conflict};
use crate::{Actor, Attributes, Cluster, Target, Verb, WriteOptions};
use ::api::{Gvk, Object, Reason, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{ErrorList, Instance};

/// How often it is tried again when somebody creates or deletes the object in between.
const MOST_RACES: usize = 8;

impl Cluster {
    /// Puts `new` in the place of the object, or of the part of it that the target names. What is not there is created where
    /// the kind has it so, with a create's admission, by who may create.
    ///
    /// # Errors
    /// As [`Cluster::modify`] and [`Cluster::create`]; `BadRequest` without a name, `Conflict` where there is none of the uid
    /// that is named, `Invalid` without a revision where the kind asks for one.
    pub async fn replace(
        &self,
        actor: &Actor,
        target: &Target,
        new: &dyn Instance,
        options: &WriteOptions,
    ) -> Result<Applied, Status> {
        check_name(new.meta(), target)?;
        let may_be_new = target.subresource.is_none() && target.version.created_by_update();
        let change = |current: &Object| {
            check_identity(new.meta(), current, target)?;
            Ok(new.clone_box())
        };
        let warned = options.remarks.mark();
        for _ in 0..MOST_RACES {
            options.remarks.back_to(warned);
            let is_missing = self.read_stored(target).is_err_and(|status| status.is(Reason::NotFound));
            let is_new = may_be_new && is_missing;
            let outcome = match asked_uid(new.meta()) {
                // he knows one that is gone: another is not it
                Some(uid) if is_missing => {
                    self.authorize(actor, &Attributes::of("update", target))?;
                    return Err(uid_conflict(target, uid, ""));
                }
                _ if is_new => self.create_by_update(actor, target, new.clone_box(), options).await,
                _ => self.modify(actor, target, Verb::Update, options, &change).await,
            };
            match outcome {
                Ok(object) => return Ok(Applied { object, created: is_new }),
                // somebody was faster
                Err(status) if is_new && status.is(Reason::AlreadyExists) => {}
                Err(status)
                    if may_be_new
                        && !is_new
                        && status.is(Reason::NotFound)
                        && self.read_stored(target).is_err() => {}
                Err(status) => return Err(status),
            }
        }
        let why = "it is created and deleted all the time";
        Err(Status::conflict(&target.group_resource(), target.name.as_deref().unwrap_or_default(), why))
    }

    async fn create_by_update(
        &self,
        actor: &Actor,
        target: &Target,
        mut new: Box<dyn Instance>,
        options: &WriteOptions,
    ) -> Result<::api::Object, Status> {
        self.authorize(actor, &Attributes::of("update", target))?;
        self.authorize(actor, &Attributes::of("create", target))?;
        new.meta_mut().resource_version = None;
        self.create_authorized(actor, target, new, options, ManagedFields::Follow).await
    }
}

fn asked_uid(meta: &ObjectMeta) -> Option<&str> {
    meta.uid.as_deref().filter(|uid| !uid.is_empty())
}

/// That it is the object which the client has seen. Of some kinds he must say which state of it (upstream's
/// `AllowUnconditionalUpdate`).
fn check_identity(new: &ObjectMeta, current: &Object, target: &Target) -> Result<(), Status> {
    let stored: &str = &current.meta().uid;
    if let Some(asked) = asked_uid(new).filter(|asked| *asked != stored) {
        return Err(uid_conflict(target, asked, stored));
    }
    let says_no_revision = matches!(new.resource_version.as_deref(), None | Some("" | "0"));
    if says_no_revision && !target.version.updated_unconditionally() {
        let resource = target.group_resource();
        let mut errors = ErrorList::default();
        errors.invalid("metadata.resourceVersion", 0, "must be specified for an update");
        // upstream names the resource where else a kind stands
        let what = Gvk { group: resource.group, version: "".into(), kind: resource.resource };
        let name = target.name.as_deref().unwrap_or_default();
        return Err(Status::invalid(&what, name, errors.into_causes()));
    }
    Ok(())
}
