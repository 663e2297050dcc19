//! Why a copy is none.

use crate::log::OpenError;
use crate::root::Root;

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("there is nothing to copy in {place}")]
    Nothing { place: String },
    /// Nothing was changed.
    #[error("{place} holds {what}: nothing was changed; with `--overwrite` it is replaced")]
    Occupied { place: String, what: String },
    #[error(
        "{place} can not hold {object}: it has {bytes} bytes, and {most} are the most; nothing was changed"
    )]
    TooLarge { place: String, object: String, bytes: usize, most: usize },
    #[error("write to {place}: {why}")]
    Write { place: String, why: String },
    /// What was read again is not what was written.
    #[error("the copy in {place} is not what was copied: {what}")]
    Differs { place: String, what: String },
}

/// Whether what was read `again` is what was written.
pub(crate) fn compare(place: &str, root: &Root, again: &Root) -> Result<(), CopyError> {
    let differs = |what: String| Err(CopyError::Differs { place: place.to_owned(), what });
    let (count, counted) = (root.count(), again.count());
    if count != counted {
        return differs(format!("{counted} objects instead of {count}"));
    }
    if root.revision != again.revision {
        return differs(format!("revision {} instead of {}", again.revision, root.revision));
    }
    for (resource, key, object) in root.objects() {
        let there = again.resources.get(resource).and_then(|objects| objects.get(key));
        let is_same = there
            .is_some_and(|there| there.bytes() == object.bytes() && there.revision() == object.revision());
        if !is_same {
            return differs(format!("{resource} {key} is another"));
        }
    }
    Ok(())
}
