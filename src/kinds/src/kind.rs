//! A kind as a value: its names, where its objects are stored, the versions that serve it.

use crate::{Durability, Scope, Version};
use api::GroupResource;
use std::sync::Arc;

/// A kind: its objects are stored once, whichever of its versions serves them.
pub struct Kind {
    pub storage: GroupResource,
    pub scope: Scope,
    pub durability: Durability,
    /// In the order of group and version. Several groups where one object is served under two (events).
    pub versions: Vec<Arc<Version>>,
}

impl Kind {
    /// The version in which objects are stored, where a webhook converts and it is served: who looks at the metadata only, and
    /// writes it, needs no conversion. Without a webhook any version does.
    ///
    /// # Panics
    /// On a kind without versions; the registry makes none.
    pub fn stored(&self) -> &Arc<Version> {
        let is_stored = |version: &&Arc<Version>| {
            let conversion = version.conversion();
            conversion.is_some_and(|to| version.info().gvk.api_version() == to.stored_version)
        };
        self.versions.iter().find(is_stored).unwrap_or(&self.versions[0])
    }
}
