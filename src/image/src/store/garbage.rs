//! What nobody refers to goes, and what the disk lost is forgotten.

use super::sync::boot_id;
use super::{Inner, State};
use crate::Digest;
use crate::error::Result;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};
use trees::TempDir;

/// Layers of a pull that was killed wait so long for the next try; then the start of the daemon takes them away.
const ORPHANS_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What is out of sight already, and is deleted when this goes.
#[derive(Default)]
pub(super) struct Collected {
    trash: Vec<TempDir>,
    /// By their chain ids.
    pub(super) layers: Vec<Digest>,
    /// Bytes of the layers.
    pub(super) freed: u64,
}

impl Collected {
    fn put(&mut self, taken: Result<TempDir>) -> bool {
        let taken = taken.inspect_err(|error| tracing::warn!(%error, "left behind until the next start"));
        let is_taken = taken.is_ok();
        self.trash.extend(taken);
        is_taken
    }

    /// The layers as Docker names them.
    pub(super) fn told(&self) -> impl Iterator<Item = String> {
        self.layers.iter().map(Digest::to_string)
    }
}

impl Inner {
    /// Takes layers and blobs out of sight that no image and no pull needs. The index must be on the disk before: what is
    /// gone by then was in no index.
    pub(super) fn collect(&self) -> Collected {
        let state = self.state();
        let mut collected = Collected::default();
        let (layers, blobs) = self.unneeded(&state);
        for chain in layers {
            let size = self.layers.facts(&chain).map_or(0, |facts| facts.size);
            if collected.put(self.layers.take_away(&self.layers.path(&chain))) {
                collected.freed += size;
                collected.layers.push(chain);
            }
        }
        for blob in blobs {
            collected.put(self.layers.take_away(&self.blobs.path(&blob)));
        }
        collected
    }

    /// Layers and blobs.
    fn unneeded(&self, state: &State) -> (Vec<Digest>, Vec<Digest>) {
        let mut needed: HashSet<&Digest> = HashSet::new();
        for (id, image) in &state.index.images {
            needed.insert(id);
            needed.extend(&image.manifest);
            needed.extend(image.layers.iter().map(|layer| &layer.chain));
        }
        let unneeded = |digest: &Digest| !needed.contains(digest) && !state.pins.holds(digest);
        let of = |all: Vec<Digest>| all.into_iter().filter(|digest| unneeded(digest)).collect();
        (of(self.layers.all()), of(self.blobs.all()))
    }

    /// At the start: drops images whose files did not survive (a power cut before they were synced, a hand in the
    /// directory), and layers that waited long enough for a second try.
    pub(super) fn forget_what_the_disk_lost(&self) -> Result<()> {
        let mut lost: Vec<Digest> = Vec::new();
        {
            let state = self.state();
            let boot = boot_id();
            for (id, image) in &state.index.images {
                let power_cut = image.unsynced.as_ref().is_some_and(|unpacked_in| *unpacked_in != boot);
                let missing = image.layers.iter().any(|layer| self.layers.facts(&layer.chain).is_none());
                if power_cut || missing || self.blobs.read(id).is_err() {
                    tracing::warn!(image = %id, power_cut, missing, "image is not whole on disk: forgotten, pull it again");
                    lost.push(id.clone());
                }
            }
        }
        if !lost.is_empty() {
            self.change(|state| {
                for id in &lost {
                    state.index.names.retain(|_, named| named != id);
                    state.index.images.remove(id);
                }
                Ok(())
            })?;
            drop(self.collect());
        }
        let (layers, blobs) = self.unneeded(&self.state());
        let layers = layers.iter().map(|chain| self.layers.path(chain));
        let orphans = layers.chain(blobs.iter().map(|blob| self.blobs.path(blob)));
        for old in orphans.filter(|path| age(path) > ORPHANS_WAIT) {
            drop(self.layers.take_away(&old)?);
        }
        self.distrust_orphans(&boot_id())
    }

    /// A layer without an image that was unpacked before the last boot was perhaps never synced.
    fn distrust_orphans(&self, boot: &str) -> Result<()> {
        let needed: HashSet<Digest> =
            self.state().index.images.values().flat_map(|i| &i.layers).map(|l| l.chain.clone()).collect();
        for chain in self.layers.all().into_iter().filter(|chain| !needed.contains(chain)) {
            if self.layers.facts(&chain).is_none_or(|facts| facts.boot != boot) {
                drop(self.layers.take_away(&self.layers.path(&chain))?);
            }
        }
        Ok(())
    }
}

fn age(path: &Path) -> Duration {
    let changed = std::fs::symlink_metadata(path).and_then(|m| m.modified());
    changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default()
}
