//! Why a cluster does not start, from what its parts say.

use crate::claim::ClaimError;
use serde::{Deserialize, Serialize};
use std::path::Path;
use store::OpenError;

/// Why there is no cluster. Nothing is left half made: what was started has ended again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StartError {
    #[error("listen on port {port}: {why}")]
    PortTaken { port: u16, why: String },
    #[error("{what}")]
    StateDamaged { what: String },
    #[error("{what}")]
    StateInUse { what: String },
    /// A directory of the profile is another's, or could become so.
    #[error("{what}")]
    NotOurs { what: String },
    #[error("{what}")]
    DiskFull { what: String },
    /// etcd does not answer.
    #[error("{what}")]
    Unreachable { what: String },
    /// What is in the datastore is not what this profile goes on with.
    #[error("{what}")]
    Datastore { what: String },
    /// A key is missing or wrong that something is encrypted with.
    #[error("{what}")]
    Undecryptable { what: String },
    #[error("{what}")]
    NotCopied { what: String },
    /// A file of the user's is none of its kind, or can not be read.
    #[error("{what}")]
    Configuration { what: String },
    #[error("{what}")]
    Failed { what: String },
}

pub(crate) fn unopened(error: OpenError) -> StartError {
    let what = error.to_string();
    match error {
        OpenError::InUse { .. } => StartError::StateInUse { what },
        OpenError::Damaged { .. } | OpenError::Lost { .. } => StartError::StateDamaged { what },
        OpenError::Full { .. } => StartError::DiskFull { what },
        OpenError::Unreachable { .. } => StartError::Unreachable { what },
        OpenError::Undecryptable { .. } => StartError::Undecryptable { what },
        OpenError::Another { .. } | OpenError::HalfCopied { .. } => StartError::Datastore { what },
        _ => StartError::Failed { what },
    }
}

pub(crate) fn unclaimed(error: ClaimError) -> StartError {
    match &error {
        ClaimError::Io { path, why } => io(path, why),
        _ => StartError::NotOurs { what: error.to_string() },
    }
}

pub(crate) fn io(path: &Path, error: &std::io::Error) -> StartError {
    let what = format!("{}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::StorageFull => StartError::DiskFull { what },
        _ => StartError::Failed { what },
    }
}

pub(crate) fn failed(doing: &str, why: &impl std::fmt::Display) -> StartError {
    let what = format!("{doing}: {why}");
    // every component may be the first to meet a full disk, and says it in the system's words
    match what.to_lowercase().contains("no space left on device")
        || what.contains("no space left on the device")
    {
        true => StartError::DiskFull { what },
        false => StartError::Failed { what },
    }
}
