//! What those who follow a kind hear of.

use std::sync::Arc;

/// What happened to one object of a kind.
#[derive(Debug)]
pub enum Change<K: ?Sized> {
    Added(Arc<K>),
    Modified { old: Arc<K>, new: Arc<K> },
    Deleted(Arc<K>),
}

impl<K: ?Sized> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Change::Added(object) => Change::Added(object.clone()),
            Change::Modified { old, new } => Change::Modified { old: old.clone(), new: new.clone() },
            Change::Deleted(object) => Change::Deleted(object.clone()),
        }
    }
}

impl<K: ?Sized> Change<K> {
    /// The object as it is now, or was last.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Change::Added(object) | Change::Deleted(object) | Change::Modified { new: object, .. } => object,
        }
    }

    /// As it was, where it was another, and as it is: whoever one of them concerns is concerned.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<K>> {
        let old = match self {
            Change::Modified { old, .. } => Some(old),
            Change::Added(_) | Change::Deleted(_) => None,
        };
        old.into_iter().chain([self.object()])
    }
}
