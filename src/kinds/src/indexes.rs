//! Sets of a Job's completion indexes, as its status and its policies write them: `1,3-5,7`.
//!
//! An interval of two thousand million indexes is a few letters long, so nothing here takes the indexes of an interval one by
//! one: time and memory go by how much is written.

use std::fmt;

/// Intervals in order, none touching another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexes(Vec<(i32, i32)>);

impl Indexes {
    /// # Errors
    /// What is no list of rising numbers and intervals below `count`, in upstream's words.
    pub fn parse(text: &str, count: i32) -> Result<Self, String> {
        let mut all = Self::default();
        let mut last: Option<i32> = None;
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, end) = part.split_once('-').map_or((part, None), |(first, end)| (first, Some(end)));
            let number = |text: &str| {
                let parsed: Result<i32, _> = text.parse();
                parsed.map_err(|_| format!("cannot convert string to integer for index: {text:?}"))
            };
            let first = number(first)?;
            let end = end.map(number).transpose()?;
            if last.is_some_and(|last| first <= last) {
                return Err(format!(
                    "non-increasing order, previous: {}, current: {first}",
                    last.unwrap_or(0)
                ));
            }
            if end.is_some_and(|end| end <= first) {
                return Err(format!(
                    "non-increasing order, previous: {first}, current: {}",
                    end.unwrap_or(0)
                ));
            }
            let end = end.unwrap_or(first);
            if first < 0 || end >= count {
                return Err(format!("too large index: {:?}", end.to_string()));
            }
            all.push(first, end);
            last = Some(end);
        }
        Ok(all)
    }

    /// What can be read of a status that somebody else may have written: what is wrong in it is left out.
    pub fn lenient(text: &str, count: i32) -> Self {
        Self::parse(text, count).unwrap_or_default()
    }

    pub fn contains(&self, index: i32) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    /// How many they are; what was parsed never has more than an `i32` holds.
    pub fn count(&self) -> i32 {
        let sum: i64 = self.0.iter().map(|(first, end)| length(*first, *end)).sum();
        i32::try_from(sum).unwrap_or(i32::MAX)
    }

    /// How many of them are in both.
    pub fn count_common(&self, other: &Self) -> i32 {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut sum = 0;
        while let (Some((first, end)), Some((other_first, other_end))) = (mine.peek(), theirs.peek()) {
            sum += length(*first.max(other_first), *end.min(other_end)).max(0);
            // whichever ends first meets nothing more
            let behind = if end < other_end { &mut mine } else { &mut theirs };
            behind.next();
        }
        i32::try_from(sum).unwrap_or(i32::MAX)
    }

    /// The lowest that is in both.
    pub fn first_common(&self, other: &Self) -> Option<i32> {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some((first, end)), Some((other_first, other_end))) = (mine.peek(), theirs.peek()) {
            if first <= other_end && other_first <= end {
                return Some(*first.max(other_first));
            }
            // whichever ends first meets nothing more
            let behind = if end < other_end { &mut mine } else { &mut theirs };
            behind.next();
        }
        None
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those below `count` that are not among them, one by one as they are asked for.
    pub fn missing(&self, count: i32) -> impl Iterator<Item = i32> + '_ {
        let begins = std::iter::once(0).chain(self.0.iter().map(|(_, end)| end.saturating_add(1)));
        let ends = self.0.iter().map(|(first, _)| *first).chain([count]);
        begins.zip(ends).flat_map(move |(begin, end)| begin..end.min(count))
    }

    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = i32>) -> Self {
        self.union(&more.into_iter().collect())
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut sorted = [self.0.as_slice(), other.0.as_slice()].concat();
        sorted.sort_unstable();
        let mut all = Self::default();
        sorted.into_iter().for_each(|(first, end)| all.push(first, end));
        all
    }

    /// Adds an interval that begins behind where the last one does.
    fn push(&mut self, first: i32, end: i32) {
        match self.0.last_mut() {
            Some((_, last)) if first <= last.saturating_add(1) => *last = end.max(*last),
            _ => self.0.push((first, end)),
        }
    }
}

/// Of what holds both ends; not more than 0 where they are the wrong way round.
fn length(first: i32, end: i32) -> i64 {
    i64::from(end) - i64::from(first) + 1
}

/// In any order, also twice.
impl FromIterator<i32> for Indexes {
    fn from_iter<I: IntoIterator<Item = i32>>(indexes: I) -> Self {
        let mut sorted: Vec<i32> = indexes.into_iter().collect();
        sorted.sort_unstable();
        let mut all = Self::default();
        sorted.into_iter().for_each(|index| all.push(index, index));
        all
    }
}

/// Two neighbours are a list, more are an interval: as upstream writes them.
impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, end)) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match end - first {
                0 => write!(f, "{first}")?,
                1 => write!(f, "{first},{end}")?,
                _ => write!(f, "{first}-{end}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_and_written() {
        let cases = [
            ("", "", vec![]),
            ("0", "0", vec![0]),
            ("1,3-5,7", "1,3-5,7", vec![1, 3, 4, 5, 7]),
            ("1,2", "1,2", vec![1, 2]),
            ("1-2", "1,2", vec![1, 2]),
            ("0,1,2", "0-2", vec![0, 1, 2]),
            ("0-1,2-3", "0-3", vec![0, 1, 2, 3]),
        ];
        for (text, want, all) in cases {
            let indexes = Indexes::parse(text, 10).unwrap();
            assert_eq!(indexes.to_string(), want, "{text}");
            let missing: Vec<i32> = (0..10).filter(|index| !all.contains(index)).collect();
            assert_eq!(indexes.missing(10).collect::<Vec<_>>(), missing, "{text}");
            assert_eq!(indexes.count(), all.len() as i32, "{text}");
            assert!((0..10).all(|index| indexes.contains(index) == all.contains(&index)), "{text}");
        }
        for wrong in ["a", "1,", "3,1", "5-3", "3-3", "1-2,2", "10", "8-10", "-1", "1--2", "1 ,2"] {
            assert!(Indexes::parse(wrong, 10).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_interval_is_never_taken_apart() {
        let all = Indexes::parse("0-2147483645", i32::MAX).unwrap();
        let more = all.with([2_147_483_646, 7]);
        for (indexes, count) in [(&all, i32::MAX - 1), (&more, i32::MAX)] {
            assert_eq!((indexes.0.len(), indexes.count()), (1, count));
            assert_eq!(indexes.count_common(&all), i32::MAX - 1);
        }
        assert_eq!(all.missing(i32::MAX).collect::<Vec<_>>(), [2_147_483_646]);
        assert_eq!(Indexes::default().missing(i32::MAX).take(2).collect::<Vec<_>>(), [0, 1]);
        let holes = Indexes::lenient("1-1000000000,1000000002-2147483646", i32::MAX);
        assert_eq!(holes.missing(i32::MAX).collect::<Vec<_>>(), [0, 1_000_000_001]);
    }

    #[test]
    fn what_two_have_in_common_is_counted() {
        let cases = [
            ("", "1-3", 0, None),
            ("0-9", "1,3-5,7", 5, Some(1)),
            ("0-2,5-7", "2-5", 2, Some(2)),
            ("0-2", "3-5", 0, None),
            ("0,2,4", "0-4", 3, Some(0)),
            ("0-4", "0-4", 5, Some(0)),
        ];
        for (one, other, want, first) in cases {
            let (a, b) = (Indexes::parse(one, 10).unwrap(), Indexes::parse(other, 10).unwrap());
            assert_eq!((a.count_common(&b), b.count_common(&a)), (want, want), "{one} and {other}");
            assert_eq!((a.first_common(&b), b.first_common(&a)), (first, first), "{one} and {other}");
        }
    }

    #[test]
    fn more_are_added() {
        let indexes = Indexes::lenient("1,3", 10).with([2, 7, 2]);
        assert_eq!(indexes.to_string(), "1-3,7");
        assert_eq!(Indexes::lenient("2-5", 10).union(&Indexes::lenient("0,4-8", 10)).to_string(), "0,2-8");
        assert_eq!(Indexes::lenient("no list", 10), Indexes::default());
    }
}
