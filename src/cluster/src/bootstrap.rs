//! What every cluster has from its first second.
