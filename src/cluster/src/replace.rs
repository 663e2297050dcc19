//! A client's PUT: it changes what is there, and of some kinds makes what is not.

use crate::apply::{Applied, ManagedFields};
use crate::{Actor, Attributes, Cluster, Target, Verb, WriteOptions};
use ::api::{Reason, Status};
use kinds::Instance;

/// How often it is tried again when somebody creates or deletes the object in between.
const MOST_RACES: usize = 8;

impl Cluster {
    /// Puts `new` in the place of the object, or of the part of it that the target names. What is not there is created where
    /// the kind has it so, with a create's admission, by who may create.
    ///
    /// # Errors
    /// As [`Cluster::modify`] and [`Cluster::create`]; `Conflict` where there is none of the uid that is named.
    pub async fn replace(
        &self,
        actor: &Actor,
        target: &Target,
        new: &dyn Instance,
        options: &WriteOptions,
    ) -> Result<Applied, Status> {
        let may_be_new = target.subresource.is_none() && target.version.created_by_update();
        let warned = options.remarks.mark();
        for _ in 0..MOST_RACES {
            options.remarks.back_to(warned);
            let is_new = may_be_new && self.read_stored(target).is_err();
            let outcome = match is_new {
                true => self.create_by_update(actor, target, new.clone_box(), options).await,
                false => self.modify(actor, target, Verb::Update, options, &|_| Ok(new.clone_box())).await,
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
        // he knows one that is gone: another is not it
        if let Some(uid) = new.meta().uid.as_deref().filter(|uid| !uid.is_empty()) {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
            let name = target.name.as_deref().unwrap_or_default();
            return Err(Status::conflict(&target.group_resource(), name, why));
        }
        self.authorize(actor, &Attributes::of("create", target))?;
        new.meta_mut().resource_version = None;
        self.create_authorized(actor, target, new, options, ManagedFields::Follow).await
    }
}
