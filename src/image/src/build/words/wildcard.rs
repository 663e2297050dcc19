//! Patterns of `${name#pattern}`: `*`, `?`, and what is escaped.

use super::limits::Limits;

type Result<T> = std::result::Result<T, String>;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Any,
    Many,
    Is(char),
}

/// No two stars stand side by side in it.
pub(super) struct Wildcard(Vec<Token>);

impl Wildcard {
    pub(super) fn parse(pattern: &str) -> Result<Wildcard> {
        let mut tokens = Vec::new();
        let mut characters = pattern.chars();
        while let Some(c) = characters.next() {
            tokens.push(match c {
                '*' if tokens.last() == Some(&Token::Many) => continue,
                '*' => Token::Many,
                '?' => Token::Any,
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Token::Is(escaped),
                    other => {
                        let escaped = other.map(String::from).unwrap_or_default();
                        return Err(format!(
                            "invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'"
                        ));
                    }
                },
                literal => Token::Is(literal),
            });
        }
        Ok(Wildcard(tokens))
    }

    /// Without the shortest or the longest beginning that matches.
    pub(super) fn without_prefix(
        &self,
        value: &[char],
        longest: bool,
        limits: &mut Limits,
    ) -> Result<String> {
        let taken = end_of_match(&self.0, value.iter(), longest, limits)?;
        Ok(value[taken.unwrap_or(0)..].iter().collect())
    }

    /// Read from behind: the end of a value is the beginning of what is reversed.
    pub(super) fn without_suffix(
        &self,
        value: &[char],
        longest: bool,
        limits: &mut Limits,
    ) -> Result<String> {
        let tokens: Vec<Token> = self.0.iter().rev().copied().collect();
        let taken = end_of_match(&tokens, value.iter().rev(), longest, limits)?;
        Ok(value[..value.len() - taken.unwrap_or(0)].iter().collect())
    }

    /// The leftmost and longest match, or all of them, replaced.
    pub(super) fn replace(
        &self,
        value: &[char],
        with: &str,
        all: bool,
        limits: &mut Limits,
    ) -> Result<String> {
        let mut out = String::new();
        let mut at = 0;
        while at < value.len() {
            match end_of_match(&self.0, value[at..].iter(), true, limits)?.filter(|taken| *taken > 0) {
                Some(taken) => {
                    limits.fits(out.len() + with.len())?;
                    out.push_str(with);
                    at += taken;
                    if !all {
                        break;
                    }
                }
                // a match further on would have been one from here: the star takes what is between
                None if self.0.first() == Some(&Token::Many) => break,
                None => {
                    out.push(value[at]);
                    at += 1;
                }
            }
        }
        out.extend(&value[at..]);
        Ok(out)
    }
}

/// How many characters the shortest or the longest beginning has that matches. The value is read once, with all places of
/// the pattern that the characters so far may have led to: by trial, a row of stars takes for ever.
fn end_of_match<'c>(
    tokens: &[Token],
    value: impl Iterator<Item = &'c char>,
    longest: bool,
    limits: &mut Limits,
) -> Result<Option<usize>> {
    // in order, each once
    let (mut places, mut next) = (Vec::new(), Vec::new());
    reach(tokens, 0, &mut places);
    let matched = |places: &[usize]| places.last() == Some(&tokens.len());
    let mut found = matched(&places).then_some(0);
    for (at, c) in value.enumerate() {
        if places.is_empty() || (found.is_some() && !longest) {
            break;
        }
        limits.step(places.len())?;
        next.clear();
        for place in &places {
            match tokens.get(*place) {
                Some(Token::Many) => reach(tokens, *place, &mut next),
                Some(Token::Any) => reach(tokens, place + 1, &mut next),
                Some(Token::Is(literal)) if literal == c => reach(tokens, place + 1, &mut next),
                _ => {}
            }
        }
        std::mem::swap(&mut places, &mut next);
        if matched(&places) {
            found = Some(at + 1);
        }
    }
    Ok(found)
}

/// Adds a place, and the one behind it where it is a star, which may take nothing.
fn reach(tokens: &[Token], place: usize, places: &mut Vec<usize>) {
    let through = place + usize::from(tokens.get(place) == Some(&Token::Many));
    for place in place..=through {
        if places.last().is_none_or(|last| *last < place) {
            places.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn characters(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    /// What a pattern matches, by its meaning.
    fn matches(tokens: &[Token], value: &[char]) -> bool {
        match (tokens, value) {
            ([], value) => value.is_empty(),
            ([Token::Many, rest @ ..], value) => (0..=value.len()).any(|at| matches(rest, &value[at..])),
            ([_, ..], []) => false,
            ([Token::Any, rest @ ..], [_, left @ ..]) => matches(rest, left),
            ([Token::Is(literal), rest @ ..], [c, left @ ..]) => literal == c && matches(rest, left),
        }
    }

    #[test]
    fn ends_are_those_that_trial_finds() {
        let patterns = ["", "*", "a", "?", "*a", "a*", "*a*", "a*b", "?*b", "*b*a", "**", "a**b?", "b?*"];
        let values = ["", "a", "b", "ab", "ba", "aab", "abab", "bbaa", "abcabc", "aaaa"];
        for (pattern, value) in patterns.iter().flat_map(|p| values.iter().map(move |v| (*p, *v))) {
            let wildcard = Wildcard::parse(pattern).unwrap();
            let value = characters(value);
            let first = |longest: bool| {
                let fits = |end: &usize| matches(&wildcard.0, &value[..*end]);
                let mut ends = 0..=value.len();
                let end = if longest { ends.rfind(fits) } else { ends.find(fits) };
                value[end.unwrap_or(0)..].iter().collect::<String>()
            };
            let last = |longest: bool| {
                let fits = |start: &usize| matches(&wildcard.0, &value[*start..]);
                let mut starts = 0..=value.len();
                let start = if longest { starts.find(fits) } else { starts.rfind(fits) };
                value[..start.unwrap_or(value.len())].iter().collect::<String>()
            };
            for longest in [false, true] {
                let mut limits = Limits::default();
                let case = format!("{pattern} {value:?} {longest}");
                assert_eq!(
                    wildcard.without_prefix(&value, longest, &mut limits).unwrap(),
                    first(longest),
                    "{case}"
                );
                assert_eq!(
                    wildcard.without_suffix(&value, longest, &mut limits).unwrap(),
                    last(longest),
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn a_value_is_read_once_by_an_anchored_pattern() {
        let value = characters(&"a".repeat(10_000));
        for pattern in ["*/", "*a*b", "?*?", "*aaaa"] {
            let wildcard = Wildcard::parse(pattern).unwrap();
            let mut limits = Limits::of_steps(10_000 * (wildcard.0.len() + 1));
            wildcard.without_prefix(&value, true, &mut limits).unwrap();
            let mut limits = Limits::of_steps(10_000 * (wildcard.0.len() + 1));
            wildcard.without_suffix(&value, true, &mut limits).unwrap();
        }
        // a star at the beginning looks no second time for what is not there
        let mut limits = Limits::of_steps(40_000);
        Wildcard::parse("*b").unwrap().replace(&value, "x", true, &mut limits).unwrap();
    }

    #[test]
    fn what_takes_too_many_steps_or_bytes_is_refused() {
        let value = characters(&"a".repeat(60_000));
        let stars = Wildcard::parse(&format!("{}b", "*a".repeat(30_000))).unwrap();
        let later = Wildcard::parse(&format!("a{}b", "*a".repeat(30_000))).unwrap();
        for refused in [
            stars.without_prefix(&value, true, &mut Limits::default()),
            stars.without_suffix(
                &characters(&format!("{}b", "a".repeat(60_000))),
                false,
                &mut Limits::default(),
            ),
            later.replace(&value, "x", true, &mut Limits::default()),
        ] {
            assert_eq!(refused.unwrap_err(), "its patterns take more than 16777216 steps");
        }
        let each = Wildcard::parse("a").unwrap();
        let with = "y".repeat(60_000);
        let why = each.replace(&value, &with, true, &mut Limits::default()).unwrap_err();
        assert_eq!(why, "its variables hold more than 1048576 bytes");
        let mut limits = Limits::of_bytes(8);
        assert_eq!(each.replace(&value[..4], "yy", true, &mut limits).unwrap(), "yyyyyyyy");
        assert!(each.replace(&value[..5], "yy", true, &mut limits).is_err());
    }
}
