use super::instruction::{Command, CopyFiles, Instruction, Step, parse};
use super::words::{Variables, expand};
use super::{BuildError, lines};
use std::collections::BTreeMap;

/// A Dockerfile, understood: its stages, and which of them have to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) escape: char,
    pub(super) stages: Vec<Stage>,
    /// Numbers of the stages to make, in order; the last is the target.
    pub(super) needed: Vec<usize>,
    /// ARGs from before the first FROM, for those that stages ask for again.
    pub(super) global: Variables,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stage {
    pub(super) name: Option<String>,
    pub(super) base: Base,
    pub(super) from: Step,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Base {
    Scratch,
    Stage(usize),
    Image(String),
}

pub(super) fn plan(
    text: &str,
    args: &BTreeMap<String, Option<String>>,
    target: &str,
) -> Result<Plan, BuildError> {
    let lines = lines::parse(text)?;
    let escape = lines.escape;
    let mut global = Variables::new();
    let mut stages: Vec<Stage> = Vec::new();
    for line in &lines.lines {
        let step = parse(line, escape)?;
        match (&step.instruction, stages.last_mut()) {
            (Instruction::From { image, name }, _) => {
                let at_line = |e: BuildError| BuildError::parse(step.line, e.to_string());
                let image = expand(image, escape, &global).map_err(at_line)?;
                let base = base(&image, &stages).ok_or_else(|| {
                    BuildError::parse(step.line, format!("base name ({image}) should not be blank"))
                })?;
                stages.push(Stage { name: name.clone(), base, from: step, steps: Vec::new() });
            }
            (_, Some(stage)) => stage.steps.push(step),
            (Instruction::Arg(named), None) => {
                for (name, default) in named {
                    let given = args.get(name).cloned().flatten();
                    let default = default.as_deref().map(|text| expand(text, escape, &global)).transpose()?;
                    global.extend(given.or(default).map(|value| (name.clone(), value)));
                }
            }
            (_, None) => {
                return Err(BuildError::parse(
                    step.line,
                    format!("no build stage in current context: {}", step.original),
                ));
            }
        }
    }
    if stages.is_empty() {
        return Err(BuildError::Failed(
            "the Dockerfile has no build stage: file with no instructions".into(),
        ));
    }
    let target = find_target(&stages, target)?;
    let needed = needed(&stages, target);
    Ok(Plan { escape, stages, needed, global })
}

fn base(image: &str, stages: &[Stage]) -> Option<Base> {
    if image.is_empty() {
        return None;
    }
    let stage = stages.iter().rposition(|stage| stage.name.as_deref() == Some(&image.to_ascii_lowercase()));
    Some(match stage {
        Some(stage) => Base::Stage(stage),
        None if image == "scratch" => Base::Scratch,
        None => Base::Image(image.to_owned()),
    })
}

fn find_target(stages: &[Stage], target: &str) -> Result<usize, BuildError> {
    if target.is_empty() {
        return Ok(stages.len() - 1);
    }
    let named = stages.iter().position(|stage| stage.name.as_deref() == Some(&target.to_ascii_lowercase()));
    let numbered = target.parse().ok().filter(|number| *number < stages.len());
    named
        .or(numbered)
        .ok_or_else(|| BuildError::Failed(format!("failed to reach build target {target} in Dockerfile")))
}

/// Which stage `--from` means: a name, or a number of an earlier one.
pub(super) fn stage_named(stages: &[Stage], before: usize, from: &str) -> Option<usize> {
    let earlier = &stages[..before];
    let named = earlier.iter().rposition(|stage| stage.name.as_deref() == Some(&from.to_ascii_lowercase()));
    named.or_else(|| from.parse().ok().filter(|number| *number < before))
}

/// The target and all that it is made from, in order.
fn needed(stages: &[Stage], target: usize) -> Vec<usize> {
    let mut wanted = vec![false; stages.len()];
    wanted[target] = true;
    for number in (0..=target).rev() {
        if !wanted[number] {
            continue;
        }
        if let Base::Stage(base) = stages[number].base {
            wanted[base] = true;
        }
        for from in stages[number].steps.iter().flat_map(sources) {
            if let Some(stage) = stage_named(stages, number, &from) {
                wanted[stage] = true;
            }
        }
    }
    (0..=target).filter(|number| wanted[*number]).collect()
}

/// What `--from` names.
pub(super) fn sources(step: &Step) -> Vec<String> {
    match &step.instruction {
        Instruction::Copy(CopyFiles { from: Some(from), .. }) => vec![from.clone()],
        Instruction::Run { mounts, .. } => mounts
            .iter()
            .flat_map(|mount| mount.split(','))
            .filter_map(|option| option.strip_prefix("from="))
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

impl Command {
    /// With the shell in front, where it needs one.
    pub(super) fn argv(&self, shell: &Option<Vec<String>>) -> Vec<String> {
        match self {
            Command::Exec(argv) => argv.clone(),
            Command::Shell(line) => {
                let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
                let mut argv = shell.clone().unwrap_or_else(default);
                argv.push(line.clone());
                argv
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: &str = "ARG V=1\nFROM base:$V AS a\nRUN x\nFROM scratch AS unused\nFROM a AS b\nCOPY --from=A /x /\n\
                          FROM other\nCOPY --from=b /x /\nRUN --mount=type=bind,from=2,target=/m y";

    #[test]
    fn only_what_the_target_needs_is_made() {
        let none = BTreeMap::new();
        let plan = |target: &str| super::plan(STAGES, &none, target);
        assert_eq!(plan("").unwrap().needed, [0, 2, 3]);
        assert_eq!(plan("A").unwrap().needed, [0]);
        assert_eq!(plan("1").unwrap().needed, [1]);
        assert_eq!(plan("").unwrap().stages[0].base, Base::Image("base:1".into()));
        assert_eq!(plan("").unwrap().stages[2].base, Base::Stage(0));
        let args = BTreeMap::from([("V".to_owned(), Some("2".to_owned()))]);
        assert_eq!(super::plan(STAGES, &args, "").unwrap().stages[0].base, Base::Image("base:2".into()));
        assert!(plan("none").unwrap_err().to_string().contains("failed to reach build target none"));
    }

    #[test]
    fn a_file_without_a_stage_is_refused() {
        let none = BTreeMap::new();
        for (text, want) in [
            ("", "no instructions"),
            ("RUN x", "no build stage in current context"),
            ("FROM $NONE", "should not be blank"),
        ] {
            assert!(plan(text, &none, "").unwrap_err().to_string().contains(want), "{text}");
        }
    }
}
