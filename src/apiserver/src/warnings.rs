//! How much of the warnings fits into headers: upstream's bounds, so that no proxy refuses an answer for its head.

use std::borrow::Cow;

/// Above this, each text is cut.
const MOST_CHARACTERS: usize = 4 * 1024;
/// What is left of a text that is cut.
const CUT_CHARACTERS: usize = 256;

/// What is sent of `texts`: all; where that is too much, the heads of as many as fit. What no header can carry (a line's
/// end) is left out.
pub(crate) fn fitting(texts: &[String]) -> Vec<Cow<'_, str>> {
    let sendable = || texts.iter().filter(|text| !text.chars().any(char::is_control));
    let all: usize = sendable().map(|text| text.chars().count()).sum();
    if all <= MOST_CHARACTERS {
        return sendable().map(|text| Cow::Borrowed(text.as_str())).collect();
    }
    let mut sent = 0;
    let heads = sendable().map(|text| text.chars().take(CUT_CHARACTERS).collect::<String>());
    heads
        .take_while(|head| {
            let fits = sent < MOST_CHARACTERS;
            sent += head.chars().count();
            fits
        })
        .map(Cow::Owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_long_warnings_become_some_short_ones() {
        let few = vec!["x".repeat(4000), "line\nend".to_owned(), "größe".to_owned()];
        let sent = fitting(&few);
        assert_eq!(sent.len(), 2);
        assert_eq!((sent[0].len(), &*sent[1]), (4000, "größe"));
        let many = vec!["ß".repeat(300); 100];
        let sent = fitting(&many);
        assert_eq!(sent.len(), 16);
        assert!(sent.iter().all(|text| text.chars().count() == 256));
    }
}
