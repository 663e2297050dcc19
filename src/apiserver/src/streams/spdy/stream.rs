//! One stream of a connection, as whoever serves it holds it.

use super::frame::{Frame, Reset};
use super::headers::Headers;
use crate::streams::gone::Gone;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What becomes of a stream whose reader takes nothing while frames for others wait behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stalled {
    /// The connection waits as long as it takes.
    Wait,
    /// The stream is reset after this, where there are others.
    ResetAfter(Duration),
}

pub(crate) struct Stream {
    pub(crate) headers: Headers,
    /// What the client sends; ends where it says so.
    pub(crate) input: DuplexStream,
    pub(crate) output: StreamSender,
    /// Cancelled when the client resets the stream.
    pub(crate) reset: Arc<CancellationToken>,
}

/// The client's ear of one stream.
#[derive(Clone)]
pub(crate) struct StreamSender {
    stream: u32,
    frames: mpsc::Sender<Frame>,
}

impl StreamSender {
    pub(super) fn new(stream: u32, frames: mpsc::Sender<Frame>) -> Self {
        StreamSender { stream, frames }
    }

    pub(crate) fn id(&self) -> u32 {
        self.stream
    }

    pub(crate) async fn send(&self, data: Bytes) -> Result<(), Gone> {
        self.put(Frame::Data { stream: self.stream, data, fin: false }).await
    }

    /// Nothing more will be sent.
    pub(crate) async fn finish(&self) -> Result<(), Gone> {
        self.put(Frame::Data { stream: self.stream, data: Bytes::new(), fin: true }).await
    }

    /// Neither side sends any more.
    pub(crate) async fn reset(&self, why: Reset) -> Result<(), Gone> {
        self.put(Frame::Reset { stream: self.stream, status: why as u32 }).await
    }

    async fn put(&self, frame: Frame) -> Result<(), Gone> {
        self.frames.send(frame).await.map_err(|_| Gone)
    }
}
