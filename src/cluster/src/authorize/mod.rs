//! Who may do what: the authorizers are asked one after the other until one allows or denies. Where nobody says otherwise those
//! are the nodes' own (`node.rs`) and RBAC, which decide at once. Webhooks may be among them: whoever handles a request asks with [`Cluster::ask`], which
//! waits for their answers; checks deep inside of one ([`Cluster::decide`]) mostly find these known already.

mod decision;
mod node;
mod rbac;
mod review;
mod role_rules;
mod rule;

pub use decision::{Attributes, Decision, Verdict};
pub(crate) use node::{LEASES as NODE_LEASES, rules as node_rules};
pub use rbac::HeldRules;
pub(crate) use rbac::{Rbac, keep_current};

use crate::{Actor, Cluster};
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use std::sync::Arc;
use tokio::runtime::Handle;

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
            return Asked::Decided(match rules.iter().any(|rule| rule::covers(rule, attributes)) {
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
    pub fn rules_of(&self, actor: &Actor, namespace: &str) -> HeldRules {
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
