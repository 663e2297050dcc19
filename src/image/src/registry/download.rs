//! Brings a blob over as many connections as it takes: each goes on where the last one was cut.

use super::Repository;
use crate::error::{ImageError, Result};
use crate::manifest::Descriptor;
use crate::progress::LayerStatus;
use crate::unpack::{Feed, FeedSender};
use bytes::{Buf, Bytes};
use http::{Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;

/// A connection that brings nothing for so long is given up, and asked again.
const STALL: Duration = Duration::from_secs(60);
/// Tries in a row that bring no new byte.
const TRIES: u32 = 5;
/// Before the second try; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Bytes between two words about the progress.
const TELL_EACH: u64 = 256 << 10;

/// Why one connection ended early.
enum Cut {
    /// Worth another try.
    Again(ImageError),
    Never(ImageError),
    /// The unpacker is gone; it knows why.
    NobodyListens,
}

/// Brings the blob to `sink`, over as many connections as it takes, each going on where the last one was cut. Gives false
/// where the sink closed early. The digest is the receiver's to check; the length is checked here.
pub(crate) async fn download(
    repository: &Repository,
    blob: &Descriptor,
    sink: &FeedSender,
    tell: impl Fn(LayerStatus),
) -> Result<bool> {
    let mut progress = Progress { got: 0, told: 0, total: blob.size, tell };
    let mut failures = 0;
    while progress.got < blob.size {
        let before = progress.got;
        let error = match attempt(repository, blob, sink, &mut progress).await {
            Ok(()) => continue,
            Err(Cut::NobodyListens) => return Ok(false),
            Err(Cut::Never(error)) => return Err(error),
            Err(Cut::Again(error)) => error,
        };
        failures = if progress.got > before { 1 } else { failures + 1 };
        if failures >= TRIES {
            return Err(error.within(format!("layer {}: {TRIES} tries", blob.digest.short())));
        }
        let after = FIRST_PAUSE * 2u32.pow(failures - 1);
        tracing::debug!(layer = %blob.digest, got = progress.got, %error, "download cut, will go on");
        (progress.tell)(LayerStatus::Retrying { after });
        tokio::time::sleep(after).await;
    }
    (progress.tell)(LayerStatus::Downloading { current: blob.size, total: blob.size });
    Ok(true)
}

async fn attempt<T: Fn(LayerStatus)>(
    repository: &Repository,
    blob: &Descriptor,
    sink: &FeedSender,
    progress: &mut Progress<T>,
) -> Result<(), Cut> {
    let response = repository.blob(&blob.digest, progress.got).await.map_err(|e| match e.root() {
        ImageError::Registry(_) => Cut::Again(e),
        _ => Cut::Never(e),
    })?;
    let mut skip = to_skip(&response, progress.got)?;
    check_length(&response, blob, progress.got - skip)?;
    let mut body = response.into_body();
    while progress.got < blob.size {
        let frame = match tokio::time::timeout(STALL, body.frame()).await {
            Err(_) => return Err(again(blob, format!("nothing came for {} s", STALL.as_secs()))),
            Ok(None) => return Err(again(blob, "the connection was cut".into())),
            Ok(Some(Err(e))) => return Err(again(blob, format!("the connection was cut: {e}"))),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(mut data) = frame.into_data() else { continue };
        let known = skip.min(data.len() as u64);
        data.advance(known as usize);
        skip -= known;
        progress.deliver(data, blob, sink).await?;
    }
    Ok(())
}

/// How many bytes of the answer are known already: a server that knows no ranges starts again.
fn to_skip(response: &Response<Incoming>, offset: u64) -> Result<u64, Cut> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(offset);
    }
    let range =
        response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let start =
        range.strip_prefix("bytes ").and_then(|r| r.split('-').next()).and_then(|s| s.parse::<u64>().ok());
    match start {
        Some(start) if start <= offset => Ok(offset - start),
        _ => Err(Cut::Never(ImageError::Registry(format!(
            "asked for bytes from {offset} on, and got {range:?}"
        )))),
    }
}

/// A blob of another length than promised is not the blob: no use in asking again. `start`: where the answer begins.
fn check_length(response: &Response<Incoming>, blob: &Descriptor, start: u64) -> Result<(), Cut> {
    let length =
        response.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    match length.map(|length| start.saturating_add(length)) {
        Some(whole) if whole != blob.size => Err(Cut::Never(ImageError::Refused(format!(
            "layer {} has {whole} bytes, its manifest says {}",
            blob.digest.short(),
            blob.size
        )))),
        _ => Ok(()),
    }
}

fn again(blob: &Descriptor, why: String) -> Cut {
    Cut::Again(ImageError::Registry(format!("download layer {}: {why}", blob.digest.short())))
}

struct Progress<T> {
    got: u64,
    told: u64,
    total: u64,
    tell: T,
}

impl<T: Fn(LayerStatus)> Progress<T> {
    async fn deliver(&mut self, data: Bytes, blob: &Descriptor, sink: &FeedSender) -> Result<(), Cut> {
        if data.is_empty() {
            return Ok(());
        }
        let length = data.len() as u64;
        if self.got + length > self.total {
            let why = format!(
                "layer {} is larger than the {} bytes of its manifest",
                blob.digest.short(),
                self.total
            );
            return Err(Cut::Never(ImageError::Refused(why)));
        }
        sink.send(Feed::Data(data)).await.map_err(|_| Cut::NobodyListens)?;
        self.got += length;
        if self.got - self.told >= TELL_EACH {
            self.told = self.got;
            (self.tell)(LayerStatus::Downloading { current: self.got, total: self.total });
        }
        Ok(())
    }
}
