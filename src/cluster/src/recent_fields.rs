//! What the fields of objects say that watches and lists select by. When an object changes all watches of its kind look at it, and to decode one may
//! take milliseconds: it is done once for all of them. Upstream's watch cache keeps the same beside each object.

use ::api::{Object, ObjectKey, ResourceVersion};
use kinds::Version;
use parking_lot::Mutex;
use std::sync::Arc;

/// Objects whose fields are kept: a watch that is behind the others by more than this decodes again.
const KEPT: usize = 512;
/// In bytes, of the values of one of them.
const LARGEST: usize = 1024;
/// Of those with larger values, which may be as large as an object.
const KEPT_LARGE: usize = 16;

/// In bytes: of those that take milliseconds.
const LARGE_OBJECT: usize = 32 * 1024;

/// Path and value of each; of an object that can not be decoded none.
pub(crate) type Fields = Arc<Vec<(String, String)>>;

struct Entry {
    /// Held, so that no other comes to stand at its address.
    version: Arc<Version>,
    key: ObjectKey,
    revision: ResourceVersion,
    fields: Fields,
}

impl Entry {
    fn is_of(&self, version: &Arc<Version>, object: &Object) -> bool {
        self.revision == object.revision() && Arc::ptr_eq(&self.version, version) && self.key == object.key()
    }
}

/// By the revisions of the objects, each in one place.
pub(crate) struct RecentFields {
    all: Vec<Mutex<Option<Entry>>>,
    large: Vec<Mutex<Option<Entry>>>,
}

impl Default for RecentFields {
    fn default() -> Self {
        let empty = |count| std::iter::repeat_with(Mutex::default).take(count).collect();
        RecentFields { all: empty(KEPT), large: empty(KEPT_LARGE) }
    }
}

impl RecentFields {
    /// Of an object as this version stores it. Who asks for the same meanwhile waits.
    pub(crate) fn of(&self, version: &Arc<Version>, object: &Object) -> Fields {
        let at = usize::try_from(object.revision().0).unwrap_or_default();
        let mut usual = self.all[at % KEPT].lock();
        let mut large = self.large[at % KEPT_LARGE].lock();
        let known = [usual.as_ref(), large.as_ref()].into_iter().flatten();
        if let Some(known) = known.into_iter().find(|entry| entry.is_of(version, object)) {
            return known.fields.clone();
        }
        let fields = Arc::new(read(version, object));
        let size: usize = fields.iter().map(|(_, value)| value.len()).sum();
        let (version, key, revision) = (version.clone(), object.key(), object.revision());
        let entry = Some(Entry { version, key, revision, fields: fields.clone() });
        if size <= LARGEST {
            *usual = entry
        } else {
            *large = entry
        }
        fields
    }

    /// As [`RecentFields::of`] for who lists, where to decode the object takes long: of the many small ones of a long list none is kept.
    pub(crate) fn of_large(&self, version: &Arc<Version>, object: &Object) -> Option<Fields> {
        (object.bytes().len() >= LARGE_OBJECT).then(|| self.of(version, object))
    }
}

fn read(version: &Version, object: &Object) -> Vec<(String, String)> {
    let Ok(instance) = version.decode_stored(object) else { return Vec::new() };
    version.selectable_fields().map(|path| (path.to_owned(), instance.field(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::api::{Gvk, REVISION_PLACEHOLDER, Unstamped};
    use serde_json::json;

    #[test]
    fn a_large_object_is_decoded_once_for_all_lists() {
        let version = kinds::all().by_gvk(&Gvk::parse("v1", "Pod")).unwrap();
        let recent = RecentFields::default();
        for (name, bytes, is_kept) in [("small", 10, false), ("large", LARGE_OBJECT, true)] {
            let pod = json!({
                "metadata": {"name": name, "resourceVersion": REVISION_PLACEHOLDER, "annotations": {"a": "x".repeat(bytes)}},
                "spec": {"containers": []}, "status": {"phase": "Running"},
            });
            let pod = Unstamped::new(pod.to_string().into_bytes()).unwrap().stamp(ResourceVersion(7));
            let (first, second) = (recent.of_large(&version, &pod), recent.of_large(&version, &pod));
            assert_eq!(first.is_some(), is_kept, "{name}");
            if let Some((first, second)) = first.zip(second) {
                assert!(Arc::ptr_eq(&first, &second), "{name}");
                assert!(first.contains(&("status.phase".to_owned(), "Running".to_owned())), "{first:?}");
            }
        }
    }
}
