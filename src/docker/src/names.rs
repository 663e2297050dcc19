//! Names of containers, volumes and images.

use image::ImageRef;
use rand::seq::IndexedRandom;

const MANNERS: &[&str] = &[
    "amber", "brave", "calm", "clever", "crisp", "eager", "fair", "gentle", "glad", "keen", "kind", "lively",
    "lucid", "merry", "nimble", "patient", "quick", "quiet", "sharp", "steady", "swift", "tidy", "warm",
    "witty",
];
const BEINGS: &[&str] = &[
    "badger", "crane", "dolphin", "falcon", "ferret", "gecko", "heron", "ibex", "jackdaw", "kestrel", "lynx",
    "marten", "newt", "otter", "plover", "quail", "raven", "seal", "swallow", "tern", "viper", "weasel",
    "wren", "zebra",
];

/// As Docker has it: two characters or more, `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(crate) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// `docker.io/library/busybox:1` → `busybox:1`.
pub(crate) fn familiar(name: &str) -> String {
    ImageRef::parse(name).map_or_else(|_| name.to_owned(), |name| name.familiar())
}

/// `docker.io/library/busybox:1` → `busybox`.
pub(crate) fn without_version(name: &str) -> String {
    ImageRef::parse(name).map_or_else(|_| name.to_owned(), |name| name.familiar_name())
}

/// `quick_otter`; the number tells it apart where that one is taken.
pub(crate) fn random(is_taken: impl Fn(&str) -> bool) -> String {
    let mut rng = rand::rng();
    let mut pick = |words: &[&'static str]| words.choose(&mut rng).copied().unwrap_or("nameless");
    let plain = format!("{}_{}", pick(MANNERS), pick(BEINGS));
    let numbered = (1..).map(|number| format!("{plain}{number}"));
    std::iter::once(plain.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, want) in
            [("web", true), ("w", false), ("a.b_c-1", true), (".a", false), ("a/b", false), ("", false)]
        {
            assert_eq!(is_name(name), want, "{name}");
        }
        assert!(is_name(&random(|_| false)));
        assert!(random(|name| !name.ends_with('2')).ends_with('2'));
    }
}
