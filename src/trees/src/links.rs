//! Which names of a tree are names of one file (hard links). Whoever fills a tree decides how many such files there are, and how
//! long their paths: so a path is not kept whole for each, but as a name in a directory that all below it share, and no longer
//! than until the last name of the file was seen.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Kept at once: some 400,000 files whose other names are still to come.
const MOST_BYTES: usize = 64 << 20;
/// What one takes beside its name, with its place in a table that is half full.
const ENTRY: usize = 160;

/// The first names of a walk's files that have several. The walk tells where it is by [`LinkNames::enter`] and
/// [`LinkNames::leave`].
#[derive(Debug)]
pub struct LinkNames {
    /// By device and inode.
    files: HashMap<(u64, u64), First>,
    /// Those that the walk is in, or that a file of `files` is below, each by its own number.
    directories: HashMap<u64, Directory>,
    next_directory: u64,
    /// Where the walk is; none is its root.
    here: Option<u64>,
    bytes: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct First {
    directory: Option<u64>,
    name: Box<OsStr>,
    seen: u64,
}

#[derive(Debug)]
struct Directory {
    parent: Option<u64>,
    name: Box<OsStr>,
    /// The walk, where it is in it, and all files and directories in it that are kept.
    users: usize,
}

/// A file, whichever of its names it was found by.
#[derive(Debug, Clone, Copy)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
    /// How many names it has (`st_nlink`).
    pub names: u64,
}

impl Default for LinkNames {
    fn default() -> Self {
        LinkNames::bounded(MOST_BYTES)
    }
}

impl LinkNames {
    /// Keeps `most_bytes` at once, about.
    pub fn bounded(most_bytes: usize) -> Self {
        LinkNames {
            files: HashMap::new(),
            directories: HashMap::new(),
            next_directory: 0,
            here: None,
            bytes: 0,
            most_bytes,
        }
    }

    /// The walk goes into a directory of the one where it is. How deep it goes is for the walk to bound
    /// ([`crate::check_depth`]).
    pub fn enter(&mut self, name: &OsStr) {
        let parent = self.here;
        self.bytes += ENTRY + name.len();
        self.use_directory(parent);
        self.directories.insert(self.next_directory, Directory { parent, name: name.into(), users: 1 });
        self.here = Some(self.next_directory);
        self.next_directory += 1;
    }

    /// The walk comes back to the directory above.
    pub fn leave(&mut self) {
        let left = self.here;
        self.here = left.and_then(|left| self.directories.get(&left)?.parent);
        self.release(left);
    }

    /// A name of a file, in the directory where the walk is: gives the path, below the walk's root, of the name of it that was
    /// first, and `None` where this one is.
    ///
    /// # Errors
    /// More is to be kept than may be (`TooManyLinks`).
    pub fn see(&mut self, name: &OsStr, file: FileId) -> io::Result<Option<PathBuf>> {
        if file.names < 2 {
            return Ok(None);
        }
        let key = (file.device, file.inode);
        if let Some(first) = self.files.get_mut(&key) {
            first.seen += 1;
            let is_last = first.seen >= file.names;
            let path = self.path(&key);
            if is_last {
                self.forget(&key);
            }
            return Ok(path);
        }
        let bytes = self.bytes + ENTRY + name.len();
        if bytes > self.most_bytes {
            let most = self.most_bytes;
            let why =
                format!("too many files with several names (hard links): more than {most} bytes of names");
            return Err(io::Error::new(ErrorKind::TooManyLinks, why));
        }
        self.bytes = bytes;
        self.use_directory(self.here);
        self.files.insert(key, First { directory: self.here, name: name.into(), seen: 1 });
        Ok(None)
    }

    fn path(&self, key: &(u64, u64)) -> Option<PathBuf> {
        let first = self.files.get(key)?;
        let mut names = vec![&*first.name];
        let mut above = first.directory;
        while let Some(directory) = above.and_then(|number| self.directories.get(&number)) {
            names.push(&directory.name);
            above = directory.parent;
        }
        Some(names.into_iter().rev().collect())
    }

    fn forget(&mut self, key: &(u64, u64)) {
        if let Some(first) = self.files.remove(key) {
            self.bytes -= ENTRY + first.name.len();
            self.release(first.directory);
        }
    }

    fn use_directory(&mut self, number: Option<u64>) {
        if let Some(directory) = number.and_then(|number| self.directories.get_mut(&number)) {
            directory.users += 1;
        }
    }

    /// One user less: whom nobody uses any more goes, and is a user less of the one above.
    fn release(&mut self, mut number: Option<u64>) {
        while let Some(of) = number {
            let Some(directory) = self.directories.get_mut(&of) else { return };
            directory.users -= 1;
            if directory.users > 0 {
                return;
            }
            number = directory.parent;
            self.bytes -= ENTRY + directory.name.len();
            self.directories.remove(&of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn file(inode: u64, names: u64) -> FileId {
        FileId { device: 1, inode, names }
    }

    fn see(links: &mut LinkNames, name: &str, file: FileId) -> Option<PathBuf> {
        links.see(OsStr::new(name), file).unwrap()
    }

    #[test]
    fn a_name_is_told_where_the_first_one_was() {
        let mut links = LinkNames::default();
        assert_eq!(see(&mut links, "single", file(1, 1)), None);
        assert_eq!(see(&mut links, "single", file(1, 1)), None);
        assert_eq!(see(&mut links, "top", file(2, 3)), None);
        links.enter(OsStr::new("a"));
        links.enter(OsStr::new("b"));
        assert_eq!(see(&mut links, "deep", file(3, 2)), None);
        assert_eq!(see(&mut links, "other", FileId { device: 2, ..file(3, 2) }), None);
        links.leave();
        assert_eq!(see(&mut links, "second", file(2, 3)).as_deref(), Some(Path::new("top")));
        links.leave();
        links.enter(OsStr::new("c"));
        assert_eq!(see(&mut links, "second", file(3, 2)).as_deref(), Some(Path::new("a/b/deep")));
        assert_eq!(see(&mut links, "third", file(2, 3)).as_deref(), Some(Path::new("top")));
        links.leave();
    }

    /// The attack: a path of 50 KB, and each of thousands of files in its last directory has two names.
    #[test]
    fn files_far_down_cost_no_more_than_their_names_and_go_with_the_last_one() {
        let mut links = LinkNames::default();
        let long = "d".repeat(250);
        for _ in 0..200 {
            links.enter(OsStr::new(&long));
        }
        let entered = links.bytes;
        for inode in 0..4_000 {
            assert_eq!(see(&mut links, &format!("f{inode}"), file(inode, 2)), None);
        }
        assert!(links.bytes < 1 << 20, "{}", links.bytes);
        for inode in 0..4_000 {
            let first = see(&mut links, &format!("g{inode}"), file(inode, 2)).unwrap();
            assert!(first.ends_with(format!("f{inode}")) && first.as_os_str().len() > 50_000);
        }
        assert_eq!((links.bytes, links.files.len()), (entered, 0));
        for _ in 0..200 {
            links.leave();
        }
        assert_eq!((links.bytes, links.directories.len(), links.here), (0, 0, None));
    }

    #[test]
    fn directories_stay_as_long_as_a_file_below_them_does() {
        let mut links = LinkNames::default();
        for name in ["a", "b"] {
            links.enter(OsStr::new(name));
        }
        see(&mut links, "f", file(1, 2));
        links.leave();
        links.leave();
        assert_eq!(links.directories.len(), 2);
        assert_eq!(see(&mut links, "g", file(1, 2)).as_deref(), Some(Path::new("a/b/f")));
        assert_eq!((links.directories.len(), links.bytes), (0, 0));
    }

    #[test]
    fn there_is_a_bound_and_what_is_forgotten_makes_room() {
        let mut links = LinkNames::bounded(3 * (ENTRY + 1));
        for inode in 0..3 {
            see(&mut links, "f", file(inode, 2));
        }
        let refused = links.see(OsStr::new("f"), file(3, 2)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooManyLinks);
        assert!(refused.to_string().starts_with("too many files with several names"), "{refused}");
        assert!(see(&mut links, "g", file(0, 2)).is_some());
        assert_eq!(see(&mut links, "f", file(3, 2)), None);
        assert_eq!(see(&mut links, "x", file(4, 1)), None, "one of a single name takes none");
    }
}
