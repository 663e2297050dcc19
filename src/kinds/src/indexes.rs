//! Sets of a Job's completion indexes, as its status and its policies write them: `1,3-5,7`.

use std::fmt;

/// Intervals in order, none touching another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexes(Vec<(i32, i32)>);

impl Indexes {
    /// # Errors
    /// What is no list of rising numbers and intervals below `count`, in upstream's words.
    pub fn parse(text: &str, count: i32) -> Result<Self, String> {
        let mut all = Vec::new();
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
            all.push((first, end));
            last = Some(end);
        }
        Ok(all.into_iter().flat_map(|(first, end)| first..=end).collect())
    }

    /// What can be read of a status that somebody else may have written: what is wrong in it is left out.
    pub fn lenient(text: &str, count: i32) -> Self {
        Self::parse(text, count).unwrap_or_default()
    }

    pub fn contains(&self, index: i32) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    pub fn count(&self) -> i32 {
        self.0.iter().map(|(first, end)| end - first + 1).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().flat_map(|(first, end)| *first..=*end)
    }

    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = i32>) -> Self {
        self.iter().chain(more).collect()
    }
}

/// In any order, also twice.
impl FromIterator<i32> for Indexes {
    fn from_iter<I: IntoIterator<Item = i32>>(indexes: I) -> Self {
        let mut sorted: Vec<i32> = indexes.into_iter().collect();
        sorted.sort_unstable();
        let mut all: Vec<(i32, i32)> = Vec::new();
        for index in sorted {
            match all.last_mut() {
                Some((_, end)) if index <= *end + 1 => *end = index,
                _ => all.push((index, index)),
            }
        }
        Indexes(all)
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
            assert_eq!(indexes.iter().collect::<Vec<_>>(), all, "{text}");
            assert_eq!(indexes.count(), all.len() as i32, "{text}");
            assert!((0..10).all(|index| indexes.contains(index) == all.contains(&index)), "{text}");
        }
        for wrong in ["a", "1,", "3,1", "5-3", "3-3", "1-2,2", "10", "8-10", "-1", "1--2", "1 ,2"] {
            assert!(Indexes::parse(wrong, 10).is_err(), "{wrong}");
        }
    }

    #[test]
    fn more_are_added() {
        let indexes = Indexes::lenient("1,3", 10).with([2, 7, 2]);
        assert_eq!(indexes.to_string(), "1-3,7");
        assert_eq!(Indexes::lenient("no list", 10), Indexes::default());
    }
}
