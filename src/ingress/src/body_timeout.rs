//! A request's body that must go on: between two pieces of it a client has as long as nginx gives it
//! (`client_body_timeout`). The whole may take hours.

use crate::guarded::{Guard, Polled};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

pub(crate) const CLIENT_BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The body did not go on.
#[derive(Debug)]
pub(crate) struct Stalled;

impl std::fmt::Display for Stalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request's body did not go on")
    }
}

impl Error for Stalled {}

/// For the next piece.
#[derive(Default)]
pub(crate) struct BodyTimeout(Option<Pin<Box<Sleep>>>);

impl Guard for BodyTimeout {
    fn judge(&mut self, polled: Polled, cx: &mut Context<'_>) -> Polled {
        if polled.is_ready() {
            self.0 = None;
            return polled;
        }
        let waiting = self.0.get_or_insert_with(|| Box::pin(sleep(CLIENT_BODY_TIMEOUT)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(Stalled.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guarded::Guarded;
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use http_body_util::channel::Channel;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_and_not_stop() {
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
        let mut body = Guarded::new(body, BodyTimeout::default());
        let begun = Instant::now();
        let sending = async {
            for _ in 0..5 {
                sleep(CLIENT_BODY_TIMEOUT / 2).await;
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
        assert_eq!(begun.elapsed(), CLIENT_BODY_TIMEOUT / 2 * 7);
    }
}
