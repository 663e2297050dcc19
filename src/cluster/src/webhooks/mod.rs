//! Admission webhooks: who is asked about a write, in which order, and what becomes of the answer.
//!
//! `hook.rs` says whether a webhook is asked, `review.rs` what is sent and what an answer means. How the review travels is
//! not known here: [`WebhookCaller`] is handed in. Nothing is held while a webhook is waited for but the write itself; where
//! there is no configuration a write costs one look at a flag.

mod hook;
mod review;

use crate::{Actor, Cluster, Target, Warnings};
use ::api::{ObjectKey, ResourceVersion, Status};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use hook::Hook;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::Namespace;
use kinds::{FieldValidation, Handler, Instance, Kind};
use review::{Answer, Question};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
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
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let hooks = Hooks::read(&store.snapshot());
        let any = !hooks.mutating.is_empty() || !hooks.validating.is_empty();
        self.hooks.store(Arc::new(hooks));
        self.any.store(any, Ordering::Release);
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

fn all<K: Kind>(snapshot: &Snapshot) -> Vec<K> {
    let stored = snapshot.list(&Resource::from(&K::info().storage), None, None);
    let mut all: Vec<K> = stored.filter_map(|object| object.decode().ok()).collect();
    all.sort_by(|a, b| a.metadata().name.cmp(&b.metadata().name));
    all
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }
}

/// One write, as webhooks are asked about it.
pub(crate) struct Admission<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) actor: &'a Actor,
    pub(crate) target: &'a Target,
    pub(crate) operation: Operation,
    pub(crate) dry_run: bool,
    pub(crate) warnings: &'a Warnings,
}

/// An object before and after; at least one is there.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) new: Option<&'a dyn Instance>,
    pub(crate) old: Option<&'a dyn Instance>,
}

/// Puts in order what a webhook has changed: defaults, and what only the system sets.
pub(crate) type Prepare<'a> = dyn Fn(&mut dyn Instance) + Send + Sync + 'a;

impl Admission<'_> {
    fn asked(&self) -> Option<(Arc<Hooks>, &dyn WebhookCaller)> {
        let webhooks = &self.cluster.0.webhooks;
        if !webhooks.any.load(Ordering::Acquire) || self.is_exempt() {
            return None;
        }
        Some((webhooks.hooks.load_full(), webhooks.caller.get()?.as_ref()))
    }

    /// Nobody is asked about the configurations themselves: a broken one could not be mended. A binding is asked about
    /// nowhere: what it carries is not the object that is written.
    fn is_exempt(&self) -> bool {
        let gvr = &self.target.handler.info().gvr;
        let is_configuration = gvr.group == "admissionregistration.k8s.io"
            && matches!(
                gvr.resource.as_ref(),
                "mutatingwebhookconfigurations"
                    | "validatingwebhookconfigurations"
                    | "validatingadmissionpolicies"
                    | "validatingadmissionpolicybindings"
                    | "mutatingadmissionpolicies"
                    | "mutatingadmissionpolicybindings"
            );
        is_configuration || self.target.subresource.as_deref() == Some("binding")
    }

    /// Has the webhooks change a new version, one after the other; whether one did.
    ///
    /// # Errors
    /// What a webhook refuses, or that one failed whose answer is needed.
    pub(crate) async fn mutate(
        &self,
        new: &mut Box<dyn Instance>,
        old: Option<&dyn Instance>,
        prepare: &Prepare<'_>,
    ) -> Result<bool, Status> {
        let Some((hooks, caller)) = self.asked() else { return Ok(false) };
        let mut changed = false;
        let mut again: Vec<(&Hook, Bytes)> = Vec::new();
        for hook in &hooks.mutating {
            if self.change(hook, caller, new, old, prepare, &mut changed).await? && hook.if_needed {
                again.push((hook, encoded(&**new)?));
            }
        }
        // once more those who asked for it, where somebody changed what they had seen
        for (hook, seen) in again {
            if encoded(&**new)? != seen {
                self.change(hook, caller, new, old, prepare, &mut changed).await?;
            }
        }
        Ok(changed)
    }

    /// Whether the webhook was asked.
    async fn change(
        &self,
        hook: &Hook,
        caller: &dyn WebhookCaller,
        new: &mut Box<dyn Instance>,
        old: Option<&dyn Instance>,
        prepare: &Prepare<'_>,
        changed: &mut bool,
    ) -> Result<bool, Status> {
        let Some(question) = self.question(hook, Subject { new: Some(&**new), old })? else {
            return Ok(false);
        };
        let patch = match self.ask(hook, caller, &question).await? {
            Some(Answer { patch: Some(patch), .. }) => patch,
            _ => return Ok(true),
        };
        let object = question.object.clone().unwrap_or_default();
        let before = object.clone();
        let mut after = match patch.apply(object) {
            Ok(after) => after,
            Err(why) => {
                self.failed(hook, &why.message)?;
                return Ok(true);
            }
        };
        if after == before {
            return Ok(true);
        }
        // it may have been asked in another version of the kind
        let gvk = &self.target.handler.info().gvk;
        if let Some(fields) = after.as_object_mut() {
            fields.insert("apiVersion".to_owned(), gvk.api_version().into());
            fields.insert("kind".to_owned(), gvk.kind.clone().into());
        }
        let bytes = serde_json::to_vec(&after).map_err(Status::internal)?;
        let decoded = self.target.handler.decode(&bytes, FieldValidation::Ignore);
        let mut decoded = decoded.map_err(|why| Status::internal(why.message))?.instance;
        keep_identity(&mut *decoded, &**new);
        prepare(&mut *decoded);
        *new = decoded;
        *changed = true;
        Ok(true)
    }

    /// Has the webhooks judge a write, all at once.
    ///
    /// # Errors
    /// What the first of them refuses, or that one failed whose answer is needed.
    pub(crate) async fn validate(&self, subject: Subject<'_>) -> Result<(), Status> {
        let Some((hooks, caller)) = self.asked() else { return Ok(()) };
        self.ask_all(&hooks.validating, caller, subject).await
    }

    /// A deletion is told to those who mutate as well; there is nothing that they could change.
    ///
    /// # Errors
    /// As [`Admission::validate`].
    pub(crate) async fn delete(&self, old: &dyn Instance) -> Result<(), Status> {
        let Some((hooks, caller)) = self.asked() else { return Ok(()) };
        let subject = Subject { new: None, old: Some(old) };
        self.ask_all(&hooks.mutating, caller, subject).await?;
        self.ask_all(&hooks.validating, caller, subject).await
    }

    async fn ask_all(
        &self,
        hooks: &[Hook],
        caller: &dyn WebhookCaller,
        subject: Subject<'_>,
    ) -> Result<(), Status> {
        let mut questions = Vec::new();
        for hook in hooks {
            if let Some(question) = self.question(hook, subject)? {
                questions.push((hook, question));
            }
        }
        let asked = questions.iter().map(|(hook, question)| self.ask(hook, caller, question));
        let answers = futures::future::join_all(asked).await;
        answers.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// What the webhook is asked; `None` where it is not.
    fn question(&self, hook: &Hook, subject: Subject<'_>) -> Result<Option<Question>, Status> {
        let Some(via) = self.matched(hook, subject) else { return Ok(None) };
        let shown =
            |instance: Option<&dyn Instance>| instance.map(|instance| shown(&*via, instance)).transpose();
        let (object, old) = (shown(subject.new)?, shown(subject.old)?);
        let question = Question::new(self, subject, &*via, object, old);
        match hook.conditions_hold(&question) {
            Ok(true) => Ok(Some(question)),
            Ok(false) => Ok(None),
            Err(_) if hook.ignores_failure => Ok(None),
            Err(why) => Err(Status::forbidden(&self.target.group_resource(), &question.name, why)),
        }
    }

    /// The kind, in the version, by which a rule has it.
    fn matched(&self, hook: &Hook, subject: Subject<'_>) -> Option<Arc<dyn Handler>> {
        let part = self.target.subresource.as_deref().unwrap_or_default();
        let is_namespaced = self.target.namespace.is_some();
        let fits = |handler: &Arc<dyn Handler>| {
            hook.rules
                .iter()
                .any(|rule| rule.fits(self.operation.name(), handler.info(), part, is_namespaced))
        };
        let own = &self.target.handler;
        let via = if fits(own) {
            own.clone()
        } else if hook.is_exact {
            return None;
        } else {
            let registry = self.cluster.registry();
            let storage = &own.info().storage;
            registry.iter().find(|other| other.info().storage == *storage && fits(other))?.clone()
        };
        let labelled = |instance: Option<&dyn Instance>| {
            instance
                .is_some_and(|i| hook.objects.matches(i.meta().labels.as_ref().unwrap_or(&BTreeMap::new())))
        };
        let wanted = hook.objects.requirements.is_empty() || labelled(subject.new) || labelled(subject.old);
        (wanted && self.is_in_a_wanted_namespace(hook, subject)).then_some(via)
    }

    fn is_in_a_wanted_namespace(&self, hook: &Hook, subject: Subject<'_>) -> bool {
        if hook.namespaces.requirements.is_empty() {
            return true;
        }
        let info = Namespace::info();
        if self.target.handler.info().gvr == info.gvr {
            let instance = subject.new.or(subject.old);
            let labels = instance.and_then(|i| i.meta().labels.clone()).unwrap_or_default();
            return hook.namespaces.matches(&labels);
        }
        let Some(namespace) = self.target.namespace.as_deref() else { return true };
        let snapshot = self.cluster.store().snapshot();
        let stored = snapshot.get(&Resource::from(&info.storage), &ObjectKey::cluster(namespace));
        stored.is_some_and(|stored| hook.namespaces.matches(&stored.meta().labels))
    }

    /// `None` where the webhook failed and may.
    async fn ask(
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
        let review = question.review(hook.version);
        let posted = caller.post(self.cluster, &hook.client, &url, review);
        let why = match tokio::time::timeout(hook.timeout, posted).await {
            Err(_) => format!("failed to call webhook: Post {url:?}: context deadline exceeded"),
            Ok(Err(why)) => format!("failed to call webhook: Post {url:?}: {why}"),
            Ok(Ok(body)) => match Answer::read(&body, question.uid(), hook.version) {
                Ok(answer) => {
                    self.warnings.extend(answer.warnings.iter().cloned());
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

/// What a webhook can not change.
fn keep_identity(new: &mut dyn Instance, before: &dyn Instance) {
    let (new, before) = (new.meta_mut(), before.meta());
    new.name.clone_from(&before.name);
    new.generate_name.clone_from(&before.generate_name);
    new.namespace.clone_from(&before.namespace);
    new.uid.clone_from(&before.uid);
    new.resource_version.clone_from(&before.resource_version);
    new.creation_timestamp.clone_from(&before.creation_timestamp);
    new.deletion_timestamp.clone_from(&before.deletion_timestamp);
    new.deletion_grace_period_seconds = before.deletion_grace_period_seconds;
    new.generation = before.generation;
}

fn encoded(instance: &dyn Instance) -> Result<Bytes, Status> {
    Ok(instance.encode()?.stamp(ResourceVersion(0)).bytes().clone())
}

/// As the version of the kind shows it.
fn shown(handler: &dyn Handler, instance: &dyn Instance) -> Result<Value, Status> {
    let mut object: Value =
        serde_json::from_slice(&handler.present(&encoded(instance)?)).map_err(Status::internal)?;
    if let Some(meta) = object["metadata"].as_object_mut() {
        match instance.meta().resource_version.as_deref().filter(|version| !version.is_empty()) {
            Some(version) => drop(meta.insert("resourceVersion".to_owned(), version.into())),
            None => drop(meta.remove("resourceVersion")),
        }
    }
    Ok(object)
}

pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10); // admissionregistration.k8s.io/v1's own
