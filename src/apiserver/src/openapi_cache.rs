//! The documents of OpenAPI, made for one registry and what extension API servers told, and kept until either is another.

use crate::aggregator::documents::Documents as Told;
use kinds::Registry;
use openapi::Documents;
use parking_lot::Mutex;
use std::sync::Arc;

/// The documents of the registry that is served, this, and how often extension API servers had told something else.
#[derive(Default)]
pub(crate) struct OpenapiCache(Mutex<Option<(Arc<Registry>, u64, Arc<Documents>)>>);

impl OpenapiCache {
    /// Where kinds have come or gone, others; what of the old ones stays true stays rendered.
    pub(crate) fn of(&self, registry: Arc<Registry>, told: &Told) -> Arc<Documents> {
        // before what they told is read: what changes meanwhile is another state
        let changes = told.changes();
        let mut kept = self.0.lock();
        match &*kept {
            Some((of, known, documents)) if Arc::ptr_eq(of, &registry) && *known == changes => {
                documents.clone()
            }
            before => {
                let before = before.as_ref().map(|(.., documents)| &**documents);
                let documents = Arc::new(Documents::with_extensions(&registry, &told.openapi_v2(), before));
                *kept = Some((registry, changes, documents.clone()));
                documents
            }
        }
    }
}
