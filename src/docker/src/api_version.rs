//! Versions of the API: which are spoken, and which one a path asks for.

use crate::error::{ApiError, Result};

/// Of the API: 1.51 is `(1, 51)`.
pub(crate) type Version = (u32, u32);

/// The versions of the API that are spoken.
pub(crate) const MIN_VERSION: Version = (1, 24);
pub(crate) const MAX_VERSION: Version = (1, 51);
pub(crate) const MIN_VERSION_TEXT: &str = "1.24";
pub(crate) const MAX_VERSION_TEXT: &str = "1.51";

/// Whether a path begins with one: `v1.51`.
pub(crate) fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// # Errors
/// Not one of those that are spoken.
pub(crate) fn check_version(segment: &str) -> Result<Version> {
    let text = &segment[1..];
    let number = text.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let number: Version = number.ok_or_else(|| ApiError::bad(format_args!("invalid version {text}")))?;
    if number > MAX_VERSION {
        return Err(ApiError::bad(format_args!(
            "client version {text} is too new. Maximum supported API version is {MAX_VERSION_TEXT}"
        )));
    }
    if number < MIN_VERSION {
        return Err(ApiError::bad(format_args!(
            "client version {text} is too old. Minimum supported API version is {MIN_VERSION_TEXT}, please upgrade \
             your client to a newer version"
        )));
    }
    Ok(number)
}
