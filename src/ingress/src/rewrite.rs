//! What takes the place of a request's path: text, and groups of the path's pattern. Read once, when routes are made; how long
//! the outcome will be is known before it is made. Pure.

use http::Uri;

/// In bytes: nobody writes a longer path by hand.
const LONGEST: usize = 1 << 10;
/// Each puts in up to the whole path; nginx knows nine.
const MOST_GROUPS: usize = 32;
/// In bytes: no server takes more in the first line of a request.
const LONGEST_PATH: usize = 64 << 10;

/// The value of `rewrite-target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

/// The path would be longer than a pod would read, or its patterns would take too long over it: 414.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Target {
    /// # Errors
    /// What is wrong with it, for the user.
    pub(crate) fn parse(text: &str) -> Result<Target, String> {
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        if format!("/{text}").parse::<Uri>().is_err() {
            return Err("it has characters that a path can not have".to_owned());
        }
        let mut pieces = Vec::new();
        let mut before = String::new();
        let mut rest = text;
        while let Some((plain, after)) = rest.split_once('$') {
            before += plain;
            // `$1x` is the first group and then an x
            let (number, behind) = after.split_at(after.bytes().take_while(u8::is_ascii_digit).count());
            match number {
                "" => before.push('$'),
                number => {
                    pieces.push(Piece::Text(std::mem::take(&mut before)));
                    // one that no pattern has is empty
                    pieces.push(Piece::Group(number.parse().unwrap_or(usize::MAX)));
                }
            }
            rest = behind;
        }
        pieces.push(Piece::Text(before + rest));
        if pieces.iter().filter(|piece| matches!(piece, Piece::Group(_))).count() > MOST_GROUPS {
            return Err(format!("it puts in more than {MOST_GROUPS} groups"));
        }
        Ok(Target(pieces))
    }

    /// `group` says what a group holds. The outcome is a path.
    pub(crate) fn expand<'p>(&self, group: impl Fn(usize) -> &'p str) -> Result<String, TooLong> {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Group(number) => group(*number).len(),
        };
        let length = self.0.iter().map(text).sum::<usize>() + 1;
        if length > LONGEST_PATH {
            return Err(TooLong);
        }
        let mut path = String::with_capacity(length);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => path += text,
                Piece::Group(number) => path += group(*number),
            }
        }
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_take_their_places() {
        let groups = ["/whole", "first", "second"];
        for (target, want) in [
            ("/", "/"),
            ("/$2", "/second"),
            ("/$1x$2", "/firstxsecond"),
            ("$1", "/first"),
            ("/$0", "//whole"),
            ("/$9$99999999999999999999999", "/"),
            ("/a$b$", "/a$b$"),
            ("/$$1", "/$first"),
        ] {
            let expanded = Target::parse(target).unwrap().expand(|n| groups.get(n).copied().unwrap_or(""));
            assert_eq!(expanded.as_deref(), Ok(want), "{target}");
        }
    }

    #[test]
    fn no_target_makes_more_of_a_path_than_a_pod_reads() {
        let long = Target::parse(&format!("/{}", "$1".repeat(120_000))).unwrap_err();
        assert!(long.contains("1024 bytes"), "{long}");
        let spaced = Target::parse("/a b").unwrap_err();
        assert!(spaced.contains("characters"), "{spaced}");
        let many = Target::parse(&format!("/{}", "$1".repeat(MOST_GROUPS + 1))).unwrap_err();
        assert!(many.contains("32 groups"), "{many}");
        let all = Target::parse(&format!("/{}", "$1".repeat(MOST_GROUPS))).unwrap();
        let (fits, not) =
            ("a".repeat(LONGEST_PATH / MOST_GROUPS - 1), "a".repeat(LONGEST_PATH / MOST_GROUPS));
        assert_eq!(all.expand(|_| &fits).unwrap().len(), 1 + MOST_GROUPS * fits.len());
        assert_eq!(all.expand(|_| &not), Err(TooLong));
    }
}
