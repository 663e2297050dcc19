//! A body that belongs to an open request. When the request's connection has to make room, whoever sends the body is dropped,
//! and to the library's reader that is an end like any other: half an upload would pass for a whole one.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use listener::Seat;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The request made room for another.
#[derive(Debug)]
pub(crate) struct Displaced;

impl std::fmt::Display for Displaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too many requests are open")
    }
}

impl Error for Displaced {}

pub(crate) struct Seated<B> {
    body: B,
    seat: Arc<Seat>,
}

impl<B> Seated<B> {
    pub(crate) fn new(body: B, seat: Arc<Seat>) -> Self {
        Seated { body, seat }
    }
}

impl<B> Body for Seated<B>
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
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() && self.seat.is_lost() {
            return Poll::Ready(Some(Err(Displaced.into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
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
    use listener::Seats;
    use std::net::{IpAddr, Ipv4Addr};

    #[tokio::test]
    async fn what_breaks_off_to_make_room_does_not_pass_for_whole() {
        let from = IpAddr::from(Ipv4Addr::LOCALHOST);
        for is_displaced in [false, true] {
            let seats = Seats::new(1);
            let seat = Arc::new(seats.take(from));
            let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
            let mut body = Seated::new(body, seat);
            sender.send_data(Bytes::from_static(b"half")).await.unwrap();
            body.frame().await.unwrap().unwrap();
            let _newcomer = is_displaced.then(|| seats.take(from));
            drop(sender);
            let end = body.frame().await;
            assert_eq!(end.is_some_and(|end| end.unwrap_err().is::<Displaced>()), is_displaced);
        }
    }
}
