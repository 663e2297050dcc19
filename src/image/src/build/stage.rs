//! Carries a plan out, step by step.

use super::context::Context;
use super::instruction::Step;
use super::plan::{Base, Plan, Stage};
use super::view::View;
use super::words::Variables;
use super::{BuildError, BuildOptions, BuildOutput, BuildRunner, Built};
use crate::commit::Draft;
use crate::document::{HistoryItem, ImageDocument};
use crate::progress::Silent;
use crate::pull::in_background;
use crate::{Digest, ImageRef, ImageStore};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) struct Builder<'b> {
    pub(super) store: &'b ImageStore,
    pub(super) plan: &'b Plan,
    pub(super) context: Arc<Context>,
    pub(super) options: BuildOptions,
    /// What each stage came to.
    pub(super) built: Vec<Option<Built>>,
    pub(super) runner: Arc<dyn BuildRunner>,
    pub(super) output: Arc<dyn BuildOutput>,
    /// Steps begun, and all that there are.
    count: (usize, usize),
    pub(super) consumed: BTreeSet<String>,
}

/// Where a stage stands.
pub(super) struct Now {
    pub(super) number: usize,
    /// `None` before the first step on nothing.
    pub(super) built: Option<Built>,
    pub(super) document: ImageDocument,
    pub(super) args: Variables,
    /// This stage said CMD itself.
    pub(super) has_cmd: bool,
}

impl Now {
    pub(super) fn parent(&self) -> Option<&Digest> {
        self.built.as_ref().map(|built| &built.id)
    }

    /// What `$NAME` means here: the environment counts more than arguments.
    pub(super) fn variables(&self) -> Variables {
        let mut variables = self.args.clone();
        let env = self.document.config.env.iter().filter_map(|variable| variable.split_once('='));
        variables.extend(env.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables
    }
}

/// A line of the history, of now.
pub(super) fn item(created_by: String) -> HistoryItem {
    HistoryItem { created: Some(jiff::Timestamp::now()), created_by, ..HistoryItem::default() }
}

impl<'b> Builder<'b> {
    pub(super) fn new(
        store: &'b ImageStore,
        plan: &'b Plan,
        context: Arc<Context>,
        options: BuildOptions,
        runner: Arc<dyn BuildRunner>,
        output: Arc<dyn BuildOutput>,
    ) -> Builder<'b> {
        let steps = plan.needed.iter().map(|number| plan.stages[*number].steps.len() + 1).sum::<usize>();
        let total = steps + usize::from(!options.labels.is_empty());
        let built = vec![None; plan.stages.len()];
        let consumed = BTreeSet::new();
        Builder { store, plan, context, options, built, runner, output, count: (0, total), consumed }
    }

    /// Gives the id of the target.
    pub(super) async fn build(mut self) -> Result<Digest, BuildError> {
        let target = self.plan.needed.last().copied();
        for number in self.plan.needed.clone() {
            let done = self.stage(number, Some(number) == target).await?;
            self.built[number] = Some(done);
        }
        let unused: Vec<&str> = self
            .options
            .args
            .keys()
            .filter(|name| !self.consumed.contains(*name) && !self.plan.global.contains_key(*name))
            .map(String::as_str)
            .collect();
        if !unused.is_empty() {
            self.output
                .say(&format!("[Warning] One or more build-args [{}] were not consumed\n", unused.join(" ")));
        }
        let built = target.and_then(|target| self.built[target].clone());
        built.map(|built| built.id).ok_or_else(|| BuildError::Failed("nothing was built".into()))
    }

    async fn stage(&mut self, number: usize, is_target: bool) -> Result<Built, BuildError> {
        let stage: &Stage = &self.plan.stages[number];
        self.announce(&stage.from.original);
        let mut now = self.start(number, &stage.base).await?;
        let triggers = std::mem::take(&mut now.document.config.on_build);
        if !triggers.is_empty() {
            let noun = if triggers.len() == 1 { "trigger" } else { "triggers" };
            self.output.say(&format!("# Executing {} build {noun}\n", triggers.len()));
        }
        for trigger in triggers {
            let lines = super::lines::parse(&trigger)?;
            for line in &lines.lines {
                let step = super::instruction::parse(line, lines.escape)?;
                self.step(&mut now, &step).await?;
            }
        }
        for step in &stage.steps {
            self.announce(&step.original);
            self.step(&mut now, step).await.map_err(|e| at(step, e))?;
        }
        if is_target && !self.options.labels.is_empty() {
            let labels = self.options.labels.clone();
            let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            self.announce(&format!("LABEL {}", shown.join(" ")));
            self.configure(&mut now, &format!("LABEL {}", shown.join(" ")), |document| {
                document.config.labels.extend(labels);
            })
            .await?;
        }
        match now.built {
            Some(built) => Ok(built),
            None => Err(BuildError::Failed("No image was generated. Is your Dockerfile empty?".into())),
        }
    }

    fn announce(&mut self, original: &str) {
        self.count.0 += 1;
        self.output.say(&format!("Step {}/{} : {original}\n", self.count.0, self.count.1));
    }

    async fn start(&mut self, number: usize, base: &Base) -> Result<Now, BuildError> {
        let built = match base {
            Base::Scratch => {
                self.output.say(" ---> \n");
                None
            }
            Base::Stage(stage) => self.built[*stage].clone(),
            Base::Image(name) => Some(self.base_image(name).await?),
        };
        if let Some(built) = &built {
            self.output.say(&format!(" ---> {}\n", built.id.short()));
        }
        let document = built.as_ref().map_or_else(ImageDocument::scratch, |built| built.document.clone());
        Ok(Now { number, built, document, args: Variables::new(), has_cmd: false })
    }

    pub(super) async fn base_image(&self, name: &str) -> Result<Built, BuildError> {
        if self.options.pull || self.store.image(name)?.is_none() {
            let reference = ImageRef::parse(name)?;
            let none = Vec::new();
            let credentials = self.options.credentials.get(reference.domain()).unwrap_or(&none);
            self.output.say(&format!("{}: Pulling from {}\n", reference.version(), reference.path()));
            self.store.pull_with(name, credentials, Arc::new(Silent)).await?;
        }
        let rootfs = self.store.rootfs(name)?;
        let document = self.store.details(&rootfs.id)?.document;
        Ok(Built { id: Digest::parse(&rootfs.id)?, document, _hold: rootfs.hold })
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

    pub(super) fn reuse(&self, now: &mut Now, key: &Digest) -> bool {
        let known = if self.options.no_cache { None } else { self.store.inner.step(key) };
        let Some(built) = known else { return false };
        self.output.say(&format!(" ---> Using cache\n ---> {}\n", built.id.short()));
        now.document = built.document.clone();
        now.built = Some(built);
        true
    }

    pub(super) async fn keep(&self, now: &mut Now, draft: Draft, key: Digest) -> Result<(), BuildError> {
        let store = self.store.inner.clone();
        let built = in_background(move || store.keep_step(&draft, key)).await?;
        self.output.say(&format!(" ---> {}\n", built.id.short()));
        now.document = built.document.clone();
        now.built = Some(built);
        Ok(())
    }
}

/// Says which step it was, unless it says so itself.
fn at(step: &Step, error: BuildError) -> BuildError {
    match error {
        BuildError::Failed(why) if !why.contains(" failed: ") => {
            BuildError::Failed(format!("{}: {why}", step.original))
        }
        other => other,
    }
}
