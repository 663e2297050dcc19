//! Text from elsewhere on its way to somebody's terminal: names in archives, media types, a user or a signal of a configuration, what a
//! registry says. Clients print an error as it comes.

use std::borrow::Cow;

/// Without what steers a terminal; lines and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    without(text, |c| steers_terminal(c) && !matches!(c, '\n' | '\t'))
}

/// Without what steers a terminal, or ends a line: nothing in it can look as if it were said by somebody else.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    without(text, steers_terminal)
}

/// Control characters, the separators of lines and paragraphs, and Unicode's `Bidi_Control`: with those a text shows
/// itself, and what stands behind it, in another order than it has.
pub(crate) fn steers_terminal(c: char) -> bool {
    let is_bidi =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_bidi || matches!(c, '\u{2028}' | '\u{2029}')
}

fn without(text: &str, is_unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    match text.chars().any(&is_unwanted) {
        true => Cow::Owned(text.chars().filter(|c| !is_unwanted(*c)).collect()),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageError;

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        for (name, text, want, line) in [
            ("nothing to take out", "a b", "a b", "a b"),
            ("escape", "a\u{1b}[31mb", "a[31mb", "a[31mb"),
            ("its one-byte form", "a\u{9b}31mb", "a31mb", "a31mb"),
            ("lines", "a\r\nb\u{2028}c\u{2029}d\te", "a\nbcd\te", "abcde"),
            ("overrides", "a\u{202e}b\u{202d}c\u{202c}d\u{202a}e\u{202b}f", "abcdef", "abcdef"),
            ("isolates", "a\u{2066}b\u{2067}c\u{2068}d\u{2069}e", "abcde", "abcde"),
            ("marks", "a\u{200e}b\u{200f}c\u{61c}d", "abcd", "abcd"),
            ("scripts from right to left", "שלום", "שלום", "שלום"),
        ] {
            assert_eq!((&*printable(text), &*one_line(text)), (want, line), "{name}");
        }
    }

    #[test]
    fn errors_of_the_store_are_printable() {
        let hostile = || "x\u{1b}]0;y\u{7}\nz".to_owned();
        for error in [
            ImageError::Refused(hostile()),
            ImageError::Registry(hostile()),
            ImageError::Refused(hostile()).within("layer"),
        ] {
            let text = error.to_string();
            assert!(text.ends_with("x]0;yz"), "{text:?}");
        }
        assert_eq!(ImageError::io(hostile(), hostile()).to_string(), "x]0;yz: x]0;yz");
    }
}
