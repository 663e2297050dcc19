//! What a container would see, read from the layers themselves: no mount, no root.

use super::Dialect;
use rustix::fs::makedev;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use trees::{Listings, Names, each_name};

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;
/// Of what is kept of all that a pattern means, about.
const MOST_FOUND: usize = 64 << 20;
/// What a path takes beside its bytes.
const ENTRY: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct View {
    /// Topmost first.
    pub(super) layers: Vec<PathBuf>,
}

/// Something in the view, by where it really lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Missing,
    /// Everything that makes up the folder, topmost first.
    Folder(Vec<PathBuf>),
    Symlink(PathBuf),
    /// A file, a device, a pipe.
    File(PathBuf),
}

impl Node {
    /// What its paths take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Node::Missing => 0,
            Node::Folder(parts) => parts.iter().map(|part| ENTRY + part.as_os_str().len()).sum(),
            Node::Symlink(real) | Node::File(real) => ENTRY + real.as_os_str().len(),
        }
    }
}

impl View {
    pub(super) fn root(&self) -> Node {
        Node::Folder(until_opaque(self.layers.iter().cloned()))
    }

    /// Follows links as if the view were the root of everything. Gives the real path, also where nothing is there (yet).
    pub(super) fn resolve(&self, path: &Path) -> Result<(PathBuf, Node), String> {
        let mut todo: Vec<OsString> = components(path);
        let mut done: Vec<(OsString, Node)> = Vec::new();
        let mut links = 0;
        let root = self.root();
        while let Some(name) = todo.pop() {
            if name == ".." {
                done.pop();
                continue;
            }
            let here = done.last().map_or(&root, |(_, node)| node);
            match child(here, &name) {
                Node::Symlink(link) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(format!("{}: too many levels of symbolic links", path.display()));
                    }
                    let target = std::fs::read_link(&link).map_err(|e| format!("{}: {e}", path.display()))?;
                    if target.is_absolute() {
                        done.clear();
                    }
                    todo.extend(components(&target));
                }
                node => done.push((name, node)),
            }
        }
        let real = done.iter().map(|(name, _)| name).collect();
        Ok((real, done.pop().map_or(root, |(_, node)| node)))
    }
}

/// The names in a path, last first, with `..` but without `.`.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

/// What is called `name` in a folder, not followed.
pub(super) fn child(folder: &Node, name: &OsStr) -> Node {
    let Node::Folder(parts) = folder else { return Node::Missing };
    let mut found = Vec::new();
    for part in parts {
        let path = part.join(name);
        let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            found.push(path);
        } else if is_whiteout(&meta) || !found.is_empty() {
            break;
        } else if meta.is_symlink() {
            return Node::Symlink(path);
        } else {
            return Node::File(path);
        }
    }
    if found.is_empty() { Node::Missing } else { Node::Folder(until_opaque(found.into_iter())) }
}

/// What is in a folder, sorted by name, one by one: it may hold more than memory should.
pub(super) struct Entries<'f> {
    folder: &'f Node,
    names: Names,
}

pub(super) fn entries<'f>(folder: &'f Node, listings: &Listings) -> Entries<'f> {
    Entries { folder, names: listings.names() }
}

impl Iterator for Entries<'_> {
    type Item = io::Result<(OsString, Node)>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.folder, &mut self.names).transpose()
    }
}

/// The next thing in a folder whose `names` are always these.
pub(super) fn next_entry(folder: &Node, names: &mut Names) -> io::Result<Option<(OsString, Node)>> {
    let Node::Folder(parts) = folder else { return Ok(None) };
    loop {
        let found = names.next_of(|take| {
            parts.iter().try_for_each(|part| {
                let listed = File::open(part).and_then(|part| each_name(part, take));
                listed.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", part.display())))
            })
        });
        let Some(name) = found? else { return Ok(None) };
        match child(folder, &name) {
            Node::Missing => {}
            node => return Ok(Some((name, node))),
        }
    }
}

fn until_opaque(parts: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut kept = Vec::new();
    for part in parts {
        let opaque = crate::upper::is_opaque(&part);
        kept.push(part);
        if opaque {
            break;
        }
    }
    kept
}

fn is_whiteout(meta: &Metadata) -> bool {
    meta.file_type().is_char_device() && meta.rdev() == makedev(0, 0)
}

/// All paths that a pattern of the Go kind (`*`, `?`, `[a-z]`, `\`, and `**` for any folders) means; a path without any
/// means itself. The last name is followed where it is a link, as Docker does.
pub(super) fn glob(view: &View, pattern: &str, dialect: Dialect) -> Result<Vec<(PathBuf, Node)>, String> {
    glob_within(view, pattern, dialect, MOST_FOUND)
}

fn glob_within(
    view: &View,
    pattern: &str,
    dialect: Dialect,
    most: usize,
) -> Result<Vec<(PathBuf, Node)>, String> {
    let mut found = vec![(PathBuf::new(), view.root())];
    let listings = Listings::default();
    for component in clean_pattern(pattern, dialect)? {
        let mut next = Kept { paths: Vec::new(), left: most };
        for (path, folder) in &found {
            if component == "**" {
                next.folders_below(path, folder, &listings)?;
            } else if is_pattern(component) {
                for entry in entries(folder, &listings) {
                    let (name, _) = entry.map_err(|e| e.to_string())?;
                    if matches(component, &name.to_string_lossy()) {
                        next.push(path.join(name))?;
                    }
                }
            } else if child(folder, OsStr::new(component)) != Node::Missing {
                next.push(path.join(component))?;
            }
        }
        let mut paths = next.paths;
        paths.dedup();
        found = Vec::with_capacity(paths.len());
        let mut left = most;
        for path in paths {
            let (_, node) = view.resolve(&path)?;
            take(&mut left, path.as_os_str().len() + node.bytes())?;
            found.push((path, node));
        }
    }
    found.retain(|(_, node)| *node != Node::Missing);
    Ok(found)
}

/// What is found, within a bound.
struct Kept {
    paths: Vec<PathBuf>,
    left: usize,
}

/// A part of what is left, for one more path.
fn take(left: &mut usize, bytes: usize) -> Result<(), String> {
    *left = left.checked_sub(ENTRY + bytes).ok_or("more files match than can be copied at once")?;
    Ok(())
}

impl Kept {
    fn push(&mut self, path: PathBuf) -> Result<(), String> {
        take(&mut self.left, path.as_os_str().len())?;
        self.paths.push(path);
        Ok(())
    }

    /// The folder itself and all below it, each before those in it; links are not followed.
    fn folders_below(&mut self, path: &Path, folder: &Node, listings: &Listings) -> Result<(), String> {
        let mut todo = vec![(path.to_owned(), folder.clone())];
        take(&mut self.left, folder.bytes())?;
        while let Some((path, folder)) = todo.pop() {
            let others = todo.len();
            for entry in entries(&folder, listings) {
                let (name, node) = entry.map_err(|e| e.to_string())?;
                if matches!(node, Node::Folder(_)) {
                    let path = path.join(name);
                    take(&mut self.left, path.as_os_str().len() + node.bytes())?;
                    todo.push((path, node));
                }
            }
            // what is put there last is taken first
            todo[others..].reverse();
            // the path stays
            self.left += folder.bytes();
            self.paths.push(path);
        }
        Ok(())
    }
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// The names in it, without `.` and with `..` carried out. What leads out is a fault, and to BuildKit the root itself.
fn clean_pattern(pattern: &str, dialect: Dialect) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    for component in pattern.split('/').filter(|c| !c.is_empty() && *c != ".") {
        if component != ".." {
            names.push(component);
        } else if names.pop().is_none() && dialect == Dialect::Classic {
            return Err(format!("forbidden path outside the build context: {pattern} ()"));
        }
    }
    Ok(names)
}

/// One name against one pattern without slashes.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    matches_from(&pattern, &name)
}

fn matches_from(mut pattern: &[char], mut name: &[char]) -> bool {
    // what is behind the last `*`, and what that left: a star never has to take less again, so none is tried for ever
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        if let ['*', rest @ ..] = pattern {
            (star, pattern) = (Some((rest, name)), rest);
            continue;
        }
        let Some((first, others)) = name.split_first() else { return pattern.is_empty() };
        (pattern, name) = match (behind(pattern, *first), star) {
            (Some(rest), _) => (rest, others),
            (None, Some((rest, [_, left @ ..]))) => {
                star = Some((rest, left));
                (rest, left)
            }
            (None, _) => return false,
        };
    }
}

/// The rest of a pattern whose first part takes this character.
fn behind(pattern: &[char], c: char) -> Option<&[char]> {
    let (takes, rest) = match pattern {
        [] => (false, pattern),
        ['?', rest @ ..] => (true, rest),
        ['\\', literal, rest @ ..] => (*literal == c, rest),
        ['[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            (in_class(&rest[..end], c), &rest[end + 1..])
        }
        [literal, rest @ ..] => (*literal == c, rest),
    };
    takes.then_some(rest)
}

pub(super) fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut class) = match class {
        ['^', rest @ ..] => (true, rest),
        class => (false, class),
    };
    let mut found = false;
    while let [first, rest @ ..] = class {
        class = match rest {
            ['-', last, rest @ ..] => {
                found |= (*first..=*last).contains(&c);
                rest
            }
            rest => {
                found |= *first == c;
                rest
            }
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_means_comes_in_order_and_within_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let (upper, lower) = (dir.path().join("upper"), dir.path().join("lower"));
        for folder in [upper.join("b"), upper.join("c/d/e"), lower.join("a"), lower.join("c/d")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let view = View { layers: vec![upper, lower] };
        let paths = |pattern: &str, most: usize| {
            let found = glob_within(&view, pattern, Dialect::BuildKit, most)?;
            Ok::<_, String>(found.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(paths("*", MOST_FOUND).unwrap(), ["a", "b", "c"]);
        assert_eq!(paths("**", MOST_FOUND).unwrap(), ["", "a", "b", "c", "c/d", "c/d/e"]);
        for pattern in ["*", "**"] {
            assert_eq!(paths(pattern, 200).unwrap_err(), "more files match than can be copied at once");
        }
    }

    #[test]
    fn names_by_patterns() {
        for (pattern, name, want) in [
            ("*", "", true),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*.*", "a.b.c", true),
            ("?b", "ab", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("\\", "\\", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern:?} {name:?}");
        }
        assert!(!matches(&format!("{}b", "*a".repeat(40)), &"a".repeat(200)), "and at once");
    }
}
