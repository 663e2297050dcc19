//! Admission webhooks: who is asked about a write, in which order, and what becomes of the answer.
//!
//! `hook.rs` says whether a webhook is asked, `review.rs` what is sent and what an answer means. How the review travels is
//! not known here: [`WebhookCaller`] is handed in. Nothing is held while a webhook is waited for but the write itself; where
//! there is no configuration a write costs one look at a flag.

mod hook;
mod review;

use crate::Cluster;
use crate::admission_request::attributes::{Admission, Draft, Subject};
use crate::admission_request::question::Question;
use crate::metrics::{Asking, Call};
use ::api::Status;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use hook::Hook;
pub(crate) use hook::url_of;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kinds::TypedKind;
use parking_lot::Mutex;
use review::Answer;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use store::{Resource, Snapshot, Store};

/// Carries a review to a webhook and its answer back.
#[async_trait]
pub trait WebhookCaller: Send + Sync + 'static {
    /// `url` is what is asked for, also where a Service leads there. Whoever calls limits the time.
    ///
    /// # Errors
    /// In words, without the address: `dial tcp 10.0.0.1:443: connect: connection refused`.
    async fn post(
        &self,
        cluster: &Cluster,
        client: &WebhookClientConfig,
        url: &str,
        review: Vec<u8>,
    ) -> Result<Bytes, String>;
}

/// The webhooks that were asked to change an object.
#[derive(Default)]
pub(crate) struct Asked {
    hooks: Option<Arc<Hooks>>,
    /// Who wants to be asked again, and the object as he left it.
    again: Vec<(usize, Bytes)>,
}

/// The webhooks as they are configured now.
#[derive(Default)]
pub(crate) struct Webhooks {
    any: AtomicBool,
    hooks: ArcSwap<Hooks>,
    caller: OnceLock<Arc<dyn WebhookCaller>>,
    /// Held from the look at the store until the webhooks are in place: an older look never replaces a newer one.
    refreshing: Mutex<()>,
}

#[derive(Default)]
struct Hooks {
    mutating: Vec<Hook>,
    validating: Vec<Hook>,
}

impl Webhooks {
    pub(crate) fn refresh(&self, store: &Store) {
        let _one_at_a_time = self.refreshing.lock();
        let hooks = Hooks::read(&store.snapshot());
        let any = !hooks.mutating.is_empty() || !hooks.validating.is_empty();
        self.hooks.store(Arc::new(hooks));
        self.any.store(any, Ordering::Release);
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(crate) fn caller(&self) -> Option<&dyn WebhookCaller> {
        self.caller.get().map(AsRef::as_ref)
    }

    pub(crate) fn call_through(&self, caller: Arc<dyn WebhookCaller>) {
        // the first stays: it is handed in once, at start
        let _ = self.caller.set(caller);
    }
}

impl Hooks {
    /// In the order in which upstream asks: by the name of the configuration, then as they stand there.
    fn read(snapshot: &Snapshot) -> Self {
        let mutating = all::<MutatingWebhookConfiguration>(snapshot);
        let validating = all::<ValidatingWebhookConfiguration>(snapshot);
        Hooks {
            mutating: mutating
                .into_iter()
                .flat_map(|c| c.webhooks.unwrap_or_default())
                .map(Hook::from)
                .collect(),
            validating: validating
                .into_iter()
                .flat_map(|c| c.webhooks.unwrap_or_default())
                .map(Hook::from)
                .collect(),
        }
    }
}

pub(crate) fn all<K: TypedKind>(snapshot: &Snapshot) -> Vec<K> {
    let stored = snapshot.list(&Resource::from(&K::info().storage), None, None);
    let mut all: Vec<K> = stored.filter_map(|object| object.decode().ok()).collect();
    all.sort_by(|a, b| a.metadata().name.cmp(&b.metadata().name));
    all
}

impl Admission<'_> {
    fn asked(&self) -> Option<(Arc<Hooks>, &dyn WebhookCaller)> {
        let webhooks = &self.cluster.0.webhooks;
        if !webhooks.any() || self.is_exempt_from_webhooks() {
            return None;
        }
        Some((webhooks.hooks.load_full(), webhooks.caller.get()?.as_ref()))
    }

    /// Has the webhooks change a draft, one after the other. Who wants to be asked again is told with what he saw.
    ///
    /// # Errors
    /// What a webhook refuses, or that one failed whose answer is needed.
    pub(crate) async fn mutate_by_webhooks(&self, draft: &mut Draft<'_>) -> Result<Asked, Status> {
        let Some((hooks, caller)) = self.asked() else { return Ok(Asked::default()) };
        let mut again = Vec::new();
        for (index, hook) in hooks.mutating.iter().enumerate() {
            if self.change(hook, caller, draft).await? && hook.if_needed {
                again.push((index, draft.encoded()?));
            }
        }
        Ok(Asked { hooks: Some(hooks), again })
    }

    /// Once more those who asked for it, where somebody changed what they had seen.
    ///
    /// # Errors
    /// As [`Admission::mutate_by_webhooks`].
    pub(crate) async fn ask_again(&self, asked: Asked, draft: &mut Draft<'_>) -> Result<(), Status> {
        let (Some(hooks), Some(caller)) = (asked.hooks, self.cluster.0.webhooks.caller.get()) else {
            return Ok(());
        };
        for (index, seen) in asked.again {
            if draft.encoded()? != seen {
                self.change(&hooks.mutating[index], caller.as_ref(), draft).await?;
            }
        }
        Ok(())
    }

    /// Whether the webhook was asked.
    async fn change(
        &self,
        hook: &Hook,
        caller: &dyn WebhookCaller,
        draft: &mut Draft<'_>,
    ) -> Result<bool, Status> {
        let Some(question) = self.question(hook, draft.subject()).await? else { return Ok(false) };
        let answer = self.ask(hook, caller, &question).await?;
        let Some(patch) = answer.map(|answer| answer.patch()).transpose()?.flatten() else {
            return Ok(true);
        };
        let object = question.object.clone().unwrap_or_default();
        let before = object.clone();
        // that it does not fit is no failure of the call, which may be passed over
        let after = patch.apply(object).map_err(|why| Status::internal(why.message))?;
        if after == before {
            return Ok(true);
        }
        self.replace(draft, after).await?;
        Ok(true)
    }

    /// Has the webhooks judge a write or a connection, all at once.
    ///
    /// # Errors
    /// What the first of them refuses, or that one failed whose answer is needed.
    pub(crate) async fn validate_by_webhooks(&self, subject: Subject<'_>) -> Result<(), Status> {
        let Some((hooks, caller)) = self.asked() else { return Ok(()) };
        self.ask_all(&hooks.validating, caller, subject).await.map(drop)
    }

    /// A deletion is told to those who mutate as well; there is nothing that they could change.
    ///
    /// # Errors
    /// As [`Admission::validate_by_webhooks`]; `InternalError` for who wants to change something all the same, whether or not its
    /// answer is needed.
    pub(crate) async fn tell_mutating_webhooks(&self, deleted: Subject<'_>) -> Result<(), Status> {
        let Some((hooks, caller)) = self.asked() else { return Ok(()) };
        let answers = self.ask_all(&hooks.mutating, caller, deleted).await?;
        for (hook, answer) in &answers {
            if answer.patch()?.is_some() {
                return Err(Status::internal(format!(
                    "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                    hook.name
                )));
            }
        }
        Ok(())
    }

    /// The answers of those that were asked and have answered.
    async fn ask_all<'h>(
        &self,
        hooks: &'h [Hook],
        caller: &dyn WebhookCaller,
        subject: Subject<'_>,
    ) -> Result<Vec<(&'h Hook, Answer)>, Status> {
        let mut questions = Vec::new();
        for hook in hooks {
            if let Some(question) = self.question(hook, subject).await? {
                questions.push((hook, question));
            }
        }
        let asked = questions.iter().map(|(hook, question)| self.ask(hook, caller, question));
        let answers = futures::future::join_all(asked).await;
        let mut given = Vec::new();
        for ((hook, _), answer) in questions.iter().zip(answers) {
            given.extend(answer?.map(|answer| (*hook, answer)));
        }
        Ok(given)
    }

    /// What the webhook is asked; `None` where it is not.
    async fn question(&self, hook: &Hook, subject: Subject<'_>) -> Result<Option<Question>, Status> {
        let Some(via) = hook.matching.matches(self, subject) else { return Ok(None) };
        let question = Question::new(self, subject, &via).await?;
        let holds = match hook.conditions.is_empty() {
            true => Ok(true),
            false => hook.conditions.hold(&question.variables(self)),
        };
        match holds {
            Ok(true) => Ok(Some(question)),
            Ok(false) => Ok(None),
            Err(_) if hook.ignores_failure => Ok(None),
            Err(why) => Err(Status::forbidden(&self.target.group_resource(), &question.name, why)),
        }
    }

    /// `None` where the webhook failed and may.
    async fn ask(
        &self,
        hook: &Hook,
        caller: &dyn WebhookCaller,
        question: &Question,
    ) -> Result<Option<Answer>, Status> {
        let asking = Asking::begin();
        let answer = self.post(hook, caller, question).await;
        let call = Call {
            name: hook.name.clone(),
            kind: hook.kind,
            operation: self.operation.name(),
            is_rejected: answer.is_err(),
        };
        self.cluster.0.metrics.webhooks.count(call, asking.took());
        answer
    }

    async fn post(
        &self,
        hook: &Hook,
        caller: &dyn WebhookCaller,
        question: &Question,
    ) -> Result<Option<Answer>, Status> {
        if self.dry_run && !hook.is_dry_run_safe {
            let why = format!("admission webhook {:?} does not support dry run", hook.name);
            return Err(Status::bad_request(why));
        }
        let url = hook.url();
        let review = review::encode(question, hook.version);
        let posted = caller.post(self.cluster, &hook.client, &url, review);
        let why = match tokio::time::timeout(hook.timeout, posted).await {
            Err(_) => format!("failed to call webhook: Post {url:?}: context deadline exceeded"),
            Ok(Err(why)) => format!("failed to call webhook: Post {url:?}: {why}"),
            Ok(Ok(body)) => match Answer::read(&body, question.uid(), hook.version, hook.may_patch()) {
                Ok(answer) => {
                    self.remarks.warn_all(answer.warnings.iter().cloned());
                    for (key, value) in &answer.annotations {
                        self.remarks.annotate(format!("{}/{key}", hook.name), value);
                    }
                    return match answer.refusal {
                        Some(refusal) => Err(review::refused(&hook.name, refusal)),
                        None => Ok(Some(answer)),
                    };
                }
                Err(why) => why,
            },
        };
        self.failed(hook, &why).map(|()| None)
    }

    /// # Errors
    /// Where the webhook's answer is needed.
    fn failed(&self, hook: &Hook, why: &str) -> Result<(), Status> {
        let why = format!("failed calling webhook {:?}: {why}", hook.name);
        if hook.ignores_failure {
            tracing::warn!("{why}; the write goes on");
            return Ok(());
        }
        Err(Status::internal(why))
    }
}
