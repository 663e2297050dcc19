//! A question of who may do what, and what is said to it.

use crate::{Actor, Target};
use ::api::{FieldSelector, GroupResource, LabelSelector, Status};
use std::sync::Arc;

/// One question: may somebody do this to that?
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub verb: String,
    pub group: String,
    /// Of the API; webhooks are told, and no rule of RBAC asks for it.
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// `/healthz`: then there is no resource.
    pub path: Option<String>,
    /// What of a collection is asked for: webhooks are told, and no rule of RBAC asks for it. Requirements that can not be read are
    /// left out, which asks for more.
    pub fields: FieldSelector,
    pub labels: LabelSelector,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// Whatever others would say.
    Deny,
    #[default]
    NoOpinion,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    /// By what, in the words of whoever decided; of those who have no opinion, a line each.
    pub reason: Arc<str>,
    /// What went wrong on the way, a line each: nothing is allowed by it.
    pub error: Option<String>,
}

impl Decision {
    pub fn allow(reason: Arc<str>) -> Self {
        Decision { verdict: Verdict::Allow, reason, error: None }
    }

    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }

    /// # Errors
    /// `Forbidden` in upstream's words, and `InternalError` where somebody could not be asked.
    pub fn permit(&self, actor: &Actor, asked: &Attributes) -> Result<(), Status> {
        match (self.is_allowed(), &self.error) {
            (true, _) => Ok(()),
            (false, Some(error)) => Err(Status::internal(error)),
            (false, None) => Err(forbidden(actor, asked, &self.reason)),
        }
    }

    /// With what one more says, who is asked because the ones before had no opinion.
    pub(super) fn and(self, next: Decision) -> Decision {
        if next.is_allowed() {
            return next;
        }
        let error = match (self.error, next.error) {
            (Some(before), Some(after)) => Some(format!("{before}\n{after}")),
            (before, after) => before.or(after),
        };
        let reason = match (self.reason.is_empty(), next.reason.is_empty()) {
            (false, false) if next.verdict == Verdict::NoOpinion => {
                format!("{}\n{}", self.reason, next.reason).into()
            }
            (false, true) if next.verdict == Verdict::NoOpinion => self.reason,
            _ => next.reason,
        };
        Decision { verdict: next.verdict, reason, error }
    }
}

impl Attributes {
    pub fn of(verb: &str, target: &Target) -> Self {
        let info = target.version.info();
        Attributes {
            verb: verb.to_owned(),
            group: info.gvr.group.to_string(),
            version: info.gvr.version.to_string(),
            resource: info.gvr.resource.to_string(),
            subresource: target.subresource.map(|of| of.name().to_owned()).unwrap_or_default(),
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            ..Attributes::default()
        }
        .in_own_namespace()
    }

    /// Of a collection: what the selectors leave of it is asked for, and no more.
    #[must_use]
    pub(crate) fn selecting(self, labels: &LabelSelector, fields: &FieldSelector) -> Self {
        Attributes { labels: labels.clone(), fields: fields.clone(), ..self }
    }

    /// A namespace is asked for in itself, as upstream's `RequestInfo` reads `namespaces/NAME`: a role in it may allow that.
    pub fn in_own_namespace(mut self) -> Self {
        if self.group.is_empty() && self.resource == "namespaces" && self.namespace.is_none() {
            self.namespace.clone_from(&self.name);
        }
        self
    }

    pub fn non_resource(verb: &str, path: &str) -> Self {
        Attributes { verb: verb.to_owned(), path: Some(path.to_owned()), ..Self::default() }
    }

    /// `pods/log`
    pub(super) fn full_resource(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            part => format!("{}/{part}", self.resource),
        }
    }
}

fn forbidden(actor: &Actor, attributes: &Attributes, reason: &str) -> Status {
    let user = &actor.name;
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    if let Some(path) = &attributes.path {
        let why = format!("forbidden: User \"{user}\" cannot {} path \"{path}\"{reason}", attributes.verb);
        return Status::new(::api::Reason::Forbidden, why);
    }
    let place = match &attributes.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let resource = attributes.full_resource();
    let why = format!(
        "User \"{user}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}{reason}",
        attributes.verb, attributes.group
    );
    let about = GroupResource {
        group: attributes.group.clone().into(),
        resource: attributes.resource.clone().into(),
    };
    match attributes.name.as_deref() {
        Some(name) => Status::forbidden(&about, name, why),
        None => {
            let mut status = Status::forbidden(&about, "", &why);
            status.message = format!("{about} is forbidden: {why}");
            status
        }
    }
}
