//! Whom a connection is led to.

/// Whose ports are forwarded.
#[derive(Debug, Clone)]
pub(crate) struct ForwardTarget {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) uid: String,
}
