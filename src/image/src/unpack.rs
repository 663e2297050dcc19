//! One layer, from the bytes as they arrive to a directory ready to be renamed into its place.
//!
//! Two threads overlap with whoever feeds them: this one hashes, inflates and hashes again; the other untars. Memory is a
//! few bounded buffers, whatever the layer's size. Nothing is trusted before the digests are compared by the caller, and
//! nothing is written outside the directory, whatever the archive says (see `tree.rs`).

mod apply;
mod attributes;
mod decode;
mod feed;
#[cfg(test)]
mod fuzz;
mod headers;
#[cfg(test)]
mod hostile;
mod lower;
mod refusal;
mod sparse;
mod tee;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use attributes::is_kept;
pub(crate) use decode::Compression;
pub use decode::unpacked;
pub(crate) use feed::{Feed, FeedSender};
pub use headers::{BoundedHeaders, Content, HeaderBound};
pub(crate) use lower::fit;
pub(crate) use tree::clean;

use crate::Digest;
use crate::error::{ImageError, Result};
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use tokio::sync::mpsc;
use trees::TempDir;

/// Chunks that wait between the network and the inflater: 16 KiB at first, up to 400 KiB where a connection is fast.
const FEED_DEPTH: usize = 8;
/// Blocks of [`decode::BLOCK`] that wait between the inflater and the untarer.
const BLOCKS: usize = 8;

/// A layer's directory, complete but not yet in its place: `diff`, `recipe` and perhaps `shadowed` are in it.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) directory: TempDir,
    /// sha256 of the uncompressed tar.
    pub(crate) diff_id: Digest,
    /// What came in: its digest and length.
    pub(crate) blob: Digest,
    pub(crate) blob_size: u64,
    /// Bytes of the uncompressed tar.
    pub(crate) tar_size: u64,
    pub(crate) compression: Compression,
    /// Bytes of all regular files.
    pub(crate) size: u64,
    /// Directories that the archive used without describing them: see `lower.rs`.
    pub(crate) implied: Vec<PathBuf>,
}

/// Starts unpacking into `directory`. `told` hears how many bytes of the input are through. Dropping the sender without
/// [`Feed::End`] gives up, and the directory goes.
pub(crate) fn start(
    directory: TempDir,
    told: impl FnMut(u64) + Send + 'static,
) -> (FeedSender, tokio::task::JoinHandle<Result<Unpacked>>) {
    let (sender, receiver) = mpsc::channel(FEED_DEPTH);
    (sender, tokio::task::spawn_blocking(move || unpack(directory, receiver, told)))
}

pub(crate) fn unpack(
    directory: TempDir,
    mut input: mpsc::Receiver<Feed>,
    told: impl FnMut(u64) + Send,
) -> Result<Unpacked> {
    let (blocks, untar_input) = sync_channel(BLOCKS);
    let path = directory.path();
    let (decoded, applied) = std::thread::scope(|scope| {
        let untar = std::thread::Builder::new()
            .name("untar".into())
            .spawn_scoped(scope, move || apply::untar(path, feed::reader(move || untar_input.recv().ok())));
        let decoded = decode::decode(feed::reader(|| input.blocking_recv()), blocks, told);
        let applied = match untar {
            Ok(handle) => {
                handle.join().unwrap_or_else(|_| Err(ImageError::io("unpack", "the untar thread panicked")))
            }
            Err(e) => Err(ImageError::io("start the untar thread", e)),
        };
        (decoded, applied)
    });
    // where both failed, the one that the other only heard of says nothing new
    let (decoded, applied) = match (decoded, applied) {
        (Ok(decoded), Ok(applied)) => (decoded, applied),
        (Err(decode::Failed::NobodyListens), Err(e)) | (Ok(_), Err(e)) => return Err(e),
        (Err(decode::Failed::NobodyListens), Ok(_)) => {
            return Err(ImageError::Refused("layer: data after the archive could not be read".into()));
        }
        (Err(decode::Failed::Because(e)), _) => return Err(e),
    };
    Ok(Unpacked {
        diff_id: decoded.diff_id,
        blob: decoded.blob,
        blob_size: decoded.blob_size,
        tar_size: decoded.tar_size,
        compression: decoded.compression,
        size: applied.size,
        implied: applied.implied,
        directory,
    })
}
