//! Numbers of users and groups: one range for all who take them, so that what one component checks is what the other uses.

use crate::{CriError, Result};

/// The largest id that runc, containerd, Docker and Kubernetes take. Beyond it lies 4294967295, which setresuid(2),
/// setresgid(2) and chown(2) read as "leave it as it is": as root, here.
pub const MAX_ID: u32 = i32::MAX as u32;

/// # Errors
/// A number out of range.
pub fn checked_id(number: i64) -> Result<u32> {
    u32::try_from(number).ok().filter(|id| *id <= MAX_ID).ok_or_else(out_of_range)
}

/// The number that `text` is, or `None` where it is a name. Whatever is written as a number is one, however large: an
/// image must not have it looked up as the name of somebody else.
///
/// # Errors
/// A number out of range.
pub fn parse_id(text: &str) -> Result<Option<u32>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    text.parse().map_err(|_| out_of_range()).and_then(checked_id).map(Some)
}

fn out_of_range() -> CriError {
    CriError::Invalid(format!("uids and gids must be in range 0-{MAX_ID}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_in_range_or_an_error_and_never_a_name() {
        for (text, want) in [
            ("0", Ok(Some(0))),
            ("00", Ok(Some(0))),
            ("-0", Ok(Some(0))),
            ("+7", Ok(Some(7))),
            ("2147483647", Ok(Some(MAX_ID))),
            ("2147483648", Err(())),
            ("4294967294", Err(())),
            ("4294967295", Err(())),
            ("4294967296", Err(())),
            ("-1", Err(())),
            ("99999999999999999999999", Err(())),
            ("", Ok(None)),
            ("-", Ok(None)),
            ("root", Ok(None)),
            ("0x0", Ok(None)),
            (" 0", Ok(None)),
            ("1000 ", Ok(None)),
            ("٣", Ok(None)),
        ] {
            assert_eq!(parse_id(text).map_err(|_| ()), want, "{text:?}");
        }
    }
}
