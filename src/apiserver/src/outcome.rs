//! What becomes of a request whose answer does not come in time. The metrics and the audit log hear of it when it is given up, and
//! not again when the work that goes on comes to an end (what upstream's `InstrumentHandler` and `WithAudit` see: 504).

use crate::audit_trail::AuditTrail;
use api::{Reason, Status};
use audit::{ResponseStatus, Stage};
use parking_lot::Mutex;
use std::sync::Arc;

type Count = Box<dyn FnOnce() + Send>;

/// Clones are of the same request.
#[derive(Clone, Default)]
pub(crate) struct Outcome(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_given_up: bool,
    trail: Option<AuditTrail>,
    count: Option<Count>,
}

impl Outcome {
    /// The audit log wants to hear of it.
    pub(crate) fn follow(&self, trail: &AuditTrail) {
        let mut state = self.0.lock();
        match state.is_given_up {
            true => end(trail),
            false => state.trail = Some(trail.clone()),
        }
    }

    /// Counts it, should it be given up.
    pub(crate) fn when_given_up(&self, count: Count) {
        let mut state = self.0.lock();
        match state.is_given_up {
            true => count(),
            false => state.count = Some(count),
        }
    }

    /// Whether its client gets the answer that there is now.
    pub(crate) fn answered(&self) -> bool {
        let mut state = self.0.lock();
        state.count = None;
        !state.is_given_up
    }

    /// What its client is told.
    pub(crate) fn give_up(&self) -> Status {
        let (trail, count) = {
            let mut state = self.0.lock();
            state.is_given_up = true;
            (state.trail.take(), state.count.take())
        };
        if let Some(trail) = trail {
            end(&trail);
        }
        if let Some(count) = count {
            count();
        }
        late()
    }
}

fn late() -> Status {
    Status::new(Reason::Timeout, "Timeout: request did not complete within the allotted timeout")
}

fn end(trail: &AuditTrail) {
    trail.end(ResponseStatus::of_status(&late().to_json()), Stage::ResponseComplete);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_request_is_counted_as_late_once_and_never_when_it_was_answered() {
        let counted = Arc::new(AtomicUsize::new(0));
        let count = || -> Count {
            let counted = counted.clone();
            Box::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
            })
        };
        let so_far = || counted.load(Ordering::Relaxed);
        let outcome = Outcome::default();
        outcome.when_given_up(count());
        assert_eq!((outcome.give_up().code, so_far()), (504, 1));
        assert!(!outcome.answered(), "what it comes to is told to nobody");
        outcome.give_up();
        assert_eq!(so_far(), 1);
        let outcome = Outcome::default();
        outcome.give_up();
        outcome.when_given_up(count());
        assert_eq!(so_far(), 2, "it was given up before somebody knew what it is");
        let outcome = Outcome::default();
        outcome.when_given_up(count());
        assert!(outcome.answered());
        outcome.give_up();
        assert_eq!(so_far(), 2);
    }
}
