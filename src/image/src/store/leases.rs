//! Who needs what: holds keep an image for its containers, pins keep layers and blobs while a pull is not finished.

use super::Inner;
use crate::Digest;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// As long as one lives the image cannot be removed.
#[derive(Clone)]
pub struct Lease(#[expect(dead_code, reason = "held, not read")] Arc<LeasedImage>);

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

struct LeasedImage {
    store: Weak<Inner>,
    id: Digest,
}

#[derive(Default)]
pub(super) struct Leases(HashMap<Digest, usize>);

impl Leases {
    pub(super) fn take(&mut self, store: &Arc<Inner>, id: &Digest) -> Lease {
        *self.0.entry(id.clone()).or_default() += 1;
        Lease(Arc::new(LeasedImage { store: Arc::downgrade(store), id: id.clone() }))
    }

    pub(super) fn count(&self, id: &Digest) -> usize {
        self.0.get(id).copied().unwrap_or(0)
    }
}

impl Drop for LeasedImage {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            let mut state = store.state();
            release(&mut state.leases.0, &self.id);
        }
    }
}

/// Keeps chains and blobs that no image refers to yet.
pub(crate) struct Pin {
    store: Weak<Inner>,
    digests: Vec<Digest>,
}

#[derive(Default)]
pub(super) struct Pins(HashMap<Digest, usize>);

impl Pins {
    pub(super) fn holds(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }
}

impl Inner {
    pub(crate) fn pin(self: &Arc<Self>, digests: Vec<Digest>) -> Pin {
        let mut state = self.state();
        for digest in &digests {
            *state.pins.0.entry(digest.clone()).or_default() += 1;
        }
        Pin { store: Arc::downgrade(self), digests }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            let mut state = store.state();
            self.digests.iter().for_each(|digest| release(&mut state.pins.0, digest));
        }
    }
}

fn release(counts: &mut HashMap<Digest, usize>, digest: &Digest) {
    if let Some(count) = counts.get_mut(digest) {
        *count -= 1;
        if *count == 0 {
            counts.remove(digest);
        }
    }
}
