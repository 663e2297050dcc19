//! Regular expressions as users of Kubernetes write them: in the syntax of Go, which is RE2's.
//!
//! The regex crate has nearly the same language, and reads some of it otherwise: `\d`, `\w`, `\s` and `\b` are about ASCII
//! here and about Unicode there; `&&`, `--`, `~~` and `[` are plain characters within a class here and operators there. So a
//! pattern is read by Go's rules (`translate.rs`), refused in Go's words where Go refuses it, and written anew for the crate, in
//! a form that means the same. What both promise stays: the time to match grows with the text and the pattern, never faster.

mod classes;
mod escapes;
mod kept;
#[cfg(test)]
mod tests;
mod translate;

pub use kept::KeptPattern;
use regex::{Regex, RegexBuilder};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use translate::{DEEPEST, translate};

/// In bytes, what a pattern may be compiled to that is written in a schema or an expression: one of Unicode's large sets, counted
/// to some hundreds, takes that much.
pub const LARGEST: usize = 16 << 20;
/// The same of one that an expression puts together, and that is compiled each time.
pub const LARGEST_COMPUTED: usize = 1 << 20;
/// Levels of the crate's syntax tree for one of ours: a group, a repetition, and what stands in it.
const LEVELS: u32 = 5;

/// A pattern, compiled.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: Arc<str>,
    regex: Regex,
    bound: usize,
}

impl Pattern {
    /// `largest` is in bytes: of what it is compiled to.
    ///
    /// # Errors
    /// In Go's words: ``error parsing regexp: missing closing ): `(a` ``.
    pub fn compile(source: &str, largest: usize) -> Result<Pattern, String> {
        let translated = translate(source)?;
        let build = |bound: usize| {
            RegexBuilder::new(&translated).size_limit(bound).nest_limit(DEEPEST as u32 * LEVELS).build()
        };
        // most are small, and then are known to be
        let small = largest.min(LARGEST_COMPUTED);
        let (bound, built) = match build(small) {
            Err(regex::Error::CompiledTooBig(_)) if small < largest => (largest, build(largest)),
            built => (small, built),
        };
        match built {
            Ok(regex) => Ok(Pattern { source: source.into(), regex, bound }),
            Err(regex::Error::CompiledTooBig(_)) => Err(refusal("expression too large", source)),
            // what is written here the crate can read
            Err(_) => Err(refusal("regexp/syntax: internal error", source)),
        }
    }

    /// Whether it is found anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The first that is found.
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.regex.find(text).map(|found| found.as_str())
    }

    /// All that is found, from the left, none overlapping another.
    pub fn find_all<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        self.regex.find_iter(text).map(|found| found.as_str())
    }

    /// It is compiled to no more than so many bytes.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn refusal(why: &str, part: &str) -> String {
    format!("error parsing regexp: {why}: `{part}`")
}

/// What of a text is before a rest of it.
fn before<'p>(text: &'p str, rest: &str) -> &'p str {
    &text[..text.len() - rest.len()]
}
