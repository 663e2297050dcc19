//! How many requests a connection has open, and when it is overdue.

use crate::seats::Turns;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    open: usize,
    /// Whether there ever was one.
    begun: bool,
}

/// Of one connection.
pub(crate) struct Requests {
    state: watch::Sender<State>,
    seat: Option<Arc<dyn Turns>>,
}

/// A request, until its answer is sent or given up.
pub(crate) struct Open(Arc<Requests>);

impl Requests {
    pub(crate) fn new(seat: Option<Arc<dyn Turns>>) -> Arc<Self> {
        Arc::new(Requests { state: watch::Sender::default(), seat })
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Open {
        self.state.send_modify(|state| {
            (state.open, state.begun) = (state.open + 1, true);
            if let Some(seat) = &self.seat {
                seat.begin();
            }
        });
        Open(self.clone())
    }

    /// Ends when the connection has had no request for so long: `first` before the first one, `idle` after it.
    pub(crate) async fn overdue(&self, first: Duration, idle: Duration) {
        let mut changes = self.state.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            let patience = if state.begun { idle } else { first };
            match state.open {
                0 => match tokio::time::timeout(patience, changes.changed()).await {
                    Ok(_) => {}
                    Err(_) => return,
                },
                // the sender is `self`
                _ => drop(changes.changed().await),
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| {
            state.open -= 1;
            if let Some(seat) = self.0.seat.as_ref().filter(|_| state.open == 0) {
                seat.end();
            }
        });
    }
}

/// An answer's body, with the request that it belongs to.
pub(crate) struct Answering<B> {
    /// `None` where nothing of it is sent.
    pub(crate) body: Option<B>,
    pub(crate) _open: Open,
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, sleep};

    const FIRST: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(100);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_overdue_without_requests() {
        let begun = Instant::now();
        Requests::new(None).overdue(FIRST, IDLE).await;
        assert_eq!(begun.elapsed(), FIRST);

        let requests = Requests::new(None);
        let work = async {
            sleep(FIRST / 2).await;
            let (one, two) = (requests.begin(), requests.begin());
            sleep(IDLE * 3).await;
            drop(one);
            sleep(IDLE * 3).await;
            drop(two);
        };
        let begun = Instant::now();
        tokio::join!(work, requests.overdue(FIRST, IDLE));
        assert_eq!(begun.elapsed(), FIRST / 2 + IDLE * 7);
    }
}
