//! What is read of an archive or a directory: its files, and the images that they are parts of.

use crate::error::{ImageError, Result};
use crate::unpack::Unpacked;
use crate::{Digest, ImageRef};

/// Bytes of all manifests and configurations of an archive together, and of the names in it.
pub(super) const MAX_SMALL: u64 = 64 << 20;

/// Where the parts of images lie: an archive that was read, or a directory.
pub(super) trait Contents {
    /// A small file, whole.
    fn small(&mut self, path: &str) -> Result<Vec<u8>>;
    fn has(&self, path: &str) -> bool;
    /// Of a layer that nothing else in the archive describes.
    fn diff_id(&self, path: &str) -> Result<Digest>;
    /// A layer; each can be had once.
    fn layer(&mut self, path: &str) -> Result<Unpacked>;
}

/// Contents that hand out no more of small files than an archive may hold of them, however often the same one is asked for: a list
/// of images may name one configuration thousands of times, and each image has its own copy.
pub(super) struct Bounded<'c, C> {
    contents: &'c mut C,
    left: u64,
}

impl<'c, C: Contents> Bounded<'c, C> {
    pub(super) fn new(contents: &'c mut C) -> Self {
        Bounded { contents, left: MAX_SMALL }
    }
}

impl<C: Contents> Contents for Bounded<'_, C> {
    fn small(&mut self, path: &str) -> Result<Vec<u8>> {
        let bytes = self.contents.small(path)?;
        let too_much = || {
            let bound = MAX_SMALL >> 20;
            ImageError::Refused(format!("archive: more than {bound} MiB of manifests and configurations"))
        };
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(too_much)?;
        Ok(bytes)
    }

    fn has(&self, path: &str) -> bool {
        self.contents.has(path)
    }

    fn diff_id(&self, path: &str) -> Result<Digest> {
        self.contents.diff_id(path)
    }

    fn layer(&mut self, path: &str) -> Result<Unpacked> {
        self.contents.layer(path)
    }
}

/// One image of an archive: where its parts lie.
pub(super) struct Described {
    pub(super) names: Vec<ImageRef>,
    pub(super) config: Vec<u8>,
    /// Bottom first.
    pub(super) layers: Vec<String>,
    /// The OCI manifest, where there is one.
    pub(super) manifest: Option<Vec<u8>>,
}
