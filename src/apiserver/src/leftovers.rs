//! What large work leaves behind: memory that was freed, and that the allocator keeps for the next burst. It goes back to the kernel a
//! moment after the last large body was read, and the last large answer written or given up; where there is none nobody looks.

use http::{Response, header};
use hyper::body::{Body, Buf, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;

/// What comes close behind is given back with it.
pub(crate) const QUIET: Duration = Duration::from_secs(1);
/// So often it is put off, where it never gets quiet.
pub(crate) const MOST_DELAYS: usize = 10;
/// Of an answer, in bytes: a list of that size was in memory a few times over. Of a stream all that it ever carried.
const LARGE_ANSWER: u64 = 1 << 20;
/// What lists have more bytes than they are packed to.
const PACKED: u64 = 8;

#[derive(Clone)]
pub(crate) struct Leftovers {
    give_back: fn(),
    /// What was large since memory was given back.
    since: Arc<AtomicUsize>,
}

impl Leftovers {
    /// `give_back` returns to the kernel what the allocator keeps.
    pub(crate) fn new(give_back: fn()) -> Self {
        Leftovers { give_back, since: Arc::default() }
    }

    /// The last time a moment after the last one who asks.
    pub(crate) fn give_back_soon(&self) {
        // answers are dropped at the very end too
        let Ok(runtime) = Handle::try_current() else { return };
        if self.since.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let (give_back, since) = (self.give_back, self.since.clone());
        runtime.spawn(async move {
            let mut delays = 0;
            loop {
                let seen = since.load(Ordering::Acquire);
                tokio::time::sleep(QUIET).await;
                if since.load(Ordering::Acquire) != seen && delays < MOST_DELAYS {
                    delays += 1;
                    continue;
                }
                delays = 0;
                let _ = tokio::task::spawn_blocking(give_back).await;
                if since.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    return;
                }
            }
        });
    }

    /// Gives back what the answer leaves, where it is large.
    pub(crate) fn follow<B: Body>(&self, answer: Response<B>) -> Response<Followed<B>> {
        let weight = if answer.headers().contains_key(header::CONTENT_ENCODING) { PACKED } else { 1 };
        // one that is handed out in pieces says so there
        let length = answer.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<u64>().ok());
        answer.map(|body| {
            let whole = body.size_hint().exact().or(length);
            Followed {
                is_stream: whole.is_none(),
                bytes: whole.unwrap_or_default(),
                weight,
                leftovers: self.clone(),
                body,
            }
        })
    }
}

/// The body of an answer.
pub(crate) struct Followed<B> {
    body: B,
    is_stream: bool,
    /// Of a stream those that were sent, of others all: one that nobody reads has been made all the same.
    bytes: u64,
    weight: u64,
    leftovers: Leftovers,
}

impl<B: Body + Unpin> Body for Followed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref().filter(|_| self.is_stream)
        {
            self.bytes = self.bytes.saturating_add(data.remaining() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Followed<B> {
    fn drop(&mut self) {
        if self.bytes.saturating_mul(self.weight) >= LARGE_ANSWER {
            self.leftovers.give_back_soon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::stream;
    use http_body_util::{BodyExt, Full, StreamBody};
    use std::convert::Infallible;

    fn whole(bytes: u64) -> Full<Bytes> {
        Full::new(Bytes::from(vec![b'x'; bytes as usize]))
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_once_after_large_answers() {
        static GIVEN: AtomicUsize = AtomicUsize::new(0);
        let leftovers = Leftovers::new(|| _ = GIVEN.fetch_add(1, Ordering::SeqCst));
        let given = async || {
            tokio::time::sleep(QUIET * 3).await;
            GIVEN.swap(0, Ordering::SeqCst)
        };
        let answer = |bytes: u64| leftovers.follow(Response::new(whole(bytes)));
        drop(answer(LARGE_ANSWER - 1).into_body().collect().await.unwrap());
        assert_eq!(given().await, 0, "small");
        for _ in 0..3 {
            drop(answer(LARGE_ANSWER).into_body().collect().await.unwrap());
        }
        assert_eq!(given().await, 1, "three in a moment");
        drop(answer(LARGE_ANSWER));
        assert_eq!(given().await, 1, "one that nobody has read");
        let mut packed = Response::new(whole(LARGE_ANSWER / PACKED));
        packed.headers_mut().insert(header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        drop(leftovers.follow(packed));
        assert_eq!(given().await, 1, "packed");
        let mut in_pieces =
            Response::new(StreamBody::new(stream::empty::<Result<Frame<Bytes>, Infallible>>()));
        in_pieces.headers_mut().insert(header::CONTENT_LENGTH, LARGE_ANSWER.into());
        drop(leftovers.follow(in_pieces));
        assert_eq!(given().await, 1, "one in pieces that nobody has read");
        let held = answer(LARGE_ANSWER);
        assert_eq!(given().await, 0, "one that is still there");
        drop(held);
        assert_eq!(given().await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_counts_for_what_it_carried() {
        static GIVEN: AtomicUsize = AtomicUsize::new(0);
        for (name, pieces, want) in [("short", 1, 0), ("long", 2, 1)] {
            let leftovers = Leftovers::new(|| _ = GIVEN.fetch_add(1, Ordering::SeqCst));
            let piece = Bytes::from(vec![b'x'; LARGE_ANSWER as usize / 2]);
            let frames = vec![piece; pieces].into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
            let answer = leftovers.follow(Response::new(StreamBody::new(stream::iter(frames))));
            drop(answer.into_body().collect().await.unwrap());
            tokio::time::sleep(QUIET * 3).await;
            assert_eq!(GIVEN.swap(0, Ordering::SeqCst), want, "{name}");
        }
    }
}
