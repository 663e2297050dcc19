//! A body that belongs to an open request. When the request's connection has to make room, whoever sends the body is dropped,
//! and to the library's reader that is an end like any other: half an upload would pass for a whole one.

use crate::guarded::{Guard, Polled};
use listener::Seat;
use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The request made room for another.
#[derive(Debug)]
pub(crate) struct Displaced;

impl std::fmt::Display for Displaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too many requests are open")
    }
}

impl Error for Displaced {}

impl Guard for Arc<Seat> {
    fn judge(&mut self, polled: Polled, _: &mut Context<'_>) -> Polled {
        match polled {
            Poll::Ready(None) if self.is_lost() => Poll::Ready(Some(Err(Displaced.into()))),
            polled => polled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guarded::Guarded;
    use bytes::Bytes;
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
            let mut body = Guarded::new(body, seat);
            sender.send_data(Bytes::from_static(b"half")).await.unwrap();
            body.frame().await.unwrap().unwrap();
            let _newcomer = is_displaced.then(|| seats.take(from));
            drop(sender);
            let end = body.frame().await;
            assert_eq!(end.is_some_and(|end| end.unwrap_err().is::<Displaced>()), is_displaced);
        }
    }
}
