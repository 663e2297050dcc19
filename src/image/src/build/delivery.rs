//! For protocols that send a result elsewhere than into the store, or get directories beside the context.

use super::context::Context;
use super::ignore::Ignore;
use super::options::BuildSsh;
use super::view::{Node, View, entries, next_entry};
use super::{BuildContext, BuildError};
use crate::error::{ImageError, Result, doing};
use crate::load::Unpacking;
use crate::store::{ImageRecord, ImageStore, Pruned};
use crate::{Digest, ImageRef, upper};
use cri::{ImageInfo, blocking};
use rustix::fs::FileType;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::SyncIoBridge;
use tokio_util::sync::CancellationToken;
use trees::{Listings, TempDir};

/// Of the files that one wants to hear of as a whole, about; half a million, with usual paths.
const MOST_LISTED: usize = 256 << 20;
/// What one takes beside its paths.
const LISTED: usize = 64;

/// What a path in an image leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPath {
    /// Where it lies.
    pub source: PathBuf,
    /// Of a directory: names, and where they lie.
    pub entries: Vec<(String, PathBuf)>,
}

impl ImageStore {
    /// Makes the result of a hidden build an image that is shown, under these names. Blocks.
    pub fn publish(&self, id: &str, names: &[ImageRef]) -> Result<ImageInfo> {
        self.inner.publish(&Digest::parse(id)?, names, false)
    }

    /// A directory of a client, sent as a tar; nothing in it leads out. It goes when it is dropped, or with the next start.
    pub async fn unpack_context(&self, tar: impl AsyncRead + Send + Unpin + 'static) -> Result<TempDir> {
        let (store, tar) = (self.inner.clone(), SyncIoBridge::new(tar));
        blocking(move || {
            let mut unpacking = Unpacking::start(&store)?;
            unpacking.feed(tar)?;
            let unpacked = unpacking.wait()?;
            let directory = store.layers.temporary()?;
            std::fs::rename(unpacked.directory.path().join("diff"), directory.path())
                .map_err(doing("unpack"))?;
            Ok(directory)
        })
        .await
    }

    /// What an address gives as a context that has a name: a repository, or an archive.
    pub async fn fetch_context(&self, url: &str, ssh: Option<&dyn BuildSsh>) -> Result<TempDir, BuildError> {
        let gone = CancellationToken::new();
        let _left = gone.clone().drop_guard();
        let fetched = BuildContext::Url(url.to_owned());
        let context = Context::open(&self.inner, fetched, "", ssh, &gone).await?;
        let store = self.inner.clone();
        Ok(blocking(move || context.into_directory(&store)).await?)
    }

    /// A directory of this machine as a context that has a name.
    pub async fn copy_directory(&self, directory: &Path) -> Result<TempDir> {
        let (store, from) = (self.inner.clone(), directory.to_owned());
        let gone = CancellationToken::new();
        let _left = gone.clone().drop_guard();
        blocking(move || super::directory::copy(&store, &from, &Ignore::default(), &[], &gone)).await
    }

    /// Removes the steps of builds that no visible image is, those of before this time. Blocks.
    pub fn prune_build_cache_before(&self, time: jiff::Timestamp) -> Result<Pruned> {
        self.prune_where(|index, id| {
            let is_old_step = |image: &ImageRecord| image.hidden && image.added_at <= time;
            index.images.get(id).is_some_and(is_old_step) && index.names_of(id).next().is_none()
        })
    }

    /// Everything that a container of the image would see, by its path and by where it lies: parents first, names in the
    /// order of their bytes. Blocks.
    ///
    /// # Errors
    /// There is no such image, its files could not be read, or are more than one list should have: [`ImageStore::write_files`]
    /// has no bound.
    pub fn files(&self, name_or_id: &str) -> Result<Vec<(String, PathBuf)>> {
        let rootfs = self.inner.rootfs(name_or_id)?;
        let all = listed(&View { layers: rootfs.layers }.root(), MOST_LISTED);
        all.map_err(doing(format!("list the files of {name_or_id}")))
    }

    /// What a path leads to in the image, links being followed inside of it. Blocks.
    pub fn find(&self, name_or_id: &str, path: &str) -> Result<Option<FoundPath>> {
        let rootfs = self.inner.rootfs(name_or_id)?;
        let found = View { layers: rootfs.layers }.resolve(Path::new(path));
        Ok(match found.map_err(ImageError::Refused)? {
            (_, Node::File(source) | Node::Symlink(source)) => {
                Some(FoundPath { source, entries: Vec::new() })
            }
            (_, Node::Missing) => None,
            (_, node @ Node::Directory(_)) => {
                let Some(source) = place(&node) else { return Ok(None) };
                let entries = listed_in(&node, MOST_LISTED).map_err(doing(format!("list {path}")))?;
                Some(FoundPath { source, entries })
            }
        })
    }

    /// The same as one tar.
    pub async fn write_files(
        &self,
        name_or_id: &str,
        out: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<()> {
        let rootfs = self.rootfs(name_or_id)?;
        let (out, name) = (SyncIoBridge::new(out), name_or_id.to_owned());
        blocking(move || {
            let root = View { layers: rootfs.layers }.root();
            let mut tar = Builder::new(BufWriter::new(out));
            tar.follow_symlinks(false);
            let mut written = || {
                walk(&root, &mut |path, source| append(&mut tar, Path::new(&path), &source))?;
                tar.finish()?;
                tar.get_mut().flush()
            };
            let done = written().map_err(doing(format!("write the files of {name}")));
            // until here nobody takes its layers away
            drop(rootfs.hold);
            done
        })
        .await
    }
}

/// Where it lies; of a directory, the part that has its attributes.
fn place(node: &Node) -> Option<PathBuf> {
    match node {
        Node::Missing => None,
        Node::Symlink(source) | Node::File(source) => Some(source.clone()),
        Node::Directory(parts) => parts.first().cloned(),
    }
}

/// All below a directory, without a stack for each level: an image may have two thousand of them.
fn walk(root: &Node, take: &mut dyn FnMut(String, PathBuf) -> io::Result<()>) -> io::Result<()> {
    let listings = Listings::default();
    let mut levels = vec![(String::new(), root.clone(), listings.names())];
    while let Some((inside, directory, names)) = levels.last_mut() {
        let Some((name, node)) = next_entry(directory, names)? else {
            levels.pop();
            continue;
        };
        let name = name.to_string_lossy();
        let path = if inside.is_empty() { name.into_owned() } else { format!("{inside}/{name}") };
        if let Some(source) = place(&node) {
            take(path.clone(), source)?;
        }
        if matches!(node, Node::Directory(_)) {
            levels.push((path, node, listings.names()));
        }
    }
    Ok(())
}

fn listed(root: &Node, most: usize) -> io::Result<Vec<(String, PathBuf)>> {
    let mut list = List { found: Vec::new(), left: most };
    walk(root, &mut |path, source| list.add(path, source))?;
    Ok(list.found)
}

/// What is in a directory itself.
fn listed_in(directory: &Node, most: usize) -> io::Result<Vec<(String, PathBuf)>> {
    let mut list = List { found: Vec::new(), left: most };
    for entry in entries(directory, &Listings::default()) {
        let (name, node) = entry?;
        if let Some(source) = place(&node) {
            list.add(name.to_string_lossy().into_owned(), source)?;
        }
    }
    Ok(list.found)
}

struct List {
    found: Vec<(String, PathBuf)>,
    /// Bytes that it may still take.
    left: usize,
}

impl List {
    fn add(&mut self, path: String, source: PathBuf) -> io::Result<()> {
        let left = self.left.checked_sub(LISTED + path.len() + source.as_os_str().len());
        self.left = left.ok_or_else(|| io::Error::other("too many files for a directory"))?;
        self.found.push((path, source));
        Ok(())
    }
}

fn append(tar: &mut Builder<impl Write>, path: &Path, source: &Path) -> io::Result<()> {
    let meta = std::fs::symlink_metadata(source)?;
    let kind = match FileType::from_raw_mode(meta.mode()) {
        FileType::Directory => EntryType::Directory,
        FileType::RegularFile => EntryType::Regular,
        FileType::Symlink => EntryType::Symlink,
        FileType::CharacterDevice => EntryType::Char,
        FileType::BlockDevice => EntryType::Block,
        FileType::Fifo => EntryType::Fifo,
        _ => return Ok(()),
    };
    let kept = upper::attributes(source)?;
    if !kept.is_empty() && kind != EntryType::Symlink {
        let named = kept.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value));
        let named: Vec<(String, &Vec<u8>)> = named.collect();
        tar.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
    }
    let mut header = upper::header(&meta, kind);
    match kind {
        EntryType::Symlink => tar.append_link(&mut header, path, std::fs::read_link(source)?),
        EntryType::Directory => tar.append_data(&mut header, path.join(""), io::empty()),
        EntryType::Regular => {
            header.set_size(meta.len());
            tar.append_data(&mut header, path, std::fs::File::open(source)?)
        }
        EntryType::Char | EntryType::Block => {
            header.set_device_major(rustix::fs::major(meta.rdev()))?;
            header.set_device_minor(rustix::fs::minor(meta.rdev()))?;
            tar.append_data(&mut header, path, io::empty())
        }
        _ => tar.append_data(&mut header, path, io::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_parents_first_and_a_list_has_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let (upper, lower) = (dir.path().join("upper"), dir.path().join("lower"));
        for directory in [upper.join("b/d"), lower.join("b/c"), lower.join("a")] {
            std::fs::create_dir_all(directory).unwrap();
        }
        std::fs::write(lower.join("a-file"), "x").unwrap();
        let root = View { layers: vec![upper.clone(), lower.clone()] }.root();
        let found = listed(&root, MOST_LISTED).unwrap();
        let want = [
            ("a", lower.join("a")),
            ("a-file", lower.join("a-file")),
            ("b", upper.join("b")),
            ("b/c", lower.join("b/c")),
            ("b/d", upper.join("b/d")),
        ];
        assert_eq!(found, want.map(|(path, source)| (path.to_owned(), source)));
        assert_eq!(listed(&root, 200).unwrap_err().to_string(), "too many files for a directory");
        let found = listed_in(&root, MOST_LISTED).unwrap();
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "a-file", "b"]);
        assert_eq!(listed_in(&root, 100).unwrap_err().to_string(), "too many files for a directory");
    }
}
