//! Large answers that their clients do not read, or read slowly.

use crate::held_seat::HeldSeat;
use crate::peer::Peer;
use crate::responses::{self, Verbatim};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, header};
use http_body_util::BodyExt;
use listener::TakenWithin;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;
use warp::reply::Response;

/// Less than what the server keeps of a request besides.
const LARGEST_UNHELD: u64 = 1024;
/// Whoever takes nothing of his answer for so long loses the connection, and leaves his seats before those who wait for them are
/// refused (`PATIENCE` of `flowcontrol`). For a piece of an answer that is time on the slowest of links.
const TAKEN_WITHIN: TakenWithin = TakenWithin(Duration::from_secs(10));
const PIECE: usize = 64 * 1024;
/// What takes more than two of its pieces could be taken bit by bit without end.
const LARGE: u64 = 2 * PIECE as u64;
/// Upstream's time for a whole request, in which its answer must have been read.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes a second, for a client behind a slow line: not upstream's, where a list that takes longer than a minute never comes through.
const SLOWEST: u64 = 64 * 1024;

/// A client that does not read its answer keeps its seats until it has: what it holds in memory is what it has seats for. Over HTTP/2
/// it says itself how much may be written, so that even a small answer may stay. It does not keep them for ever, or a few such
/// clients would lock out all others of their level: its connection ends. A stream, a watch above all, goes on for as long as
/// somebody wants it, and what somebody else answers comes when it comes.
pub(crate) fn hold(mut response: Response, peer: &Arc<Peer>) -> Response {
    let seat = response.extensions_mut().remove::<HeldSeat>();
    let Some(size) = hyper::body::Body::size_hint(response.body()).exact() else { return response };
    if size > 0 && response.extensions().get::<Verbatim>().is_none() {
        response.extensions_mut().insert(TAKEN_WITHIN);
    }
    let Some(seat) = seat.filter(|_| size > LARGEST_UNHELD) else { return response };
    let (mut head, body) = response.into_parts();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    let ends = (size > LARGE).then(|| cut_off_after(patience(size), peer.clone()));
    let chunks = body.into_data_stream().flat_map(move |chunk| {
        let _held = (&seat, &ends);
        futures::stream::iter(pieces(chunk))
    });
    Response::from_parts(head, responses::body(chunks).into_body())
}

fn patience(size: u64) -> Duration {
    PATIENCE + Duration::from_secs(size / SLOWEST)
}

/// Unless the answer has been read, or given up, before. The whole connection goes: where requests share one, what was left of this
/// answer alone would still be owed to its client.
fn cut_off_after(patience: Duration, peer: Arc<Peer>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        tokio::time::sleep(patience).await;
        tracing::debug!(address = ?peer.address, "a client does not read what it asked for: its connection ends");
        peer.cut_off();
    }))
}

/// As much as is written at a time: what is in one piece would be taken at once, and be nobody's.
fn pieces<E>(chunk: Result<Bytes, E>) -> impl Iterator<Item = Result<Bytes, E>> {
    let (mut bytes, error) = match chunk {
        Ok(bytes) => (bytes, None),
        Err(error) => (Bytes::new(), Some(error)),
    };
    let piece = move || (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(PIECE)));
    std::iter::from_fn(piece).map(Ok).chain(error.map(Err))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowcontrol::{Asked, FlowControl};
    use listener::UserSeats;
    use std::convert::Infallible;
    use tokio::time::{Instant, timeout};
    use warp::reply::Reply;

    const SIZE: usize = 1 << 20;

    async fn answer() -> Response {
        let asked = Asked { user: "jane", groups: &[], verb: "list", resource: None, path: "/" };
        let seat = FlowControl::default().admit(&asked, 1).await.unwrap();
        let mut response = vec![b'x'; SIZE].into_response();
        response.extensions_mut().insert(HeldSeat::from(seat));
        response
    }

    #[tokio::test]
    async fn what_is_whole_must_be_taken_and_what_streams_may_wait() {
        let stream = futures::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"x"))]);
        let mut passed_on = responses::text(200, "x");
        passed_on.extensions_mut().insert(Verbatim);
        for (name, response, want) in [
            ("a refusal", responses::text(401, "Unauthorized"), true),
            ("a large answer", responses::text(200, "x".repeat(3 * PIECE)), true),
            ("nothing, before a stream", responses::text(101, ""), false),
            ("a watch", responses::body(stream), false),
            ("somebody else's", passed_on, false),
        ] {
            let held = hold(HeldSeat::default().with_answer(response), &Arc::default());
            assert_eq!(held.extensions().get::<TakenWithin>().is_some(), want, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_cut_off_and_who_has_read_all_is_not() {
        let connection = Arc::new(UserSeats::new(2, 2).connection());
        let peer = Arc::new(Peer { user_seat: Some(connection.clone()), ..Peer::default() });

        let response = hold(answer().await, &peer);
        let read = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(read.len(), SIZE);
        let goes_on = timeout(patience(SIZE as u64) * 2, connection.hold(std::future::pending())).await;
        assert!(goes_on.is_err(), "it was read");

        let begun = Instant::now();
        let _unread = hold(answer().await, &peer);
        connection.hold(std::future::pending()).await;
        assert!(begun.elapsed() >= PATIENCE + Duration::from_secs(16), "{:?}", begun.elapsed());
        assert!(begun.elapsed() < PATIENCE + Duration::from_secs(18), "{:?}", begun.elapsed());
    }
}
