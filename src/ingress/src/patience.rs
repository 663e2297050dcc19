//! A request's body that must go on: between two pieces of it a client has as long as nginx gives it
//! (`client_body_timeout`). The whole may take hours.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

pub(crate) const BETWEEN_PIECES: Duration = Duration::from_secs(60);

/// The body did not go on.
#[derive(Debug)]
pub(crate) struct Stalled;

impl std::fmt::Display for Stalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request's body did not go on")
    }
}

impl Error for Stalled {}

pub(crate) struct Patient<B> {
    body: B,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> Patient<B> {
    pub(crate) fn new(body: B) -> Self {
        Patient { body, waiting: None }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(BETWEEN_PIECES)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use http_body_util::channel::Channel;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_and_not_stop() {
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
        let mut body = Patient::new(body);
        let begun = Instant::now();
        let sending = async {
            for _ in 0..5 {
                sleep(BETWEEN_PIECES / 2).await;
                sender.send_data(Bytes::from_static(b"x")).await.unwrap();
            }
            sender
        };
        let reading = async {
            for _ in 0..5 {
                body.frame().await.unwrap().unwrap();
            }
            body.frame().await.unwrap().unwrap_err()
        };
        let (_sender, error) = tokio::join!(sending, reading);
        assert!(error.is::<Stalled>());
        assert_eq!(begun.elapsed(), BETWEEN_PIECES / 2 * 7);
    }
}
