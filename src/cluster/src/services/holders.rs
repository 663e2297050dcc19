//! Who has which address, and which port.

use ipnet::Ipv4Net;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv4Addr;

#[derive(Default)]
pub(super) struct Allocations {
    /// Where addresses are given from: the cluster's own range first.
    pub(super) ranges: Vec<Ipv4Net>,
    pub(super) addresses: Holders<Ipv4Addr>,
    pub(super) ports: Holders<u16>,
}

/// Who holds what, by the Service's uid.
pub(super) struct Holders<T> {
    holders: HashMap<T, Holder>,
    /// How often something was taken.
    takes: u64,
}

struct Holder {
    uid: String,
    /// Which of the takes it was.
    take: u64,
    /// The Service that holds it is in the store; until then its write is on the way.
    stored: bool,
}

impl Allocations {
    pub(super) fn takes(&self) -> (u64, u64) {
        (self.addresses.takes, self.ports.takes)
    }
}

impl<T> Default for Holders<T> {
    fn default() -> Self {
        Holders { holders: HashMap::new(), takes: 0 }
    }
}

impl<T: Eq + Hash + Copy> Holders<T> {
    pub(super) fn is_free(&self, what: &T) -> bool {
        !self.holders.contains_key(what)
    }

    /// A holder that was stored, and that the store no longer shows with it, has been deleted this moment: whoever saw that
    /// may have it, though the one who deleted has not come round to the allocations.
    pub(super) fn take(&mut self, what: T, uid: &str, still_stored: impl FnOnce() -> bool) -> bool {
        if self.holders.get(&what).is_some_and(|holder| !holder.stored || still_stored()) {
            return false;
        }
        self.takes += 1;
        self.holders.insert(what, Holder { uid: uid.to_owned(), take: self.takes, stored: false });
        true
    }

    pub(super) fn is_any_taken(&self, is_such: impl Fn(&T) -> bool) -> bool {
        self.holders.keys().any(is_such)
    }

    pub(super) fn is_stored(&mut self, what: &T, uid: &str) {
        if let Some(holder) = self.holders.get_mut(what).filter(|holder| holder.uid == uid) {
            holder.stored = true;
        }
    }

    pub(super) fn give_back(&mut self, what: &T, uid: &str) {
        if self.holders.get(what).is_some_and(|holder| holder.uid == uid) {
            self.holders.remove(what);
        }
    }

    /// Of what a committed write gave up, that looked at the Service after so many takes. As soon as the store shows that, the
    /// same Service may have taken it again by its next write: that one's it stays.
    pub(super) fn give_up(&mut self, what: &T, uid: &str, seen: u64) {
        if self.holders.get(what).is_some_and(|holder| holder.take <= seen) {
            self.give_back(what, uid);
        }
    }

    pub(super) fn load(&mut self, held: impl IntoIterator<Item = T>, uid: &str) {
        let holder = || Holder { uid: uid.to_owned(), take: 0, stored: true };
        self.holders.extend(held.into_iter().map(|what| (what, holder())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 30000;

    #[test]
    fn what_a_service_takes_again_is_not_freed_by_the_write_that_gave_it_up() {
        let mut holders = Holders::default();
        holders.load([PORT], "web");
        let seen = holders.takes;
        // the store shows that it was given up before the one who did so comes round to it
        assert!(holders.take(PORT, "web", || false));
        holders.give_up(&PORT, "web", seen);
        holders.is_stored(&PORT, "web");
        assert!(!holders.take(PORT, "other", || true), "it is the next write's");
        let seen = holders.takes;
        holders.give_up(&PORT, "web", seen);
        assert!(holders.is_free(&PORT));
    }

    #[test]
    fn what_is_given_up_is_free_though_the_one_who_took_it_is_slow() {
        let mut holders = Holders::default();
        assert!(holders.take(PORT, "web", || false));
        let seen = holders.takes;
        holders.give_up(&PORT, "web", seen);
        // now he comes round to it
        holders.is_stored(&PORT, "web");
        assert!(holders.is_free(&PORT));
    }
}
