//! Carries a plan out. Stages run side by side and wait for each other only where one takes files of another; the first
//! failure ends all of them.

use super::configuration::{PATH, environment};
use super::context::Context;
use super::pending::Pending;
use super::plan::{Base, Plan, Stage, platform_args, target_name};
use super::planned::{Planned, planned};
use super::view::View;
use super::words::{Variables, Words};
use super::{BuildError, BuildEvent, BuildOptions, BuildProgress, BuildRunner, Built, epoch};
use crate::commit::Draft;
use crate::document::{HistoryItem, ImageDocument};
use crate::manifest::MAX_LAYERS;
use crate::{Digest, ImageStore, Platform};
use cri::blocking;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub(super) struct Builder<'b> {
    pub(super) store: &'b ImageStore,
    pub(super) plan: &'b Plan,
    pub(super) context: Arc<Context>,
    pub(super) options: BuildOptions,
    pub(super) runner: Arc<dyn BuildRunner>,
    pub(super) progress: Arc<dyn BuildProgress>,
    /// Steps that work at a time, over all stages: one for each core.
    pub(super) slots: Semaphore,
    pub(super) platform_args: Variables,
    /// Nobody waits for the build any more: what works in the background looks at it.
    pub(super) gone: CancellationToken,
    /// What each stage came to.
    done: Vec<watch::Sender<Option<Done>>>,
    planned: Planned,
    consumed: Mutex<BTreeSet<String>>,
}

/// A finished stage.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) built: Built,
    /// Stages that begin with it see its arguments.
    args: Variables,
}

/// Where a stage stands.
pub(super) struct Now {
    /// The stage.
    pub(super) number: usize,
    /// The id of the step that is being done.
    pub(super) step: usize,
    /// `None` before the first step on nothing.
    pub(super) built: Option<Built>,
    pub(super) document: ImageDocument,
    /// What the document says and `built` does not.
    pub(super) pending: Pending,
    pub(super) args: Variables,
    /// This stage said CMD itself.
    pub(super) has_cmd: bool,
}

impl Now {
    pub(super) fn parent(&self) -> Option<&Digest> {
        self.built.as_ref().map(|built| &built.id)
    }

    pub(super) fn stand_on(&mut self, built: Built) {
        self.document = built.document.clone();
        self.built = Some(built);
    }

    /// What `$NAME` means here: the environment counts more than arguments.
    pub(super) fn variables(&self) -> Variables {
        let mut variables = self.args.clone();
        variables.extend(environment(&self.document.config));
        variables
    }
}

/// A line of the history, of now.
pub(super) fn item(created_by: String, author: Option<&str>) -> HistoryItem {
    let (created, author) = (Some(jiff::Timestamp::now()), author.unwrap_or_default().to_owned());
    HistoryItem { created, created_by, author, ..HistoryItem::default() }
}

/// As Docker makes it: nothing, but a PATH.
fn scratch() -> ImageDocument {
    let mut document = ImageDocument::scratch();
    document.config.env.push(format!("PATH={PATH}"));
    document
}

impl Words {
    /// Does what may take its time, where no other request has to wait for it.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Words) -> Result<T, BuildError> + Send + 'static,
    ) -> Result<T, BuildError> {
        let words = self.clone();
        blocking(move || read(&words)).await
    }
}

impl<'b> Builder<'b> {
    pub(super) fn new(
        store: &'b ImageStore,
        plan: &'b Plan,
        context: Context,
        options: BuildOptions,
        runner: Arc<dyn BuildRunner>,
        progress: Arc<dyn BuildProgress>,
        gone: CancellationToken,
    ) -> Builder<'b> {
        // a platform that is none was refused when the plan was made
        let platform = Platform::parse(&options.platform).unwrap_or_else(|_| Platform::of_this_machine());
        let last = plan.stages.last().and_then(|stage| stage.name.as_deref());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Builder {
            store,
            plan,
            platform_args: platform_args(&platform, target_name(&options.target, last)),
            context: Arc::new(context),
            planned: planned(plan, labels(&options).as_deref()),
            options,
            runner,
            progress,
            slots: Semaphore::new(cores),
            gone,
            done: plan.stages.iter().map(|_| watch::Sender::new(None)).collect(),
            consumed: Mutex::default(),
        }
    }

    /// Gives what the target came to.
    pub(super) async fn build(self) -> Result<Built, BuildError> {
        self.tell(BuildEvent::Planned(&self.planned.steps));
        for warning in &self.plan.warnings {
            self.tell(BuildEvent::Warning { step: None, text: warning });
        }
        let stages = self.plan.needed.iter().map(|number| self.stage(*number));
        let mut done = futures::future::try_join_all(stages).await?;
        self.warn_of_unused();
        done.pop().map(|done| done.built).ok_or_else(|| BuildError::Failed("nothing was built".into()))
    }

    pub(super) fn tell(&self, event: BuildEvent<'_>) {
        self.progress.tell(event);
    }

    pub(super) fn consume(&self, name: &str) {
        self.consumed.lock().insert(name.to_owned());
    }

    fn warn_of_unused(&self) {
        let consumed = self.consumed.lock();
        let names = self.options.args.keys().map(String::as_str);
        let is_used = |name: &&str| {
            *name == epoch::NAME || consumed.contains(*name) || self.plan.global.contains_key(*name)
        };
        let unused: Vec<&str> = names.filter(|name| !is_used(name)).collect();
        if !unused.is_empty() {
            let text = format!("One or more build-args [{}] were not consumed", unused.join(" "));
            self.tell(BuildEvent::Warning { step: None, text: &text });
        }
    }

    async fn stage(&self, number: usize) -> Result<Done, BuildError> {
        let done = self.steps(number).await?;
        self.done[number].send_replace(Some(done.clone()));
        Ok(done)
    }

    /// Waits until the stage is done.
    pub(super) async fn result_of(&self, stage: usize) -> Result<Done, BuildError> {
        // a trigger of a base image may name one that nobody knew to be needed: nobody makes it
        if !self.plan.needed.contains(&stage) {
            return Err(BuildError::Failed(format!(
                "stage {stage} is named by a trigger only, and was not built"
            )));
        }
        let mut result = self.done[stage].subscribe();
        let done = result.wait_for(Option::is_some).await.ok().and_then(|done| done.clone());
        done.ok_or_else(|| BuildError::Failed(format!("stage {stage} was not built")))
    }

    async fn steps(&self, number: usize) -> Result<Done, BuildError> {
        let stage: &Stage = &self.plan.stages[number];
        let id = self.planned.begins.get(&number).copied().unwrap_or(0);
        let mut now = Now {
            number,
            step: id,
            built: None,
            document: scratch(),
            pending: Pending::default(),
            args: Variables::new(),
            has_cmd: false,
        };
        let done = self.from(&mut now, stage).await;
        self.ended(&mut now, done).await?;
        for (at, step) in stage.steps.iter().enumerate() {
            now.step = id + 1 + at;
            self.tell(BuildEvent::Started { step: now.step });
            let done = self.step(&mut now, step).await;
            self.ended(&mut now, done).await?;
        }
        let is_target = self.plan.needed.last() == Some(&number);
        if let (true, Some(text)) = (is_target, labels(&self.options)) {
            now.step += 1;
            self.tell(BuildEvent::Started { step: now.step });
            let labels = self.options.labels.clone();
            let done = self.configure(&mut now, &text, |d| d.config.labels.extend(labels));
            self.ended(&mut now, done).await?;
        }
        if let Err(why) = self.flush(&mut now).await {
            self.ended(&mut now, Err(why)).await?;
        }
        let nothing = "No image was generated. Is your Dockerfile empty?";
        let built = match now.built {
            Some(built) => built,
            // whoever copies from it finds nothing
            None if !is_target => self.empty().await?,
            None => return Err(BuildError::Failed(nothing.into())),
        };
        Ok(Done { built, args: now.args })
    }

    /// An image of nothing, for a stage that is no more than `FROM scratch`.
    async fn empty(&self) -> Result<Built, BuildError> {
        let store = self.store.inner.clone();
        let key = super::cache::key(None, "scratch", None);
        Ok(blocking(move || store.keep_step(&Draft::scratch(), key)).await?)
    }

    /// FROM, and what the base image wants to be done by those who build upon it.
    async fn from(&self, now: &mut Now, stage: &Stage) -> Result<(), BuildError> {
        // a stage that waits for another has not begun
        if let Base::Stage(base) = stage.base {
            let done = self.result_of(base).await?;
            (now.built, now.args) = (Some(done.built), done.args);
        }
        self.tell(BuildEvent::Started { step: now.step });
        if let Base::Image(name) = &stage.base {
            now.built = Some(self.base_image(now.step, name, stage.platform.as_ref()).await?);
        }
        match (&now.built, &stage.platform) {
            (Some(built), _) => now.document = built.document.clone(),
            (None, Some(platform)) => {
                now.document.architecture.clone_from(&platform.architecture);
                now.document.os.clone_from(&platform.os);
            }
            (None, None) => {}
        }
        let triggers = std::mem::take(&mut now.document.config.on_build);
        if triggers.is_empty() {
            return Ok(());
        }
        if triggers.len() > MAX_LAYERS {
            let why = format!("max depth exceeded: {} triggers, the most is {MAX_LAYERS}", triggers.len());
            return Err(BuildError::Failed(why));
        }
        let noun = if triggers.len() == 1 { "trigger" } else { "triggers" };
        let text = format!("# Executing {} build {noun}", triggers.len());
        self.tell(BuildEvent::Note { step: Some(now.step), text: &text });
        for trigger in triggers {
            let lines = super::lines::parse(&trigger)?;
            for line in &lines.lines {
                let step = super::instruction::parse(line, lines.escape)?;
                self.step(now, &step).await?;
            }
        }
        Ok(())
    }

    /// What an instruction that comes now is read with.
    pub(super) fn words(&self, now: &Now) -> Words {
        Words::new(self.plan.escape, now.variables(), &self.gone)
    }

    pub(super) fn view_of(&self, id: &Digest) -> Result<View, BuildError> {
        let layers = self.store.inner.layers_of(id)?;
        Ok(View {
            layers: layers.iter().rev().map(|layer| self.store.inner.layers.diff(&layer.chain)).collect(),
        })
    }

    pub(super) fn view(&self, now: &Now) -> Result<View, BuildError> {
        match &now.built {
            Some(built) => self.view_of(&built.id),
            None => Ok(View { layers: Vec::new() }),
        }
    }

    pub(super) fn draft(&self, now: &Now) -> Result<Draft, BuildError> {
        let mut draft = match &now.built {
            Some(built) => Draft::from_image(&self.store.inner, &built.id.to_string())?,
            None => Draft::scratch(),
        };
        draft.document = now.document.clone();
        Ok(draft)
    }

    fn is_new(&self, stage: usize) -> bool {
        let is_named =
            |name: &String| self.options.no_cache_stages.iter().any(|new| new.eq_ignore_ascii_case(name));
        self.options.no_cache || self.plan.stages[stage].name.as_ref().is_some_and(is_named)
    }

    /// What was made of this before.
    pub(super) fn known(&self, now: &Now, key: &Digest) -> Option<Built> {
        if self.is_new(now.number) { None } else { self.store.inner.step(key) }
    }

    pub(super) fn reuse(&self, now: &mut Now, key: &Digest) -> bool {
        let Some(built) = self.known(now, key) else { return false };
        self.tell(BuildEvent::Cached { step: now.step, image: built.id.as_str() });
        now.stand_on(built);
        true
    }

    pub(super) async fn keep(&self, now: &mut Now, draft: Draft, key: Digest) -> Result<(), BuildError> {
        let store = self.store.inner.clone();
        let built = blocking(move || store.keep_step(&draft, key)).await?;
        now.stand_on(built);
        Ok(())
    }
}

/// `--label`s are an instruction at the end.
fn labels(options: &BuildOptions) -> Option<String> {
    let shown: Vec<String> = options.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!shown.is_empty()).then(|| format!("LABEL {}", shown.join(" ")))
}
