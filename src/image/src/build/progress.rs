//! What a build tells while it runs. It tells facts; who shows them decides how: [`super::Classic`] as `docker build`
//! always did, BuildKit's protocol as vertices.

use super::BuildError;
use super::output::Channel;
use crate::progress::PullEvent;
use std::ops::RangeInclusive;

/// One step of the plan, known before the build begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// Its place in the list.
    pub id: usize,
    /// The stage's name, `stage-N` where it has none.
    pub stage: String,
    /// Among all stages of the Dockerfile, from 0.
    pub stage_number: usize,
    /// Counted from 1 among the steps of its stage that make files, as BuildKit counts; 0 where it makes none.
    pub number: usize,
    /// How many steps of the stage make files.
    pub of: usize,
    /// As written, in one line.
    pub text: String,
    /// The lines of the Dockerfile, from 1; `None` for what the caller added.
    pub lines: Option<RangeInclusive<usize>>,
    /// Ids of the steps whose results it uses.
    pub inputs: Vec<usize>,
}

/// A stage's steps begin one after the other; stages run side by side, so events of different steps mix. Every step that
/// began ends with `Done` or `Failed`, unless another one failed before.
#[derive(Debug)]
pub enum BuildEvent<'e> {
    /// Once, before all others.
    Planned(&'e [PlannedStep]),
    Started {
        step: usize,
    },
    /// The result was there already; `Done` follows.
    Cached {
        step: usize,
        image: &'e str,
    },
    /// A RUN's command begins in a container of this id.
    Running {
        step: usize,
        container: &'e str,
    },
    Log {
        step: usize,
        channel: Channel,
        bytes: &'e [u8],
    },
    /// An image comes from its registry.
    Pull {
        step: usize,
        event: &'e PullEvent,
    },
    /// A word for the user: one line, without its end.
    Note {
        step: Option<usize>,
        text: &'e str,
    },
    Warning {
        step: Option<usize>,
        text: &'e str,
    },
    /// `image` is the id of the step's result; FROM scratch has none.
    Done {
        step: usize,
        image: Option<&'e str>,
    },
    Failed {
        step: usize,
        why: &'e BuildError,
    },
}

/// Called from many tasks at once; must not block.
pub trait BuildProgress: Send + Sync + 'static {
    fn tell(&self, event: BuildEvent<'_>);
}
