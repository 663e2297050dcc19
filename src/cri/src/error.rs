//! Why a runtime or an image service refuses.

use thiserror::Error;

pub type Result<T, E = CriError> = std::result::Result<T, E>;

/// Why a runtime or an image service refused. The text is what a user reads in an event: it says what, which and why.
#[derive(Debug, Clone, Error)]
pub enum CriError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    AlreadyExists(String),
    /// The caller asked for something that can never work (a bad mount path, an unknown user).
    #[error("{0}")]
    Invalid(String),
    /// The image reference is not one.
    #[error("{0}")]
    InvalidImageName(String),
    /// The registry or the network refused; may work later.
    #[error("{0}")]
    PullFailed(String),
    /// The registry refused these credentials, or none were given.
    #[error("{0}")]
    Unauthorized(String),
    /// A wait ran out.
    #[error("{0}")]
    DeadlineExceeded(String),
    /// A command was killed at its time limit; what it had said by then.
    #[error("{why}")]
    CommandTimedOut { why: String, output: Vec<u8> },
    #[error("{0}")]
    Failed(String),
}

impl CriError {
    /// Any error, with what was being done and to what: `mount rootfs of web: no space left on device`.
    pub fn failed(doing: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        CriError::Failed(format!("{doing}: {why}"))
    }
}
