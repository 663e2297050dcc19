//! Which sources are no files of the context.

use super::git;

/// Fetched before it is copied: `https://…`, `git@host:path`.
pub fn is_remote(source: &str) -> bool {
    is_http(source) || git::is_repository(source)
}

pub(super) fn is_http(source: &str) -> bool {
    let lower = source.to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}
