//! Digests, how they are made while bytes go by, and the chain ids that name a stack of layers.

use crate::error::{ImageError, Result};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `sha256:` and 64 lower-case hex digits. Other algorithms are refused where they are parsed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

const PREFIX: &str = "sha256:";

impl Digest {
    pub fn parse(text: &str) -> Result<Digest> {
        let refuse = |why: &str| Err(ImageError::InvalidName(format!("invalid digest {text:?}: {why}")));
        match text.split_once(':') {
            None => refuse("invalid checksum digest format"),
            Some(("sha256", hex)) if is_hex64(hex) => Ok(Digest(text.to_owned())),
            Some(("sha256", _)) => refuse("invalid checksum digest length"),
            Some(_) => refuse("unsupported digest algorithm"),
        }
    }

    pub fn of(bytes: &[u8]) -> Digest {
        Digest::from_raw(ring::digest::digest(&SHA256, bytes).as_ref())
    }

    fn from_raw(raw: &[u8]) -> Digest {
        use fmt::Write;
        let mut text = String::with_capacity(PREFIX.len() + 64);
        text.push_str(PREFIX);
        raw.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap_or_default());
        Digest(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    /// The twelve digits that people see.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

pub(crate) fn is_hex64(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = ImageError;
    fn try_from(text: String) -> Result<Digest> {
        Digest::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

/// sha256 and length of what goes by.
pub(crate) struct Hasher {
    context: Context,
    pub(crate) length: u64,
}

impl Hasher {
    pub(crate) fn new() -> Hasher {
        Hasher { context: Context::new(&SHA256), length: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.length += bytes.len() as u64;
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::from_raw(self.context.clone().finish().as_ref())
    }
}

/// The chain ids of a stack of layers, bottom first (OCI image-spec, "Layer ChainID").
pub(crate) fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chain.push(match chain.last() {
            None => diff_id.clone(),
            Some(parent) => Digest::of(format!("{parent} {diff_id}").as_bytes()),
        });
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_parsed_or_refused() {
        let good = format!("sha256:{}", "a".repeat(64));
        assert_eq!(Digest::parse(&good).unwrap().short(), "aaaaaaaaaaaa");
        for (name, text) in [
            ("no algorithm", "a".repeat(64)),
            ("short", "sha256:abc".into()),
            ("upper case", format!("sha256:{}", "A".repeat(64))),
            ("a path", format!("sha256:../{}", "a".repeat(61))),
            ("another algorithm", format!("sha512:{}", "a".repeat(128))),
        ] {
            assert!(Digest::parse(&text).is_err(), "{name}");
        }
    }

    #[test]
    fn hashing_in_pieces_is_hashing_at_once() {
        let mut hasher = Hasher::new();
        b"hello ".chunks(2).for_each(|piece| hasher.update(piece));
        hasher.update(b"world");
        assert_eq!(hasher.digest(), Digest::of(b"hello world"));
        assert_eq!(hasher.length, 11);
        assert_eq!(
            Digest::of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_chain_id_depends_on_everything_below() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let chain = chain_ids(&[a.clone(), b.clone()]);
        assert_eq!(chain, [a.clone(), Digest::of(format!("{a} {b}").as_bytes())]);
        assert_ne!(chain_ids(&[b.clone(), a])[1], chain[1]);
        assert_eq!(chain_ids(&[]), []);
    }
}
