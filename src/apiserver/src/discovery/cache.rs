//! Documents of aggregated discovery with their hashes, made once for each state of what they follow from.

use super::remote::Remote;
use bytes::Bytes;
use http::HeaderValue;
use kinds::Registry;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which of the four documents: of `/api` or of `/apis`, and in which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Which {
    pub(super) is_core: bool,
    pub(super) version: &'static str,
}

/// The documents of what is served now, as far as somebody has asked for them.
#[derive(Default)]
pub(crate) struct AggregatedDiscovery(Mutex<Option<Kept>>);

struct Kept {
    of: State,
    documents: BTreeMap<Which, Arc<Document>>,
}

/// What the documents follow from.
pub(super) struct State {
    pub(super) registry: Arc<Registry>,
    pub(super) remote: Vec<Remote>,
    /// How often extension API servers have told something else.
    pub(super) told: u64,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.registry, &other.registry)
            && (&self.remote, self.told) == (&other.remote, other.told)
    }
}

pub(super) struct Document {
    pub(super) text: Bytes,
    pub(super) etag: HeaderValue,
}

impl AggregatedDiscovery {
    /// Who asks while it is made waits for it.
    pub(super) fn document(
        &self,
        of: State,
        which: Which,
        make: impl FnOnce(&State) -> Value,
    ) -> Arc<Document> {
        let mut kept = self.0.lock();
        let current = kept.take().filter(|kept| kept.of == of);
        let kept = kept.insert(current.unwrap_or(Kept { of, documents: BTreeMap::new() }));
        let made = || Arc::new(Document::new(&make(&kept.of)));
        kept.documents.entry(which).or_insert_with(made).clone()
    }
}

impl Document {
    fn new(document: &Value) -> Self {
        let text = document.to_string();
        let digest = ring::digest::digest(&ring::digest::SHA512, text.as_bytes());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("digits are ASCII");
        Document { text: text.into(), etag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinds::ApiPriority;
    use serde_json::json;

    #[test]
    fn a_document_is_made_once_for_each_state() {
        let (kept, registry) = (AggregatedDiscovery::default(), Arc::new(kinds::all()));
        let remote = |is_available| Remote {
            group: "example.com".to_owned(),
            version: "v1".to_owned(),
            priority: ApiPriority { of_group: 1, of_version: 1 },
            is_available,
        };
        let apis = Which { is_core: false, version: "v2" };
        let made = std::cell::Cell::new(0);
        let ask = |registry: &Arc<Registry>, remote: Vec<Remote>, told, which| {
            let state = State { registry: registry.clone(), remote, told };
            let document = kept.document(state, which, |_| {
                made.set(made.get() + 1);
                json!(made.get())
            });
            (document.text.clone(), document.etag.clone())
        };
        let first = ask(&registry, vec![remote(true)], 0, apis);
        assert_eq!(ask(&registry, vec![remote(true)], 0, apis), first);
        let beta = Which { version: "v2beta1", ..apis };
        assert_ne!(ask(&registry, vec![remote(true)], 0, beta), first);
        assert_eq!(ask(&registry, vec![remote(true)], 0, apis), first, "both are kept");
        assert_eq!(made.get(), 2);
        for (name, registry, remote, told) in [
            ("a server that does not answer", registry.clone(), vec![remote(false)], 0),
            ("one that is not there", registry.clone(), Vec::new(), 0),
            ("one that has told something else", registry, Vec::new(), 1),
            ("other kinds", Arc::new(kinds::all()), Vec::new(), 1),
        ] {
            let before = made.get();
            let asked = ask(&registry, remote, told, apis);
            assert_eq!((made.get(), asked.0), (before + 1, Bytes::from((before + 1).to_string())), "{name}");
        }
    }
}
