//! What tells one object from the others, and one state of the store from the next.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Namespace and name of an object among those of its resource. Cluster-wide objects have no namespace.
/// The order is that of a list: by namespace, then by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    pub namespace: Option<Arc<str>>,
    pub name: Arc<str>,
}

impl ObjectKey {
    pub fn namespaced(namespace: &str, name: &str) -> Self {
        ObjectKey { namespace: Some(namespace.into()), name: name.into() }
    }

    pub fn cluster(name: &str) -> Self {
        ObjectKey { namespace: None, name: name.into() }
    }

    pub fn new(namespace: Option<&str>, name: &str) -> Self {
        ObjectKey { namespace: namespace.map(Into::into), name: name.into() }
    }
}

/// `namespace/name`, or `name` alone.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A revision of the store, as `metadata.resourceVersion` shows it: one counter for all objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceVersion(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid resource version {0:?}: must be a decimal number")]
pub struct ParseRevisionError(String);

impl FromStr for ResourceVersion {
    type Err = ParseRevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(ResourceVersion).map_err(|_| ParseRevisionError(text.to_owned()))
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
