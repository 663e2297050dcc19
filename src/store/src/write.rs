//! What is asked of the store: writes, the preconditions under which they are made, and why they were not.

use crate::Resource;
use api::{Object, ObjectKey, ResourceVersion, Unstamped};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On disk before it is acknowledged.
    Sync,
    /// Acknowledged and seen at once, on disk within a second. For what is written often and worth little: Events, Leases.
    Lazy,
}

/// Who may still add when what is stored comes near [`Options::quota`](crate::Options::quota). What removes or shrinks is always
/// taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Refused from seven eighths of it.
    Low,
    Normal,
    /// What lets the cluster go on, and objects go: up to a quarter more.
    Essential,
}

impl Priority {
    pub(crate) fn most(self, quota: usize) -> usize {
        match self {
            Priority::Low => quota - quota / 8,
            Priority::Normal => quota,
            Priority::Essential => quota.saturating_add(quota / 4),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    None,
    Absent,
    Exists,
    /// It exists, and this is its newest revision.
    At(ResourceVersion),
}

impl Precondition {
    pub(crate) fn holds(self, current: Option<&Object>) -> bool {
        match (self, current) {
            (Precondition::None, _) | (Precondition::Absent, None) | (Precondition::Exists, Some(_)) => true,
            (Precondition::At(revision), Some(object)) => object.revision() == revision,
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Change {
    Put(Unstamped),
    /// Fails where there is nothing to delete. `last` is what watchers are shown, stamped with the deletion's revision.
    Delete {
        last: Unstamped,
    },
}

#[derive(Debug, Clone)]
pub struct Write {
    pub resource: Resource,
    pub key: ObjectKey,
    pub precondition: Precondition,
    pub change: Change,
    pub durability: Durability,
}

/// The objects in the order of the writes: as stored, or as last shown where they were deleted.
#[derive(Debug, Clone)]
pub struct Committed {
    pub objects: Vec<Object>,
    pub revision: ResourceVersion,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    #[error("precondition of write {index} does not hold")]
    Precondition { index: usize, current: Option<Object> },
    #[error("no space left on the device that holds the store")]
    Full,
    /// What is stored has reached [`Options::quota`](crate::Options::quota); the words are etcd's, which users look for.
    #[error("etcdserver: mvcc: database space exceeded")]
    OverQuota,
    #[error("write to the store: {0}")]
    Log(String),
    #[error("an object of {bytes} bytes is larger than what keeps the store takes ({most})")]
    TooLarge { bytes: usize, most: usize },
    /// Somebody else writes to where the store was kept, or has put an older state there; nothing that is committed here counts any more.
    #[error("write to the store: {0}")]
    TakenOver(String),
    #[error("the store is closed")]
    Closed,
}
