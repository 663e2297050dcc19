//! One connection: a future that moves its frames, and the handle by which streams come out of it.

use super::frame::{Decoder, Encoder, Frame, FrameError};
use super::stream::{Stalled, Stream};
use super::streams::Streams;
use bytes::BytesMut;
use cri::Duplex;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Frames that wait for the network; who sends faster waits.
const QUEUED: usize = 16;
/// Streams that wait to be looked at.
const UNSEEN: usize = 16;
const BLOCK: usize = 32 * 1024;
/// A client that is gone without a word is found out by writing to it.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// After the goodbye the client's last frames are still read, or closing would destroy what it has not read yet.
const LINGER: Duration = Duration::from_secs(5);

/// The handle. While it, a [`Stream`] or its sender lives, so does the connection.
pub(crate) struct Connection {
    /// Streams that the client opened; ends with the connection.
    pub(crate) incoming: mpsc::Receiver<Stream>,
    /// Cancelled when the client is gone.
    pub(crate) gone: CancellationToken,
    _alive: mpsc::Sender<Frame>,
}

/// The future moves the frames and must be polled for as long as the handle is used; it ends when the client is gone,
/// or after the handle and all streams were dropped and what they sent was written.
pub(crate) fn serve<IO: Duplex>(io: IO, stalled: Stalled) -> (impl Future<Output = ()>, Connection) {
    let (frames, queue) = mpsc::channel(QUEUED);
    let (unseen, incoming) = mpsc::channel(UNSEEN);
    let gone = CancellationToken::new();
    let streams = Streams::new(frames.downgrade(), unseen, stalled);
    let connection = Connection { incoming, gone: gone.clone(), _alive: frames };
    let gone = gone.drop_guard();
    let driver = async move {
        let _gone = gone;
        let (read, write) = tokio::io::split(io);
        let reader = read_frames(read, streams);
        tokio::pin!(reader);
        tokio::select! {
            read = &mut reader => {
                if let Err(error) = read {
                    tracing::debug!(%error, "a SPDY connection ended");
                }
            }
            written = write_frames(write, queue) => {
                if written.is_ok() {
                    let _ = tokio::time::timeout(LINGER, reader).await;
                }
            }
        }
    };
    (driver, connection)
}

#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

async fn read_frames(mut from: impl AsyncRead + Unpin, mut streams: Streams) -> Result<(), ConnectionError> {
    let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::new());
    loop {
        while let Some(frame) = decoder.next(&mut buffer)? {
            streams.take(frame).await;
        }
        buffer.reserve(BLOCK);
        if from.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn write_frames(
    mut to: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Frame>,
) -> Result<(), ConnectionError> {
    let (mut encoder, mut out) = (Encoder::new()?, BytesMut::new());
    let mut last = 0;
    // the server's own are even
    let mut beats = (1u32..).map(|n| n.wrapping_mul(2));
    loop {
        match tokio::time::timeout(HEARTBEAT, queue.recv()).await {
            Ok(Some(frame)) => put(&mut encoder, &frame, &mut last, &mut out)?,
            Ok(None) => break,
            Err(_) => encoder.put(&Frame::Ping(beats.next().unwrap_or(2)), &mut out)?,
        }
        while out.len() < BLOCK
            && let Ok(frame) = queue.try_recv()
        {
            put(&mut encoder, &frame, &mut last, &mut out)?;
        }
        to.write_all_buf(&mut out).await?;
        to.flush().await?;
    }
    encoder.put(&Frame::GoAway { last }, &mut out)?;
    to.write_all_buf(&mut out).await?;
    to.shutdown().await?;
    Ok(())
}

fn put(encoder: &mut Encoder, frame: &Frame, last: &mut u32, out: &mut BytesMut) -> Result<(), FrameError> {
    if let Frame::Reply { stream, .. } = frame {
        *last = *stream;
    }
    encoder.put(frame, out)
}
