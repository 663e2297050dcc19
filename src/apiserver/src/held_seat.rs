//! What a request holds of its priority level, and how long.

use crate::responses;
use bytes::Bytes;
use flowcontrol::Seat;
use futures::StreamExt;
use http::{HeaderName, HeaderValue, header};
use http_body_util::BodyExt;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use warp::reply::Response;

static SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
static LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
/// The kernel takes an answer of that size from us at once, whether it is read or not.
const LARGEST_UNHELD: u64 = 128 * 1024;
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

/// A client that does not read a large answer keeps its seats until it has: what it holds in memory is what it has seats for. A
/// small one is with the kernel at once, and a stream, a watch above all, goes on for as long as somebody wants it.
pub(crate) fn hold(mut response: Response) -> Response {
    let Some(seat) = response.extensions_mut().remove::<HeldSeat>() else { return response };
    let size = hyper::body::Body::size_hint(response.body()).exact();
    let Some(size) = size.filter(|size| *size > LARGEST_UNHELD) else { return response };
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
