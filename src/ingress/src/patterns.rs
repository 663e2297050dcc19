//! Paths that are patterns, compiled once for each text and kept for as long as a route has it. What patterns take is the
//! namespace's: in memory when they are compiled, and in time for each request (`cost`).

use api::ObjectKey;
use regex::bytes::{Captures, Regex, RegexBuilder};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What a compiled pattern may take, in bytes. It counts as the smallest of these that it fits into: how large it became nobody
/// says. Beside it the engine keeps tables of up to some twenty times that.
const SIZES: [usize; 4] = [2 << 10, 8 << 10, 32 << 10, 64 << 10];
const SMALLEST: usize = SIZES[0];
const LARGEST: usize = SIZES[SIZES.len() - 1];
/// All those of one namespace: two thousand that somebody wrote by hand.
const MOST_OF_A_NAMESPACE: usize = 4 << 20;
/// Of the text: reading it takes a hundred times that for a moment.
const LONGEST: usize = 4 << 10;
/// The engine keeps a place for each at each of its states; nginx knows nine.
const MOST_GROUPS: usize = 16;
/// Of the states that the engine makes as it goes, for each thread that matches.
const STATES: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    size: usize,
}

impl Pattern {
    pub(crate) fn is_match(&self, path: &str) -> bool {
        self.regex.is_match(path.as_bytes())
    }

    pub(crate) fn captures<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        self.regex.captures(path.as_bytes())
    }

    /// What looking at a path of this length takes at most: each of its bytes may meet each of the pattern's states.
    pub(crate) fn cost(&self, path: &str) -> usize {
        self.size.saturating_mul(path.len())
    }
}

/// What came of compiling a text, and what it counts as.
#[derive(Debug, Clone)]
struct Known {
    outcome: Result<Arc<Pattern>, String>,
    size: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Patterns(HashMap<String, Known>);

/// One making of all routes: what it does not ask for is forgotten after it.
pub(crate) struct Round<'p> {
    patterns: &'p mut Patterns,
    before: HashMap<String, Known>,
    namespaces: HashMap<String, Taken>,
}

#[derive(Default)]
struct Taken {
    texts: HashSet<String>,
    size: usize,
}

impl Patterns {
    pub(crate) fn begin(&mut self) -> Round<'_> {
        let before = std::mem::take(&mut self.0);
        Round { patterns: self, before, namespaces: HashMap::new() }
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.0.len()
    }
}

impl Round<'_> {
    /// Of an ingress.
    ///
    /// # Errors
    /// Why it is not to be had, for the user.
    pub(crate) fn get(&mut self, ingress: &ObjectKey, text: &str) -> Result<Arc<Pattern>, String> {
        let namespace = ingress.namespace.as_deref().unwrap_or_default();
        let taken = self.namespaces.entry(namespace.to_owned()).or_default();
        let used = || {
            format!(
                "the patterns of the namespace {namespace} take more than {MOST_OF_A_NAMESPACE} bytes together"
            )
        };
        if taken.size >= MOST_OF_A_NAMESPACE && !taken.texts.contains(text) {
            return Err(used());
        }
        let known = match self.patterns.0.get(text) {
            Some(known) => known.clone(),
            None => {
                let known = self.before.remove(text).unwrap_or_else(|| compile(text));
                self.patterns.0.insert(text.to_owned(), known.clone());
                known
            }
        };
        if taken.texts.contains(text) {
            return known.outcome;
        }
        taken.size += known.size;
        if taken.size > MOST_OF_A_NAMESPACE {
            return Err(used());
        }
        taken.texts.insert(text.to_owned());
        known.outcome
    }
}

/// As ingress-nginx has it: from the beginning, whatever the letters' case, and on from there. Of bytes: a request's path has no others
/// than those of ASCII.
fn compile(text: &str) -> Known {
    let refused = |size: usize, why: String| Known { outcome: Err(why), size };
    if text.len() > LONGEST {
        return refused(SMALLEST, format!("it is longer than {LONGEST} bytes"));
    }
    for size in SIZES {
        let built = RegexBuilder::new(&format!("^{text}"))
            .case_insensitive(true)
            .unicode(false)
            .size_limit(size)
            .dfa_size_limit(STATES)
            .build();
        match built {
            Ok(regex) if regex.captures_len() > MOST_GROUPS + 1 => {
                return refused(size, format!("it has more than {MOST_GROUPS} groups"));
            }
            Ok(regex) => return Known { outcome: Ok(Arc::new(Pattern { regex, size })), size },
            Err(regex::Error::CompiledTooBig(_)) => {}
            // the lines before show where
            Err(error) => {
                let error = error.to_string();
                return refused(SMALLEST, error.lines().last().unwrap_or_default().to_owned());
            }
        }
    }
    refused(LARGEST, format!("it takes more than {LARGEST} bytes when it is compiled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingress(namespace: &str) -> ObjectKey {
        ObjectKey::namespaced(namespace, "web")
    }

    #[test]
    fn what_a_pattern_may_be() {
        let mut patterns = Patterns::default();
        let mut round = patterns.begin();
        for (text, want) in [
            ("/api(/|$)(.*)".to_owned(), None),
            ("/[a-z]{2}/\\w+".to_owned(), None),
            ("/(".to_owned(), Some("unclosed group")),
            ("/((a{1,999}){1,999}){1,999}".to_owned(), Some("more than 65536 bytes when it is compiled")),
            (format!("/{}", "()".repeat(17)), Some("more than 16 groups")),
            (format!("/{}", "a.".repeat(3000)), Some("longer than 4096 bytes")),
        ] {
            let got = round.get(&ingress("shop"), &text).map(drop).err();
            match want {
                None => assert_eq!(got, None, "{text}"),
                Some(want) => assert!(got.as_ref().is_some_and(|got| got.contains(want)), "{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_namespace_has_so_much_of_them_and_no_more() {
        let mut patterns = Patterns::default();
        let mut round = patterns.begin();
        let tried: Vec<_> =
            (0..1500).map(|n| round.get(&ingress("evil"), &format!("/{n}.{{0,1000}}"))).collect();
        let had = tried.iter().filter(|got| got.is_ok()).count();
        let why = tried.last().unwrap().as_ref().unwrap_err();
        assert!(had * LARGEST <= MOST_OF_A_NAMESPACE && why.contains("namespace evil"), "{had} {why}");
        // what was not to be had was not even tried
        assert!(round.patterns.0.len() <= MOST_OF_A_NAMESPACE / LARGEST + 1, "{}", round.patterns.0.len());
        assert!(round.get(&ingress("shop"), "/(a|b)").is_ok(), "another's are not counted");
    }

    #[test]
    fn a_pattern_is_compiled_once_and_forgotten_when_no_route_has_it() {
        let mut patterns = Patterns::default();
        let first = patterns.begin().get(&ingress("shop"), "/(a|b)").unwrap();
        let mut round = patterns.begin();
        let again = round.get(&ingress("shop"), "/(a|b)").unwrap();
        let elsewhere = round.get(&ingress("other"), "/(a|b)").unwrap();
        assert!(Arc::ptr_eq(&first, &again) && Arc::ptr_eq(&first, &elsewhere));
        drop(patterns.begin());
        assert!(patterns.0.is_empty());
    }
}
