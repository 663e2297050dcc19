//! `did you mean FROM?`

/// More changes than this make another word.
const MOST_CHANGES: usize = 2;

/// The error, with the word that was perhaps meant.
pub(super) fn with_suggestion(error: String, word: &str, known: &[&str]) -> String {
    let word = word.to_ascii_lowercase();
    let distances = known.iter().map(|known| (distance(&word, &known.to_ascii_lowercase()), known));
    match distances.min_by_key(|(distance, _)| *distance) {
        Some((1..=MOST_CHANGES, nearest)) => format!("{error} (did you mean {nearest}?)"),
        _ => error,
    }
}

/// Letters to add, drop or change (Levenshtein's).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_suggested() {
        for (word, want) in [
            ("FORM", "x (did you mean FROM?)"),
            ("copyy", "x (did you mean COPY?)"),
            ("FROM", "x"),
            ("NOTHING", "x"),
        ] {
            assert_eq!(with_suggestion("x".into(), word, &["FROM", "COPY", "RUN"]), want, "{word}");
        }
    }
}
