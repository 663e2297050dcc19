//! What a caller says of a write beside what is written.

use crate::{Actor, Remarks};
use serde_json::Value;

#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    pub dry_run: bool,
    /// Whose the changed fields are, in `metadata.managedFields`. Empty for the components of this process, none of which has to
    /// say it: who they are says it (`Actor::field_manager`).
    pub field_manager: String,
    /// `fieldManager` and `fieldValidation` where the client gave them: those who are asked about the write are told.
    pub parameters: Vec<(&'static str, String)>,
    /// Where warnings go.
    pub remarks: Remarks,
}

impl WriteOptions {
    pub(crate) fn manager<'o>(&'o self, actor: &'o Actor) -> &'o str {
        match self.field_manager.as_str() {
            "" => actor.field_manager(),
            given => given,
        }
    }

    /// What webhooks and policies are told of them, beside `dryRun`.
    pub(crate) fn told(&self) -> Vec<(&'static str, Value)> {
        self.parameters.iter().map(|(name, given)| (*name, given.clone().into())).collect()
    }
}
