//! What is read of an archive or a directory: its files, and the images that they are parts of.

use crate::error::Result;
use crate::unpack::Unpacked;
use crate::{Digest, ImageRef};

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

/// One image of an archive: where its parts lie.
pub(super) struct Described {
    pub(super) names: Vec<ImageRef>,
    pub(super) config: Vec<u8>,
    /// Bottom first.
    pub(super) layers: Vec<String>,
    /// The OCI manifest, where there is one.
    pub(super) manifest: Option<Vec<u8>>,
}
