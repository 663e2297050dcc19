//! Sets of numbers as ranges that neither overlap nor touch, in order. Pure.

use std::collections::BTreeSet;

/// How many pieces more than before are worth it to leave something out.
const MOST_CUTS: usize = 64;

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranges(pub(super) Vec<(u32, u32)>);

impl Ranges {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is in this and not in the other; all of this where that would be many more pieces. Whoever asks leaves out what
    /// is said elsewhere already: to say it twice does no harm, and a thousand rules cut in a thousand pieces each do.
    pub(super) fn without(&self, other: &Ranges) -> Ranges {
        let most = self.0.len() + MOST_CUTS;
        let mut left = Vec::new();
        let mut cuts = &other.0[..];
        for &(mut first, last) in &self.0 {
            cuts = &cuts[cuts.partition_point(|(_, to)| *to < first)..];
            let mut ended = false;
            for &(from, to) in cuts {
                if from > last {
                    break;
                }
                if from > first {
                    left.push((first, from - 1));
                }
                if left.len() > most {
                    return self.clone();
                }
                if to >= last {
                    ended = true;
                    break;
                }
                first = to + 1;
            }
            if !ended {
                left.push((first, last));
            }
        }
        Ranges(left)
    }
}

impl FromIterator<(u32, u32)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        let sorted: BTreeSet<(u32, u32)> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Ranges(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[(u32, u32)]) -> Ranges {
        ranges.iter().copied().collect()
    }

    #[test]
    fn ranges_that_touch_are_one() {
        for (name, given, want) in [
            ("none", &[][..], &[][..]),
            ("apart", &[(5, 6), (1, 2)], &[(1, 2), (5, 6)]),
            ("touching", &[(3, 4), (1, 2)], &[(1, 4)]),
            ("within", &[(1, 9), (3, 4), (9, 12)], &[(1, 12)]),
            ("to the end", &[(7, u32::MAX), (u32::MAX, u32::MAX)], &[(7, u32::MAX)]),
            ("the wrong way round", &[(3, 2)], &[]),
        ] {
            assert_eq!(of(given).0, want, "{name}");
        }
    }

    #[test]
    fn what_is_taken_away_is_gone() {
        let all = (0, u32::MAX);
        for (name, from, cut, want) in [
            ("nothing", &[(1, 9)][..], &[][..], &[(1, 9)][..]),
            ("the middle", &[(1, 9)], &[(4, 5)], &[(1, 3), (6, 9)]),
            ("the ends", &[(1, 9)], &[(0, 1), (9, 20)], &[(2, 8)]),
            ("all of it", &[(1, 9)], &[all], &[]),
            ("all of several", &[(1, 2), (5, 6)], &[(0, 9)], &[]),
            ("parts of several", &[(1, 4), (6, 9)], &[(3, 7)], &[(1, 2), (8, 9)]),
            ("twice from one", &[all], &[(0, 0), (7, 7), (u32::MAX, u32::MAX)], &[(1, 6), (8, u32::MAX - 1)]),
            ("what is not there", &[(5, 6)], &[(1, 2), (8, 9)], &[(5, 6)]),
            (
                "between several",
                &[(1, 2), (9, 12), (20, 22)],
                &[(4, 5), (10, 10)],
                &[(1, 2), (9, 9), (11, 12), (20, 22)],
            ),
        ] {
            assert_eq!(of(from).without(&of(cut)).0, want, "{name}");
        }
    }

    #[test]
    fn nothing_is_cut_into_a_thousand_pieces() {
        let all = of(&[(0, u32::MAX)]);
        let cuts = |count: u32| -> Ranges { (0..count).map(|n| (2 * n + 1, 2 * n + 1)).collect() };
        assert_eq!(all.without(&cuts(MOST_CUTS as u32)).0.len(), MOST_CUTS + 1);
        assert_eq!(all.without(&cuts(1000)), all);
    }
}
