//! What a request holds of its priority level, and how long.

use crate::responses::{self, Verbatim};
use bytes::Bytes;
use flowcontrol::Seat;
use futures::StreamExt;
use http::{HeaderName, HeaderValue, header};
use http_body_util::BodyExt;
use listener::TakenWithin;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

static SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
static LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
/// Less than what the server keeps of a request besides.
const LARGEST_UNHELD: u64 = 1024;
/// Whoever takes nothing of his answer for so long loses the connection, and leaves his seats before those who wait for them are
/// refused (`PATIENCE` of `flowcontrol`). For a piece of an answer that is time on the slowest of links.
const TAKEN_WITHIN: TakenWithin = TakenWithin(Duration::from_secs(10));
const PIECE: usize = 64 * 1024;

/// The seats of a request, which are left once: when its answer is written, or sooner by who has no more to do for it.
#[derive(Clone, Default)]
pub(crate) struct HeldSeat(Arc<Mutex<Option<Seat>>>);

impl From<Seat> for HeldSeat {
    fn from(seat: Seat) -> Self {
        HeldSeat(Arc::new(Mutex::new(Some(seat))))
    }
}

impl HeldSeat {
    pub(crate) fn leave(&self) {
        drop(self.lock().take());
    }

    /// They are those of `again` from now on.
    pub(crate) fn take_from(&self, again: &HeldSeat) {
        let seat = again.lock().take();
        *self.lock() = seat;
    }

    /// Goes along with the answer, which says by what the request was let in.
    pub(crate) fn with_answer(self, mut response: Response) -> Response {
        if let Some([schema, level]) = self.lock().as_ref().and_then(|seat| seat.uids.clone()) {
            for (name, uid) in [(&SCHEMA_UID, schema), (&LEVEL_UID, level)] {
                if let Ok(uid) = HeaderValue::from_str(&uid) {
                    response.headers_mut().insert(name.clone(), uid);
                }
            }
        }
        response.extensions_mut().insert(self);
        response
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seat>> {
        self.0.lock()
    }
}

/// A client that does not read its answer keeps its seats until it has: what it holds in memory is what it has seats for. Over HTTP/2
/// it says itself how much may be written, so that even a small answer may stay. It holds them for a while only: a stream, a
/// watch above all, goes on for as long as somebody wants it, and what somebody else answers comes when it comes.
pub(crate) fn hold(mut response: Response) -> Response {
    let seat = response.extensions_mut().remove::<HeldSeat>();
    let Some(size) = hyper::body::Body::size_hint(response.body()).exact() else { return response };
    if size > 0 && response.extensions().get::<Verbatim>().is_none() {
        response.extensions_mut().insert(TAKEN_WITHIN);
    }
    let Some(seat) = seat.filter(|_| size > LARGEST_UNHELD) else { return response };
    let (mut head, body) = response.into_parts();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    let chunks = body.into_data_stream().flat_map(move |chunk| {
        let _held = &seat;
        futures::stream::iter(pieces(chunk))
    });
    Response::from_parts(head, responses::body(chunks).into_body())
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
    use std::convert::Infallible;

    #[test]
    fn what_is_whole_must_be_taken_and_what_streams_may_wait() {
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
            assert_eq!(held.extensions().get::<TakenWithin>().is_some(), want, "{name}");
        }
    }
}
