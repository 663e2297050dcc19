//! What is in a directory, sorted, in batches: a directory may hold more names than memory should. Each batch is another pass
//! over the directory, which keeps the smallest of the names that are greater than the last one.

use rustix::fs::Dir;
use std::cell::Cell;
use std::collections::{BTreeSet, btree_set};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// Of all directories that a walk is in, about.
const MOST_BYTES: isize = 32 << 20;
/// What each of them has, however many there are above: with [`crate::MAX_DEPTH`] levels as much again.
const LEAST_BYTES: usize = 128 << 10;
/// What a name takes beside its bytes.
const ENTRY: usize = 64;
/// More names may come while a directory is read, but not for ever.
const MORE_NAMES: u64 = 1 << 16;

/// Bounds what one walk keeps of the directories that it is in. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Listings(Rc<Cell<isize>>);

impl Default for Listings {
    fn default() -> Self {
        Listings(Rc::new(Cell::new(MOST_BYTES)))
    }
}

impl Listings {
    /// The names of one more directory.
    pub fn names(&self) -> Names {
        Names {
            left: self.clone(),
            taken: 0,
            batch: BTreeSet::new().into_iter(),
            last: None,
            is_whole: false,
            given: 0,
            most_names: None,
        }
    }
}

/// The names in a directory, or in several that are seen as one, each once.
#[derive(Debug)]
pub struct Names {
    left: Listings,
    /// Of `left`, by the batch.
    taken: isize,
    batch: btree_set::IntoIter<OsString>,
    /// The greatest of the batch.
    last: Option<OsString>,
    /// Nothing comes after the batch.
    is_whole: bool,
    given: u64,
    /// Known after the first pass.
    most_names: Option<u64>,
}

impl Names {
    /// The next name in `directory`, which is always the same one.
    ///
    /// # Errors
    /// It could not be read, or grows faster than it is read.
    pub fn next_in(&mut self, directory: impl AsFd) -> io::Result<Option<OsString>> {
        self.next_of(|take| each_name(directory, take))
    }

    /// The same of whatever `list` lists, with [`each_name`].
    ///
    /// # Errors
    /// As of [`Names::next_in`].
    pub fn next_of(
        &mut self,
        list: impl FnOnce(&mut dyn FnMut(&OsStr)) -> io::Result<()>,
    ) -> io::Result<Option<OsString>> {
        if let Some(name) = self.batch.next() {
            return Ok(Some(name));
        }
        if self.is_whole {
            return Ok(None);
        }
        self.fill(list)?;
        Ok(self.batch.next())
    }

    fn fill(&mut self, list: impl FnOnce(&mut dyn FnMut(&OsStr)) -> io::Result<()>) -> io::Result<()> {
        self.give_back();
        // half of what is left: those below have the other one
        let most = usize::try_from(self.left.0.get() / 2).unwrap_or(0).max(LEAST_BYTES);
        let last = self.last.take();
        let (mut smallest, mut bytes, mut is_whole, mut all) = (BTreeSet::<OsString>::new(), 0, true, 0u64);
        list(&mut |name: &OsStr| {
            all += 1;
            let is_known = last.as_deref().is_some_and(|last| name <= last);
            // once a name was left out, all that are greater than those kept are for the next pass
            let is_later =
                || !is_whole && smallest.last().is_some_and(|greatest| name >= greatest.as_os_str());
            if is_known || is_later() {
                return;
            }
            if smallest.insert(name.to_owned()) {
                bytes += ENTRY + name.len();
            }
            while bytes > most
                && smallest.len() > 1
                && let Some(greatest) = smallest.pop_last()
            {
                bytes -= ENTRY + greatest.len();
                is_whole = false;
            }
        })?;
        self.given += smallest.len() as u64;
        let most_names = *self.most_names.get_or_insert(all.saturating_mul(2).saturating_add(MORE_NAMES));
        if self.given > most_names {
            return Err(io::Error::other("a directory grows faster than it is read"));
        }
        self.taken = isize::try_from(bytes).unwrap_or(isize::MAX);
        self.left.0.set(self.left.0.get() - self.taken);
        self.is_whole = is_whole;
        self.last = if is_whole { None } else { smallest.last().cloned() };
        self.batch = smallest.into_iter();
        Ok(())
    }

    fn give_back(&mut self) {
        self.left.0.set(self.left.0.get() + std::mem::take(&mut self.taken));
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Each name in a directory once, in no order. The descriptor must be one to read of.
///
/// # Errors
/// It could not be read.
pub fn each_name(directory: impl AsFd, take: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
    try_each_name(directory, |name| {
        take(name);
        Ok(())
    })
}

/// The same until the first that fails. None is kept: for who needs no order, and changes no names.
///
/// # Errors
/// That of `take`; the directory could not be read.
pub fn try_each_name(directory: impl AsFd, mut take: impl FnMut(&OsStr) -> io::Result<()>) -> io::Result<()> {
    let entries = Dir::read_from(&directory)?;
    // that is a descriptor of its own, and whoever goes down has one for each level
    drop(directory);
    for entry in entries {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            take(name)?;
        }
    }
    Ok(())
}

/// Whether nothing is in a directory. The descriptor must be one to read of.
///
/// # Errors
/// It could not be read.
pub fn is_empty(directory: impl AsFd) -> io::Result<bool> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// Names of so many bytes that a few make a batch; given in an order that is none.
    fn many(count: usize) -> Vec<OsString> {
        (0..count).map(|number| format!("{:0>200}", number * 7919 % count).into()).collect()
    }

    fn list(names: &mut Names, of: &[OsString]) -> io::Result<Option<OsString>> {
        names.next_of(|take| {
            of.iter().for_each(|name| take(name));
            Ok(())
        })
    }

    #[test]
    fn names_of_a_directory_come_sorted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", "B", ".hidden", "ä"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let opened = File::open(dir.path()).unwrap();
        let mut names = Listings::default().names();
        let mut found = Vec::new();
        while let Some(name) = names.next_in(&opened).unwrap() {
            found.push(name.into_string().unwrap());
        }
        assert_eq!(found, [".hidden", "B", "a", "b", "ä"]);
        assert_eq!(names.next_in(&opened).unwrap(), None, "and no more");
    }

    #[test]
    fn what_is_kept_is_bounded_however_many_there_are() {
        let all = many(5003);
        let listings = Listings(Rc::new(Cell::new(0)));
        let mut names = listings.names();
        let mut found = Vec::new();
        while let Some(name) = list(&mut names, &all).unwrap() {
            assert!(names.taken > 0 && usize::try_from(names.taken).unwrap() <= LEAST_BYTES);
            assert_eq!(listings.0.get(), -names.taken);
            found.push(name);
        }
        let mut want = all;
        want.sort();
        assert_eq!(found, want);
        drop(names);
        assert_eq!(listings.0.get(), 0, "all of it is given back");
    }

    #[test]
    fn those_below_have_half_of_what_is_left() {
        let all = many(20_011);
        let listings = Listings(Rc::new(Cell::new(4 << 20)));
        let (mut above, mut below) = (listings.names(), listings.names());
        for (names, most) in [(&mut above, 2 << 20), (&mut below, 1 << 20)] {
            list(names, &all).unwrap();
            assert!(names.taken <= most + 1000 && names.taken > most - 1000, "{}", names.taken);
        }
    }

    #[test]
    fn names_are_told_until_the_first_that_fails() {
        let dir = tempfile::tempdir().unwrap();
        let open = || File::open(dir.path()).unwrap();
        assert!(is_empty(open()).unwrap());
        for name in ["a", "b", "c"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert!(!is_empty(open()).unwrap());
        let mut all = BTreeSet::new();
        try_each_name(open(), |name| {
            all.insert(name.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(all, BTreeSet::from(["a".into(), "b".into(), "c".into()]));
        let mut told = 0;
        let refused = try_each_name(open(), |_| {
            told += 1;
            Err(io::Error::other("no more"))
        });
        assert_eq!((refused.unwrap_err().to_string().as_str(), told), ("no more", 1));
    }

    #[test]
    fn names_of_several_directories_come_once() {
        let mut names = Listings::default().names();
        let (one, other) = ([OsString::from("b"), "a".into()], [OsString::from("b"), "c".into()]);
        let both: Vec<OsString> = one.into_iter().chain(other).collect();
        let mut found = Vec::new();
        while let Some(name) = list(&mut names, &both).unwrap() {
            found.push(name);
        }
        assert_eq!(found, ["a", "b", "c"]);
    }

    #[test]
    fn a_directory_that_grows_all_the_time_is_not_read_for_ever() {
        let listings = Listings(Rc::new(Cell::new(0)));
        let mut names = listings.names();
        let mut made = 0..;
        // as many new ones in each pass as it takes, each greater than all before
        let mut next = || {
            names.next_of(|take| {
                made.by_ref().take(3000).for_each(|number: u64| take(OsStr::new(&format!("{number:010}"))));
                Ok(())
            })
        };
        let refused = loop {
            match next() {
                Ok(name) => assert!(name.is_some()),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.to_string(), "a directory grows faster than it is read");
    }
}
