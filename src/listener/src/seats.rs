//! How many connections there may be for which nobody vouches. When there are too many, not the newest has to go: then those who
//! were first would lock everybody out. The oldest goes, of the address that has the most: whoever opens thousands
//! displaces only himself.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// By whom connections are told apart: an address, a user.
pub trait Owner: Clone + Eq + Hash + Send + Sync + 'static {}

impl<T: Clone + Eq + Hash + Send + Sync + 'static> Owner for T {}

/// Is told when a connection has requests, and when it has none.
pub trait Turns: Send + Sync {
    /// There may have been others.
    fn begin(&self);
    /// The last one that was open has ended.
    fn end(&self);
}

#[derive(Clone)]
pub struct Seats<K: Owner = IpAddr>(Arc<Inner<K>>);

struct Inner<K: Owner> {
    most: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K: Owner> {
    next: u64,
    count: usize,
    by_owner: HashMap<K, BTreeMap<u64, CancellationToken>>,
}

/// One connection's, until it is dropped.
pub struct Seat<K: Owner = IpAddr> {
    seats: Seats<K>,
    owner: K,
    number: Mutex<Option<u64>>,
    lost: CancellationToken,
}

impl<K: Owner> Seats<K> {
    pub fn new(most: usize) -> Self {
        let taken = Taken { next: 0, count: 0, by_owner: HashMap::new() };
        Seats(Arc::new(Inner { most, taken: Mutex::new(taken) }))
    }

    /// For a connection from there; another may lose its own.
    pub fn take(&self, owner: K) -> Seat<K> {
        let seat = self.reserve(owner, CancellationToken::new());
        seat.sit();
        seat
    }

    /// The same, where the owner has fewer than `most`; `None` where he has as many.
    pub fn take_below(&self, owner: K, most: usize) -> Option<Seat<K>> {
        let lost = CancellationToken::new();
        let mut taken = self.lock();
        if taken.by_owner.get(&owner).is_some_and(|of_owner| of_owner.len() >= most) {
            return None;
        }
        let number = taken.sit(self.0.most, &owner, &lost);
        drop(taken);
        Some(Seat { seats: self.clone(), owner, number: Mutex::new(Some(number)), lost })
    }

    /// One that is not taken yet. `lost` is cancelled when another takes it.
    pub(crate) fn reserve(&self, owner: K, lost: CancellationToken) -> Seat<K> {
        Seat { seats: self.clone(), owner, number: Mutex::new(None), lost }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.lock().count
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Taken<K>> {
        self.0.taken.lock()
    }
}

impl<K: Owner> Taken<K> {
    /// Where all are taken, another has to go.
    fn sit(&mut self, most: usize, owner: &K, lost: &CancellationToken) -> u64 {
        if self.count >= most {
            self.displace_one(owner);
        }
        self.next += 1;
        self.count += 1;
        self.by_owner.entry(owner.clone()).or_default().insert(self.next, lost.clone());
        self.next
    }

    fn remove(&mut self, owner: &K, number: u64) {
        let Some(of_owner) = self.by_owner.get_mut(owner) else { return };
        if of_owner.remove(&number).is_some() {
            self.count -= 1;
        }
        if of_owner.is_empty() {
            self.by_owner.remove(owner);
        }
    }

    /// Of owners with as many seats as another the newcomer's own gives way.
    fn displace_one(&mut self, newcomer: &K) {
        let crowd = self.by_owner.iter().max_by_key(|(owner, of_owner)| (of_owner.len(), *owner == newcomer));
        let Some((owner, of_owner)) = crowd else { return };
        let Some((&number, lost)) = of_owner.first_key_value() else { return };
        lost.cancel();
        let owner = owner.clone();
        self.remove(&owner, number);
    }
}

impl<K: Owner> Seat<K> {
    /// Somebody vouches for the connection: it needs no seat.
    pub fn leave(&self) {
        let mut number = self.number.lock();
        if let Some(number) = number.take() {
            self.seats.lock().remove(&self.owner, number);
        }
    }

    /// It needs one again.
    pub fn sit(&self) {
        let mut number = self.number.lock();
        if number.is_some() {
            return;
        }
        *number = Some(self.seats.lock().sit(self.seats.0.most, &self.owner, &self.lost));
    }

    /// Another one, among others, for the same connection: it goes when it loses either.
    pub fn also(&self, others: &Seats<K>) -> Seat<K> {
        let seat = others.reserve(self.owner.clone(), self.lost.clone());
        seat.sit();
        seat
    }

    /// Whether nobody vouches for the connection.
    pub fn is_taken(&self) -> bool {
        self.number.lock().is_some()
    }

    /// Whether the connection has to go.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// The connection, until it ends or loses its seat.
    pub async fn hold(&self, connection: impl Future<Output = ()>) {
        self.lost.run_until_cancelled(connection).await;
    }
}

/// Left while a request is open.
impl<K: Owner> Turns for Seat<K> {
    fn begin(&self) {
        self.leave();
    }

    fn end(&self) {
        self.sit();
    }
}

impl<K: Owner> Drop for Seat<K> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(seats: &[Seat]) -> Vec<usize> {
        (0..seats.len()).filter(|at| seats[*at].lost.is_cancelled()).collect()
    }

    #[test]
    fn who_has_the_most_loses_his_oldest() {
        let (mallory, alice) = (IpAddr::from([192, 0, 2, 66]), IpAddr::from([127, 0, 0, 1]));
        let seats = Seats::new(4);
        let mut all: Vec<Seat> = [alice, mallory, mallory, mallory].map(|from| seats.take(from)).into();
        assert_eq!(lost(&all), Vec::<usize>::new());
        all.push(seats.take(mallory));
        assert_eq!(lost(&all), [1]);
        all.push(seats.take(alice));
        assert_eq!(lost(&all), [1, 2]);
        (0..100).for_each(|_| all.push(seats.take(mallory)));
        assert!(!all[0].lost.is_cancelled() && !all[5].lost.is_cancelled());
        assert_eq!(seats.taken(), 4);
        drop(all);
        assert_eq!(seats.taken(), 0);
    }

    #[test]
    fn who_has_as_many_as_he_may_gets_no_more() {
        let (mallory, alice) = (IpAddr::from([192, 0, 2, 66]), IpAddr::from([127, 0, 0, 1]));
        let seats = Seats::new(3);
        let mut all: Vec<Seat> = (0..2).filter_map(|_| seats.take_below(mallory, 2)).collect();
        assert!(all.len() == 2 && seats.take_below(mallory, 2).is_none());
        all.extend((0..2).filter_map(|_| seats.take_below(alice, 2)));
        assert_eq!((lost(&all), seats.taken()), (vec![0], 3));
        assert!(seats.take_below(mallory, 2).is_some(), "he has lost one");
    }

    #[test]
    fn a_connection_goes_when_it_loses_any_of_its_seats() {
        let here = IpAddr::from([127, 0, 0, 1]);
        let (connections, requests) = (Seats::new(2), Seats::new(2));
        let (one, other) = (connections.take(here), connections.take(here));
        let all = [one.also(&requests), other.also(&requests), other.also(&requests)];
        assert_eq!(lost(&all), [0]);
        assert!(one.is_lost() && !other.is_lost());
        drop((one, other));
        assert_eq!((connections.taken(), requests.taken()), (0, 2));
        drop(all);
        assert_eq!(requests.taken(), 0);
    }

    #[test]
    fn who_is_vouched_for_is_not_displaced_until_he_sits_again() {
        let here = IpAddr::from([127, 0, 0, 1]);
        let seats = Seats::new(2);
        let mut all: Vec<Seat> = (0..2).map(|_| seats.take(here)).collect();
        all[0].leave();
        assert!(!all[0].is_taken() && all[1].is_taken());
        all.push(seats.take(here));
        assert_eq!(lost(&all), Vec::<usize>::new());
        all[0].sit();
        assert_eq!(lost(&all), [1]);
        all[1].leave();
        assert_eq!(seats.taken(), 2);
    }
}
