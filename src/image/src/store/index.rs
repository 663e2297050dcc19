//! What the store knows of its images, as the file `images.json`.

use super::ballast;
use super::blobs::write_durably;
use crate::digest::{is_hex, is_hex64};
use crate::error::{ImageError, Result, doing};
use crate::{Digest, ImageRef};
use cri::ImageInfo;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// `images.json`: what the store has, and by which names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    version: u32,
    /// By the digest of the configuration.
    pub(crate) images: BTreeMap<Digest, ImageRecord>,
    /// Full references, with tag or digest.
    pub(crate) names: BTreeMap<String, Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// Bottom first.
    pub(crate) layers: Vec<LayerRef>,
    /// The manifest that it was pulled by.
    pub(crate) manifest: Option<Digest>,
    pub(crate) user: Option<String>,
    pub(crate) added_at: Timestamp,
    /// The build step that it is the result of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<Digest>,
    /// Made on the way to another image: shown to nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hidden: bool,
    /// The boot in which it was unpacked, until its files are known to be on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unsynced: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRef {
    pub(crate) chain: Digest,
    pub(crate) diff_id: Digest,
    pub(crate) size: u64,
}

const FILE: &str = "images.json";
const VERSION: u32 = 1;
/// Shorter prefixes of an id are names.
const SHORTEST_PREFIX: usize = 4;

impl Index {
    /// A file that cannot be read is put aside under another name, and said; the layers stay for the next pull.
    pub(super) fn load(dir: &Path) -> Result<Index> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Index::empty()),
            Err(e) => return Err(ImageError::io(format!("read {}", path.display()), e)),
        };
        let why = match serde_json::from_slice::<Index>(&bytes) {
            Ok(index) if index.version == VERSION => return Ok(index),
            Ok(index) => format!("version {} where {VERSION} was expected", index.version),
            Err(e) => e.to_string(),
        };
        let aside = dir.join(format!("{FILE}.broken-{}", Timestamp::now().as_second()));
        std::fs::rename(&path, &aside).map_err(doing(format!("put the broken {} aside", path.display())))?;
        tracing::error!(
            "{} is broken ({why}): it is now {}, and the store starts without images",
            path.display(),
            aside.display()
        );
        Ok(Index::empty())
    }

    fn empty() -> Index {
        Index { version: VERSION, ..Index::default() }
    }

    pub(super) fn save(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(doing("encode the index of images"))?;
        let path = dir.join(FILE);
        let written = ballast::with_room(dir, || write_durably(&dir.join("tmp"), &path, &text));
        written.map_err(doing(format!("write {}", path.display())))?;
        ballast::take(dir);
        Ok(())
    }

    /// A name, an id, or an unambiguous beginning of one.
    pub(crate) fn resolve(&self, name_or_id: &str) -> Result<Digest> {
        let missing = || ImageError::NotFound(name_or_id.to_owned());
        if let Some(hex) = name_or_id.strip_prefix("sha256:") {
            return self.by_prefix(hex)?.ok_or_else(missing);
        }
        if is_hex64(name_or_id) {
            return self.by_prefix(name_or_id)?.ok_or_else(missing);
        }
        let named = ImageRef::parse(name_or_id).map(|name| self.names.get(&name.to_string()).cloned());
        match named {
            Ok(Some(id)) => Ok(id),
            Err(e) if !is_hex(name_or_id) => Err(e),
            _ if name_or_id.len() >= SHORTEST_PREFIX && is_hex(name_or_id) => {
                self.by_prefix(name_or_id)?.ok_or_else(missing)
            }
            _ => Err(missing()),
        }
    }

    fn by_prefix(&self, hex: &str) -> Result<Option<Digest>> {
        if hex.is_empty() || !is_hex(hex) {
            return Err(ImageError::InvalidName(format!("invalid image id {hex:?}")));
        }
        let mut found = self.images.keys().filter(|id| id.hex().starts_with(hex));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                Err(ImageError::InvalidName(format!("more than one image begins with {hex}")))
            }
            (id, _) => Ok(id.cloned()),
        }
    }

    pub(crate) fn names_of(&self, id: &Digest) -> impl Iterator<Item = &String> {
        self.names.iter().filter(move |(_, named)| *named == id).map(|(name, _)| name)
    }

    pub(crate) fn info(&self, id: &Digest) -> Option<ImageInfo> {
        let record = self.images.get(id)?;
        let (repo_digests, repo_tags) = self.names_of(id).cloned().partition(|name| name.contains('@'));
        Some(ImageInfo {
            id: id.to_string(),
            repo_tags,
            repo_digests,
            size: record.layers.iter().map(|layer| layer.size).sum(),
            user: record.user.clone(),
        })
    }
}
