//! Reads an archive of images from front to back, once: layers are unpacked as they come, and what is small is kept until the
//! manifests, which may come last, say what it is.

use super::Unpacking;
use super::contents::{Contents, MAX_SMALL};
use crate::Digest;
use crate::error::{ImageError, Result, out_of_io};
use crate::manifest::MAX_CONFIG;
use crate::store::{Inner, Pin};
use crate::unpack::{self, BoundedHeaders, Compression, Unpacked};
use std::collections::{HashMap, VecDeque};
use std::io::{BufReader, Cursor, Read};
use std::path::{Component, Path};
use std::sync::Arc;

/// Archives with more files than this hold something else.
const MAX_ENTRIES: usize = 100_000;
/// Layers that unpack at a time while the archive is read on.
const PARALLEL: usize = 3;
/// From one layer's name to another's.
const MAX_LINKS: usize = 8;
/// A tar's first header.
const HEAD: usize = 512;

/// An archive that was read to its end.
pub(super) struct Archive {
    small: HashMap<String, Vec<u8>>,
    /// What looked like a layer, and what came of it.
    layers: HashMap<String, Result<Unpacked>>,
    /// Older archives name a layer that two images share by a link.
    links: HashMap<String, String>,
    /// Layers that were read over, because the store has them: they stay until the images are made.
    held: Vec<Pin>,
}

pub(super) fn read(store: &Arc<Inner>, reader: impl Read) -> Result<Archive> {
    let reader = BufReader::with_capacity(super::BLOCK, reader);
    read_tar(store, unpack::unpacked(reader).map_err(|e| out_of_io("read archive", e))?)
}

fn read_tar(store: &Arc<Inner>, reader: impl Read) -> Result<Archive> {
    let mut archive =
        Archive { small: HashMap::new(), layers: HashMap::new(), links: HashMap::new(), held: Vec::new() };
    let mut running: VecDeque<(String, Unpacking)> = VecDeque::new();
    let mut small_left = MAX_SMALL;
    let (reader, bound) = BoundedHeaders::new(reader);
    let mut tar = tar::Archive::new(reader);
    let failed = |e| out_of_io("read archive", e);
    for (count, entry) in tar.entries().map_err(failed)?.enumerate() {
        let mut entry = entry.map_err(failed)?;
        if count >= MAX_ENTRIES {
            return Err(ImageError::Refused(format!("archive: more than {MAX_ENTRIES} entries")));
        }
        bound.entry(&mut entry).map_err(failed)?;
        let Some(path) = plain(&entry.path_bytes()) else { continue };
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            keep(&mut small_left, path.len() + target.len())?;
            archive.links.extend(link(&path, &target, kind.is_symlink()).map(|target| (path, target)));
            continue;
        }
        if !kind.is_file() {
            continue;
        }
        if let Some(pin) = held(store, &path) {
            archive.held.push(pin);
            continue;
        }
        match read_head(&mut entry).map_err(failed)? {
            Head::Layer(head) => {
                keep(&mut small_left, path.len())?;
                if running.len() >= PARALLEL {
                    archive.finish(running.pop_front());
                }
                let mut unpacking = Unpacking::start(store)?;
                unpacking.feed(Cursor::new(head).chain(entry))?;
                running.push_back((path, unpacking));
            }
            Head::Small(mut bytes) => {
                keep(&mut small_left, path.len())?;
                entry.take(MAX_CONFIG.min(small_left)).read_to_end(&mut bytes).map_err(failed)?;
                small_left = small_left.saturating_sub(bytes.len() as u64);
                archive.small.insert(path, bytes);
            }
            Head::Other => {}
        }
    }
    running.into_iter().for_each(|done| archive.finish(Some(done)));
    Ok(archive)
}

/// Takes what is kept in memory from what may be.
fn keep(left: &mut u64, bytes: usize) -> Result<()> {
    let too_much = || ImageError::Refused(format!("archive: more than {} MiB of names", MAX_SMALL >> 20));
    *left = left.checked_sub(bytes as u64).ok_or_else(too_much)?;
    Ok(())
}

enum Head {
    Layer(Vec<u8>),
    Small(Vec<u8>),
    Other,
}

/// Archives do not say what an entry is before their manifest, which may come last: its first bytes do.
fn read_head(entry: &mut impl Read) -> std::io::Result<Head> {
    let mut head = Vec::with_capacity(HEAD);
    entry.take(HEAD as u64).read_to_end(&mut head)?;
    let looks_like_json = matches!(head.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'['));
    let looks_like_layer = Compression::sniff(&head) != Compression::None || is_tar(&head);
    Ok(if looks_like_json && !looks_like_layer {
        Head::Small(head)
    } else if looks_like_layer {
        Head::Layer(head)
    } else {
        Head::Other
    })
}

/// A header with a right checksum, or the zeros that are a whole empty archive.
fn is_tar(head: &[u8]) -> bool {
    if head.len() < HEAD {
        return false;
    }
    let unsummed = head[..148].iter().chain(&head[156..]).fold(8 * 32, |sum, byte| sum + u32::from(*byte));
    let sum = tar::Header::from_byte_slice(head).cksum();
    head.iter().all(|byte| *byte == 0) || sum.is_ok_and(|sum| sum == unsummed)
}

/// A layer of this name is in the store already: it is not even read.
fn held(store: &Arc<Inner>, path: &str) -> Option<Pin> {
    let hex = path.rsplit('/').next().unwrap_or(path);
    let digest = Digest::parse(&format!("sha256:{hex}")).ok()?;
    store.layer_with(&digest).map(|(_, pin)| pin)
}

/// A relative path without `.`; `None` for those that climb or start at the root: nothing of ours is called that.
pub(super) fn plain(bytes: &[u8]) -> Option<String> {
    join(Vec::new(), std::str::from_utf8(bytes).ok()?)
}

fn link(from: &str, target: &[u8], is_symlink: bool) -> Option<String> {
    let mut base: Vec<&str> = from.split('/').collect();
    base.pop();
    join(if is_symlink { base } else { Vec::new() }, std::str::from_utf8(target).ok()?)
}

fn join<'p>(mut parts: Vec<&'p str>, path: &'p str) -> Option<String> {
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => _ = parts.pop()?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

impl Archive {
    fn finish(&mut self, done: Option<(String, Unpacking)>) {
        if let Some((path, unpacking)) = done {
            self.layers.insert(path, unpacking.wait());
        }
    }

    /// Over a few links: more are a loop.
    fn follow<'p>(&'p self, path: &'p str) -> &'p str {
        (0..MAX_LINKS).fold(path, |path, _| self.links.get(path).map_or(path, String::as_str))
    }
}

fn missing(path: &str) -> ImageError {
    ImageError::Refused(format!("the archive has no {path}"))
}

impl Contents for Archive {
    fn small(&mut self, path: &str) -> Result<Vec<u8>> {
        self.small.get(self.follow(path)).cloned().ok_or_else(|| missing(path))
    }

    fn has(&self, path: &str) -> bool {
        self.small.contains_key(self.follow(path))
    }

    fn diff_id(&self, path: &str) -> Result<Digest> {
        let unpacked = self.layers.get(self.follow(path)).ok_or_else(|| missing(path))?;
        unpacked.as_ref().map(|layer| layer.diff_id.clone()).map_err(|e| e.clone().within(path))
    }

    fn layer(&mut self, path: &str) -> Result<Unpacked> {
        let followed = self.follow(path).to_owned();
        let unpacked = self.layers.remove(&followed).ok_or_else(|| missing(path))?;
        unpacked.map_err(|e| e.within(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_archives_stay_in_the_archive() {
        for (name, path, want) in [
            ("plain", "blobs/sha256/x", Some("blobs/sha256/x")),
            ("dotted", "./a/./b", Some("a/b")),
            ("inner climb", "a/../b", Some("b")),
            ("climbing", "../a", None),
            ("absolute", "/a", None),
        ] {
            assert_eq!(plain(path.as_bytes()).as_deref(), want, "{name}");
        }
        assert_eq!(link("a/layer.tar", b"../b/layer.tar", true).as_deref(), Some("b/layer.tar"));
        assert_eq!(link("a/layer.tar", b"b/layer.tar", false).as_deref(), Some("b/layer.tar"));
        assert_eq!(link("a/layer.tar", b"../../b", true), None);
    }

    #[test]
    fn a_layer_is_told_from_a_document_by_its_head() {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_cksum();
        let kind = |bytes: &[u8]| match read_head(&mut &bytes[..]).unwrap() {
            Head::Layer(_) => "layer",
            Head::Small(_) => "small",
            Head::Other => "other",
        };
        assert_eq!(kind(header.as_bytes()), "layer");
        assert_eq!(kind(&[0; 1024]), "layer", "an empty archive");
        assert_eq!(kind(b"\x1f\x8b\x08"), "layer");
        assert_eq!(kind(b" {\"a\":1}"), "small");
        assert_eq!(kind(b"1.0"), "other");
    }
}
