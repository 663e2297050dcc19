//! Unpacked layers on the disk, and what is known of each.

use super::blobs::{digests_in, write_durably};
use super::provenance::Provenance;
use crate::Digest;
use crate::error::{ImageError, Result, doing};
use crate::unpack::{Compression, Unpacked, fit};
use rustix::fs::IFlags;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use trees::TempDir;

/// Unpacked layers by chain id. What has its place here is complete.
pub(crate) struct Layers {
    dir: PathBuf,
    tmp: PathBuf,
}

/// `layer.json`: what the store knows of a layer beside its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerFacts {
    pub(crate) diff_id: Digest,
    /// Bytes of all regular files.
    pub(crate) size: u64,
    /// As it came; registries know the layer by this.
    pub(crate) blob: Digest,
    pub(crate) blob_size: u64,
    pub(crate) compression: Compression,
    /// Bytes of the uncompressed tar.
    pub(crate) tar_size: u64,
    /// Forms in which registries got it from here, newest first.
    #[serde(default)]
    pub(crate) pushed: Vec<PackedLayer>,
    /// The boot of the machine in which it was unpacked.
    pub(crate) boot: String,
    /// Of those that are here from before it was written down, anybody's.
    #[serde(default)]
    pub(crate) provenance: Provenance,
}

/// A layer as a registry knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PackedLayer {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) compression: Compression,
}

impl LayerFacts {
    /// Every form that a registry may have, the likeliest first.
    pub(crate) fn packed(&self) -> Vec<PackedLayer> {
        let came =
            PackedLayer { digest: self.blob.clone(), size: self.blob_size, compression: self.compression };
        let came = Some(came).filter(|came| came.compression.is_for_registries());
        came.into_iter().chain(self.pushed.iter().cloned()).collect()
    }

    /// Whether the registry that gave it, as this blob, may say which of its repositories have it.
    pub(crate) fn came_from(&self, domain: &str, blob: &Digest) -> bool {
        self.blob == *blob && self.provenance.is_of(domain)
    }
}

const FACTS: &str = "layer.json";

impl Layers {
    pub(super) fn open(dir: PathBuf, tmp: PathBuf) -> Result<Layers> {
        std::fs::create_dir_all(&dir).map_err(doing(format!("create {}", dir.display())))?;
        spread(&tmp);
        Ok(Layers { dir, tmp })
    }

    pub(crate) fn path(&self, chain: &Digest) -> PathBuf {
        self.dir.join(chain.hex())
    }

    pub(crate) fn diff(&self, chain: &Digest) -> PathBuf {
        self.path(chain).join("diff")
    }

    pub(crate) fn facts(&self, chain: &Digest) -> Option<LayerFacts> {
        serde_json::from_slice(&std::fs::read(self.path(chain).join(FACTS)).ok()?).ok()
    }

    /// A directory for one that is being made; removed with its guard.
    pub(crate) fn temporary(&self) -> Result<TempDir> {
        TempDir::new_in(&self.tmp).map_err(doing("make a directory for a layer"))
    }

    /// Puts a finished layer into its place. `below`: the chain ids of the layers under it, topmost first, all in place.
    /// Where it is there already, it has come `from` there as well.
    pub(crate) fn place(
        &self,
        unpacked: Unpacked,
        chain: &Digest,
        below: &[Digest],
        from: Provenance,
    ) -> Result<LayerFacts> {
        let directory = unpacked.directory.path();
        let lower: Vec<PathBuf> = below.iter().map(|chain| self.diff(chain)).collect();
        fit(directory, &unpacked.implied, &lower)?;
        let facts = LayerFacts {
            diff_id: unpacked.diff_id,
            size: unpacked.size,
            blob: unpacked.blob,
            blob_size: unpacked.blob_size,
            compression: unpacked.compression,
            tar_size: unpacked.tar_size,
            pushed: Vec::new(),
            boot: super::boot_id(),
            provenance: from.clone(),
        };
        write_facts(directory, &facts)?;
        match std::fs::rename(directory, self.path(chain)) {
            Ok(()) => drop(unpacked.directory.keep()),
            // somebody else was faster, and has the same
            Err(_) if self.facts(chain).is_some() => self.extend_provenance(chain, from)?,
            Err(e) => return Err(ImageError::io(format!("put layer {} into its place", chain.short()), e)),
        }
        Ok(facts)
    }

    /// Keeps in mind that a registry has the layer in this form.
    pub(crate) fn remember_pushed(&self, chain: &Digest, packed: PackedLayer) -> Result<()> {
        let Some(mut facts) = self.facts(chain).filter(|facts| !facts.packed().contains(&packed)) else {
            return Ok(());
        };
        facts.pushed.insert(0, packed);
        self.replace_facts(chain, &facts)
    }

    /// Keeps in mind who else has given a layer that is here.
    pub(crate) fn extend_provenance(&self, chain: &Digest, from: Provenance) -> Result<()> {
        let Some(mut facts) = self.facts(chain) else { return Ok(()) };
        let before = facts.provenance.clone();
        facts.provenance.extend(from);
        if facts.provenance == before { Ok(()) } else { self.replace_facts(chain, &facts) }
    }

    /// Of two who do it at once, what one has to say is lost: then a registry is asked once more than it had to be. It is on the
    /// disk before it takes the place of what was synced: a layer whose facts a power cut has emptied is none.
    fn replace_facts(&self, chain: &Digest, facts: &LayerFacts) -> Result<()> {
        let text = serde_json::to_vec(facts).map_err(doing("write layer.json"))?;
        write_durably(&self.tmp, &self.path(chain).join(FACTS), &text).map_err(doing("write layer.json"))
    }

    /// Takes a layer or a blob out of sight; its space is freed when the guard goes.
    pub(super) fn take_away(&self, path: &Path) -> Result<TempDir> {
        let trash = TempDir::new_in(&self.tmp).map_err(doing("make a directory for what is removed"))?;
        std::fs::rename(path, trash.path().join("removed"))
            .map_err(doing(format!("remove {}", path.display())))?;
        Ok(trash)
    }

    pub(super) fn all(&self) -> Vec<Digest> {
        digests_in(&self.dir)
    }
}

/// ext4 takes no inode again that was freed in the last minutes, and places a directory's files near it: where layers and build
/// contexts come and go in one place, it passes over thousands of inodes for each new file, which takes longer than all the
/// rest. What is made in a directory with this mark (`T` of chattr(1)) begins somewhere else each time. Other file systems do not
/// know it, and need not.
fn spread(dir: &Path) {
    let marked = std::fs::File::open(dir).and_then(|dir| {
        let flags = rustix::fs::ioctl_getflags(&dir)?;
        Ok(rustix::fs::ioctl_setflags(&dir, flags | IFlags::TOPDIR)?)
    });
    if let Err(error) = marked {
        tracing::debug!(%error, dir = %dir.display(), "not marked as a top of hierarchies");
    }
}

fn write_facts(directory: &Path, facts: &LayerFacts) -> Result<()> {
    let text = serde_json::to_vec(facts).map_err(doing("write layer.json"))?;
    std::fs::write(directory.join(FACTS), text).map_err(doing("write layer.json"))
}
