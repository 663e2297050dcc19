//! Patterns of schemas and of expressions. A definition may have thousands, of which most are never asked: each is compiled when it is first asked, and all
//! that is kept of them takes no more than [`ROOM`] has. Whoever may write definitions, and objects to go with them, could fill the memory
//! otherwise.

use super::{LARGEST, Pattern, refusal, translate};
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The steps in which it is found out what a pattern is compiled to, in bytes: most take the first.
const SIZES: [usize; 6] = [16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, LARGEST];

/// Of all definitions.
static ROOM: Room = Room::new(64 << 20);

#[derive(Debug)]
struct Room {
    most: usize,
    in_use: AtomicUsize,
}

impl Room {
    const fn new(most: usize) -> Self {
        Room { most, in_use: AtomicUsize::new(0) }
    }

    fn take(&'static self, pattern: &Pattern) -> bool {
        let bytes = pattern.bound();
        let is_room = self.in_use.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.most;
        if !is_room {
            self.in_use.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_room
    }
}

/// A pattern that was found to be one, and is compiled when it is first asked.
#[derive(Debug, Clone)]
pub struct KeptPattern {
    source: Arc<str>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: it is too large.
    kept: OnceLock<Option<Kept>>,
    /// Whether it is not, where somebody has asked.
    fits: OnceLock<bool>,
}

#[derive(Debug)]
struct Kept {
    pattern: Pattern,
    room: &'static Room,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.room.in_use.fetch_sub(self.pattern.bound(), Ordering::Relaxed);
    }
}

impl KeptPattern {
    /// Of what was accepted before, and is not measured again.
    ///
    /// # Errors
    /// As [`Pattern::compile`], but for the size.
    pub fn of_stored(source: &str) -> Result<Self, String> {
        translate(source)?;
        Ok(KeptPattern { source: source.into(), state: Arc::default() })
    }

    /// With the bytes that it is compiled to, at the most.
    ///
    /// # Errors
    /// As [`Pattern::compile`].
    pub fn measured(source: &str) -> Result<(Self, usize), String> {
        let pattern = compile(source)?;
        Ok((KeptPattern { source: source.into(), state: Arc::default() }, pattern.bound()))
    }

    /// That it is not too large, which is found out once: for who is about to accept it.
    ///
    /// # Errors
    /// As [`Pattern::compile`].
    pub fn fits(&self) -> Result<(), String> {
        match self.state.fits.get_or_init(|| compile(&self.source).is_ok()) {
            true => Ok(()),
            false => Err(refusal("expression too large", &self.source)),
        }
    }

    /// Whether it is found anywhere in the text. One that is too large is in none.
    pub fn is_match(&self, text: &str) -> bool {
        self.matched(text).0
    }

    /// The same, and of how many bytes a pattern was compiled for this once, as there is no room to keep it.
    pub fn matched(&self, text: &str) -> (bool, usize) {
        self.matched_in(&ROOM, text)
    }

    fn matched_in(&self, room: &'static Room, text: &str) -> (bool, usize) {
        if let Some(known) = self.state.kept.get() {
            return (known.as_ref().is_some_and(|kept| kept.pattern.is_match(text)), 0);
        }
        let Ok(pattern) = compile(&self.source) else {
            let _ = self.state.kept.set(None);
            return (false, 0);
        };
        let is_match = pattern.is_match(text);
        if !room.take(&pattern) {
            return (is_match, pattern.bound());
        }
        // where two come at once one is dropped, and counted no more
        let _ = self.state.kept.set(Some(Kept { pattern, room }));
        (is_match, 0)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl Display for KeptPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn compile(source: &str) -> Result<Pattern, String> {
    let mut last = Pattern::compile(source, SIZES[0]);
    for size in &SIZES[1..] {
        // another reason than its size is the same for every size
        if last.is_ok() || translate(source).is_err() {
            break;
        }
        last = Pattern::compile(source, *size);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_there_is_room_for_and_all_match() {
        static SMALL: Room = Room::new(3 * SIZES[0]);
        let patterns: Vec<KeptPattern> =
            (0..5).map(|number| KeptPattern::of_stored(&format!("^a{number}$")).unwrap()).collect();
        let kept = || patterns.iter().filter(|pattern| pattern.state.kept.get().is_some()).count();
        assert_eq!(kept(), 0, "none is compiled before it is asked");
        for (number, pattern) in patterns.iter().enumerate() {
            // the first three are kept
            let compiled = if number < 3 { 0 } else { SIZES[0] };
            assert_eq!(pattern.matched_in(&SMALL, &format!("a{number}")), (true, compiled), "{number}");
            assert_eq!(pattern.matched_in(&SMALL, "a"), (false, compiled), "{number}");
        }
        assert_eq!(kept(), 3);
        drop(patterns);
        assert_eq!(SMALL.in_use.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_pattern_is_measured() {
        let (_, small) = KeptPattern::measured("^[a-z]+$").unwrap();
        let (_, large) = KeptPattern::measured("\\p{L}{20}").unwrap();
        assert!(small == SIZES[0] && large > small, "{small} {large}");
        assert!(KeptPattern::measured("(a").is_err());
        assert_eq!(KeptPattern::of_stored("^[a-z]+$").unwrap().fits(), Ok(()));
        let long = "\\pL{1000}".repeat(2);
        let why = KeptPattern::of_stored(&long).unwrap().fits().unwrap_err();
        assert!(why.starts_with("error parsing regexp: expression too large: `\\pL{1000}"), "{why}");
    }
}
