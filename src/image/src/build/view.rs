//! What a container would see, read from the layers themselves: no mount, no root.

use crate::links::MOST_NAMES;
use rustix::fs::makedev;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use trees::{Listings, Names, each_name};

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;
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
    /// Everything that makes up the directory, topmost first.
    Directory(Vec<PathBuf>),
    Symlink(PathBuf),
    /// A file, a device, a pipe.
    File(PathBuf),
}

impl Node {
    /// What its paths take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Node::Missing => 0,
            Node::Directory(parts) => parts.iter().map(|part| path_bytes(part)).sum(),
            Node::Symlink(real) | Node::File(real) => path_bytes(real),
        }
    }
}

/// What a path takes.
pub(super) fn path_bytes(path: &Path) -> usize {
    ENTRY + path.as_os_str().len()
}

impl View {
    pub(super) fn root(&self) -> Node {
        Node::Directory(until_opaque(self.layers.iter().cloned()))
    }

    /// Follows links as if the view were the root of everything. Gives the real path, also where nothing is there (yet).
    pub(super) fn resolve(&self, path: &Path) -> Result<(PathBuf, Node), String> {
        let mut todo: Vec<OsString> = components(path);
        let mut done: Vec<(OsString, Node)> = Vec::new();
        let (mut links, mut names) = (0, 0);
        let root = self.root();
        while let Some(name) = todo.pop() {
            if name == ".." {
                done.pop();
                continue;
            }
            let here = done.last().map_or(&root, |(_, node)| node);
            match child(here, &name) {
                Node::Symlink(link) => {
                    let target = std::fs::read_link(&link).map_err(|e| format!("{}: {e}", path.display()))?;
                    let said = components(&target);
                    (links, names) = (links + 1, names + said.len());
                    if links > MAX_LINKS || names > MOST_NAMES {
                        return Err(format!("{}: too many levels of symbolic links", path.display()));
                    }
                    if target.is_absolute() {
                        done.clear();
                    }
                    todo.extend(said);
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

/// What is called `name` in a directory, not followed.
pub(super) fn child(directory: &Node, name: &OsStr) -> Node {
    let Node::Directory(parts) = directory else { return Node::Missing };
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
    if found.is_empty() { Node::Missing } else { Node::Directory(until_opaque(found.into_iter())) }
}

/// What is in a directory, sorted by name, one by one: it may hold more than memory should.
pub(super) struct Entries<'f> {
    directory: &'f Node,
    names: Names,
}

pub(super) fn entries<'f>(directory: &'f Node, listings: &Listings) -> Entries<'f> {
    Entries { directory, names: listings.names() }
}

impl Iterator for Entries<'_> {
    type Item = io::Result<(OsString, Node)>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.directory, &mut self.names).transpose()
    }
}

/// The next thing in a directory whose `names` are always these.
pub(super) fn next_entry(directory: &Node, names: &mut Names) -> io::Result<Option<(OsString, Node)>> {
    let Node::Directory(parts) = directory else { return Ok(None) };
    loop {
        let found = names.next_of(|take| {
            parts.iter().try_for_each(|part| {
                let listed = File::open(part).and_then(|part| each_name(part, take));
                listed.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", part.display())))
            })
        });
        let Some(name) = found? else { return Ok(None) };
        match child(directory, &name) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: each of an image's links is two thousand names, and all that is copied goes by them.
    #[test]
    fn links_that_say_too_much_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        for (name, times) in [("short", 5), ("long", MOST_NAMES)] {
            let to = format!("{}d", "d/../".repeat(times));
            std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
        }
        let view = View { layers: vec![dir.path().to_owned()] };
        assert_eq!(view.resolve(Path::new("short/x")).unwrap(), (PathBuf::from("d/x"), Node::Missing));
        let refused = view.resolve(Path::new("long/x")).unwrap_err();
        assert_eq!(refused, "long/x: too many levels of symbolic links");
    }
}
