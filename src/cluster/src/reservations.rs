//! What a write holds from the moment it was admitted until it is committed: addresses and node ports of a Service, a place in
//! the namespace's quota. Whoever reserves adds what it took; the write path says once for all of it how it ended.

use ::api::Status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use store::{Store, Write};

/// Given back when it is dropped without being committed.
pub(crate) trait Reservation: Send + Sync {
    /// What is stored together with the object, all or nothing.
    ///
    /// # Errors
    /// `InternalError` where it can not be encoded.
    fn written_with(&self, _store: &Store, _object: &ObjectMeta) -> Result<Vec<Write>, Status> {
        Ok(Vec::new())
    }

    fn commit(self: Box<Self>);
}

/// All that one write reserved. Most writes reserve nothing, and allocate nothing for it.
#[derive(Default)]
#[must_use = "what is dropped is given back"]
pub(crate) struct Reservations(Vec<Box<dyn Reservation>>);

impl Reservations {
    pub(crate) fn hold(&mut self, reservation: impl Reservation + 'static) {
        self.0.push(Box::new(reservation));
    }

    /// What is committed with the object.
    ///
    /// # Errors
    /// As [`Reservation::written_with`].
    pub(crate) fn written_with(&self, store: &Store, object: &ObjectMeta) -> Result<Vec<Write>, Status> {
        let mut beside = Vec::new();
        for reservation in &self.0 {
            beside.extend(reservation.written_with(store, object)?);
        }
        Ok(beside)
    }

    /// The write is stored. A dry run gives everything back.
    pub(crate) fn commit_unless(self, dry_run: bool) {
        for reservation in self.0.into_iter().filter(|_| !dry_run) {
            reservation.commit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counted {
        left: Arc<AtomicUsize>,
        is_committed: bool,
    }

    impl Reservation for Counted {
        fn commit(mut self: Box<Self>) {
            self.is_committed = true;
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            if !self.is_committed {
                self.left.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn what_is_not_committed_is_given_back() {
        type End = fn(Reservations);
        let ends: [(&str, End, usize); 3] = [
            ("committed", |all| all.commit_unless(false), 0),
            ("a dry run", |all| all.commit_unless(true), 2),
            ("the write failed", drop, 2),
        ];
        for (name, end, want) in ends {
            let left = Arc::new(AtomicUsize::new(0));
            let mut all = Reservations::default();
            (0..2).for_each(|_| all.hold(Counted { left: left.clone(), is_committed: false }));
            end(all);
            assert_eq!(left.load(Ordering::Relaxed), want, "given back: {name}");
        }
    }
}
