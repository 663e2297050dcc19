//! Documents of aggregated discovery with their hashes, made once for each state of what they follow from.

use super::remote::Remote;
use crate::negotiate::Format;
use crate::yaml;
use bytes::Bytes;
use http::HeaderValue;
use kinds::Registry;
use parking_lot::Mutex;
use protobuf::ProtobufError;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which document: of `/api` or of `/apis`, in which version and format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Which {
    pub(super) is_core: bool,
    pub(super) version: &'static str,
    pub(super) format: Format,
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
    pub(super) body: Bytes,
    pub(super) etag: HeaderValue,
}

impl AggregatedDiscovery {
    /// Who asks while it is made waits for it.
    ///
    /// # Errors
    /// A document that is not what its messages are.
    pub(super) fn document(
        &self,
        of: State,
        which: Which,
        make: impl FnOnce(&State) -> Value,
    ) -> Result<Arc<Document>, ProtobufError> {
        let mut kept = self.0.lock();
        let current = kept.take().filter(|kept| kept.of == of);
        let kept = kept.insert(current.unwrap_or(Kept { of, documents: BTreeMap::new() }));
        if let Some(known) = kept.documents.get(&which) {
            return Ok(known.clone());
        }
        let made = Arc::new(Document::new(&make(&kept.of), which.format)?);
        kept.documents.insert(which, made.clone());
        Ok(made)
    }
}

impl Document {
    /// The tag is of the JSON, whatever the format (as upstream's is): a client that keeps several heeds `Vary`.
    fn new(document: &Value, format: Format) -> Result<Self, ProtobufError> {
        let text = document.to_string();
        let digest = ring::digest::digest(&ring::digest::SHA512, text.as_bytes());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("digits are ASCII");
        let body = match format {
            Format::Json => text.into(),
            Format::Yaml => yaml::text(document).into(),
            Format::Protobuf => protobuf::encode(document)?.into(),
        };
        Ok(Document { body, etag })
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
        let apis = Which { is_core: false, version: "v2", format: Format::Json };
        let made = std::cell::Cell::new(0);
        let ask = |registry: &Arc<Registry>, remote: Vec<Remote>, told, which| {
            let state = State { registry: registry.clone(), remote, told };
            let document = kept.document(state, which, |_| {
                made.set(made.get() + 1);
                json!(made.get())
            });
            let document = document.unwrap();
            (document.body.clone(), document.etag.clone())
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
