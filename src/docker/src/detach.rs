//! The keys that let go of a terminal without ending what runs in it.

use crate::error::{ApiError, Result};

/// Ctrl-P, Ctrl-Q.
const USUAL: [u8; 2] = [16, 17];

/// `ctrl-a,x` → the bytes that a terminal sends for it; without a word the usual ones.
pub(crate) fn keys(text: Option<&str>) -> Result<Vec<u8>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(USUAL.to_vec()) };
    let key = |word: &str| match (word.as_bytes(), word.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([one], _) => Some(*one),
        (_, Some([letter @ b'a'..=b'z'])) => Some(letter - b'a' + 1),
        (_, Some(b"@")) => Some(0),
        (_, Some([sign @ b'['..=b'_'])) => Some(sign - b'@'),
        _ => None,
    };
    let all: Option<Vec<u8>> = text.split(',').map(key).collect();
    all.ok_or_else(|| ApiError::bad(format_args!("Invalid detach keys ({text}) provided")))
}

/// Looks for the keys in what comes in pieces.
pub(crate) struct Watch {
    keys: Vec<u8>,
    /// How many of them came already and were held back.
    seen: usize,
}

impl Watch {
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Watch { keys, seen: 0 }
    }

    /// What of `data` is to be passed on; `None` when the keys were pressed.
    pub(crate) fn pass(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let mut passed = Vec::with_capacity(data.len());
        for byte in data {
            if *byte != self.keys[self.seen] {
                // they were meant for the program
                passed.extend_from_slice(&self.keys[..self.seen]);
                self.seen = 0;
            }
            if *byte != self.keys[self.seen] {
                passed.push(*byte);
                continue;
            }
            self.seen += 1;
            if self.seen == self.keys.len() {
                return None;
            }
        }
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_keys() {
        for (text, want) in [
            ("", Some(vec![16, 17])),
            ("ctrl-a", Some(vec![1])),
            ("ctrl-a,x,ctrl-z", Some(vec![1, b'x', 26])),
            ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", Some(vec![0, 27, 28, 29, 30, 31])),
            ("ctrl-", None),
            ("ctrl-1", None),
            ("xy", None),
        ] {
            assert_eq!(keys(Some(text)).ok(), want, "{text}");
        }
    }

    #[test]
    fn keys_are_seen_however_they_come() {
        for (pieces, want) in [
            (&["abc"][..], Some("abc")),
            (&["ab\x10\x11"], None),
            (&["a\x10", "\x11b"], None),
            (&["a\x10", "b"], Some("a\x10b")),
            (&["\x10\x10", "\x11"], None),
            (&["\x10\x10x"], Some("\x10\x10x")),
            (&["\x11\x10"], Some("\x11")),
        ] {
            let mut watch = Watch::new(USUAL.to_vec());
            let passed: Option<Vec<Vec<u8>>> =
                pieces.iter().map(|piece| watch.pass(piece.as_bytes())).collect();
            assert_eq!(
                passed.map(|all| all.concat()),
                want.map(|text| text.as_bytes().to_vec()),
                "{pieces:?}"
            );
        }
    }
}
