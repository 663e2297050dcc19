//! How many connections there may be for which nobody vouches. When there are too many, not the newest has to go: then those who
//! were first would lock everybody out. The oldest goes, of the address that has the most: whoever opens thousands
//! displaces only himself.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct Seats(Arc<Inner>);

struct Inner {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    count: usize,
    by_address: HashMap<IpAddr, BTreeMap<u64, CancellationToken>>,
}

/// One connection's, until it is dropped.
pub struct Seat {
    seats: Seats,
    address: IpAddr,
    number: Mutex<Option<u64>>,
    lost: CancellationToken,
}

impl Seats {
    pub fn new(most: usize) -> Self {
        Seats(Arc::new(Inner { most, taken: Mutex::default() }))
    }

    /// For a connection from there; another may lose its own.
    pub fn take(&self, address: IpAddr) -> Seat {
        let seat =
            Seat { seats: self.clone(), address, number: Mutex::new(None), lost: CancellationToken::new() };
        seat.sit();
        seat
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.lock().count
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn add(&mut self, address: IpAddr, lost: CancellationToken) -> u64 {
        self.next += 1;
        self.count += 1;
        self.by_address.entry(address).or_default().insert(self.next, lost);
        self.next
    }

    fn remove(&mut self, address: IpAddr, number: u64) {
        let Some(of_address) = self.by_address.get_mut(&address) else { return };
        if of_address.remove(&number).is_some() {
            self.count -= 1;
        }
        if of_address.is_empty() {
            self.by_address.remove(&address);
        }
    }

    /// Of addresses with as many seats as another the newcomer's own gives way.
    fn displace_one(&mut self, newcomer: IpAddr) {
        let crowd = self
            .by_address
            .iter()
            .max_by_key(|(address, of_address)| (of_address.len(), **address == newcomer));
        let oldest = crowd.and_then(|(address, all)| Some((*address, all.first_key_value()?)));
        if let Some((address, (&number, lost))) = oldest {
            lost.cancel();
            self.remove(address, number);
        }
    }
}

impl Seat {
    /// Somebody vouches for the connection: it needs no seat.
    pub fn leave(&self) {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = number.take() {
            self.seats.lock().remove(self.address, number);
        }
    }

    /// It needs one again.
    pub fn sit(&self) {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        if number.is_some() {
            return;
        }
        let mut taken = self.seats.lock();
        if taken.count >= self.seats.0.most {
            taken.displace_one(self.address);
        }
        *number = Some(taken.add(self.address, self.lost.clone()));
    }

    /// The connection, until it ends or loses its seat.
    pub async fn hold(&self, connection: impl Future<Output = ()>) {
        self.lost.run_until_cancelled(connection).await;
    }
}

impl Drop for Seat {
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
    fn who_is_vouched_for_is_not_displaced_until_he_sits_again() {
        let here = IpAddr::from([127, 0, 0, 1]);
        let seats = Seats::new(2);
        let mut all: Vec<Seat> = (0..2).map(|_| seats.take(here)).collect();
        all[0].leave();
        all.push(seats.take(here));
        assert_eq!(lost(&all), Vec::<usize>::new());
        all[0].sit();
        assert_eq!(lost(&all), [1]);
        all[1].leave();
        assert_eq!(seats.taken(), 2);
    }
}
