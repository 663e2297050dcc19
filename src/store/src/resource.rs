//! Whose objects something is about, as a key of the store and of its log.

use api::GroupResource;
use std::fmt;
use std::sync::Arc;

/// Whose objects: `pods`, `deployments.apps`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(Arc<str>);

impl Resource {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&GroupResource> for Resource {
    fn from(of: &GroupResource) -> Self {
        Resource(of.to_string().into())
    }
}

impl From<&str> for Resource {
    fn from(of: &str) -> Self {
        Resource(of.into())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
