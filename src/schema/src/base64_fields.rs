//! Base64 as Go's decoder reads it: line breaks anywhere, as the tool `base64` makes them, and no care for the bits that
//! the last letter has too many. Faults are told in its words, with their place.

use crate::{Schema, Type};
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use serde_json::Value;

const LOOSE: GeneralPurpose = GeneralPurpose::new(&ALPHABET, PAD.with_decode_allow_trailing_bits(true));

/// The first byte that can not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("illegal base64 data at input byte {0}")]
pub struct IllegalBase64(usize);

/// Whether the strictest decoder reads it too.
///
/// # Errors
/// [`IllegalBase64`]
pub(crate) fn check(text: &str) -> Result<bool, IllegalBase64> {
    let bytes = decode(text)?;
    Ok(STANDARD.decode(text).is_ok_and(|strict| strict == bytes))
}

/// Makes all bytes of the object such as the strictest decoder reads.
///
/// # Errors
/// [`IllegalBase64`]
pub fn canonical(value: &mut Value, schema: &Schema) -> Result<(), IllegalBase64> {
    match value {
        Value::String(text) if schema.kind == Type::Bytes => *text = STANDARD.encode(decode(text)?),
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(of) = schema.field(name) {
                    canonical(value, of)?;
                }
            }
        }
        Value::Array(items) => {
            if let Some(of) = schema.items.as_deref() {
                items.iter_mut().try_for_each(|item| canonical(item, of))?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn decode(text: &str) -> Result<Vec<u8>, IllegalBase64> {
    let letters: Vec<u8> = text.bytes().filter(|b| !is_line_break(*b)).collect();
    LOOSE.decode(letters).map_err(|_| IllegalBase64(fault(text.as_bytes())))
}

fn is_line_break(b: u8) -> bool {
    b == b'\n' || b == b'\r'
}

/// Where Go stops: at a byte that is no letter, at padding that is not due, or, where the text ends too early, at the
/// beginning of the last four.
fn fault(text: &[u8]) -> usize {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let next = |from: usize| (from..text.len()).find(|at| !is_line_break(text[*at])).unwrap_or(text.len());
    let (mut at, mut read) = (next(0), 0);
    while at < text.len() {
        match (text[at], read) {
            (b, _) if is_letter(b) => {}
            (b'=', 2) => {
                let second = next(at + 1);
                return match text.get(second) {
                    None => text.len(),
                    Some(b'=') => next(second + 1),
                    Some(_) => second - 1,
                };
            }
            (b'=', 3) => return next(at + 1),
            _ => return at,
        }
        read = (read + 1) % 4;
        at = next(at + 1);
    }
    text.len() - read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_go_reads_it() {
        let cases: [(&str, &str, Result<&[u8], usize>); 15] = [
            ("plain", "aGVsbG8=", Ok(b"hello")),
            ("nothing", "", Ok(b"")),
            ("wrapped", "aGVs\nbG8=\n", Ok(b"hello")),
            ("wrapped by Windows", "aGVs\r\nbG8=\r\n", Ok(b"hello")),
            ("wrapped within its padding", "aGVsbA=\n=", Ok(b"hell")),
            ("bits too many", "aGVsbG9=", Ok(b"hello")),
            ("no letter", "aGV*bG8=", Err(3)),
            ("a space", "aGVs bG8=", Err(4)),
            ("of URLs", "aGVs-G8=", Err(4)),
            ("no padding", "aGVsbG8", Err(4)),
            ("half its padding", "aGVsbA=", Err(7)),
            ("padding at the beginning", "=aGV", Err(0)),
            ("padding too early", "a=Vs", Err(1)),
            ("a letter after the padding", "aGVsbA==a", Err(8)),
            ("a letter within the padding", "aGVsbA=a", Err(6)),
        ];
        for (name, text, want) in cases {
            let got = decode(text).map_err(|IllegalBase64(at)| at);
            assert_eq!(got.as_deref().map_err(|at| *at), want, "{name}");
        }
    }

    #[test]
    fn only_what_is_bytes_is_read() {
        let secret = crate::table::named("core.v1.Secret").unwrap();
        let mut value = serde_json::json!({"data": {"a": "aGVs\nbG8="}, "stringData": {"b": "a\nb"}});
        canonical(&mut value, secret).unwrap();
        assert_eq!(value, serde_json::json!({"data": {"a": "aGVsbG8="}, "stringData": {"b": "a\nb"}}));
    }
}
