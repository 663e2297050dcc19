//! Large answers that their clients do not read, or read slowly.

use crate::held_seat::HeldSeat;
use crate::responses::{self, Verbatim};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, header};
use http_body_util::BodyExt;
use listener::TakenWithin;
use std::time::Duration;
use warp::reply::Response;

/// Less than what the server keeps of a request besides.
const LARGEST_UNHELD: u64 = 1024;
/// Whoever takes nothing of his answer for so long loses the connection, and leaves his seats before those who wait for them are
/// refused (`PATIENCE` of `flowcontrol`). For a piece of an answer that is time on the slowest of links. A watch may be left alone for as
/// long as it is open, but not with a large piece: it would be held for each watch, in a form or at a revision that nobody else
/// reads. Upstream ends a watch that does not keep up, and sooner.
pub(crate) const PIECE_WITHIN: Duration = Duration::from_secs(10);
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
pub(crate) fn hold(mut response: Response) -> Response {
    let seat = response.extensions_mut().remove::<HeldSeat>();
    let Some(size) = hyper::body::Body::size_hint(response.body()).exact() else { return response };
    let is_ours = response.extensions().get::<Verbatim>().is_none();
    response.extensions_mut().insert(TakenWithin {
        piece: (size > 0 && is_ours).then_some(PIECE_WITHIN),
        whole: (seat.is_some() && size > LARGE).then(|| patience(size)),
        large_piece: None,
    });
    let Some(seat) = seat.filter(|_| size > LARGEST_UNHELD) else { return response };
    let (mut head, body) = response.into_parts();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    let chunks = body.into_data_stream().flat_map(move |chunk| {
        let _held = &seat;
        futures::stream::iter(pieces(chunk))
    });
    Response::from_parts(head, responses::body(chunks).into_body())
}

fn patience(size: u64) -> Duration {
    PATIENCE + Duration::from_secs(size / SLOWEST)
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
    use std::convert::Infallible;
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
            let held = hold(HeldSeat::default().with_answer(response));
            let within = held.extensions().get::<TakenWithin>().copied().unwrap_or_default();
            assert_eq!(within.piece.is_some(), want, "{name}");
        }
    }

    #[tokio::test]
    async fn a_large_answer_has_its_time_and_is_whole() {
        let held = hold(answer().await);
        let within = held.extensions().get::<TakenWithin>().copied().unwrap();
        assert_eq!(within.whole, Some(PATIENCE + Duration::from_secs(16)));
        let read = held.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(read.len(), SIZE);
        let small = hold(HeldSeat::default().with_answer(responses::text(200, "x")));
        assert_eq!(small.extensions().get::<TakenWithin>().unwrap().whole, None);
    }
}
