//! A Dockerfile becomes stages, and of these the ones that the target needs.

use super::instruction::{Command, CopyFiles, Instruction, Step, parse};
use super::lines::{self, Lines};
use super::runmount;
use super::words::{Variables, Words};
use super::{BuildError, BuildOptions};
use crate::Platform;
use crate::manifest::MAX_LAYERS;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// A Dockerfile, understood: its stages, and which of them have to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) escape: char,
    pub(super) stages: Vec<Stage>,
    /// Numbers of the stages to make, in order; the last is the target.
    pub(super) needed: Vec<usize>,
    /// ARGs from before the first FROM, for those that stages ask for again.
    pub(super) global: Variables,
    pub(super) warnings: Vec<String>,
    /// What `--build-context` gave a name: it counts more than a stage or an image of this name.
    named: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stage {
    pub(super) name: Option<String>,
    pub(super) base: Base,
    /// Of the base image, where it says one.
    pub(super) platform: Option<Platform>,
    pub(super) from: Step,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Base {
    Scratch,
    Stage(usize),
    Image(String),
}

/// It takes its time where the Dockerfile's variables do, until `gone` says that nobody waits for it.
pub(super) fn plan(text: &str, options: &BuildOptions, gone: &CancellationToken) -> Result<Plan, BuildError> {
    let lines = lines::parse(text)?;
    let platform = target_platform(&options.platform)?;
    // what FROM sees
    let last = last_name(&lines);
    let stage = target_name(&options.target, last.as_deref());
    let mut words = Words::new(lines.escape, platform_args(&platform, stage), gone);
    let mut plan = Plan {
        escape: lines.escape,
        stages: Vec::new(),
        needed: Vec::new(),
        global: Variables::new(),
        warnings: lines.warnings,
        named: options.named_contexts.keys().cloned().collect(),
    };
    for line in &lines.lines {
        let step = parse(line, plan.escape)?;
        plan.add(step, options, &platform, &mut words)?;
    }
    if plan.stages.is_empty() {
        return Err(BuildError::Failed("file with no instructions".into()));
    }
    let target = find_target(&plan.stages, &options.target)?;
    plan.needed = plan.needed_for(target);
    plan.check_depths()?;
    Ok(plan)
}

fn target_platform(text: &str) -> Result<Platform, BuildError> {
    Ok(if text.is_empty() { Platform::of_this_machine() } else { Platform::parse(text)? })
}

/// The name that the last stage has been given. A FROM that is none is told of where it is read with the others.
fn last_name(lines: &Lines) -> Option<String> {
    let last = lines.lines.iter().rfind(|line| line.keyword.eq_ignore_ascii_case("FROM"))?;
    match parse(last, lines.escape).ok()?.instruction {
        Instruction::From { name, .. } => name,
        _ => None,
    }
}

/// What a Dockerfile is told of its target: the last stage is meant where nobody names one.
pub(super) fn target_name<'n>(asked: &'n str, last: Option<&'n str>) -> &'n str {
    if asked.is_empty() { last.unwrap_or_default() } else { asked }
}

/// What every Dockerfile knows of where it is built, and for what; `stage` is the target, which may be without a name.
pub(super) fn platform_args(target: &Platform, stage: &str) -> Variables {
    let mut known = Variables::new();
    let stage = if stage.is_empty() { "default" } else { stage };
    known.insert("TARGETSTAGE".to_owned(), stage.to_owned());
    for (prefix, platform) in [("TARGET", target), ("BUILD", &Platform::of_this_machine())] {
        let variant = platform.variant.clone().unwrap_or_default();
        known.insert(format!("{prefix}PLATFORM"), platform.to_string());
        known.insert(format!("{prefix}OS"), platform.os.clone());
        known.insert(format!("{prefix}ARCH"), platform.architecture.clone());
        known.insert(format!("{prefix}VARIANT"), variant);
    }
    known
}

impl Plan {
    fn add(
        &mut self,
        step: Step,
        options: &BuildOptions,
        platform: &Platform,
        words: &mut Words,
    ) -> Result<(), BuildError> {
        match (&step.instruction, self.stages.last_mut()) {
            (Instruction::From { .. }, _) => {
                let stage = self.stage(step, platform, words)?;
                self.stages.push(stage);
            }
            (_, Some(stage)) => stage.steps.push(step),
            (Instruction::Arg(named), None) => {
                for (name, default) in named {
                    let given = options.args.get(name).cloned().flatten();
                    let default = words.expand_some(default.as_deref())?;
                    let Some(value) = given.or(default) else { continue };
                    words.know(name, &value)?;
                    self.global.insert(name.clone(), value);
                }
            }
            (_, None) => {
                return Err(BuildError::parse(step.line, "no build stage in current context"));
            }
        }
        Ok(())
    }

    fn stage(&self, from: Step, target: &Platform, words: &Words) -> Result<Stage, BuildError> {
        let Instruction::From { image, name, platform } = &from.instruction else {
            return Err(BuildError::parse(from.line, "no build stage in current context"));
        };
        let at_line = |e: BuildError| BuildError::parse(from.line, e.to_string());
        let base = words.expand(image).map_err(at_line)?;
        if base.is_empty() {
            return Err(BuildError::Failed(format!("base name ({image}) should not be blank")));
        }
        let asked = words.expand_some(platform.as_deref());
        let asked = asked.map_err(at_line)?.map(|text| match text.is_empty() {
            true => Err(BuildError::parse(
                from.line,
                format!("empty platform value from expression {}", platform.as_deref().unwrap_or_default()),
            )),
            false => Platform::parse(&text).map_err(|e| BuildError::parse(from.line, e.to_string())),
        });
        // what is not said is what the whole build is for
        let platform = asked
            .transpose()?
            .or_else(|| Some(target.clone()))
            .filter(|wanted| *wanted != Platform::of_this_machine());
        Ok(Stage { name: name.clone(), base: self.base(&base), platform, from, steps: Vec::new() })
    }

    fn base(&self, image: &str) -> Base {
        let lower = image.to_ascii_lowercase();
        let stage = self.stages.iter().rposition(|stage| stage.name.as_deref() == Some(&lower));
        match stage {
            Some(stage) if !self.named.contains(image) => Base::Stage(stage),
            None if image == "scratch" => Base::Scratch,
            _ => Base::Image(image.to_owned()),
        }
    }

    /// Which stage `--from` means: a name, or a number of an earlier one.
    pub(super) fn stage_named(&self, before: usize, from: &str) -> Option<usize> {
        if self.named.contains(from) {
            return None;
        }
        let (earlier, lower) = (&self.stages[..before], from.to_ascii_lowercase());
        let named = earlier.iter().rposition(|stage| stage.name.as_deref() == Some(&lower));
        named.or_else(|| from.parse().ok().filter(|number| *number < before))
    }

    /// Each change of files is a container or a copy, and an image is kept of it that tells of all before it: also where nothing
    /// changes, and no layer comes of it, there is an end.
    fn check_depths(&self) -> Result<(), BuildError> {
        let mut depths = vec![0; self.stages.len()];
        for number in &self.needed {
            let stage = &self.stages[*number];
            let below = if let Base::Stage(base) = stage.base { depths[base] } else { 0 };
            depths[*number] =
                below + stage.steps.iter().filter(|step| step.instruction.changes_files()).count();
            if depths[*number] > MAX_LAYERS {
                return Err(BuildError::parse(
                    stage.from.line,
                    format!(
                        "max depth exceeded: {} instructions RUN, COPY, ADD and WORKDIR in a row of stages, the most is {MAX_LAYERS}",
                        depths[*number]
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The target and all that it is made from, in order.
    fn needed_for(&self, target: usize) -> Vec<usize> {
        let mut wanted = vec![false; self.stages.len()];
        wanted[target] = true;
        for number in (0..=target).rev().collect::<Vec<_>>() {
            if !wanted[number] {
                continue;
            }
            if let Base::Stage(base) = self.stages[number].base {
                wanted[base] = true;
            }
            for from in self.stages[number].steps.iter().flat_map(sources) {
                if let Some(stage) = self.stage_named(number, &from) {
                    wanted[stage] = true;
                }
            }
        }
        (0..=target).filter(|number| wanted[*number]).collect()
    }
}

fn find_target(stages: &[Stage], target: &str) -> Result<usize, BuildError> {
    if target.is_empty() {
        return Ok(stages.len() - 1);
    }
    let named = stages.iter().position(|stage| stage.name.as_deref() == Some(&target.to_ascii_lowercase()));
    let numbered = target.parse().ok().filter(|number| *number < stages.len());
    named.or(numbered).ok_or_else(|| BuildError::NoTarget(target.to_owned()))
}

/// What `--from` names.
pub(super) fn sources(step: &Step) -> Vec<String> {
    match &step.instruction {
        Instruction::Copy(CopyFiles { from: Some(from), .. }) => vec![from.clone()],
        Instruction::Run(run) => run.mounts.iter().filter_map(|mount| runmount::from(mount)).collect(),
        _ => Vec::new(),
    }
}

impl Command {
    /// With the shell in front, where it needs one.
    pub(super) fn argv(&self, shell: &Option<Vec<String>>) -> Vec<String> {
        match self {
            Command::Exec(argv) => argv.clone(),
            Command::Shell(line) => {
                let mut argv = shell.clone().unwrap_or_else(super::configuration::default_shell);
                argv.push(line.clone());
                argv
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str, options: &BuildOptions) -> Result<Plan, BuildError> {
        super::plan(text, options, &CancellationToken::new())
    }

    const STAGES: &str = "ARG V=1\nFROM base:$V AS a\nRUN x\nFROM scratch AS unused\nFROM a AS b\nCOPY --from=A /x /\n\
                          FROM other\nCOPY --from=b /x /\nRUN --mount=type=bind,from=2,target=/m y";

    fn with(target: &str, args: &[(&str, &str)], platform: &str) -> BuildOptions {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        BuildOptions {
            target: target.into(),
            args: args.collect(),
            platform: platform.into(),
            ..BuildOptions::default()
        }
    }

    #[test]
    fn only_what_the_target_needs_is_made() {
        let plan = |target: &str| self::plan(STAGES, &with(target, &[], ""));
        assert_eq!(plan("").unwrap().needed, [0, 2, 3]);
        assert_eq!(plan("A").unwrap().needed, [0]);
        assert_eq!(plan("1").unwrap().needed, [1]);
        assert_eq!(plan("").unwrap().stages[0].base, Base::Image("base:1".into()));
        assert_eq!(plan("").unwrap().stages[2].base, Base::Stage(0));
        let two = self::plan(STAGES, &with("", &[("V", "2")], "")).unwrap();
        assert_eq!(two.stages[0].base, Base::Image("base:2".into()));
        assert!(plan("none").unwrap_err().to_string().contains("target stage \"none\" could not be found"));
    }

    #[test]
    fn a_named_context_counts_more_than_a_stage() {
        let mut options = with("", &[], "");
        options.named_contexts.insert("a".into(), super::super::NamedContext::Image("busybox".into()));
        let plan = plan("FROM x AS a\nFROM a\nCOPY --from=a /x /\n", &options).unwrap();
        assert_eq!((plan.needed, plan.stages[1].base.clone()), (vec![1], Base::Image("a".into())));
    }

    #[test]
    fn platforms_are_known_before_the_first_stage() {
        let text = "ARG OF=$TARGETARCH\nFROM --platform=$BUILDPLATFORM a-$OF\nFROM --platform=linux/s390x b\nFROM c\n";
        let here = Platform::of_this_machine();
        let plan = plan(text, &with("", &[], "linux/riscv64")).unwrap();
        assert_eq!(plan.stages[0].base, Base::Image("a-riscv64".into()));
        let platforms: Vec<Option<String>> =
            plan.stages.iter().map(|s| s.platform.as_ref().map(Platform::to_string)).collect();
        assert_eq!(platforms, [None, Some("linux/s390x".into()), Some("linux/riscv64".into())]);
        let args = platform_args(&Platform::parse("linux/arm/v7").unwrap(), "web");
        assert_eq!((args["TARGETVARIANT"].as_str(), args["TARGETSTAGE"].as_str()), ("v7", "web"));
        assert_eq!(platform_args(&here, "")["TARGETSTAGE"], "default");
        assert_eq!(args["BUILDARCH"], here.architecture);
    }

    #[test]
    fn the_target_is_known_by_its_name() {
        for (last, target, want) in [
            (" AS Prod", "", "of-prod"),
            (" AS prod", "first", "of-first"),
            ("", "", "of-default"),
            ("", "1", "of-1"),
        ] {
            let text = format!("FROM x AS first\nFROM of-$TARGETSTAGE{last}\nRUN y\n");
            let plan = plan(&text, &with(target, &[], "")).unwrap();
            assert_eq!(plan.stages[1].base, Base::Image(want.into()), "{last} {target}");
        }
    }

    #[test]
    fn a_stage_has_no_more_changes_than_an_image_layers() {
        let runs = |count: usize| "RUN true\n".repeat(count);
        for (name, text, target, want) in [
            ("as many", format!("FROM x\n{}{}", runs(MAX_LAYERS), "LABEL a=b\n".repeat(99)), "", None),
            ("one more", format!("FROM x\n{}WORKDIR /w\n", runs(MAX_LAYERS)), "", Some("501 instructions")),
            (
                "in two stages",
                format!("FROM x AS a\n{0}FROM a\n{0}", runs(251)),
                "",
                Some("502 instructions"),
            ),
            ("beside each other", format!("FROM x AS a\n{0}FROM x\n{0}", runs(400)), "", None),
            ("not needed", format!("FROM x AS a\nRUN y\nFROM x\n{}", runs(600)), "a", None),
        ] {
            let why = plan(&text, &with(target, &[], "")).err().map(|why| why.to_string());
            let is_so = match (&why, want) {
                (Some(why), Some(want)) => why.contains("max depth exceeded") && why.contains(want),
                (why, want) => why.is_none() && want.is_none(),
            };
            assert!(is_so, "{name}: {why:?}");
        }
    }

    #[test]
    fn a_file_without_a_stage_is_refused() {
        for (text, want) in [
            ("", "file with no instructions"),
            ("RUN x", "dockerfile parse error on line 1: no build stage in current context"),
            ("FROM $NONE", "base name ($NONE) should not be blank"),
            (
                "FROM --platform=$P x",
                "dockerfile parse error on line 1: empty platform value from expression $P",
            ),
        ] {
            assert_eq!(plan(text, &with("", &[], "")).unwrap_err().to_string(), want, "{text}");
        }
    }
}
