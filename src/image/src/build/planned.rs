//! The plan as those who show a build know it.

use super::instruction::{Instruction, Step};
use super::plan::{Base, Plan, Stage, sources};
use super::progress::PlannedStep;
use std::collections::BTreeMap;

/// What is going to be done, in the order of the Dockerfile, and where each stage begins in that list.
pub(super) struct Planned {
    pub(super) steps: Vec<PlannedStep>,
    /// Stage → the id of its FROM.
    pub(super) begins: BTreeMap<usize, usize>,
}

/// `labels` is the step that the caller's labels are, at the end of the target.
pub(super) fn planned(plan: &Plan, labels: Option<&str>) -> Planned {
    let (mut steps, mut begins, mut ends) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for number in &plan.needed {
        let stage = &plan.stages[*number];
        begins.insert(*number, steps.len());
        let with_files = 1 + stage.steps.iter().filter(|step| makes_files(step)).count();
        let mut counted = 0;
        for step in std::iter::once(&stage.from).chain(&stage.steps) {
            let makes_files = makes_files(step);
            counted += usize::from(makes_files);
            steps.push(PlannedStep {
                id: steps.len(),
                stage: name(stage, *number),
                stage_number: *number,
                number: if makes_files { counted } else { 0 },
                of: with_files,
                text: step.original.clone(),
                lines: Some(step.line..=step.last_line),
                inputs: inputs(plan, *number, step, steps.len(), &ends),
            });
        }
        ends.insert(*number, steps.len() - 1);
    }
    if let (Some(text), Some(last)) = (labels, steps.last().cloned()) {
        let inputs = vec![last.id];
        steps.push(PlannedStep {
            id: last.id + 1,
            number: 0,
            text: text.to_owned(),
            lines: None,
            inputs,
            ..last
        });
    }
    Planned { steps, begins }
}

fn makes_files(step: &Step) -> bool {
    use Instruction::{Copy, From, Run, Workdir};
    matches!(step.instruction, From { .. } | Run(_) | Copy(_) | Workdir(_))
}

fn name(stage: &Stage, number: usize) -> String {
    stage.name.clone().unwrap_or_else(|| format!("stage-{number}"))
}

fn inputs(plan: &Plan, stage: usize, step: &Step, id: usize, ends: &BTreeMap<usize, usize>) -> Vec<usize> {
    let end_of = |stage: &usize| ends.get(stage).copied();
    let before = match (&step.instruction, &plan.stages[stage].base) {
        (Instruction::From { .. }, Base::Stage(base)) => end_of(base),
        (Instruction::From { .. }, _) => None,
        _ => Some(id - 1),
    };
    let others = sources(step).into_iter().filter_map(|from| plan.stage_named(stage, &from));
    before.into_iter().chain(others.filter_map(|stage| end_of(&stage))).collect()
}
