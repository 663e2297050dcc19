//! For `fuzz/fuzz_targets/dockerfile.rs`.

use super::ignore::Ignore;
use super::instruction::Instruction;
use super::words::{Variables, Words};
use super::{BuildOptions, glob, plan, runmount, values};
use tokio_util::sync::CancellationToken;

/// A Dockerfile, with all that is worked out of its text before anything runs; and the text as patterns of names.
pub fn dockerfile(text: &str) {
    let gone = CancellationToken::new();
    if let Ok(plan) = plan::plan(text, &BuildOptions::default(), &gone) {
        let known = Variables::from([("a".into(), "A*b/c".into()), ("empty".into(), String::new())]);
        let words = Words::new(plan.escape, known, &gone);
        for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
            let _ = words.expand(&step.original);
            let _ = words.expand_text(&step.original);
            for word in words.expand_words(&step.original).unwrap_or_default() {
                let _ = values::exposed(&word);
                let _ = values::check_signal(&word);
            }
            match &step.instruction {
                Instruction::Run(run) => run.mounts.iter().for_each(|mount| drop(runmount::parse(mount))),
                Instruction::Healthcheck { check, .. } => drop(values::shown_check(check)),
                _ => {}
            }
        }
    }
    let (patterns, path) = text.rsplit_once('\n').unwrap_or((text, text));
    if let Ok(ignore) = Ignore::parse(patterns) {
        ignore.ignores(path);
    }
    glob::matches(patterns, path);
}
