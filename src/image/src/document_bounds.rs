//! How many values a manifest or a configuration may have. In memory each takes a hundred bytes and more, however short it is in
//! the document: eight megabytes of `"a":"",` are close to a hundred, and whoever may name images has many of them read at once.

use crate::error::{ImageError, Result};

/// Real ones have some hundreds; a manifest of 500 layers, or the history of as many steps, has some thousand.
const MOST_VALUES: usize = 50_000;

/// Counts values, nothing else: whether it is JSON is for its parser to say.
///
/// # Errors
/// There are too many.
pub(crate) fn check_values(what: &str, document: &[u8]) -> Result<()> {
    match values(document) > MOST_VALUES {
        true => Err(ImageError::Refused(format!("the {what} holds more than {MOST_VALUES} values"))),
        false => Ok(()),
    }
}

/// Each one follows a bracket, a brace or a comma, and empty lists and objects count once more than they have to.
fn values(document: &[u8]) -> usize {
    let (mut count, mut in_string, mut is_escaped) = (0, false, false);
    for &byte in document {
        match (in_string, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b',' | b'[' | b'{') => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_without_being_made() {
        for (name, document, want) in [
            ("one", "1", 0),
            ("a list", "[1, 2, 3]", 3),
            ("an object", r#"{"a": 1, "b": [true]}"#, 3),
            ("in a string", r#"{"a": "[1,2,{3"}"#, 1),
            ("after a quote in a string", r#"["\",[", 1]"#, 2),
            ("after a backslash in a string", r#"["\\", 1, 2]"#, 3),
            ("no JSON", "<html>,", 1),
        ] {
            assert_eq!(values(document.as_bytes()), want, "{name}");
        }
        let list = |length: usize| format!("[{}]", vec!["1"; length].join(","));
        assert!(check_values("manifest", list(MOST_VALUES).as_bytes()).is_ok());
        let why = check_values("manifest", list(MOST_VALUES + 1).as_bytes()).unwrap_err().to_string();
        assert_eq!(why, "the manifest holds more than 50000 values");
    }
}
