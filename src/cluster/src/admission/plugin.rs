//! What an admission plug-in is. Upstream's `admission.MutationInterface` and `admission.ValidationInterface`, and between them
//! what upstream's storage of a kind asks before it validates.

use super::review::Review;
use crate::reservations::Reservations;
use ::api::Status;
use async_trait::async_trait;

/// When a plug-in is asked about a write. All that are asked in one step are done before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It fills in, changes or refuses. Asked a second time where a policy or a webhook has changed something: twice must
    /// equal once.
    Admit,
    /// Nobody changes the object any more but who is asked here; it is not validated yet. Upstream's `BeginCreate`,
    /// `BeginUpdate` and what its storage of a kind has around them.
    Begin,
    /// The object is as it would be stored: it refuses, or warns.
    Validate,
}

/// One rule of admission. Which one, its place in the list says, and the name is upstream's where upstream has it.
#[async_trait]
pub(crate) trait Plugin: Send + Sync {
    fn name(&self) -> &'static str;

    /// Whether it has anything to do in this step. Asked of each plug-in about each write, so it looks and does nothing: a future
    /// is made only for those who say yes.
    fn handles(&self, step: Step, review: &Review<'_>) -> bool;

    /// # Errors
    /// Why the write is refused.
    async fn admit(&self, _review: &mut Review<'_>) -> Result<(), Status> {
        Ok(())
    }

    /// What it takes for the write it adds to `reservations`.
    ///
    /// # Errors
    /// Why the write is refused.
    async fn begin(&self, _review: &mut Review<'_>, _reservations: &mut Reservations) -> Result<(), Status> {
        Ok(())
    }

    /// What it takes for the write it adds to `reservations`.
    ///
    /// # Errors
    /// Why the write is refused.
    async fn validate(&self, _review: &Review<'_>, _reservations: &mut Reservations) -> Result<(), Status> {
        Ok(())
    }
}
