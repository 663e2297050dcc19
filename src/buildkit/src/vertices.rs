//! A build's steps as BuildKit's vertices: `[stage 2/5] RUN …`. As there, only steps that make files are shown, and a FROM
//! only where it takes an image from outside; the others are part of what they change.

use crate::errors::words;
use crate::progress::{Progress, VertexId};
use crate::proto::control::VertexWarning;
use image::{BuildError, BuildEvent, BuildProgress, Channel, ImageRef, LayerStatus, PlannedStep, PullEvent};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub(crate) struct Vertices {
    progress: Arc<Progress>,
    /// Where words that belong to no step are shown.
    definition: VertexId,
    /// What FROM means by the names of `--build-context`.
    named: BTreeMap<String, String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The context, while the builder fetches it.
    remote: Option<VertexId>,
    /// Step → its vertex, where it has one.
    of: BTreeMap<usize, VertexId>,
    lines: BTreeMap<usize, RangeInclusive<usize>>,
    /// A FROM first finds out what its image is.
    metadata: BTreeMap<usize, VertexId>,
    failed: Option<usize>,
}

impl Vertices {
    pub(crate) fn new(
        progress: Arc<Progress>,
        definition: VertexId,
        named: BTreeMap<String, String>,
        remote: Option<VertexId>,
    ) -> Vertices {
        Vertices { progress, definition, named, state: Mutex::new(State { remote, ..State::default() }) }
    }

    /// A build that failed before its plan was made: its context could not be fetched.
    pub(crate) fn not_begun(&self, why: &BuildError) {
        if let Some(remote) = self.state.lock().remote.take() {
            self.progress.fail(remote, &words(why));
        }
    }

    /// The lines of the step that failed.
    pub(crate) fn failed_lines(&self) -> Option<RangeInclusive<usize>> {
        let state = self.state.lock();
        state.lines.get(state.failed.as_ref()?).cloned()
    }

    fn vertex(&self, step: usize) -> Option<VertexId> {
        self.state.lock().of.get(&step).copied()
    }

    fn with(&self, step: usize, tell: impl FnOnce(VertexId)) {
        if let Some(vertex) = self.vertex(step) {
            tell(vertex);
        }
    }

    /// What the image is is known; it begins to come.
    fn known(&self, step: usize) {
        let metadata = self.state.lock().metadata.remove(&step);
        if let Some(metadata) = metadata {
            self.progress.done(metadata);
            self.with(step, |vertex| self.progress.start(vertex));
        }
    }

    fn planned(&self, steps: &[PlannedStep]) {
        let mut state = self.state.lock();
        if let Some(remote) = state.remote.take() {
            self.progress.done(remote);
        }
        let names = names(steps, &self.named);
        for (step, name) in steps.iter().zip(&names) {
            if let Some((_, image)) = name.as_ref().and_then(|name| name.split_once("] FROM ")) {
                let vertex = self.progress.add(&format!("[internal] load metadata for {image}"), &[]);
                state.metadata.insert(step.id, vertex);
            }
        }
        for (step, name) in steps.iter().zip(names) {
            state.lines.extend(step.lines.clone().map(|lines| (step.id, lines)));
            let Some(name) = name else { continue };
            let inputs: Vec<VertexId> =
                step.inputs.iter().filter_map(|input| shown(steps, *input, &state.of)).collect();
            let id = self.progress.add(&name, &inputs);
            state.of.insert(step.id, id);
        }
    }

    fn pulled(&self, vertex: VertexId, event: &PullEvent) {
        let part = |name: &str, current, of, is_done| self.progress.part(vertex, name, current, of, is_done);
        let PullEvent::Layer { digest, status } = event else {
            if let PullEvent::Resolved { digest } = event {
                part(&format!("resolve {digest}"), 0, 0, true);
            }
            return;
        };
        let (download, extract) = (digest.to_string(), format!("extracting {digest}"));
        match status {
            LayerStatus::Downloading { current, total } => part(&download, *current, *total, false),
            LayerStatus::DownloadComplete => part(&download, 0, 0, true),
            LayerStatus::Extracting { current, total } => part(&extract, *current, *total, false),
            LayerStatus::PullComplete => part(&extract, 0, 0, true),
            _ => {}
        }
    }
}

/// The nearest step at or before this one that is shown.
fn shown(steps: &[PlannedStep], id: usize, of: &BTreeMap<usize, VertexId>) -> Option<VertexId> {
    let mut id = id;
    loop {
        if let Some(vertex) = of.get(&id) {
            return Some(*vertex);
        }
        let before = steps.get(id)?.inputs.first().copied()?;
        // inputs come before what uses them, or this would not end
        id = (before < id).then_some(before)?;
    }
}

/// What each step is called, where it is shown at all.
fn names(steps: &[PlannedStep], named: &BTreeMap<String, String>) -> Vec<Option<String>> {
    let stages = steps.iter().map(|step| step.stage_number).max().unwrap_or(0) + 1;
    let mut hidden: BTreeMap<usize, usize> = BTreeMap::new();
    steps
        .iter()
        .map(|step| {
            if step.number == 0 {
                return None;
            }
            let from = step
                .text
                .get(..5)
                .filter(|word| word.eq_ignore_ascii_case("FROM "))
                .map(|_| base(step, named));
            if from == Some(None) {
                hidden.insert(step.stage_number, 1);
                return None;
            }
            let hidden = hidden.get(&step.stage_number).copied().unwrap_or(0);
            let (number, of) = (step.number.saturating_sub(hidden), step.of.saturating_sub(hidden));
            let width = of.to_string().len();
            let stage = match stages == 1 && step.stage == "stage-0" {
                true => String::new(),
                false => format!("{} ", step.stage),
            };
            let text = from.flatten().unwrap_or_else(|| step.text.clone());
            Some(format!("[{stage}{number:>width$}/{of}] {text}"))
        })
        .collect()
}

/// `FROM docker.io/library/busybox:latest`; nothing for another stage and for scratch.
fn base(step: &PlannedStep, named: &BTreeMap<String, String>) -> Option<String> {
    let name = step.text.split_whitespace().skip(1).find(|word| !word.starts_with("--"))?;
    if !step.inputs.is_empty() || name == "scratch" {
        return None;
    }
    let name = named.get(name).map_or(name, String::as_str);
    let full = ImageRef::parse(name).map(|name| name.to_string());
    Some(format!("FROM {}", full.unwrap_or_else(|_| name.to_owned())))
}

impl BuildProgress for Vertices {
    fn tell(&self, event: BuildEvent<'_>) {
        match event {
            BuildEvent::Planned(steps) => self.planned(steps),
            BuildEvent::Started { step } => {
                let metadata = self.state.lock().metadata.get(&step).copied();
                match metadata {
                    Some(metadata) => self.progress.start(metadata),
                    None => self.with(step, |vertex| self.progress.start(vertex)),
                }
            }
            BuildEvent::Cached { step, .. } => {
                self.with(step, |vertex| self.progress.cached(vertex));
            }
            BuildEvent::Log { step, channel, bytes } => {
                let stream = if channel == Channel::Stderr { 2 } else { 1 };
                self.progress.log(self.vertex(step).unwrap_or(self.definition), stream, bytes);
            }
            BuildEvent::Pull { step, event } => {
                if matches!(event, PullEvent::Layer { .. }) {
                    self.known(step);
                }
                self.with(step, |vertex| self.pulled(vertex, event));
            }
            BuildEvent::Note { step, text } => {
                let vertex = step.and_then(|step| self.vertex(step)).unwrap_or(self.definition);
                self.progress.log(vertex, 1, format!("{text}\n").as_bytes());
            }
            BuildEvent::Warning { step, text } => {
                let vertex = step.and_then(|step| self.vertex(step)).unwrap_or(self.definition);
                let warning =
                    VertexWarning { level: 1, short: text.as_bytes().to_vec(), ..VertexWarning::default() };
                self.progress.warn(Some(vertex), warning);
            }
            BuildEvent::Done { step, .. } => {
                self.known(step);
                self.with(step, |vertex| self.progress.done(vertex));
            }
            BuildEvent::Failed { step, why } => {
                let metadata = {
                    let mut state = self.state.lock();
                    state.failed = Some(step);
                    state.metadata.remove(&step)
                };
                match metadata {
                    Some(metadata) => self.progress.fail(metadata, &words(why)),
                    None => self.with(step, |vertex| self.progress.fail(vertex, &words(why))),
                }
            }
            // its container's id is nobody's business here
            BuildEvent::Running { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of a stage: (text, makes files).
    fn stage(
        steps: &mut Vec<PlannedStep>,
        number: usize,
        name: &str,
        from: Option<usize>,
        texts: &[(&str, bool)],
    ) {
        let of = texts.iter().filter(|(_, files)| *files).count();
        let mut counted = 0;
        for (at, (text, files)) in texts.iter().enumerate() {
            counted += usize::from(*files);
            let id = steps.len();
            steps.push(PlannedStep {
                id,
                stage: name.into(),
                stage_number: number,
                number: if *files { counted } else { 0 },
                of,
                text: (*text).into(),
                lines: Some(id + 1..=id + 1),
                inputs: if at == 0 { from.into_iter().collect() } else { vec![id - 1] },
            });
        }
    }

    fn shown(steps: &[PlannedStep]) -> Vec<String> {
        names(steps, &BTreeMap::from([("other".to_owned(), "busybox".to_owned())]))
            .into_iter()
            .flatten()
            .collect()
    }

    #[test]
    fn names_as_buildkit_has_them() {
        let mut one = Vec::new();
        stage(&mut one, 0, "stage-0", None, &[("FROM other", true), ("ENV A=1", false), ("RUN x", true)]);
        assert_eq!(shown(&one), ["[1/2] FROM docker.io/library/busybox:latest", "[2/2] RUN x"]);

        let mut several = Vec::new();
        stage(
            &mut several,
            0,
            "build",
            None,
            &[("FROM --platform=linux/amd64 r.io/go:1 AS build", true), ("RUN make", true)],
        );
        stage(
            &mut several,
            1,
            "stage-1",
            None,
            &[("FROM scratch", true), ("COPY --from=build /x /", true), ("CMD [\"/x\"]", false)],
        );
        stage(&mut several, 2, "last", Some(3), &[("FROM build AS last", true), ("WORKDIR /w", true)]);
        let want = [
            "[build 1/2] FROM r.io/go:1",
            "[build 2/2] RUN make",
            "[stage-1 1/1] COPY --from=build /x /",
            "[last 1/1] WORKDIR /w",
        ];
        assert_eq!(shown(&several), want);
    }

    #[test]
    fn numbers_stand_below_each_other() {
        let mut steps = Vec::new();
        let texts: Vec<(&str, bool)> =
            std::iter::once(("FROM a", true)).chain((0..11).map(|_| ("RUN y", true))).collect();
        stage(&mut steps, 0, "stage-0", None, &texts);
        assert_eq!(
            (shown(&steps)[1].as_str(), shown(&steps)[10].as_str()),
            ("[ 2/12] RUN y", "[11/12] RUN y")
        );
    }

    #[test]
    fn the_lines_of_a_step_that_failed() {
        let mut steps = Vec::new();
        stage(&mut steps, 0, "stage-0", None, &[("FROM a", true), ("ENV $", false), ("RUN x", true)]);
        let progress = Arc::new(Progress::new("b"));
        let definition = progress.begin("definition");
        let vertices = Vertices::new(progress.clone(), definition, BTreeMap::new(), None);
        vertices.tell(BuildEvent::Planned(&steps));
        assert_eq!(vertices.failed_lines(), None);
        let why = image::BuildError::Failed("no".into());
        vertices.tell(BuildEvent::Failed { step: 1, why: &why });
        assert_eq!(vertices.failed_lines(), Some(2..=2));
        // the definition, what the image is, and the two steps with files
        assert_eq!(progress.count().total, 4);
    }
}
