//! Where records are kept: a small trait, so that another back end can take the place of the file.

mod sqlite;

pub(crate) use sqlite::SqliteLog;

use crate::Resource;
use crate::write::CommitError;
use api::{Object, ObjectKey, ResourceVersion};
use std::path::PathBuf;

/// An object stored, or a key that is gone.
pub(crate) struct Record {
    pub(crate) resource: Resource,
    pub(crate) key: ObjectKey,
    pub(crate) revision: ResourceVersion,
    pub(crate) object: Option<Object>,
    /// What was there before.
    pub(crate) previous: Option<Object>,
}

/// Makes records durable, in order.
pub(crate) trait Log: Send {
    /// No revision up to this one is given out again after a crash, even where its write was lost.
    fn reserved(&self) -> ResourceVersion;

    /// Both parts, all or nothing; they are on disk when it returns, and every revision up to `newest` is spent.
    fn append(
        &mut self,
        earlier: &[Record],
        records: &[Record],
        newest: ResourceVersion,
    ) -> Result<(), CommitError>;

    /// Everything was appended, and `newest` is the last revision that anybody has seen.
    fn close(&mut self, newest: ResourceVersion);
}

/// What opening the store found and did, in words; nothing where all was well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    pub notes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is in use by {holder}: stop that first", path = path.display())]
    InUse { path: PathBuf, holder: String },
    /// Nothing was changed.
    #[error(
        "{path} is damaged: {why}: nothing was changed; put a backup in its place, rescue what can be read with \
         `sqlite3 {path} .recover`, or move it away and begin with an empty cluster by `monopod start --accept-loss`",
        path = path.display()
    )]
    Damaged { path: PathBuf, why: String },
    /// It can be read, but it does not hold all that was acknowledged. Nothing was changed.
    #[error(
        "{path} is damaged: {what}: nothing was changed; put a backup in its place, or go on with what is there by \
         `monopod start --accept-loss`",
        path = path.display()
    )]
    Lost { path: PathBuf, what: String },
    #[error("{path}: no space left on the device that holds it", path = path.display())]
    Full { path: PathBuf },
    #[error("{path} was written by a newer version (format {found}, this one reads up to {known}): use that version", path = path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("open {path}: {why}", path = path.display())]
    Failed { path: PathBuf, why: String },
}

/// Keeps nothing.
pub(crate) struct MemoryLog;

impl Log for MemoryLog {
    fn reserved(&self) -> ResourceVersion {
        ResourceVersion(u64::MAX)
    }

    fn append(&mut self, _: &[Record], _: &[Record], _: ResourceVersion) -> Result<(), CommitError> {
        Ok(())
    }

    fn close(&mut self, _: ResourceVersion) {}
}
