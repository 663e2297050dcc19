//! Which kinds are served, and where each is found: by path, by manifest, by where its objects are stored. Read [`Registry`].

use crate::{Kind, ResourceInfo, Version, builtin};
use api::{GroupResource, Gvk, Gvr};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All kinds that are served: those whose objects are stored, by path and by manifest, and those that are answered only.
/// Kinds come and go with their definitions; each change makes another registry of the old one.
#[derive(Clone, Default)]
pub struct Registry {
    by_gvr: BTreeMap<Gvr, Arc<Version>>,
    by_gvk: BTreeMap<Gvk, Gvr>,
    by_storage: BTreeMap<GroupResource, Arc<Kind>>,
    /// Reviews, metrics, …: whose objects are made when somebody asks, and stored nowhere.
    computed: Arc<BTreeMap<Gvr, ResourceInfo>>,
}

impl Registry {
    pub fn new(versions: impl IntoIterator<Item = Arc<Version>>) -> Self {
        Self::of(versions, Arc::default())
    }

    fn of(
        versions: impl IntoIterator<Item = Arc<Version>>,
        computed: Arc<BTreeMap<Gvr, ResourceInfo>>,
    ) -> Self {
        let mut registry = Registry { computed, ..Registry::default() };
        for version in versions {
            let info = version.info();
            registry.by_gvk.insert(info.gvk.clone(), info.gvr.clone());
            registry.by_gvr.insert(info.gvr.clone(), version);
        }
        let mut kinds: BTreeMap<GroupResource, Kind> = BTreeMap::new();
        for version in registry.by_gvr.values() {
            let ResourceInfo { storage, scope, durability, .. } = version.info();
            let (storage, scope, durability) = (storage.clone(), *scope, *durability);
            let kind = kinds.entry(storage.clone());
            let kind = kind.or_insert_with(|| Kind { storage, scope, durability, versions: Vec::new() });
            kind.versions.push(version.clone());
        }
        registry.by_storage = kinds.into_iter().map(|(storage, kind)| (storage, Arc::new(kind))).collect();
        registry
    }

    /// This registry with other kinds beside the built-in ones: a built-in kind gives way to nothing.
    #[must_use]
    pub fn with(&self, versions: impl IntoIterator<Item = Arc<Version>>) -> Self {
        let all = versions.into_iter().chain(self.by_gvr.values().cloned());
        Registry::of(all, self.computed.clone())
    }

    pub fn by_gvr(&self, gvr: &Gvr) -> Option<Arc<Version>> {
        self.by_gvr.get(gvr).cloned()
    }

    pub fn by_gvk(&self, gvk: &Gvk) -> Option<Arc<Version>> {
        self.by_gvk.get(gvk).and_then(|gvr| self.by_gvr.get(gvr)).cloned()
    }

    /// The kind whose objects are stored there.
    pub fn kind(&self, storage: &GroupResource) -> Option<&Arc<Kind>> {
        self.by_storage.get(storage)
    }

    /// Each kind whose objects are stored, once.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_storage.values()
    }

    /// Each version of each kind whose objects are stored, in the order of group, version, resource.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.by_gvr.values()
    }

    /// What is answered there and not stored.
    pub fn computed(&self, gvr: &Gvr) -> Option<&ResourceInfo> {
        self.computed.get(gvr)
    }

    /// Whether a definition made it.
    pub fn is_custom(&self, info: &ResourceInfo) -> bool {
        self.by_gvr.get(&info.gvr).is_some_and(|version| version.published_schema().is_some())
    }

    /// Everything that discovery tells, stored or not.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceInfo> {
        self.by_gvr.values().map(|version| version.info()).chain(self.computed.values())
    }
}

/// The built-in kinds.
pub fn all() -> Registry {
    let computed = builtin::computed().map(|info| (info.gvr.clone(), info)).collect();
    Registry::of(builtin::versions(), Arc::new(computed))
}
