//! A body that somebody looks after: what is read of it passes him, and he may end it.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) type BodyError = Box<dyn Error + Send + Sync>;
/// What came of a look at a body.
pub(crate) type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

pub(crate) trait Guard: Unpin {
    /// What passes for what came of this look at the body.
    fn judge(&mut self, polled: Polled, cx: &mut Context<'_>) -> Polled;
}

pub(crate) struct Guarded<B, G> {
    body: B,
    guard: G,
}

impl<B, G> Guarded<B, G> {
    pub(crate) fn new(body: B, guard: G) -> Self {
        Guarded { body, guard }
    }
}

impl<B, G> Body for Guarded<B, G>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
    G: Guard,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.guard.judge(polled.map_err(Into::into), cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
