//! Patterns of `${name#pattern}`: `*`, `?`, and what is escaped.

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Any,
    Many,
    Is(char),
}

pub(super) struct Wildcard(Vec<Token>);

impl Wildcard {
    pub(super) fn parse(pattern: &str) -> Result<Wildcard, String> {
        let mut tokens = Vec::new();
        let mut characters = pattern.chars();
        while let Some(c) = characters.next() {
            tokens.push(match c {
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
    pub(super) fn without_prefix(&self, value: &[char], longest: bool) -> String {
        let taken = pick(0..=value.len(), longest, |end| self.matches(&value[..end]));
        value[taken.unwrap_or(0)..].iter().collect()
    }

    pub(super) fn without_suffix(&self, value: &[char], longest: bool) -> String {
        let kept = pick(0..=value.len(), !longest, |start| self.matches(&value[start..]));
        value[..kept.unwrap_or(value.len())].iter().collect()
    }

    /// The leftmost and longest match, or all of them, replaced.
    pub(super) fn replace(&self, value: &[char], with: &str, all: bool) -> String {
        let mut out = String::new();
        let mut at = 0;
        while at < value.len() {
            match pick(at + 1..=value.len(), true, |end| self.matches(&value[at..end])) {
                Some(end) => {
                    out.push_str(with);
                    at = end;
                    if !all {
                        break;
                    }
                }
                None => {
                    out.push(value[at]);
                    at += 1;
                }
            }
        }
        out.extend(&value[at..]);
        out
    }

    fn matches(&self, value: &[char]) -> bool {
        matches(&self.0, value)
    }
}

fn pick(
    range: std::ops::RangeInclusive<usize>,
    from_the_end: bool,
    fits: impl Fn(usize) -> bool,
) -> Option<usize> {
    let mut range = range;
    if from_the_end { range.rev().find(|at| fits(*at)) } else { range.find(|at| fits(*at)) }
}

fn matches(tokens: &[Token], value: &[char]) -> bool {
    // where the last `*` was, and what it has taken so far: a star never has to take less again
    let (mut token, mut at) = (0, 0);
    let mut star = None;
    while at < value.len() {
        match tokens.get(token) {
            Some(Token::Many) => {
                star = Some((token, at));
                token += 1;
            }
            Some(Token::Any) => (token, at) = (token + 1, at + 1),
            Some(Token::Is(c)) if *c == value[at] => (token, at) = (token + 1, at + 1),
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (token, at) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    tokens[token..].iter().all(|token| *token == Token::Many)
}
