//! What was read of the user's files, so that a change of one is noticed, and where it would be.

use cri::logs::Watcher;
use nix::sys::inotify::AddWatchFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

const LARGEST_FILE: u64 = 4 << 20;
/// As many as Linux follows in a path.
const MOST_LINKS: usize = 40;

/// The files that were read, with a hash of what was in them (it may be secret); `None` where one could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, Option<u64>>);

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads once more what `self` has not come to, of what `before` had.
    pub(crate) fn read_rest_of(&mut self, before: &Seen) {
        for path in before.0.keys() {
            if !self.0.contains_key(path) {
                let _ = self.read(path);
            }
        }
    }

    /// # Errors
    /// As [`read`].
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let found = read(path);
        self.0.insert(path.to_owned(), found.as_ref().ok().map(|bytes| hash(bytes)));
        found
    }

    pub(crate) fn is_outdated(&self) -> bool {
        let now = |path: &Path| read(path).ok().map(|bytes| hash(&bytes));
        self.0.iter().any(|(path, then)| now(path) != *then)
    }

    /// What makes a file another: it was written, or one was put in its place. That one is gone says nothing yet: editors take the
    /// old one away before they put the new one there.
    pub(crate) fn watch(&self, watcher: &Watcher) -> io::Result<()> {
        let what = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let mut left = self.directories();
        while let Some(directory) = left.pop_first() {
            match watcher.add(&directory, what) {
                Ok(_) => {}
                // it went in between, and there is another nearest one
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    left = self.directories();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Where something must happen for one of the files to change.
    fn directories(&self) -> BTreeSet<PathBuf> {
        let mut all = BTreeSet::new();
        self.0.keys().for_each(|path| add_directories(path, &mut all));
        all
    }
}

/// The directory of a file, or the nearest above it where there is none, and those of all links on the way: what is put in place of
/// `current` leads to another `current/file`.
fn add_directories(file: &Path, all: &mut BTreeSet<PathBuf>) {
    let (mut left, mut at, mut links) = (names(file), PathBuf::from("/"), 0);
    while let Some(name) = left.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        match next.read_link() {
            Ok(to) if links < MOST_LINKS => {
                links += 1;
                all.insert(at.clone());
                if to.is_absolute() {
                    at = PathBuf::from("/");
                }
                left.extend(names(&to));
            }
            _ if left.is_empty() || !next.is_dir() => {
                all.insert(at);
                return;
            }
            _ => at = next,
        }
    }
}

/// The last first.
fn names(path: &Path) -> Vec<OsString> {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().rev().filter(named).map(|part| part.as_os_str().to_owned()).collect()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// # Errors
/// What is no file, or not one that somebody wrote by hand: a pipe would be waited for.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() || found.len() > LARGEST_FILE {
        return Err(io::Error::other(format!("it is no file of {LARGEST_FILE} bytes at most")));
    }
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    #[test]
    fn what_leads_to_a_file_is_where_its_links_are() {
        let dir = TempDir::new().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for directory in ["etc/deep", "opt/first"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("opt/first/file"), "").unwrap();
        symlink(root.join("opt"), root.join("etc/absolute")).unwrap();
        symlink("../../opt/first", root.join("etc/deep/relative")).unwrap();
        symlink("first/file", root.join("opt/file")).unwrap();
        symlink("round", root.join("round")).unwrap();
        for (path, want) in [
            ("opt/first/file", vec!["opt/first"]),
            ("opt/first/not yet", vec!["opt/first"]),
            ("opt/nothing/of/all/this", vec!["opt"]),
            ("opt/first/file/below", vec!["opt/first"]),
            ("etc/absolute/first/file", vec!["etc", "opt/first"]),
            ("etc/deep/relative/file", vec!["etc/deep", "opt/first"]),
            ("etc/absolute/file", vec!["etc", "opt", "opt/first"]),
            ("etc/../opt/first/file", vec!["opt/first"]),
            ("round/file", vec![""]),
        ] {
            let seen = Seen(BTreeMap::from([(root.join(path), None)]));
            let want: BTreeSet<PathBuf> = want
                .into_iter()
                .map(|below| if below.is_empty() { root.clone() } else { root.join(below) })
                .collect();
            assert_eq!(seen.directories(), want, "{path}");
        }
    }
}
