//! What watches show of objects in another form than they are stored: as rows, as bare metadata, as protobuf. When an object changes all
//! watches of its kind look at it, and to decode one may take a tenth of a second: it is done once for all of them, for a large one
//! beside the event loop. The bytes are shared too: watchers that do not read have them in memory once.

use crate::negotiate::View;
use crate::parse_budget::ParseBudget;
use crate::table::{self, Include};
use api::{Object, Status};
use bytes::Bytes;
use kinds::Version;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Views that are kept: a watch that is behind the others by more than this decodes again.
const KEPT: usize = 256;
/// In bytes, of the objects of those.
const LARGEST: usize = 64 * 1024;
/// Of larger objects.
const KEPT_LARGE: usize = 8;
/// A row says how old its object is.
const FRESH: Duration = Duration::from_secs(2);

/// The form that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) view: View,
    pub(crate) include: Include,
    pub(crate) is_protobuf: bool,
}

struct Entry {
    /// Both are held, so that no others come to stand at their addresses.
    version: Arc<Version>,
    stored: Bytes,
    form: Form,
    since: Instant,
    shown: Arc<OnceCell<Bytes>>,
}

/// By the revisions of the objects and the forms, each in one place.
pub(crate) struct RecentViews {
    usual: Vec<Mutex<Option<Entry>>>,
    large: Vec<Mutex<Option<Entry>>>,
}

impl Default for RecentViews {
    fn default() -> Self {
        let empty = |count| std::iter::repeat_with(Mutex::default).take(count).collect();
        RecentViews { usual: empty(KEPT), large: empty(KEPT_LARGE) }
    }
}

impl RecentViews {
    /// The object in this form; empty where it has none. Who asks for the same meanwhile waits.
    ///
    /// # Errors
    /// Stored objects that do not fit their kind.
    pub(crate) async fn of(
        &self,
        turns: &ParseBudget,
        version: &Arc<Version>,
        object: &Object,
        form: Form,
    ) -> Result<Bytes, Status> {
        let shown = self.place(version, object, form);
        let show = || {
            let version = version.clone();
            turns.read(object, move |object| show(&version, object, form))
        };
        shown.get_or_try_init(show).await.cloned()
    }

    fn place(&self, version: &Arc<Version>, object: &Object, form: Form) -> Arc<OnceCell<Bytes>> {
        let stored = object.bytes();
        let all = if stored.len() <= LARGEST { &self.usual } else { &self.large };
        let mut place = all[form.place(object) % all.len()].lock();
        let is_known = |entry: &&Entry| {
            Arc::ptr_eq(&entry.version, version)
                && entry.form == form
                && (entry.stored.as_ptr(), entry.stored.len()) == (stored.as_ptr(), stored.len())
                && entry.since.elapsed() < FRESH
        };
        if let Some(known) = place.as_ref().filter(is_known) {
            return known.shown.clone();
        }
        let shown = Arc::new(OnceCell::new());
        let (version, stored) = (version.clone(), stored.clone());
        *place = Some(Entry { version, stored, form, since: Instant::now(), shown: shown.clone() });
        shown
    }
}

impl Form {
    /// Forms of the same object have places of their own.
    fn place(self, object: &Object) -> usize {
        let view = match (self.view, self.include) {
            (View::Objects | View::Partial, _) => 0,
            (View::Table, Include::Nothing) => 1,
            (View::Table, Include::Metadata) => 2,
            (View::Table, Include::Object) => 3,
        };
        usize::try_from(object.revision().0).unwrap_or_default().wrapping_mul(4) + view
    }
}

fn show(version: &Version, object: &Object, form: Form) -> Result<Bytes, Status> {
    let json = match form.view {
        View::Objects => version.present(object.bytes()),
        View::Table => table::of_object(version, object, form.include)?,
        View::Partial => table::partial(object)?,
    };
    if !form.is_protobuf {
        return Ok(json);
    }
    let value = serde_json::from_slice(&json).map_err(Status::internal)?;
    // what was stored is of its kind
    let encoded = protobuf::encode(&value).map_err(|error| {
        tracing::error!(%error, "an event has no protobuf form and is left out");
    });
    Ok(encoded.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leftovers::Leftovers;

    fn map(name: &str, bytes: usize) -> Object {
        let data = "v".repeat(bytes);
        let json = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","resourceVersion":{}}},"data":{{"k":"{data}"}}}}"#,
            serde_json::json!(api::REVISION_PLACEHOLDER)
        );
        api::Unstamped::new(json.into_bytes()).unwrap().stamp(api::ResourceVersion(7))
    }

    #[tokio::test]
    async fn an_object_is_shown_once_for_all_watches() {
        let registry = kinds::all();
        let version = registry.by_gvk(&api::Gvk::parse("v1", "ConfigMap")).unwrap();
        let (views, turns) = (RecentViews::default(), ParseBudget::new(Leftovers::new(|| {})));
        let form = |view, include, is_protobuf| Form { view, include, is_protobuf };
        let forms = [
            form(View::Table, Include::Metadata, false),
            form(View::Table, Include::Object, false),
            form(View::Partial, Include::Nothing, false),
            form(View::Objects, Include::Nothing, true),
        ];
        for bytes in [10, LARGEST, 4 * LARGEST] {
            let objects = [map("a", bytes), map("b", bytes)];
            for object in &objects {
                for form in forms {
                    let of = || views.of(&turns, &version, object, form);
                    let (first, second) = tokio::join!(of(), of());
                    let (first, second, third) = (first.unwrap(), second.unwrap(), of().await.unwrap());
                    let same = [&second, &third].map(|other| other.as_ptr() == first.as_ptr());
                    assert_eq!(same, [true; 2], "{form:?} of {bytes} bytes is made once");
                    assert_eq!(first, show(&version, object, form).unwrap(), "{form:?} of {bytes} bytes");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_to_each() {
        let registry = kinds::all();
        let version = registry.by_gvk(&api::Gvk::parse("v1", "ConfigMap")).unwrap();
        let (views, turns) = (RecentViews::default(), ParseBudget::new(Leftovers::new(|| {})));
        let json = format!(
            r#"{{"metadata":{{"name":"a","resourceVersion":{}}},"data":3}}"#,
            serde_json::json!(api::REVISION_PLACEHOLDER)
        );
        let odd = api::Unstamped::new(json.into_bytes()).unwrap().stamp(api::ResourceVersion(7));
        let form = Form { view: View::Table, include: Include::Nothing, is_protobuf: false };
        for _ in 0..2 {
            assert!(views.of(&turns, &version, &odd, form).await.is_err());
        }
    }
}
