//! What stands in a stage.

use super::variables::taken;
use super::{BaseVariables, Findings, rules, span_of, with_near};
use crate::build::ignore::Ignore;
use crate::build::instruction::{Command, CopyFiles, Instruction, Step};
use crate::build::lines::Line;
use crate::build::plan::Base;
use crate::build::remote::is_remote;
use crate::build::words::split;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// What the lines of a stage have said so far.
#[derive(Debug, Default)]
pub(super) struct StageState {
    /// Their names. `None` where the base image is not here, and may have any.
    variables: Option<BTreeSet<String>>,
    /// What those names take, in bytes.
    held: usize,
    has_workdir: bool,
    has_shell: bool,
    /// Where each instruction of which only the last counts stood last.
    last: BTreeMap<&'static str, RangeInclusive<usize>>,
}

/// A part of a variable's name that says that nobody else is to see what it holds.
const SECRET_PARTS: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
/// And one that says that it does not hold it: `DB_PASSWORD_FILE` is where it is.
const HARMLESS_PARTS: [&str; 3] = ["public", "file", "version"];

/// A variable whose name says that it holds a secret, in an image that all may read.
pub(super) fn secrets(keyword: &str, name: &str, step: &Step, findings: &mut Findings) {
    let lower = name.to_ascii_lowercase();
    let has = |parts: &[&str]| lower.split('_').any(|word| parts.contains(&word));
    if has(&SECRET_PARTS) && !has(&HARMLESS_PARTS) {
        let detail = format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})");
        findings.add(&rules::SECRETS, span_of(step), detail);
    }
}

/// A keyword of old, which is found wherever it stands.
pub(super) fn deprecated(step: &Step, findings: &mut Findings) {
    if let Instruction::Maintainer(_) = &step.instruction {
        let detail = "Maintainer instruction is deprecated in favor of using label";
        findings.add(&rules::MAINTAINER, span_of(step), detail);
    }
}

/// Bytes of the names that stages take over from what they are built upon, of all stages together: each of very many may take over as
/// many as its Dockerfile has. Beyond it a stage's variables count as not known.
const MOST_TAKEN_OVER: usize = 16 << 20;
/// What a name takes beside its letters.
const NAME: usize = 64;
/// Files of one COPY that are held against `.dockerignore`, which may have very many patterns.
const MOST_SOURCES: usize = 1000;

impl StageState {
    /// `spent` is what the stages before have taken over.
    pub(super) fn upon(
        base: Option<&Base>,
        earlier: &[StageState],
        known: &BaseVariables,
        spent: &mut usize,
    ) -> StageState {
        let mut state = StageState::default();
        match base {
            Some(Base::Stage(number)) => {
                let Some(below) = earlier.get(*number) else { return state };
                (state.has_workdir, state.has_shell) = (below.has_workdir, below.has_shell);
                if takes_over(spent, below.held) {
                    (state.variables, state.held) = (below.variables.clone(), below.held);
                }
            }
            Some(Base::Scratch) => state.variables = Some(BTreeSet::new()),
            Some(Base::Image(name)) => {
                // nothing is counted for what can not be taken over any more
                let names = known.get(name).filter(|_| *spent <= MOST_TAKEN_OVER);
                let held: usize = names.into_iter().flatten().map(|name| name.len() + NAME).sum();
                if takes_over(spent, held) {
                    (state.variables, state.held) = (names.cloned(), held);
                }
            }
            None => {}
        }
        // PATH is what every container has
        state.know("PATH");
        state
    }

    pub(super) fn step(
        &mut self,
        step: &Step,
        line: &Line,
        escape: char,
        ignore: &Ignore,
        findings: &mut Findings,
    ) {
        self.undefined(step, escape, findings);
        match &step.instruction {
            Instruction::Arg(named) => {
                for (name, _) in named {
                    secrets("ARG", name, step, findings);
                    self.know(name);
                }
            }
            Instruction::Env(pairs) => {
                legacy("ENV", line, step, escape, findings);
                for (name, _) in pairs {
                    secrets("ENV", name, step, findings);
                    self.know(name);
                }
            }
            Instruction::Label(_) => legacy("LABEL", line, step, escape, findings),
            Instruction::Copy(copy) => ignored(copy, step, ignore, findings),
            Instruction::Cmd(command) => self.command("CMD", command, step, findings),
            Instruction::Entrypoint(command) => self.command("ENTRYPOINT", command, step, findings),
            Instruction::Healthcheck { .. } => self.once("HEALTHCHECK", step, findings),
            Instruction::Shell(_) => self.has_shell = true,
            Instruction::Expose(ports) => ports.iter().for_each(|port| expose(port, step, findings)),
            Instruction::Workdir(path) => self.workdir(path, step, findings),
            Instruction::Maintainer(_) => deprecated(step, findings),
            Instruction::From { .. }
            | Instruction::Run(_)
            | Instruction::Volume(_)
            | Instruction::User(_)
            | Instruction::StopSignal(_)
            | Instruction::OnBuild(_) => {}
        }
    }

    fn know(&mut self, name: &str) {
        if let Some(known) = &mut self.variables
            && known.insert(name.to_owned())
        {
            self.held += name.len() + NAME;
        }
    }

    fn undefined(&self, step: &Step, escape: char, findings: &mut Findings) {
        let Some(known) = &self.variables else { return };
        let mut told = BTreeSet::new();
        for name in texts(&step.instruction).iter().flat_map(|text| taken(text, escape)) {
            // a proxy that the client tells of is known to all instructions
            let is_known = known.contains(&name) || name.to_ascii_lowercase().ends_with("_proxy");
            if is_known || findings.is_full() || !told.insert(name.clone()) {
                continue;
            }
            let detail = format!("Usage of undefined variable '${name}'");
            let detail = with_near(detail, &name, "$", known);
            findings.add(&rules::UNDEFINED_VARIABLE, span_of(step), detail);
        }
    }

    fn command(&mut self, keyword: &'static str, command: &Command, step: &Step, findings: &mut Findings) {
        self.once(keyword, step, findings);
        // who says which shell it is means that there is one
        if matches!(command, Command::Shell(_)) && !self.has_shell {
            let detail = format!(
                "JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"
            );
            findings.add(&rules::JSON_ARGS, span_of(step), detail);
        }
    }

    /// The one before is without effect: it is the one to tell of.
    fn once(&mut self, keyword: &'static str, step: &Step, findings: &mut Findings) {
        if let Some(before) = self.last.insert(keyword, span_of(step)) {
            let detail = format!(
                "Multiple {keyword} instructions should not be used in the same stage because only the last one will be used"
            );
            findings.add(&rules::MULTIPLE, before, detail);
        }
    }

    fn workdir(&mut self, path: &str, step: &Step, findings: &mut Findings) {
        let path = path.trim_matches(['"', '\'']);
        // what a variable holds may be absolute
        if !self.has_workdir && !path.starts_with(['/', '$']) {
            let detail =
                format!("Relative workdir {path:?} can have unexpected results if the base image changes");
            findings.add(&rules::RELATIVE_WORKDIR, span_of(step), detail);
        }
        self.has_workdir = true;
    }
}

fn takes_over(spent: &mut usize, held: usize) -> bool {
    *spent = spent.saturating_add(held);
    *spent <= MOST_TAKEN_OVER
}

/// Those in which variables are put in when the instruction's turn comes. A RUN has a shell for it.
fn texts(instruction: &Instruction) -> Vec<&str> {
    match instruction {
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            pairs.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect()
        }
        Instruction::Arg(named) => named.iter().filter_map(|(_, default)| default.as_deref()).collect(),
        Instruction::Copy(copy) => {
            let paths = copy.sources.iter().chain([&copy.dest]).chain(&copy.chown).chain(&copy.chmod);
            paths.map(String::as_str).collect()
        }
        Instruction::Workdir(text) | Instruction::User(text) | Instruction::StopSignal(text) => {
            vec![text.as_str()]
        }
        Instruction::Expose(words) | Instruction::Volume(words) => words.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// `ENV name value`
fn legacy(keyword: &str, line: &Line, step: &Step, escape: char, findings: &mut Findings) {
    if split(&line.rest, escape).first().is_some_and(|first| !first.contains('=')) {
        let detail = format!(
            "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
        );
        findings.add(&rules::LEGACY_KEY_VALUE, span_of(step), detail);
    }
}

fn ignored(copy: &CopyFiles, step: &Step, ignore: &Ignore, findings: &mut Findings) {
    // of a directory that is left out something may be brought back: the text alone does not tell
    if copy.from.is_some() || ignore.is_empty() || ignore.brings_back() {
        return;
    }
    let word = if copy.is_add { "Add" } else { "Copy" };
    for source in copy.sources.iter().take(MOST_SOURCES) {
        let names: Vec<&str> = source.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        let is_plain = !source.contains(['$', '*', '?', '[']) && !names.contains(&"..");
        if names.is_empty() || !is_plain || (copy.is_add && is_remote(source)) {
            continue;
        }
        let source = names.join("/");
        if ignore.ignores(&source) {
            let detail = format!("Attempting to {word} file {source:?} that is excluded by .dockerignore");
            findings.add(&rules::COPY_IGNORED, span_of(step), detail);
        }
    }
}

fn expose(port: &str, step: &Step, findings: &mut Findings) {
    let port = port.trim_matches(['"', '\'']);
    if port.contains('$') {
        return;
    }
    let (numbers, protocol) = port.split_once('/').unwrap_or((port, ""));
    if protocol != protocol.to_ascii_lowercase() {
        let detail = format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
        findings.add(&rules::EXPOSE_CASING, span_of(step), detail);
    }
    if numbers.contains(':') {
        let detail = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
        );
        findings.add(&rules::EXPOSE_FORMAT, span_of(step), detail);
    }
}
