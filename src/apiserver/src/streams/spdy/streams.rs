//! What comes from the client, handed to the stream that it is for.

use super::frame::{Frame, Reset};
use super::headers::Headers;
use super::stream::{Stalled, Stream, StreamSender};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Of what a stream's reader has not taken yet, as long as there are [`FEW`] streams.
const HELD: usize = 256 * 1024;
const FEW: usize = 16;
/// Of one beyond: all together hold some twelve megabytes, whatever a client opens and nobody reads.
const LEAST_HELD: usize = 8 * 1024;
/// A forwarded connection has two streams; a browser opens a few dozen connections.
const MOST_STREAMS: usize = 1024;

pub(super) struct Streams {
    frames: mpsc::WeakSender<Frame>,
    unseen: mpsc::Sender<Stream>,
    stalled: Stalled,
    last: u32,
    open: HashMap<u32, Inbound>,
}

struct Inbound {
    /// `None` once the client has said that nothing more comes, or nobody reads it.
    pipe: Option<DuplexStream>,
    /// Lives as long as somebody uses the stream.
    reset: Weak<CancellationToken>,
}

enum Fed {
    Taken,
    /// Nobody reads it any more.
    Deaf,
    Stalled,
}

impl Streams {
    pub(super) fn new(
        frames: mpsc::WeakSender<Frame>,
        unseen: mpsc::Sender<Stream>,
        stalled: Stalled,
    ) -> Self {
        Streams { frames, unseen, stalled, last: 0, open: HashMap::new() }
    }

    pub(super) async fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Open { stream, headers, fin } => self.open(stream, headers, fin).await,
            Frame::Data { stream, data, fin } => self.data(stream, data, fin).await,
            Frame::Reset { stream, .. } => {
                if let Some(inbound) = self.open.remove(&stream) {
                    inbound.reset();
                }
            }
            // an echo of our own is no question
            Frame::Ping(id) if id % 2 == 1 => self.answer(Frame::Ping(id)).await,
            Frame::Ping(_) | Frame::GoAway { .. } | Frame::Reply { .. } => {}
        }
    }

    async fn answer(&self, frame: Frame) {
        if let Some(frames) = self.frames.upgrade() {
            let _ = frames.send(frame).await;
        }
    }

    async fn open(&mut self, stream: u32, headers: Headers, fin: bool) {
        let Some(frames) = self.frames.upgrade() else { return };
        if stream.is_multiple_of(2) || stream <= self.last {
            return self.refuse(stream, Reset::ProtocolError).await;
        }
        self.last = stream;
        self.open.retain(|_, inbound| inbound.reset.strong_count() > 0);
        if self.open.len() >= MOST_STREAMS {
            return self.refuse(stream, Reset::RefusedStream).await;
        }
        self.answer(Frame::Reply { stream, headers: Headers::default(), fin: false }).await;
        let (pipe, input) = tokio::io::duplex(if self.open.len() < FEW { HELD } else { LEAST_HELD });
        let reset = Arc::new(CancellationToken::new());
        let inbound = Inbound { pipe: (!fin).then_some(pipe), reset: Arc::downgrade(&reset) };
        self.open.insert(stream, inbound);
        let output = StreamSender::new(stream, frames);
        if self.unseen.send(Stream { headers, input, output, reset }).await.is_err() {
            self.open.remove(&stream);
            self.refuse(stream, Reset::RefusedStream).await;
        }
    }

    async fn refuse(&self, stream: u32, why: Reset) {
        self.answer(Frame::Reset { stream, status: why as u32 }).await;
    }

    async fn data(&mut self, stream: u32, data: Bytes, fin: bool) {
        let others = self.open.len() > 1;
        // late data for a stream that was reset is on its way still: nobody's fault
        let Some(inbound) = self.open.get_mut(&stream) else { return };
        match inbound.feed(&data, self.stalled, others).await {
            Fed::Taken => {}
            Fed::Deaf => inbound.pipe = None,
            Fed::Stalled => {
                inbound.reset();
                self.open.remove(&stream);
                return self.refuse(stream, Reset::FlowControl).await;
            }
        }
        if fin {
            inbound.pipe = None;
        }
    }
}

impl Inbound {
    fn reset(&self) {
        if let Some(reset) = self.reset.upgrade() {
            reset.cancel();
        }
    }

    async fn feed(&mut self, mut data: &[u8], stalled: Stalled, others: bool) -> Fed {
        let Some(pipe) = self.pipe.as_mut() else { return Fed::Taken };
        let patience = match stalled {
            Stalled::ResetAfter(patience) if others => patience,
            _ => Duration::MAX,
        };
        while !data.is_empty() {
            match tokio::time::timeout(patience, pipe.write(data)).await {
                Ok(Ok(count @ 1..)) => data = &data[count..],
                Ok(_) => return Fed::Deaf,
                Err(_) => return Fed::Stalled,
            }
        }
        Fed::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_streams_hold_little_each() {
        let (frames, mut answers) = mpsc::channel(64);
        let (unseen, _unread) = mpsc::channel(64);
        let stalled = Stalled::ResetAfter(Duration::from_secs(1));
        let mut streams = Streams::new(frames.downgrade(), unseen, stalled);
        let id = |number: usize| u32::try_from(2 * number + 1).unwrap();
        for number in 0..=FEW {
            let open = Frame::Open { stream: id(number), headers: Headers::default(), fin: false };
            streams.take(open).await;
        }
        for (number, bytes, is_held) in [(0, HELD, true), (FEW, LEAST_HELD, true), (FEW, 1, false)] {
            let data = Bytes::from(vec![0; bytes]);
            streams.take(Frame::Data { stream: id(number), data, fin: false }).await;
            let mut answered = std::iter::from_fn(|| answers.try_recv().ok());
            let is_reset = answered.any(|frame| matches!(frame, Frame::Reset { .. }));
            assert_eq!(is_reset, !is_held, "{bytes} bytes on {number}");
        }
    }
}
