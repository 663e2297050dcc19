//! The documents of OpenAPI, made for one registry and kept until another is served.

use kinds::Registry;
use openapi::Documents;
use std::sync::{Arc, Mutex, PoisonError};

/// The documents of the registry that is served, and this.
#[derive(Default)]
pub(crate) struct OpenapiCache(Mutex<Option<(Arc<Registry>, Arc<Documents>)>>);

impl OpenapiCache {
    /// Where kinds have come or gone, others; what of the old ones stays true stays rendered.
    pub(crate) fn of(&self, registry: Arc<Registry>) -> Arc<Documents> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, documents)) if Arc::ptr_eq(of, &registry) => documents.clone(),
            before => {
                let before = before.as_ref().map(|(_, documents)| &**documents);
                let documents = Arc::new(Documents::of(&registry, before));
                *kept = Some((registry, documents.clone()));
                documents
            }
        }
    }
}
