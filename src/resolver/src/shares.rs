//! Fair shares of what all clients use together: sockets, connections, waiting questions.
//!
//! The rule is that of dynamic thresholds (Choudhury and Hahne, 1998): a client gets one more while it has fewer than are
//! free. So one client alone gets half, `n` greedy ones get `1/(n+1)` each and leave as much for the next one, and nobody
//! has to be told how many clients there are.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// To whom a share is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    Address(IpAddr),
    /// All who ask at these sockets.
    Server(u64),
}

/// Cloning is cheap; clones are the same.
#[derive(Clone)]
pub(crate) struct Shares(Arc<Mutex<State>>);

struct State {
    free: usize,
    held: HashMap<Client, usize>,
    waiting: HashMap<Client, VecDeque<Turn>>,
    /// Of the next one that waits.
    number: u64,
    /// How many wait, and the most that may, of one client and of all.
    queued: usize,
    most_of_one: usize,
    most_of_all: usize,
}

/// Who waits: by its number the first of all comes first, where two have as much.
struct Turn {
    number: u64,
    tell: oneshot::Sender<Share>,
}

/// One of them, until it is dropped.
pub(crate) struct Share {
    of: Shares,
    client: Client,
}

impl Shares {
    pub(crate) fn new(total: usize, most_of_one: usize, most_of_all: usize) -> Self {
        let (held, waiting) = (HashMap::new(), HashMap::new());
        Shares(Arc::new(Mutex::new(State {
            free: total,
            held,
            waiting,
            number: 0,
            queued: 0,
            most_of_one,
            most_of_all,
        })))
    }

    pub(crate) fn try_take(&self, client: Client) -> Option<Share> {
        self.state().grant(client).then(|| Share { of: self.clone(), client })
    }

    /// Waits where the client has its share; `None` where too many wait already.
    pub(crate) async fn take(&self, client: Client) -> Option<Share> {
        let turn = {
            let mut state = self.state();
            // who came first is served first
            if !state.waiting.contains_key(&client) && state.grant(client) {
                return Some(Share { of: self.clone(), client });
            }
            state.queue(client)?
        };
        turn.await.ok()
    }

    fn give_back(&self, client: Client) {
        let next: Vec<_> = {
            let mut state = self.state();
            state.release(client);
            std::iter::from_fn(|| state.next()).collect()
        };
        for (client, turn) in next {
            // who has gone away meanwhile gives it back by dropping it: not with the lock held
            drop(turn.send(Share { of: self.clone(), client }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    fn held(&self, client: Client) -> usize {
        self.held.get(&client).copied().unwrap_or(0)
    }

    fn grant(&mut self, client: Client) -> bool {
        if self.held(client) >= self.free {
            return false;
        }
        self.free -= 1;
        *self.held.entry(client).or_default() += 1;
        true
    }

    fn release(&mut self, client: Client) {
        self.free += 1;
        if let Some(held) = self.held.get_mut(&client) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&client);
            }
        }
    }

    fn queue(&mut self, client: Client) -> Option<oneshot::Receiver<Share>> {
        let own = self.waiting.get(&client).map_or(0, VecDeque::len);
        if self.queued >= self.most_of_all || own >= self.most_of_one {
            return None;
        }
        let (tell, turn) = oneshot::channel();
        self.number += 1;
        self.waiting.entry(client).or_default().push_back(Turn { number: self.number, tell });
        self.queued += 1;
        Some(turn)
    }

    /// Of those who wait the one who has least, and has it now.
    fn next(&mut self) -> Option<(Client, oneshot::Sender<Share>)> {
        let first = |queue: &VecDeque<Turn>| queue.front().map(|turn| turn.number);
        let least = self.waiting.iter().min_by_key(|(client, queue)| (self.held(**client), first(queue)));
        let client = *least?.0;
        if !self.grant(client) {
            return None;
        }
        let queue = self.waiting.get_mut(&client)?;
        let turn = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&client);
        }
        self.queued -= 1;
        Some((client, turn.tell))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.give_back(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(shares: &Shares, client: Client) -> Vec<Share> {
        std::iter::from_fn(|| shares.try_take(client)).collect()
    }

    #[test]
    fn the_greedy_leave_as_much_as_they_have() {
        let shares = Shares::new(120, 0, 0);
        let first = take_all(&shares, Client::Server(1));
        assert_eq!(first.len(), 60);
        let second = take_all(&shares, Client::Server(2));
        assert_eq!(second.len(), 30);
        drop(first);
        assert_eq!(take_all(&shares, Client::Server(3)).len(), 45);
        drop(second);
        assert_eq!(take_all(&shares, Client::Server(3)).len(), 60, "all are back");
    }

    #[tokio::test]
    async fn who_has_least_is_next_and_queues_are_bounded() {
        let shares = Shares::new(3, 2, 3);
        let (greedy, modest) = (Client::Server(1), Client::Server(2));
        let held = take_all(&shares, greedy);
        assert_eq!(held.len(), 2);
        let last = shares.take(Client::Server(3)).await.unwrap();
        let wait = |client| {
            let shares = shares.clone();
            tokio::spawn(async move { shares.take(client).await })
        };
        let (first, second, third) = (wait(greedy), wait(greedy), wait(greedy));
        assert!(third.await.unwrap().is_none(), "two of one may wait");
        let (turn, over) = (wait(modest), wait(modest));
        assert!(over.await.unwrap().is_none(), "three of all may wait");
        drop(last);
        let turn = turn.await.unwrap();
        assert!(turn.is_some(), "the modest one's turn, though it came last");
        drop((turn, held));
        for waited in [first, second] {
            assert!(waited.await.unwrap().is_some());
        }
        assert_eq!(shares.state().queued, 0);
    }

    #[tokio::test]
    async fn who_goes_away_while_it_waits_takes_nothing_along() {
        let shares = Shares::new(2, 2, 2);
        let held = shares.try_take(Client::Server(1)).unwrap();
        let waiting = tokio::spawn({
            let shares = shares.clone();
            async move { shares.take(Client::Server(1)).await }
        });
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.is_err());
        drop(held);
        let state = shares.state();
        assert_eq!((state.free, state.queued, state.held.len()), (2, 0, 0));
    }
}
