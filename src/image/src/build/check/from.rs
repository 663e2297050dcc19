//! FROM, and the ARGs before the first one.

use super::variables::taken;
use super::{Findings, Step, rules, span, span_of, with_near};
use crate::build::BuildError;
use crate::build::instruction::Instruction;
use crate::build::lines::Line;
use crate::build::plan::platform_args;
use crate::build::words::{Words, split_plain};
use crate::{ImageRef, Platform};
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// Names that mean something else wherever an image or a stage is named.
const RESERVED: [&str; 2] = ["context", "scratch"];

pub(super) struct Froms {
    escape: char,
    /// Of ARGs before the first FROM, and of those that are always there.
    declared: BTreeSet<String>,
    /// With the defaults alone, whatever the client gives.
    defaults: Words,
    /// Of the stages so far.
    names: BTreeSet<String>,
}

impl Froms {
    pub(super) fn new(escape: char, gone: &CancellationToken) -> Froms {
        let always = platform_args(&Platform::of_this_machine(), "");
        Froms {
            escape,
            declared: always.keys().cloned().collect(),
            defaults: Words::new(escape, always, gone),
            names: BTreeSet::new(),
        }
    }

    /// An ARG before the first FROM.
    pub(super) fn global(&mut self, step: &Step, findings: &mut Findings) -> Result<(), BuildError> {
        let Instruction::Arg(named) = &step.instruction else { return Ok(()) };
        for (name, default) in named {
            super::stage::secrets("ARG", name, step, findings);
            if let Some(default) = self.defaults.expand_some(default.as_deref())? {
                self.defaults.know(name, &default)?;
            }
            self.declared.insert(name.clone());
        }
        Ok(())
    }

    pub(super) fn from(&mut self, line: &Line, step: &Step, findings: &mut Findings) {
        let Instruction::From { image, platform, .. } = &step.instruction else { return };
        // the instruction has its name in lower case
        let words = split_plain(&line.rest);
        let written = match words.as_slice() {
            [.., as_, name] if as_.eq_ignore_ascii_case("as") => Some((as_.as_str(), name.as_str())),
            _ => None,
        };
        if let Some((as_, name)) = written {
            self.named(line, as_, name, findings);
        }
        if let Some(platform) = platform {
            check_platform(platform, written.map(|(_, name)| name), step, findings);
        }
        self.arguments(image, platform.as_deref(), step, findings);
    }

    fn named(&mut self, line: &Line, as_: &str, name: &str, findings: &mut Findings) {
        let fitting = if line.keyword == line.keyword.to_ascii_lowercase() { "as" } else { "AS" };
        if as_ != fitting {
            let detail = format!("'{as_}' and '{}' keywords' casing do not match", line.keyword);
            findings.add(&rules::FROM_AS_CASING, span(line), detail);
        }
        let lower = name.to_ascii_lowercase();
        if name != lower {
            let detail = format!("Stage name '{name}' should be lowercase");
            findings.add(&rules::STAGE_NAME_CASING, span(line), detail);
        }
        if RESERVED.contains(&lower.as_str()) {
            let detail = format!("Stage name should not use the same name as reserved stage {lower:?}");
            findings.add(&rules::RESERVED_STAGE, span(line), detail);
        }
        if !self.names.insert(lower.clone()) {
            let detail = format!("Duplicate stage name {lower:?}, stage names should be unique");
            findings.add(&rules::DUPLICATE_STAGE, span(line), detail);
        }
    }

    fn arguments(&self, image: &str, platform: Option<&str>, step: &Step, findings: &mut Findings) {
        let of_image = taken(image, self.escape);
        let mut is_declared = true;
        for name in of_image.iter().cloned().chain(taken(platform.unwrap_or_default(), self.escape)) {
            if self.declared.contains(&name) {
                continue;
            }
            is_declared = false;
            let detail = format!("FROM argument '{name}' is not declared");
            let detail = with_near(detail, &name, "", &self.declared);
            findings.add(&rules::UNDEFINED_ARG_IN_FROM, span_of(step), detail);
        }
        if of_image.is_empty() || !is_declared {
            return;
        }
        let is_image = self.defaults.expand(image).is_ok_and(|name| ImageRef::parse(&name).is_ok());
        if !is_image {
            let detail = format!("Default value for ARG {image} results in empty or invalid base image name");
            findings.add(&rules::INVALID_DEFAULT, span_of(step), detail);
        }
    }
}

fn check_platform(platform: &str, stage: Option<&str>, step: &Step, findings: &mut Findings) {
    if matches!(platform, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let detail = format!(
            "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
        );
        findings.add(&rules::REDUNDANT_PLATFORM, span_of(step), detail);
    }
    if platform.contains('$') {
        return;
    }
    // a stage that says by its name which platform it is for means it
    let (system, architecture) = platform.split_once('/').unwrap_or(("linux", platform));
    let architecture = architecture.split('/').next().unwrap_or_default();
    let stage = stage.unwrap_or_default().to_ascii_lowercase();
    if ![system, architecture].iter().any(|part| stage.contains(*part)) {
        let detail = format!("FROM --platform flag should not use constant value {platform:?}");
        findings.add(&rules::CONSTANT_PLATFORM, span_of(step), detail);
    }
}
