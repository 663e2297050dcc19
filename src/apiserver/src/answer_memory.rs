//! What the answers of other servers take while they are read. Who asks for something that a webhook must convert or judge does not
//! choose how much the webhook says, and hundreds may ask at once: a server that says eight megabytes to each, and stops before the
//! last byte, would end the daemon.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who says no more waits for nobody.
pub(crate) const SMALL_ANSWER: usize = 64 << 10;
/// Of one server's, by the host that it is asked as; and of all together.
const MOST_OF_ONE: usize = 16 << 20;
const MOST_OF_ALL: usize = 128 << 20;

/// Bytes that may be held.
pub(crate) struct AnswerMemory {
    all: Arc<Semaphore>,
    /// Of those servers that have large answers to give at the moment.
    each: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// They are held until it is dropped.
pub(crate) struct Held {
    _of_one: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for AnswerMemory {
    fn default() -> Self {
        AnswerMemory { all: Arc::new(Semaphore::new(MOST_OF_ALL)), each: Mutex::default() }
    }
}

impl AnswerMemory {
    /// Waits for other answers of the same server first: who waits for his own holds nothing of what others need.
    pub(crate) async fn hold(&self, server: &str, bytes: usize) -> Held {
        let of_one = acquire(self.of(server), bytes.min(MOST_OF_ONE)).await;
        let of_all = acquire(self.all.clone(), bytes.min(MOST_OF_ALL)).await;
        Held { _of_one: of_one, _of_all: of_all }
    }

    fn of(&self, server: &str) -> Arc<Semaphore> {
        let mut each = self.each.lock();
        // nobody waits at those that only this map knows, nor holds anything of them
        each.retain(|_, known| Arc::strong_count(known) > 1);
        each.entry(server.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(MOST_OF_ONE))).clone()
    }
}

async fn acquire(semaphore: Arc<Semaphore>, bytes: usize) -> OwnedSemaphorePermit {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    semaphore.acquire_many_owned(bytes).await.expect("it is never closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn large_answers_wait_for_others_of_the_same_server() {
        const HALF: usize = MOST_OF_ONE / 2;
        let memory = AnswerMemory::default();
        let soon = |server: &'static str| timeout(Duration::from_secs(1), memory.hold(server, HALF));
        let (first, _second) = (soon("a").await.unwrap(), soon("a").await.unwrap());
        assert!(soon("a").await.is_err(), "two have all of it");
        let other = soon("b").await;
        assert!(other.is_ok(), "another server is not held up");
        drop(first);
        let third = soon("a").await;
        assert!(third.is_ok(), "one has been read");
        drop((other, third));
        assert_eq!(memory.each.lock().len(), 2);
        drop(soon("c").await);
        assert_eq!(memory.each.lock().keys().filter(|server| *server == "b").count(), 0, "nobody asks it");
    }

    #[tokio::test(start_paused = true)]
    async fn all_servers_together_have_an_end() {
        let memory = AnswerMemory::default();
        let mut held = Vec::new();
        for server in 0..MOST_OF_ALL / MOST_OF_ONE {
            held.push(memory.hold(&server.to_string(), MOST_OF_ONE).await);
        }
        let soon = || timeout(Duration::from_secs(1), memory.hold("another", 1));
        assert!(soon().await.is_err());
        held.pop();
        assert!(soon().await.is_ok());
    }
}
