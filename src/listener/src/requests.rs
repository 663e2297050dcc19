//! How many requests a connection has open, and when it is overdue: for want of requests, or because nobody takes what is answered.

use crate::seats::Turns;
use hyper::body::{Body, Buf, Frame, SizeHint};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

/// In an answer's extensions: whoever does not take it in time loses the connection, as what is left of it would still be owed to him where
/// requests share one. Over HTTP/2 a client says how much he takes, and nothing is written, nor waits to be, where that is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct TakenWithin {
    /// The time for some of it, whenever there is some to be taken.
    pub piece: Option<Duration>,
    /// The time for all of it.
    pub whole: Option<Duration>,
    /// The time for a [large](LARGE_PIECE) piece of what may wait otherwise: as long as nobody takes it, it is in memory.
    pub large_piece: Option<Duration>,
}

/// In bytes. What is smaller a client may leave alone for as long as he likes, where only large pieces have their time.
pub const LARGE_PIECE: usize = 16 * 1024;

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
    untaken: Mutex<Untaken>,
    /// [`Requests::abandoned`] must look before it would by itself.
    sooner: Notify,
}

/// Until when clients must have taken more of their answers.
#[derive(Default)]
struct Untaken {
    next: u64,
    due: HashMap<u64, Instant>,
    /// When [`Requests::abandoned`] looks again by itself: nearly every answer is taken at once, and wakes nobody.
    looked_at: Option<Instant>,
}

/// An answer that the client must take in time.
struct Taking {
    requests: Arc<Requests>,
    number: u64,
    piece: Option<Duration>,
    large_piece: Option<Duration>,
    end: Option<Instant>,
}

/// A request, until its answer is sent or given up.
pub(crate) struct Open(Arc<Requests>);

impl Requests {
    pub(crate) fn new(seat: Option<Arc<dyn Turns>>) -> Arc<Self> {
        Arc::new(Requests {
            state: watch::Sender::default(),
            seat,
            untaken: Mutex::default(),
            sooner: Notify::new(),
        })
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

impl Requests {
    /// Ends when a client has left an answer alone for too long.
    pub(crate) async fn abandoned(&self) {
        loop {
            let first = {
                let mut untaken = self.untaken.lock();
                let first = untaken.due.values().min().copied();
                untaken.looked_at = first;
                first
            };
            match first {
                Some(due) if due <= Instant::now() => return,
                Some(due) => drop(timeout_at(due, self.sooner.notified()).await),
                None => self.sooner.notified().await,
            }
        }
    }
}

impl Taking {
    fn new(requests: Arc<Requests>, within: TakenWithin) -> Self {
        let number = {
            let mut untaken = requests.untaken.lock();
            untaken.next += 1;
            untaken.next
        };
        let end = within.whole.map(|whole| Instant::now() + whole);
        let TakenWithin { piece, large_piece, .. } = within;
        let taking = Taking { requests, number, piece, large_piece, end };
        taking.begin(0);
        taking
    }

    /// It is the client's turn, with a piece of so many bytes.
    fn begin(&self, bytes: usize) {
        let large = self.large_piece.filter(|_| bytes >= LARGE_PIECE);
        let piece = self.piece.into_iter().chain(large).min().map(|piece| Instant::now() + piece);
        self.expect(piece.into_iter().chain(self.end).min());
    }

    /// It is not: there is nothing to be taken.
    fn pause(&self) {
        self.expect(self.end);
    }

    /// The client has taken more by then, or all.
    fn expect(&self, due: Option<Instant>) {
        let is_sooner = {
            let mut untaken = self.requests.untaken.lock();
            match due {
                Some(due) => untaken.due.insert(self.number, due),
                None => untaken.due.remove(&self.number),
            };
            due.is_some_and(|due| untaken.looked_at.is_none_or(|at| due < at))
        };
        if is_sooner {
            self.requests.sooner.notify_one();
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.expect(None);
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
    body: Option<B>,
    taking: Option<Taking>,
    _open: Open,
}

impl<B> Answering<B> {
    pub(crate) fn new(body: Option<B>, open: Open, within: Option<TakenWithin>) -> Self {
        let within = within.filter(|_| body.is_some());
        let taking = within.map(|within| Taking::new(open.0.clone(), within));
        Answering { body, taking, _open: open }
    }
}

fn size_of<D: Buf, E>(frame: Option<&Result<Frame<D>, E>>) -> usize {
    let data = frame.and_then(|frame| frame.as_ref().ok()?.data_ref());
    data.map_or(0, Buf::remaining)
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        };
        match (&frame, &self.taking) {
            (Poll::Ready(frame), Some(taking)) => taking.begin(size_of(frame.as_ref())),
            (Poll::Pending, Some(taking)) => taking.pause(),
            (_, None) => {}
        }
        frame
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
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use std::convert::Infallible;
    use tokio::time::sleep;

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

    /// A body with these pieces at hand, of which more are always expected.
    struct Pieces(Vec<Bytes>);

    fn small(count: usize) -> Pieces {
        Pieces(vec![Bytes::from_static(b"x"); count])
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_abandoned_when_its_client_takes_no_more() {
        let requests = Requests::new(None);
        let within = Some(TakenWithin { piece: Some(FIRST), ..TakenWithin::default() });
        let mut answer = Answering::new(Some(small(3)), requests.begin(), within);
        let begun = Instant::now();
        let taken = async {
            for _ in 0..2 {
                sleep(FIRST / 2).await;
                assert!(answer.frame().await.is_some());
            }
        };
        tokio::join!(taken, requests.abandoned());
        assert_eq!(begun.elapsed(), FIRST * 2, "once the last piece was taken");

        let waits = async || tokio::time::timeout(IDLE, requests.abandoned()).await.is_err();
        assert!(answer.frame().await.is_some());
        assert!(
            std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut answer).poll_frame(cx))).await.is_pending()
        );
        assert!(waits().await, "there is nothing to be taken");
        let unread = Answering::new(Some(small(1)), requests.begin(), within);
        assert!(!waits().await, "nothing of it was taken");
        drop((answer, unread));
        assert!(waits().await, "nobody is answered");
        let _stream = Answering::new(Some(small(1)), requests.begin(), None);
        assert!(waits().await, "that may take its time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_left_alone_with_small_pieces_only() {
        for (size, is_abandoned) in [(1, false), (LARGE_PIECE - 1, false), (LARGE_PIECE, true)] {
            let requests = Requests::new(None);
            let within = Some(TakenWithin { large_piece: Some(FIRST), ..TakenWithin::default() });
            let mut answer =
                Answering::new(Some(Pieces(vec![vec![b'x'; size].into()])), requests.begin(), within);
            let ends = async || tokio::time::timeout(IDLE, requests.abandoned()).await.is_ok();
            assert!(!ends().await, "{size}: nothing was told");
            assert!(answer.frame().await.is_some());
            assert_eq!(ends().await, is_abandoned, "{size}");
            let next = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut answer).poll_frame(cx))).await;
            assert!(next.is_pending());
            assert!(!ends().await, "{size}: it was taken");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_bit_by_bit_must_be_taken_whole_in_time() {
        for (name, piece) in [("with a time for each piece", Some(FIRST)), ("with none", None)] {
            let requests = Requests::new(None);
            let within = Some(TakenWithin { piece, whole: Some(IDLE), large_piece: None });
            let mut answer = Answering::new(Some(small(1000)), requests.begin(), within);
            let begun = Instant::now();
            tokio::select! {
                () = requests.abandoned() => {}
                () = async {
                    while answer.frame().await.is_some() {
                        sleep(FIRST / 2).await;
                    }
                } => {}
            }
            assert_eq!(begun.elapsed(), IDLE, "{name}");
            drop(answer);
            let goes_on = tokio::time::timeout(IDLE * 2, requests.abandoned()).await;
            assert!(goes_on.is_err(), "{name}: it was read, or given up");
        }
    }
}
