//! Times of the directories that an archive fills. What is put into a directory changes its time, so the archive's word about it
//! comes last; but an archive may have more directories than memory should keep paths of. Those that are too many are given their
//! times at once, and whoever puts something into one of them afterwards keeps the time that it had before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of all paths that are kept.
const MOST_BYTES: usize = 32 << 20;
/// What one takes beside its bytes.
const ENTRY: usize = 80;

/// Which directories are still to get which times.
#[derive(Debug)]
pub struct DirectoryTimes<T> {
    times: BTreeMap<PathBuf, T>,
    bytes: usize,
    most_bytes: usize,
    /// Some are not kept any more: any directory may be one of them.
    are_some_set: bool,
}

impl<T> Default for DirectoryTimes<T> {
    fn default() -> Self {
        DirectoryTimes::bounded(MOST_BYTES)
    }
}

impl<T> DirectoryTimes<T> {
    /// Keeps `most_bytes` at once, about.
    pub fn bounded(most_bytes: usize) -> Self {
        DirectoryTimes { times: BTreeMap::new(), bytes: 0, most_bytes, are_some_set: false }
    }

    /// The archive tells the time of a directory: its last word counts.
    pub fn tell(&mut self, path: PathBuf, time: T) {
        let length = ENTRY + path.as_os_str().len();
        if self.times.insert(path, time).is_none() {
            self.bytes += length;
        }
    }

    /// To be called before something comes into the directory at `path` or below it. `time` looks what time a directory has now,
    /// where it is there.
    pub fn before(&mut self, path: &Path, time: impl Fn(&Path) -> Option<T>) {
        if !self.are_some_set {
            return;
        }
        // what is made on the way changes the last one that is there
        for above in path.ancestors() {
            if self.times.contains_key(above) {
                return;
            }
            if let Some(time) = time(above) {
                return self.tell(above.to_owned(), time);
            }
        }
    }

    /// Those that are to be set now, as there are too many.
    pub fn take_if_many(&mut self) -> Option<BTreeMap<PathBuf, T>> {
        (self.bytes > self.most_bytes).then(|| {
            self.are_some_set = true;
            self.take()
        })
    }

    /// All that are left, for the end.
    pub fn take(&mut self) -> BTreeMap<PathBuf, T> {
        self.bytes = 0;
        std::mem::take(&mut self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(times: BTreeMap<PathBuf, u32>) -> Vec<(String, u32)> {
        times.into_iter().map(|(path, time)| (path.display().to_string(), time)).collect()
    }

    fn told(path: &str, time: u32) -> (String, u32) {
        (path.to_owned(), time)
    }

    #[test]
    fn the_last_word_counts_and_a_few_come_at_the_end() {
        let mut times = DirectoryTimes::default();
        for (path, time) in [("b", 1), ("a", 2), ("b", 3)] {
            times.before(Path::new(path), |_| panic!("nobody needs to look"));
            times.tell(path.into(), time);
        }
        assert_eq!(times.take_if_many(), None);
        assert_eq!(seen(times.take()), [told("a", 2), told("b", 3)]);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_was_set_stays() {
        let mut times = DirectoryTimes::bounded(2 * (ENTRY + 1));
        let mut set = BTreeMap::new();
        for number in 0..7 {
            times.tell(number.to_string().into(), number);
            if let Some(due) = times.take_if_many() {
                assert_eq!(due.len(), 3);
                set.extend(due);
            }
        }
        assert_eq!(set.len(), 6);
        let now = |path: &Path| set.get(path).copied();
        times.before(Path::new("1/made/too"), now);
        times.before(Path::new("1"), |_| panic!("it is known"));
        times.before(Path::new("elsewhere"), now);
        assert_eq!(seen(times.take()), [told("1", 1), told("6", 6)]);
    }
}
