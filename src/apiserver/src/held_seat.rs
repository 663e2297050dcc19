//! What a request holds of its priority level, and how long.

use flowcontrol::Seat;
use http::{HeaderName, HeaderValue};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use warp::reply::Response;

static SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
static LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

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

    /// How many hold it together.
    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seat>> {
        self.0.lock()
    }
}
