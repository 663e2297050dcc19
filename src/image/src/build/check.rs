//! `docker build --check`: what a Dockerfile does that it had better not. The rules have BuildKit's names, words and pages, and are looked
//! for in the text alone: nothing is pulled, run or kept. What can not be known without (the variables of a base image that is not
//! here) is no finding. [`find`] goes through the instructions; `stage.rs` judges those of a stage, `rules.rs` is the table of rules.

mod from;
mod rules;
mod stage;
#[cfg(test)]
mod tests;
mod variables;

use super::ignore::Ignore;
use super::instruction::{self, Instruction, Step};
use super::lines::{self, Line, Lines};
use super::plan::{Base, Plan, plan};
use super::suggest::with_suggestion;
use super::{BuildError, BuildOptions, NamedContext};
use crate::store::ImageStore;
use cri::blocking;
use from::Froms;
pub use rules::Rule;
use stage::StageState;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use tokio_util::sync::CancellationToken;

/// One thing that a Dockerfile had better not do.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub rule: &'static Rule,
    pub detail: String,
    /// Counted from 1.
    pub lines: RangeInclusive<usize>,
}

/// What there is to say of a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checked {
    /// In the order of their lines.
    pub findings: Vec<Finding>,
    /// Why it can not be built, and the line where that is.
    pub error: Option<(String, usize)>,
    /// A build ends with what was found (`error=true`).
    pub is_fatal: bool,
}

/// What is looked at beside the Dockerfile.
#[derive(Debug, Clone, Default)]
pub struct CheckInput {
    /// The text of `.dockerignore`, empty where there is none.
    pub ignore: String,
    /// What the client says instead of the directive `# check=`, in its form.
    pub settings: Option<String>,
    /// A build asks, which needs not every stage.
    pub is_for_build: bool,
}

/// Base images of one Dockerfile that are looked up: each is read from the disk.
const MOST_BASES: usize = 100;
/// More than a person reads; what follows is looked at no more.
const MOST_FINDINGS: usize = 1000;
/// What is suggested instead of a name is looked for among so many.
const MOST_SUGGESTED: usize = 200;
/// Bytes of a name that another is suggested for: each letter is held against each.
const LONGEST_SUGGESTED: usize = 64;

/// The names of the variables that a base image brings, by its name in the Dockerfile. One that is not here is not in it.
type BaseVariables = BTreeMap<String, BTreeSet<String>>;

impl ImageStore {
    /// Looks for mistakes in a Dockerfile.
    ///
    /// # Errors
    /// It can not be built, and no line of it is to blame (there is no such target), or nobody waits any more. What has a line is in
    /// [`Checked::error`].
    pub async fn check_dockerfile(
        &self,
        text: &str,
        options: &BuildOptions,
        input: &CheckInput,
    ) -> Result<Checked, BuildError> {
        let gone = CancellationToken::new();
        let _left = gone.clone().drop_guard();
        let (dockerfile, told, token) = (text.to_owned(), options.clone(), gone.clone());
        let planned = match blocking(move || plan(&dockerfile, &told, &token)).await {
            Ok(planned) => planned,
            Err(BuildError::Parse { line, why }) => {
                let why = BuildError::Parse { line, why }.to_string();
                return Ok(Checked { error: Some((why, line)), ..Checked::default() });
            }
            Err(other) => return Err(other),
        };
        let store = ImageStore { inner: self.inner.clone() };
        let is_fatal = Settings::of(text, input).is_fatal;
        let (dockerfile, told, input) = (text.to_owned(), options.clone(), input.clone());
        let findings = blocking(move || {
            let known = store.base_variables(&planned, &told);
            let judged: Vec<usize> = match input.is_for_build || !told.target.is_empty() {
                true => planned.needed.clone(),
                false => (0..planned.stages.len()).collect(),
            };
            find(&dockerfile, (&planned, &judged), &known, &input, &gone)
        });
        let findings = findings.await?;
        Ok(Checked { findings, error: None, is_fatal })
    }

    /// Blocks: each is read from the disk.
    fn base_variables(&self, planned: &Plan, options: &BuildOptions) -> BaseVariables {
        let bases = planned.stages.iter().filter_map(|stage| match &stage.base {
            Base::Image(name) => Some(name),
            Base::Scratch | Base::Stage(_) => None,
        });
        let bases: BTreeSet<&String> = bases.collect();
        let known = bases.into_iter().take(MOST_BASES).filter_map(|name| {
            let image = match options.named_contexts.get(name) {
                None => name.as_str(),
                Some(NamedContext::Image(image)) => image.strip_prefix("docker-image://").unwrap_or(image),
                Some(_) => return None,
            };
            let env = self.details(image).ok()?.document.config.env;
            let names = env.iter().filter_map(|variable| Some(variable.split_once('=')?.0.to_owned()));
            Some((name.clone(), names.collect()))
        });
        known.collect()
    }
}

/// What was found, and what is on the way.
struct Findings<'s> {
    settings: &'s Settings,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, rule: &'static Rule, lines: RangeInclusive<usize>, detail: impl Into<String>) {
        if !self.settings.skips(rule) && !self.is_full() {
            self.found.push(Finding { rule, detail: detail.into(), lines });
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= MOST_FINDINGS
    }
}

/// The detail, with the name among those known that was perhaps meant. Each is shown with the mark in front.
fn with_near(detail: String, name: &str, mark: &str, known: &BTreeSet<String>) -> String {
    if name.len() > LONGEST_SUGGESTED {
        return detail;
    }
    let short = known.iter().filter(|known| known.len() <= LONGEST_SUGGESTED).take(MOST_SUGGESTED);
    let marked: Vec<String> = short.map(|known| format!("{mark}{known}")).collect();
    let marked: Vec<&str> = marked.iter().map(String::as_str).collect();
    with_suggestion(detail, &format!("{mark}{name}"), &marked)
}

/// `judged`: the stages whose instructions are gone through, in order. How a Dockerfile is written counts everywhere.
fn find(
    text: &str,
    (planned, judged): (&Plan, &[usize]),
    known: &BaseVariables,
    input: &CheckInput,
    gone: &CancellationToken,
) -> Result<Vec<Finding>, BuildError> {
    let lines = lines::parse(text)?;
    let settings = Settings::of(text, input);
    let ignore = Ignore::parse(&input.ignore)
        .map_err(|why| BuildError::Failed(format!("failed to read .dockerignore: {why}")))?;
    let mut findings = Findings { settings: &settings, found: Vec::new() };
    casing(&lines, &mut findings);
    let mut froms = Froms::new(lines.escape, gone);
    let (mut stages, mut spent): (Vec<StageState>, usize) = (Vec::new(), 0);
    for line in &lines.lines {
        if gone.is_cancelled() {
            return Err(BuildError::given_up());
        }
        if findings.is_full() {
            break;
        }
        if line.has_gap {
            findings.add(&rules::EMPTY_CONTINUATION, span(line), "Empty continuation line");
        }
        let step = instruction::parse(line, lines.escape)?;
        let is_judged =
            stages.len().checked_sub(1).is_some_and(|number| judged.binary_search(&number).is_ok());
        match (&step.instruction, stages.last_mut()) {
            (Instruction::From { .. }, _) => {
                froms.from(line, &step, &mut findings);
                let base = planned.stages.get(stages.len()).map(|stage| &stage.base);
                let stage = StageState::upon(base, &stages, known, &mut spent);
                stages.push(stage);
            }
            (_, Some(stage)) if is_judged => stage.step(&step, line, lines.escape, &ignore, &mut findings),
            (_, Some(_)) => stage::deprecated(&step, &mut findings),
            (_, None) => froms.global(&step, &mut findings)?,
        }
    }
    let mut found = findings.found;
    found.sort_by_key(|finding| *finding.lines.start());
    Ok(found)
}

fn span(line: &Line) -> RangeInclusive<usize> {
    line.number..=line.last
}

fn span_of(step: &Step) -> RangeInclusive<usize> {
    step.line..=step.last_line
}

/// All keywords in capitals, or none: as most of them are. What is before the first FROM is in no stage, and does not count.
fn casing(lines: &Lines, findings: &mut Findings) {
    let of_stages = || lines.lines.iter().skip_while(|line| !line.keyword.eq_ignore_ascii_case("FROM"));
    let is_lower: fn(&str) -> bool = |word| word == word.to_ascii_lowercase();
    let is_upper: fn(&str) -> bool = |word| word == word.to_ascii_uppercase();
    let count = |is: fn(&str) -> bool| of_stages().filter(|line| is(&line.keyword)).count();
    let (want, fits) = match count(is_lower) > count(is_upper) {
        true => ("lowercase", is_lower),
        false => ("uppercase", is_upper),
    };
    for line in of_stages().filter(|line| !fits(&line.keyword)) {
        let word = &line.keyword;
        let detail = format!("Command '{word}' should match the case of the command majority ({want})");
        findings.add(&rules::INSTRUCTION_CASING, span(line), detail);
    }
}

/// `skip=RuleName,OtherRule;error=true`
#[derive(Debug, Default)]
struct Settings {
    /// In lower case; `all` is all of them.
    skipped: BTreeSet<String>,
    /// What `error` says, of a build alone.
    is_fatal: bool,
}

impl Settings {
    /// What the client says counts instead of what the Dockerfile does.
    fn of(dockerfile: &str, input: &CheckInput) -> Settings {
        Settings::parse(input.settings.as_deref().or(lines::checks(dockerfile)).unwrap_or_default())
    }

    fn parse(text: &str) -> Settings {
        let fields = text.split(';').filter_map(|field| field.split_once('='));
        let mut errors = fields.clone().filter(|(name, _)| name.trim().eq_ignore_ascii_case("error"));
        let is_fatal =
            errors.any(|(_, value)| matches!(value.trim(), "1" | "t" | "T" | "true" | "True" | "TRUE"));
        let skips = fields.filter(|(name, _)| name.trim().eq_ignore_ascii_case("skip"));
        let names =
            skips.flat_map(|(_, rules)| rules.split(',')).map(|rule| rule.trim().to_ascii_lowercase());
        Settings { skipped: names.collect(), is_fatal }
    }

    fn skips(&self, rule: &Rule) -> bool {
        self.skipped.contains("all") || self.skipped.contains(&rule.name.to_ascii_lowercase())
    }
}
