//! Steps of a stage that are in no image yet: they have changed the configuration only.

use super::BuildError;
use crate::commit::too_large;
use crate::manifest::MAX_CONFIG;

/// What was done of a stage since its last image.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The ids of the steps.
    pub(super) steps: Vec<usize>,
    /// Their lines of the history, for the cache.
    pub(super) lines: String,
}

impl Pending {
    /// # Errors
    /// There is more than an image could have: nobody waits for the end of the stage to hear of it, with all of it in memory.
    pub(super) fn add(&mut self, step: usize, line: &str) -> Result<(), BuildError> {
        // an image's triggers are steps of the one FROM
        if self.steps.last() != Some(&step) {
            self.steps.push(step);
        }
        self.lines.push_str(line);
        self.lines.push('\n');
        match self.lines.len() as u64 > MAX_CONFIG {
            true => Err(too_large().into()),
            false => Ok(()),
        }
    }
}
