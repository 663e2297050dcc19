use crate::{Handler, builtin};
use api::{Gvk, Gvr};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All kinds that are served, by path and by manifest.
#[derive(Clone, Default)]
pub struct Registry {
    by_gvr: BTreeMap<Gvr, Arc<dyn Handler>>,
    by_gvk: BTreeMap<Gvk, Gvr>,
}

impl Registry {
    pub fn new(handlers: impl IntoIterator<Item = Arc<dyn Handler>>) -> Self {
        let mut registry = Registry::default();
        for handler in handlers {
            let info = handler.info();
            registry.by_gvk.insert(info.gvk.clone(), info.gvr.clone());
            registry.by_gvr.insert(info.gvr.clone(), handler);
        }
        registry
    }

    /// This registry with other kinds beside the built-in ones: a built-in kind gives way to nothing.
    #[must_use]
    pub fn with(&self, handlers: impl IntoIterator<Item = Arc<dyn Handler>>) -> Self {
        let all = handlers.into_iter().chain(self.by_gvr.values().cloned());
        Registry::new(all)
    }

    pub fn by_gvr(&self, gvr: &Gvr) -> Option<Arc<dyn Handler>> {
        self.by_gvr.get(gvr).cloned()
    }

    pub fn by_gvk(&self, gvk: &Gvk) -> Option<Arc<dyn Handler>> {
        self.by_gvk.get(gvk).and_then(|gvr| self.by_gvr.get(gvr)).cloned()
    }

    /// The same kind in the version in which it is stored, where that is served: who looks at the metadata only, and writes it,
    /// needs no conversion.
    #[must_use]
    pub fn stored_version_of(&self, handler: &Arc<dyn Handler>) -> Arc<dyn Handler> {
        let Some(conversion) = handler.conversion() else { return handler.clone() };
        let (own, storage) = (&conversion.stored_version, &handler.info().storage);
        let is_it = |other: &&Arc<dyn Handler>| {
            other.info().storage == *storage && other.info().gvk.api_version() == *own
        };
        self.iter().find(is_it).unwrap_or(handler).clone()
    }

    /// In the order of group, version, resource.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Handler>> {
        self.by_gvr.values()
    }
}

/// The built-in kinds.
pub fn all() -> Registry {
    Registry::new(builtin::handlers())
}
