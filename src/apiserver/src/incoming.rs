//! Bodies that are on their way: how many there may be. Who sends slowly would else have in memory what he has sent, as often as he has
//! requests, and hold up others by the seats that those have.
//!
//! As among connections the oldest goes, of the user who has the most. Administrators are not counted.

use api::{Reason, Status};
use cluster::Actor;
use listener::{Seat, Seats};
use parking_lot::Mutex;
use std::sync::Arc;

/// Larger ones are counted apart.
pub(crate) const SMALL_BODY: usize = 64 * 1024;
/// Of all sizes: those that stay small take 64 MB together.
const MOST: usize = 1000;
/// Of three megabytes each, and twice that while the last bytes are added.
const MOST_LARGE: usize = 32;

#[derive(Clone)]
pub(crate) struct IncomingBodies {
    all: Seats<Arc<str>>,
    large: Seats<Arc<str>>,
}

/// One body's places, until it is worked on.
pub(crate) struct BodySeat {
    seat: Seat<Arc<str>>,
    seats: IncomingBodies,
    large: Mutex<Option<Seat<Arc<str>>>>,
}

impl Default for IncomingBodies {
    fn default() -> Self {
        IncomingBodies::new(MOST, MOST_LARGE)
    }
}

impl IncomingBodies {
    fn new(most: usize, most_large: usize) -> Self {
        IncomingBodies { all: Seats::new(most), large: Seats::new(most_large) }
    }

    /// For a body of the user's; `None` for one who is not counted.
    pub(crate) fn take(&self, user: &Actor) -> Option<BodySeat> {
        let is_counted = !user.is_in(Actor::MASTERS);
        is_counted.then(|| BodySeat {
            seat: self.all.take(user.name.as_str().into()),
            seats: self.clone(),
            large: Mutex::default(),
        })
    }
}

impl BodySeat {
    /// There are so many bytes of it.
    pub(crate) fn has(&self, bytes: usize) {
        if bytes > SMALL_BODY {
            self.large.lock().get_or_insert_with(|| self.seat.also(&self.seats.large));
        }
    }

    /// What is done while the body has its places.
    ///
    /// # Errors
    /// `TooManyRequests`, when another has taken them.
    pub(crate) async fn hold<T>(&self, work: impl Future<Output = T>) -> Result<T, Status> {
        let mut done = None;
        self.seat.hold(async { done = Some(work.await) }).await;
        done.ok_or_else(|| {
            let why =
                "too many requests, please try again later: too many bodies of this user are on their way";
            let mut refused = Status::new(Reason::TooManyRequests, why);
            refused.retry_after_seconds = Some(1);
            refused
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn who_sends_too_many_at_once_loses_his_own() {
        let incoming = IncomingBodies::new(4, 2);
        let take = |name: &str| incoming.take(&Actor::user(name, &[])).unwrap();
        let bodies = ["jane", "mallory", "mallory", "mallory"].map(take);
        // the first of mallory's goes for a fifth body, whosever it is
        let joe = take("joe");
        assert_eq!(bodies[1].hold(pending::<()>()).await.unwrap_err().reason, Reason::TooManyRequests);
        bodies[0].has(SMALL_BODY + 1);
        bodies[0].has(SMALL_BODY + 2);
        bodies[2].has(SMALL_BODY);
        bodies[3].has(SMALL_BODY + 1);
        assert_eq!(incoming.large.taken(), 2, "each once, and none that is small");
        for (name, body) in
            [("jane", &bodies[0]), ("mallory", &bodies[2]), ("mallory", &bodies[3]), ("joe", &joe)]
        {
            assert_eq!(body.hold(ready(7)).await.ok(), Some(7), "{name}");
        }
        let large = take("mallory");
        large.has(SMALL_BODY + 1);
        drop((bodies, joe, large));
        assert_eq!((incoming.all.taken(), incoming.large.taken()), (0, 0));
        assert!(incoming.take(&Actor::root()).is_none(), "an administrator is not counted");
    }
}
