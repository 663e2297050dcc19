//! Go's `path.Match`, as `--filter reference=` has it.

/// `*` and `?` match no `/`; `[a-z]`, `[^a-z]`; `\` takes the next character as it is.
///
/// # Errors
/// `syntax error in pattern`.
pub(super) fn matches(text: &str, pattern: &str) -> Result<bool, &'static str> {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    check(&pattern)?;
    Ok(fits(&text, &pattern))
}

const BROKEN: &str = "syntax error in pattern";

fn check(pattern: &[char]) -> Result<(), &'static str> {
    let mut rest = pattern;
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            '\\' => after.get(1..).filter(|_| !after.is_empty()).ok_or(BROKEN)?,
            '[' => class(rest, None).ok_or(BROKEN)?.1,
            _ => after,
        };
    }
    Ok(())
}

fn fits(text: &[char], pattern: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match (first, text.split_first()) {
        ('*', _) => {
            let reach = text.iter().position(|c| *c == '/').unwrap_or(text.len());
            // a star after a star adds nothing, and would cost a lot
            let rest = &rest[rest.iter().take_while(|c| **c == '*').count()..];
            (0..=reach).any(|at| fits(&text[at..], rest))
        }
        (_, None) => false,
        ('?', Some((c, text))) => *c != '/' && fits(text, rest),
        ('[', Some((c, text))) => {
            class(pattern, Some(*c)).is_some_and(|(is_in, rest)| is_in && *c != '/' && fits(text, rest))
        }
        ('\\', Some((c, text))) => rest.first() == Some(c) && fits(text, &rest[1..]),
        (wanted, Some((c, text))) => wanted == c && fits(text, rest),
    }
}

/// Whether `c` is in the class that the pattern begins with, and what follows the class.
fn class(pattern: &[char], c: Option<char>) -> Option<(bool, &[char])> {
    let mut rest = pattern.strip_prefix(&['['])?;
    let negated = rest.first() == Some(&'^');
    rest = if negated { &rest[1..] } else { rest };
    let (mut is_in, mut count) = (false, 0);
    loop {
        if rest.first()? == &']' && count > 0 {
            return Some((is_in != negated, &rest[1..]));
        }
        let (low, after) = one(rest)?;
        let (high, after) = match after.strip_prefix(&['-']) {
            Some(after) => one(after)?,
            None => (low, after),
        };
        is_in |= c.is_some_and(|c| (low..=high).contains(&c));
        (rest, count) = (after, count + 1);
    }
}

fn one(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern {
        ['\\', c, rest @ ..] => Some((*c, rest)),
        ['-' | ']' | '\\', ..] | [] => None,
        [c, rest @ ..] => Some((*c, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, want) in [
            ("busybox", "busybox", Ok(true)),
            ("busybox", "busy*", Ok(true)),
            ("luksa/kubia", "*", Ok(false)),
            ("luksa/kubia", "*/*", Ok(true)),
            ("luksa/kubia", "l?ksa/k*a", Ok(true)),
            ("busybox:1.36", "busybox:1.[0-9]6", Ok(true)),
            ("busybox:1.36", "busybox:1.[^3]6", Ok(false)),
            ("a]b", "a[\\]]b", Ok(true)),
            ("a*b", "a\\*b", Ok(true)),
            ("aab", "a\\*b", Ok(false)),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", "a********************************b", Ok(false)),
            ("a", "[", Err(BROKEN)),
            ("a", "[]a]", Err(BROKEN)),
            ("a", "[a-", Err(BROKEN)),
            ("a", "a\\", Err(BROKEN)),
        ] {
            assert_eq!(matches(text, pattern), want, "{text} {pattern}");
        }
    }
}
