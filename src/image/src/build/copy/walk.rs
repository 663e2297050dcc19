//! All that an instruction copies, in order. What is in a directory of the source is found anew each time that it is gone through:
//! how much it is, whoever made the image or the context decides, so it is not kept.

use super::{Entry, Files, What};
use crate::build::GIVEN_UP;
use crate::build::view::{Node, child, entries};
use std::io;
use std::path::{Path, PathBuf};
use trees::Listings;

/// All that is in a directory of the source.
#[derive(Debug)]
pub(super) struct Below {
    pub(super) directory: Node,
    /// Its path there, which `--exclude` looks at.
    pub(super) source: PathBuf,
}

struct Walk<'w> {
    files: &'w Files,
    listings: Listings,
    /// The directories above the place where it is that are left out themselves: made where something in them is not.
    left_out: Vec<PathBuf>,
    take: &'w mut dyn FnMut(&Path, &What) -> io::Result<()>,
}

impl Files {
    pub(super) fn each(&self, take: &mut dyn FnMut(&Path, &What) -> io::Result<()>) -> io::Result<()> {
        let (listings, left_out) = (Listings::default(), Vec::new());
        let mut walk = Walk { files: self, listings, left_out, take };
        for (path, entry) in &self.entries {
            match entry {
                Entry::One(what) => (walk.take)(path, what)?,
                Entry::Below(below) => walk.below(path, below, &below.directory, Path::new(""))?,
            }
        }
        Ok(())
    }

    fn excludes(&self, path: &Path) -> bool {
        !self.exclude.is_empty() && self.exclude.ignores(&path.to_string_lossy())
    }

    /// A directory does not take the place of a link of the image, nor of a file: with merged /usr, `COPY rootfs /` would
    /// put a `bin` where the system's programs are linked from.
    fn check_directory_fits(&self, dest: &Path) -> io::Result<()> {
        let Some((parent, name)) = dest.parent().zip(dest.file_name()) else { return Ok(()) };
        let (_, parent) = self.target.resolve(parent).map_err(io::Error::other)?;
        match child(&parent, name) {
            Node::Symlink(_) | Node::File(_) => {
                Err(io::Error::other(format!("cannot copy to non-directory: /{}", dest.display())))
            }
            Node::Directory(_) | Node::Missing => Ok(()),
        }
    }
}

impl Walk<'_> {
    /// `inside` is the path within the source that was named.
    fn below(&mut self, dest: &Path, all: &Below, directory: &Node, inside: &Path) -> io::Result<()> {
        trees::check_depth(inside.components().count())
            .map_err(|e| io::Error::other(format!("{}: {e}", all.source.join(inside).display())))?;
        for entry in entries(directory, &self.listings) {
            if self.files.gone.is_cancelled() {
                return Err(io::Error::other(GIVEN_UP));
            }
            let (name, node) = entry?;
            let inside = inside.join(&name);
            let kept = !self.files.excludes(&inside) && !self.files.excludes(&all.source.join(&inside));
            let dest = dest.join(&name);
            match &node {
                Node::Directory(parts) => {
                    self.files.check_directory_fits(&dest)?;
                    let above = self.left_out.len();
                    match parts.first().filter(|_| kept) {
                        Some(part) => self.give(&dest, &What::Directory(part.clone()))?,
                        None => self.left_out.push(dest.clone()),
                    }
                    // something in it may be brought back
                    self.below(&dest, all, &node, &inside)?;
                    self.left_out.truncate(above);
                }
                node if kept => {
                    if let Some(what) = What::of(node)? {
                        self.give(&dest, &what)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn give(&mut self, dest: &Path, what: &What) -> io::Result<()> {
        for directory in self.left_out.drain(..) {
            if matches!(self.files.target.resolve(&directory), Ok((_, Node::Missing))) {
                (self.take)(&directory, &What::NewDirectory)?;
            }
        }
        (self.take)(dest, what)
    }
}
