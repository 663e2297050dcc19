//! `.dockerignore` and `--exclude`: the last pattern that matches a path, or a directory above it, decides.

use super::glob::in_class;

/// Each of them is held against each file.
const MOST_PATTERNS: usize = 10_000;
/// Bytes of all patterns: in parts, they take many times as much.
const MOST_TEXT: usize = 1 << 20;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq)]
struct Pattern {
    tokens: Vec<Token>,
    brings_back: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Is(char),
    /// `?`: anything but a slash.
    One,
    /// `*`: any number of those.
    Some,
    /// `**` in front of something: nothing, or whole directories.
    Directories,
    /// `**` at the end, or in front of mere text: everything.
    All,
    Class(Vec<char>),
}

impl Ignore {
    /// One pattern a line; `#` at the very beginning makes a comment.
    pub(super) fn parse(text: &str) -> Result<Ignore, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ignore::new(text.lines().filter(|line| !line.starts_with('#')))
    }

    pub(super) fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Ignore, String> {
        let (mut ignore, mut bytes) = (Ignore::default(), 0);
        for line in patterns.into_iter().map(str::trim).filter(|line| !line.is_empty()) {
            bytes += line.len();
            if bytes > MOST_TEXT {
                return Err(format!("its patterns hold more than {MOST_TEXT} bytes"));
            }
            if ignore.patterns.len() == MOST_PATTERNS {
                return Err(format!("it holds more than {MOST_PATTERNS} patterns"));
            }
            let (pattern, brings_back) = match line.strip_prefix('!') {
                Some("") => return Err("illegal exclusion pattern: \"!\"".into()),
                Some(rest) => (rest.trim(), true),
                None => (line, false),
            };
            let clean = clean(pattern);
            // the whole context, as `.` or `/`, can not be left out
            if !clean.is_empty() {
                ignore.patterns.push(Pattern { tokens: tokens(&clean)?, brings_back });
            }
        }
        Ok(ignore)
    }

    pub(super) fn ignores(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        let mut ignored = false;
        for pattern in &self.patterns {
            if pattern.brings_back == ignored && matches_or_holds(&pattern.tokens, &path) {
                ignored = !pattern.brings_back;
            }
        }
        ignored
    }

    /// Whether anything in an ignored directory may be kept.
    pub(super) fn brings_back(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.brings_back)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

/// Without `.`, `..`, and slashes that mean nothing.
fn clean(pattern: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in pattern.split('/').filter(|name| !name.is_empty() && *name != ".") {
        match name {
            ".." if !names.is_empty() && names.last() != Some(&"..") => _ = names.pop(),
            name => names.push(name),
        }
    }
    names.join("/")
}

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        tokens.push(match c {
            '*' => match rest.strip_prefix('*') {
                None => Token::Some,
                Some(after) => {
                    let is_first = tokens.is_empty();
                    let has_slash = after.starts_with('/');
                    rest = after.strip_prefix('/').unwrap_or(after);
                    let is_text = !rest.contains(['*', '?', '[', '\\']);
                    match rest.is_empty() || (is_first && !has_slash && is_text) {
                        true => Token::All,
                        false => Token::Directories,
                    }
                }
            },
            '?' => Token::One,
            '\\' => match rest.chars().next() {
                None => Token::Is('\\'),
                Some(literal) => {
                    rest = &rest[literal.len_utf8()..];
                    Token::Is(literal)
                }
            },
            '[' => {
                // the first may be a `]` itself. Only what is in between is read: a line may be nothing but classes
                let end = rest.char_indices().skip(1).find(|(_, c)| *c == ']').map(|(at, _)| at);
                let end = end.ok_or_else(|| format!("syntax error in pattern: {pattern}"))?;
                let (class, after) = rest.split_at(end);
                rest = &after[1..];
                Token::Class(class.chars().collect())
            }
            literal => Token::Is(literal),
        });
    }
    Ok(tokens)
}

/// Token by token for all beginnings of the path at once: by trial, a row of stars takes for ever. The directories above it are
/// among these.
fn matches_or_holds(tokens: &[Token], path: &[char]) -> bool {
    // how many characters the tokens so far may have taken
    let mut taken = vec![false; path.len() + 1];
    taken[0] = true;
    for token in tokens {
        taken = after(token, &taken, path);
        if !taken.contains(&true) {
            return false;
        }
    }
    taken[path.len()] || path.iter().zip(&taken).any(|(c, taken)| *taken && *c == '/')
}

fn after(token: &Token, taken: &[bool], path: &[char]) -> Vec<bool> {
    let one = |fits: &dyn Fn(char) -> bool| -> Vec<bool> {
        let next = path.iter().zip(taken).map(|(c, taken)| *taken && fits(*c));
        std::iter::once(false).chain(next).collect()
    };
    let more = |goes_on: &dyn Fn(char) -> bool| -> Vec<bool> {
        let mut open = false;
        let next = path.iter().zip(taken).map(|(c, taken)| {
            let here = *taken || open;
            open = here && goes_on(*c);
            here
        });
        let mut next: Vec<bool> = next.collect();
        next.push(open || taken[path.len()]);
        next
    };
    match token {
        Token::Is(literal) => one(&|c| c == *literal),
        Token::One => one(&|c| c != '/'),
        Token::Class(class) => one(&|c| c != '/' && in_class(class, c)),
        Token::Some => more(&|c| c != '/'),
        Token::All => more(&|_| true),
        Token::Directories => {
            let mut began = false;
            let mut follows_slash = false;
            let next = taken.iter().enumerate().map(|(at, taken)| {
                let here = *taken || (began && follows_slash);
                began |= *taken;
                follows_slash = path.get(at) == Some(&'/');
                here
            });
            next.collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_matching_pattern_decides() {
        let ignore = Ignore::parse(
            "# comment\n*.log\n/build/\n**/tmp\nnode_modules\n!build/keep\n!a.log\nsrc/**/x?\n  \n",
        )
        .unwrap();
        for (path, ignored) in [
            ("b.log", true),
            ("a.log", false),
            ("dir/b.log", false),
            ("build", true),
            ("build/x/y", true),
            ("build/keep", false),
            ("build/keep/z", false),
            ("tmp", true),
            ("a/b/tmp/c", true),
            ("node_modules/m/index.js", true),
            ("src/x1", true),
            ("src/a/b/x2", true),
            ("src/x", false),
            ("Dockerfile", false),
        ] {
            assert_eq!(ignore.ignores(path), ignored, "{path}");
        }
    }

    #[test]
    fn every_kind_of_pattern() {
        for (pattern, path, want) in [
            ("**", "a/b", true),
            ("**/*.go", "a.go", true),
            ("**/*.go", "a/b/c.go", true),
            ("**.log", "a/b.log", true),
            ("**/foo", "afoo", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("a/**/b/*", "a/b/b/c", true),
            ("*a*", "bab", true),
            ("*a*b", "bac/b", false),
            ("a*b", "a/b", false),
            ("a[b-d]e", "ace", true),
            ("a[^b-d]e", "ace", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("./a/../b", "b", true),
            ("../x", "x", false),
            ("a.c", "abc", false),
            ("*", "dir/file", true),
            (".", "a", false),
            ("ü?", "üx", true),
            (" # no comment", "# no comment", true),
        ] {
            assert_eq!(Ignore::parse(pattern).unwrap().ignores(path), want, "{pattern} {path}");
        }
        assert!(!Ignore::parse("*\n!dir/keep").unwrap().ignores("dir/keep/x"));
        let stars = "*a".repeat(40);
        assert!(!Ignore::parse(&format!("{stars}b")).unwrap().ignores(&"a".repeat(200)), "and at once");
        for bad in ["!", "a[b"] {
            assert!(Ignore::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn classes_are_read_where_they_stand() {
        for (pattern, path, want) in [
            ("[]]", "]", true),
            ("[]a]b", "ab", true),
            ("[ü-ÿ]x[a]", "üxa", true),
            ("[a][b][c]", "abc", true),
            ("[a][b][c]", "abd", false),
        ] {
            assert_eq!(Ignore::parse(pattern).unwrap().ignores(path), want, "{pattern} {path}");
        }
        let classes = Ignore::parse(&"[a]".repeat(300_000)).unwrap();
        assert_eq!(classes.patterns[0].tokens.len(), 300_000);
        assert!(!classes.ignores(&"a".repeat(100)));
    }

    #[test]
    fn patterns_are_bounded() {
        let lines = |count: usize| "a\n".repeat(count);
        assert!(Ignore::parse(&lines(MOST_PATTERNS)).is_ok());
        assert_eq!(
            Ignore::parse(&lines(MOST_PATTERNS + 1)).unwrap_err(),
            "it holds more than 10000 patterns"
        );
        let long = "a".repeat(MOST_TEXT / 2);
        assert!(Ignore::new([&*long, &*long]).is_ok());
        let why = Ignore::new([&*long, &*long, "a"]).unwrap_err();
        assert_eq!(why, "its patterns hold more than 1048576 bytes");
        // what says nothing counts for nothing
        assert!(Ignore::parse(&"# a comment\n".repeat(200_000)).is_ok());
    }
}
