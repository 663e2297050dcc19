//! What a client sends. A client that is answered in the middle of its upload stops, and tells its user of a closed pipe
//! instead of the answer: so whatever a handler leaves unread is read and thrown away, and a refusal waits for that.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// More is not read for nothing: such a client may well hear of a closed pipe.
const MOST: u64 = 4 << 30;
/// Nor for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The body of a request.
pub(crate) struct Upload<B: Leftover = Incoming> {
    /// `None` once it was dropped.
    body: Option<B>,
    _over: oneshot::Sender<()>,
}

/// A body that can be read on after its handler is done.
pub(crate) trait Leftover: Body<Data = Bytes> + Send + Unpin + 'static {}
impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Leftover for B {}

/// Ends, with an error, when nothing of the body is left.
pub(crate) type Over = oneshot::Receiver<()>;

impl<B: Leftover> Upload<B> {
    pub(crate) fn new(body: B) -> (Upload<B>, Over) {
        let (over, is_over) = oneshot::channel();
        (Upload { body: Some(body), _over: over }, is_over)
    }
}

impl<B: Leftover> Body for Upload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<B: Leftover> Drop for Upload<B> {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let (over, _) = oneshot::channel();
        let over = std::mem::replace(&mut self._over, over);
        // without a runtime the server has ended, and its connections with it
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(PATIENCE, discard(body)).await;
                drop(over);
            });
        }
    }
}

async fn discard(mut body: impl Leftover) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
        if read > MOST {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};
    use http_body_util::StreamBody;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Counts the pieces that were read of it.
    fn body(pieces: usize, read: &Arc<AtomicUsize>) -> impl Leftover {
        let read = read.clone();
        StreamBody::new(stream::iter(0..pieces).map(move |_| {
            read.fetch_add(1, SeqCst);
            Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"piece")))
        }))
    }

    #[tokio::test]
    async fn what_is_left_is_read_before_it_is_over() {
        for (name, taken) in [("untouched", 0), ("in the middle", 2), ("all of it", 5)] {
            let read = Arc::new(AtomicUsize::new(0));
            let (mut upload, over) = Upload::new(body(5, &read));
            for _ in 0..taken {
                assert!(matches!(upload.frame().await, Some(Ok(_))), "{name}");
            }
            assert_eq!(read.load(SeqCst), taken, "{name}");
            drop(upload);
            let _ = over.await;
            assert_eq!(read.load(SeqCst), 5, "{name}");
        }
    }
}
