//! Where records are kept: a small trait, behind it a file of this machine or an etcd cluster.

mod etcd;
mod lock;
mod seal;
mod sqlite;
mod stored;

pub(crate) use etcd::{EtcdLog, etcd_was_used};
pub(crate) use sqlite::{SqliteLog, file_is_there, replace_file};

use crate::Resource;
use crate::root::Root;
use crate::write::CommitError;
use api::{Object, ObjectKey, ResourceVersion};
use std::path::{Path, PathBuf};

/// An object stored, or a key that is gone.
pub(crate) struct Record {
    pub(crate) resource: Resource,
    pub(crate) key: ObjectKey,
    pub(crate) revision: ResourceVersion,
    pub(crate) object: Option<Object>,
    /// What was there before.
    pub(crate) previous: Option<Object>,
}

/// The last revision that is known of an etcd, where the file in `dir` is older, or there is none.
pub(crate) fn newer_in_etcd(dir: &Path) -> Option<ResourceVersion> {
    let revision = |of| seal::read(dir, of).ok().flatten().map(|seal| seal.revision);
    let in_etcd = revision(seal::OF_ETCD)?;
    let is_newer = match file_is_there(dir) {
        // of a file without a record nothing is known
        true => revision(seal::OF_SQLITE).is_some_and(|in_file| in_file < in_etcd),
        false => true,
    };
    is_newer.then_some(ResourceVersion(in_etcd))
}

/// Everything, as if it had just been written, for a log that holds nothing yet.
fn records_of(root: &Root) -> Vec<Record> {
    let record = |(resource, key, object): (&Resource, &ObjectKey, &Object)| Record {
        resource: resource.clone(),
        key: key.clone(),
        revision: object.revision(),
        object: Some(object.clone()),
        previous: None,
    };
    root.objects().map(record).collect()
}

/// As much as a request's body, and twice what upstream keeps in etcd. Without a bound an object grows with each manager that applies
/// it, whose fields stand in it, and whoever decodes it needs some hundred times its size.
pub(crate) const LARGEST_OBJECT: usize = 3 * 1024 * 1024;

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

    /// Requests that may share one call of `append`.
    fn largest_group(&self) -> usize {
        512 // bounds how long the first of them waits
    }

    /// Bytes of JSON from which on no further request joins a call of `append`.
    fn largest_group_bytes(&self) -> usize {
        usize::MAX
    }

    /// Bytes of JSON that one object may have.
    fn largest_object(&self) -> usize {
        LARGEST_OBJECT
    }

    /// Writes anew what is stored in another form than the configuration has it: in one append, with the revisions that it has.
    /// A note where there was such.
    ///
    /// # Errors
    /// As opening.
    fn renew(&mut self, root: &Root) -> Result<Option<String>, OpenError>;

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
    #[error("{place} is in use by {holder}: stop that first")]
    InUse { place: String, holder: String },
    /// Nothing was changed.
    #[error(
        "{path} is damaged: {why}: nothing was changed; put a backup in its place, rescue what can be read with \
         `sqlite3 {path} .recover`, or move it away and begin with an empty cluster by `monopod start --accept-loss`",
        path = path.display()
    )]
    Damaged { path: PathBuf, why: String },
    /// It can be read, but it does not hold all that was acknowledged. Nothing was changed.
    #[error(
        "{place} is damaged: {what}: nothing was changed; put a backup in its place, or go on with what is there by \
         `monopod start --accept-loss`"
    )]
    Lost { place: String, what: String },
    #[error("{place}: no space left on the device that holds it")]
    Full { place: String },
    #[error(
        "{place} was written by a newer version (format {found}, this one reads up to {known}): use that version"
    )]
    Newer { place: String, found: i64, known: i64 },
    #[error("open {place}: {why}")]
    Failed { place: String, why: String },
    /// An etcd cluster whose endpoints do not answer.
    #[error("{place} can not be reached: {why}")]
    Unreachable { place: String, why: String },
    /// Of a profile of the same name somewhere else. Nothing was changed.
    #[error(
        "{place} holds the state of {whose}: nothing was changed; use another profile with `-p NAME`, or go on with that state \
         here by `monopod start --datastore-take-over`"
    )]
    Another { place: String, whose: String },
    /// Of a key that is not there, or is another. Nothing was changed.
    #[error(
        "{place}: {what}: nothing was changed; give a file that reads it by `monopod start --encryption-provider-config FILE`, or put \
         a backup in its place"
    )]
    Undecryptable { place: String, what: String },
    #[error("{place} holds a copy that was cut short: make it again by `monopod datastore copy --overwrite`")]
    HalfCopied { place: String },
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

    fn renew(&mut self, _: &Root) -> Result<Option<String>, OpenError> {
        Ok(None)
    }

    fn close(&mut self, _: ResourceVersion) {}
}

/// Over all that a row holds.
fn row_sum(resource: &Resource, key: &ObjectKey, revision: ResourceVersion, json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [resource.as_str(), key.namespace.as_deref().unwrap_or_default(), &key.name] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    hasher.update(&revision.0.to_le_bytes());
    hasher.update(json);
    hasher.finalize()
}

fn disorder(place: &dyn std::fmt::Display, revision: ResourceVersion) -> String {
    format!(
        "{place}: the last run did not end in order; everything acknowledged is there, events and leases of its last second may be \
         missing, revisions go on from {revision}"
    )
}

/// Objects that are told by their names; of more it is told how many.
const NAMED: usize = 10;

fn names(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let named: Vec<String> = all.take(NAMED).collect();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
