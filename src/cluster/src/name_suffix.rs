//! What generated names end with: upstream's `names.SimpleNameGenerator`.

use rand::Rng;

/// No vowels, and nothing that is taken for another: upstream's `rand.String`.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
pub(crate) const LENGTH: usize = 5;

pub(crate) fn name_suffix() -> String {
    let mut random = rand::rng();
    (0..LENGTH).map(|_| LETTERS[random.random_range(0..LETTERS.len())] as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_of_their_letters_and_differ() {
        let all: Vec<String> = (0..20).map(|_| name_suffix()).collect();
        assert!(
            all.iter().all(|one| one.len() == LENGTH && one.bytes().all(|b| LETTERS.contains(&b))),
            "{all:?}"
        );
        assert!(all.iter().any(|one| *one != all[0]), "{all:?}");
    }
}
