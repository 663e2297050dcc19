//! The copies that are being made, each on a thread of its own: a long one holds up nobody else.

use crate::copy::is_final;
use crate::plan::Medium;
use crate::{directories, files};
use cluster::{Key, WorkQueue};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// More would only share the disk.
const AT_ONCE: u32 = 2;

/// What is to be copied, and where to.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) from: PathBuf,
    pub(crate) below: PathBuf,
    pub(crate) name: String,
    pub(crate) medium: Medium,
}

pub(crate) enum Progress {
    NotBegun,
    /// The key comes again when it has ended.
    Runs,
    Ended(io::Result<PathBuf>),
}

/// By the key that they are made for.
pub(crate) struct Copies<K> {
    jobs: Arc<Mutex<HashMap<K, Job>>>,
    slots: Arc<Semaphore>,
    queue: WorkQueue<K>,
    stop: CancellationToken,
}

struct Job {
    name: String,
    /// When it has ended.
    outcome: Option<io::Result<PathBuf>>,
    stop: CancellationToken,
}

impl<K: Key> Copies<K> {
    pub(crate) fn new(queue: WorkQueue<K>, stop: &CancellationToken) -> Self {
        Copies {
            jobs: Arc::default(),
            slots: Arc::new(Semaphore::new(AT_ONCE as usize)),
            queue,
            stop: stop.child_token(),
        }
    }

    /// How the key's copy ended, where it has: told once, but for a failure that is final. That one is told as long as the same
    /// copy is wanted: each change of an object would have it made once more.
    pub(crate) fn outcome(&self, key: &K) -> Progress {
        let mut jobs = self.jobs();
        match jobs.get(key) {
            None => Progress::NotBegun,
            Some(Job { outcome: None, .. }) => Progress::Runs,
            Some(Job { outcome: Some(Err(error)), .. }) if is_final(error) => {
                Progress::Ended(Err(io::Error::new(error.kind(), error.to_string())))
            }
            Some(_) => match jobs.remove(key).and_then(|job| job.outcome) {
                Some(outcome) => Progress::Ended(outcome),
                None => Progress::NotBegun,
            },
        }
    }

    /// Where nothing is copied for the key yet; it comes again when it has ended.
    pub(crate) fn begin(&self, key: &K, wanted: Wanted) {
        let stop = self.stop.child_token();
        let job = Job { name: wanted.name.clone(), outcome: None, stop: stop.clone() };
        self.jobs().insert(key.clone(), job);
        self.spawn(key.clone(), wanted, stop);
    }

    /// Has the key's copy end, where it is not the one that is wanted, if any is. The name of one that is there and that
    /// nobody wants any more.
    pub(crate) fn unwanted(&self, key: &K, wanted: Option<&str>) -> Option<String> {
        let mut jobs = self.jobs();
        let job = jobs.get(key).filter(|job| Some(job.name.as_str()) != wanted)?;
        job.stop.cancel();
        job.outcome.as_ref()?;
        jobs.remove(key).filter(|job| matches!(job.outcome, Some(Ok(_)))).map(|job| job.name)
    }

    /// After the token, for the end: none is worked on any more.
    pub(crate) async fn ended(&self) {
        let _ = self.slots.acquire_many(AT_ONCE).await;
    }

    fn spawn(&self, key: K, wanted: Wanted, stop: CancellationToken) {
        let (jobs, slots, queue) = (self.jobs.clone(), self.slots.clone(), self.queue.clone());
        tokio::spawn(async move {
            let _slot = slots.acquire_owned().await;
            let copied = tokio::task::spawn_blocking(move || made(&wanted, &stop)).await;
            let outcome = copied.unwrap_or_else(|broken| Err(io::Error::other(broken)));
            if let Some(job) = jobs.lock().get_mut(&key) {
                job.outcome = Some(outcome);
            }
            queue.add(key);
        });
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<K, Job>> {
        self.jobs.lock()
    }
}

fn made(wanted: &Wanted, stop: &CancellationToken) -> io::Result<PathBuf> {
    let Wanted { from, below, name, medium } = wanted;
    match *medium {
        Medium::Directory => directories::make_copy(from, below, name, stop),
        Medium::File(bytes) => files::make_copy(from, below, name, bytes, stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    async fn ended(copies: &Copies<u8>, queue: &WorkQueue<u8>, wanted: &Wanted) -> io::Result<PathBuf> {
        loop {
            match copies.outcome(&1) {
                Progress::Ended(outcome) => return outcome,
                Progress::NotBegun => copies.begin(&1, wanted.clone()),
                Progress::Runs => {}
            }
            let key = queue.next().await;
            queue.done(&key);
        }
    }

    #[tokio::test]
    async fn a_copy_wakes_its_key_and_one_that_nobody_wants_is_told() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("from");
        fs::create_dir(&from).unwrap();
        let below = root.path().join("to");
        let wanted = |name: &str| Wanted {
            from: from.clone(),
            below: below.clone(),
            name: name.to_owned(),
            medium: Medium::Directory,
        };
        let queue = WorkQueue::new();
        let copies = Copies::new(queue.clone(), &CancellationToken::new());
        assert_eq!(ended(&copies, &queue, &wanted("a")).await.unwrap(), below.join("a"));
        let none = Wanted { from: root.path().join("none"), ..wanted("b") };
        assert!(ended(&copies, &queue, &none).await.is_err(), "and is tried again");
        assert!(ended(&copies, &queue, &wanted("b")).await.is_ok());
        let deep = root.path().join("deep");
        fs::create_dir_all(deep.join("d/".repeat(300))).unwrap();
        let deep = Wanted { from: deep, ..wanted("e") };
        for _ in 0..2 {
            let refused = ended(&copies, &queue, &deep).await.unwrap_err();
            assert!(is_final(&refused), "{refused}");
            assert!(matches!(copies.outcome(&1), Progress::Ended(Err(_))), "and is not tried again");
        }
        assert!(!below.join("e").exists());
        assert_eq!(copies.unwanted(&1, Some("b")), None, "another one is wanted");
        assert!(matches!(copies.outcome(&1), Progress::NotBegun));
        let device = root.path().join("device");
        fs::write(&device, "x").unwrap();
        let device = Wanted { from: device, medium: Medium::File(1), ..wanted("d") };
        let made = ended(&copies, &queue, &device).await.unwrap();
        assert_eq!(fs::metadata(made).unwrap().len(), 4096);

        copies.begin(&1, wanted("c"));
        assert!(matches!(copies.outcome(&1), Progress::Runs));
        assert_eq!(queue.next().await, 1);
        assert_eq!(copies.unwanted(&1, Some("c")), None, "it is wanted");
        assert_eq!(copies.unwanted(&1, None).as_deref(), Some("c"));
        assert_eq!(copies.unwanted(&1, None), None, "told once");
        copies.ended().await;
    }
}
