//! Failures, in the words that a user is shown.

use std::fmt::Display;

/// What failed and why. It crosses the socket as its text, so it is no more than that.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(pub(crate) String);

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

pub(crate) fn fault<T>(what: impl Display) -> Result<T> {
    Err(Fault(what.to_string()))
}

pub(crate) trait Because<T> {
    /// Puts what was tried before the reason.
    fn because(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Because<T> for std::result::Result<T, E> {
    fn because(self, what: impl Display) -> Result<T> {
        self.map_err(|e| Fault(format!("{what}: {e}")))
    }
}
