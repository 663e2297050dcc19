//! Packs a layer while it is sent, the same bytes each time, so that an upload can go on.

use crate::Digest;
use crate::digest::Hasher;
use crate::error::Result;
use crate::registry::{Body, Source};
use crate::tar_split::TarSplitReader;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use parking_lot::Mutex;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// How hard a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Over a network: most of what gzip can win, at half of the time of its default.
    Network,
    /// To a registry on this machine there is no line to wait for: half of the time again, for a sixth more bytes.
    Loopback,
}

impl Effort {
    fn level(self) -> Compression {
        Compression::new(match self {
            Effort::Network => 4,
            Effort::Loopback => 1,
        })
    }
}

/// Bytes read, packed and told of at once.
const BLOCK: usize = 256 << 10;
/// Packed blocks that wait for the network.
const DEPTH: usize = 8;

/// A layer, packed while it is sent. Packing the same again gives the same bytes, so that an upload can go on.
pub(super) struct PackedStream<T> {
    layer: PathBuf,
    effort: Effort,
    told: Arc<T>,
    sent: Arc<Mutex<Option<(Digest, u64)>>>,
}

impl<T: Fn(u64) + Send + Sync + 'static> PackedStream<T> {
    /// `told` hears how many bytes of the tar are through.
    pub(super) fn new(layer: PathBuf, effort: Effort, told: T) -> PackedStream<T> {
        PackedStream { layer, effort, told: Arc::new(told), sent: Arc::default() }
    }
}

impl<T: Fn(u64) + Send + Sync + 'static> Source for PackedStream<T> {
    fn body(&self, offset: u64) -> Result<Body> {
        *self.sent.lock() = None;
        let (sender, receiver) = mpsc::channel(DEPTH);
        let (layer, level) = (self.layer.clone(), self.effort.level());
        let (told, sent) = (self.told.clone(), self.sent.clone());
        tokio::task::spawn_blocking(move || {
            let packed = Sink { sender: sender.clone(), hasher: Hasher::new(), skip: offset };
            match pack(&layer, level, packed, &*told) {
                Ok(done) => *sent.lock() = Some(done),
                // where nobody listens, there is nobody to tell
                Err(error) => _ = sender.blocking_send(Err(error)),
            }
        });
        let frames = stream::unfold(receiver, |mut receiver| async move {
            let piece: Option<io::Result<Bytes>> = receiver.recv().await;
            piece.map(|piece| (piece.map(Frame::data), receiver))
        });
        Ok(StreamBody::new(frames).boxed_unsync())
    }

    fn sent(&self) -> Option<(Digest, u64)> {
        self.sent.lock().clone()
    }
}

fn pack(layer: &Path, level: Compression, sink: Sink, told: &dyn Fn(u64)) -> io::Result<(Digest, u64)> {
    let mut tar = TarSplitReader::open(layer).map_err(io::Error::other)?;
    let mut packer = GzEncoder::new(io::BufWriter::with_capacity(BLOCK, sink), level);
    let mut block = vec![0; BLOCK];
    let mut through = 0;
    loop {
        let got = tar.read(&mut block)?;
        if got == 0 {
            break;
        }
        packer.write_all(&block[..got])?;
        if (through + got as u64) / BLOCK as u64 != through / BLOCK as u64 {
            told(through + got as u64);
        }
        through += got as u64;
    }
    told(through);
    let sink = packer.finish()?.into_inner().map_err(|e| e.into_error())?;
    Ok((sink.hasher.digest(), sink.hasher.length))
}

/// Hashes all, and sends what the registry has not.
struct Sink {
    sender: mpsc::Sender<io::Result<Bytes>>,
    hasher: Hasher,
    skip: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        let known = self.skip.min(bytes.len() as u64);
        self.skip -= known;
        let fresh = &bytes[known as usize..];
        if !fresh.is_empty() {
            let sent = self.sender.blocking_send(Ok(Bytes::copy_from_slice(fresh)));
            sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the upload was given up"))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
