//! Who may do what: the authorizers are asked one after the other until one allows or denies. Where nobody says otherwise those
//! are the nodes' own (`node.rs`) and RBAC, which decide at once. Webhooks may be among them: whoever handles a request asks with [`Cluster::ask`], which
//! waits for their answers; checks deep inside of one ([`Cluster::decide`]) mostly find these known already.

mod node;
mod rbac;
mod review;

pub(crate) use node::{LEASES as NODE_LEASES, rules as node_rules};
pub(crate) use rbac::{Rbac, keep_current};

use crate::{Actor, Cluster, Target};
use ::api::{FieldSelector, GroupResource, LabelSelector, Status};
use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use k8s_openapi::api::rbac::v1::PolicyRule;
use std::sync::Arc;
use tokio::runtime::Handle;

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

/// Decides outside of this process.
#[async_trait]
pub trait AccessWebhook: Send + Sync + 'static {
    async fn decide(&self, question: &SubjectAccessReviewSpec) -> Decision;
}

/// One of those who are asked.
#[derive(Clone)]
pub enum Authorizer {
    AlwaysAllow,
    AlwaysDeny,
    /// What nodes may do that are clients.
    Node,
    Rbac,
    Webhook(Arc<dyn AccessWebhook>),
}

/// How far the authorizers have been asked.
enum Asked<'c> {
    Decided(Decision),
    /// Nobody has so far, and this one is next.
    Waits {
        webhook: &'c dyn AccessWebhook,
        so_far: Decision,
        rest: &'c [Authorizer],
    },
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
    fn and(self, next: Decision) -> Decision {
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
    fn full_resource(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            part => format!("{}/{part}", self.resource),
        }
    }
}

impl Cluster {
    /// From now on these are asked, in this order. A question that is being asked is decided by those before.
    pub fn authorize_by(&self, authorizers: Vec<Authorizer>) {
        self.0.authorizers.store(Arc::new(authorizers));
    }

    /// # Errors
    /// As [`Decision::permit`].
    pub fn authorize(&self, actor: &Actor, attributes: &Attributes) -> Result<(), Status> {
        self.decide(actor, attributes).permit(actor, attributes)
    }

    /// What is decided, for whoever can wait for it.
    pub async fn ask(&self, actor: &Actor, attributes: &Attributes) -> Decision {
        let authorizers = self.authorizers();
        let mut asked = self.ask_first(&authorizers, actor, attributes);
        loop {
            match asked {
                Asked::Decided(decision) => return decision,
                Asked::Waits { webhook, so_far, rest } => {
                    let told = so_far.and(webhook.decide(&review::question(actor, attributes)).await);
                    asked = self.ask_at_once(told, rest, actor, attributes);
                }
            }
        }
    }

    /// As [`Cluster::ask`], where nothing can wait: in expressions, and in checks within others. Another thread takes over what waits
    /// for this one while a webhook is asked whose answer is not known.
    pub fn decide(&self, actor: &Actor, attributes: &Attributes) -> Decision {
        match self.ask_first(&self.authorizers(), actor, attributes) {
            Asked::Decided(decision) => decision,
            Asked::Waits { .. } => {
                tokio::task::block_in_place(|| Handle::current().block_on(self.ask(actor, attributes)))
            }
        }
    }

    fn ask_first<'c>(
        &self,
        authorizers: &'c [Authorizer],
        actor: &Actor,
        attributes: &Attributes,
    ) -> Asked<'c> {
        if actor.is_in(Actor::MASTERS) {
            return Asked::Decided(Decision::allow(Arc::default()));
        }
        if actor.is_own_kubelet() {
            // it runs whomever a file names
            let rules = self.0.kubelet_rules.load();
            return Asked::Decided(match rules.iter().any(|rule| rbac::covers(rule, attributes)) {
                true => Decision::allow(Arc::default()),
                false => Decision::default(),
            });
        }
        self.ask_at_once(Decision::default(), authorizers, actor, attributes)
    }

    /// Goes on with `authorizers`, up to the first one that is a webhook.
    fn ask_at_once<'c>(
        &self,
        mut told: Decision,
        mut authorizers: &'c [Authorizer],
        actor: &Actor,
        attributes: &Attributes,
    ) -> Asked<'c> {
        while let (Verdict::NoOpinion, Some((next, rest))) = (told.verdict, authorizers.split_first()) {
            let said = match next {
                Authorizer::AlwaysAllow => Decision::allow(Arc::default()),
                Authorizer::AlwaysDeny => {
                    Decision { reason: "Everything is forbidden.".into(), ..Decision::default() }
                }
                Authorizer::Node => node::decide(self, actor, attributes),
                Authorizer::Rbac => self.0.rbac.decide(actor, attributes),
                Authorizer::Webhook(webhook) => {
                    return Asked::Waits { webhook: &**webhook, so_far: told, rest };
                }
            };
            told = told.and(said);
            authorizers = rest;
        }
        Asked::Decided(told)
    }

    fn authorizers(&self) -> Arc<Vec<Authorizer>> {
        self.0.authorizers.load_full()
    }

    /// The rules that apply to an actor in a namespace, for `kubectl auth can-i --list`.
    pub fn rules_of(&self, actor: &Actor, namespace: &str) -> Vec<PolicyRule> {
        self.0.rbac.rules_of(actor, namespace)
    }

    /// Who is asked about this actor whose rules nobody can list, in upstream's words.
    pub fn unlisted_rules_of(&self, actor: &Actor) -> Vec<&'static str> {
        let unlisted = |authorizer: &Authorizer| match authorizer {
            Authorizer::Webhook(_) => Some("webhook authorizer does not support user rule resolution"),
            Authorizer::Node if actor.client_node().is_some() => {
                Some("node authorizer does not support user rule resolution")
            }
            _ => None,
        };
        self.authorizers().iter().filter_map(unlisted).collect()
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
