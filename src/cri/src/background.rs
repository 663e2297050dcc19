//! Work that blocks, off the threads that must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinError;

/// Does what blocks on a disk or on the kernel where it may block. A panic in it is an error of whoever waits, so that it
/// ends one request and not the connection that others share.
///
/// # Errors
/// Those of the work, and what becomes of a panic.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<JoinError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await?
}

/// Who waits for a piece of work. Whoever works for long asks now and then whether he still does.
#[derive(Clone, Default)]
pub struct Asker {
    gone: Arc<AtomicBool>,
}

impl Asker {
    /// What is still done is for nobody.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// Does what blocks, for as long as its result is wanted: work that has not begun when nobody waits any more is left out, and what has
/// begun is told so. What a thread does can not be broken off from outside; without this it would be done to its end for clients
/// that have gone.
///
/// # Errors
/// What becomes of a panic.
pub async fn blocking_while_wanted<T: Send + 'static>(
    work: impl FnOnce(&Asker) -> T + Send + 'static,
) -> Result<T, JoinError> {
    let asker = Asker::default();
    let told = asker.clone();
    let mut waits = Waits { asker, work: tokio::task::spawn_blocking(move || work(&told)) };
    (&mut waits.work).await
}

/// Until it is dropped somebody waits.
struct Waits<T> {
    asker: Asker,
    work: tokio::task::JoinHandle<T>,
}

impl<T> Drop for Waits<T> {
    fn drop(&mut self) {
        self.asker.gone.store(true, Ordering::Relaxed);
        // takes it out of the queue, where it is there still
        self.work.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::mpsc;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_becomes_of_work_is_told_to_who_waits() {
        let own = std::thread::current().id();
        let other = blocking(|| Ok::<_, io::Error>(std::thread::current().id())).await.unwrap();
        assert_ne!(other, own, "in the way of others");

        let refused = blocking(|| Err::<(), _>(io::Error::from(io::ErrorKind::NotFound))).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);

        let broken = blocking(|| -> io::Result<()> { panic!("a bug") }).await;
        assert!(broken.unwrap_err().to_string().contains("panicked"));
    }

    #[tokio::test]
    async fn work_hears_that_nobody_waits_for_it() {
        assert!(!blocking_while_wanted(Asker::is_gone).await.unwrap());

        let (begun, has_begun) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let work = blocking_while_wanted(move |asker| {
            let _ = begun.send(());
            while !asker.is_gone() {
                std::thread::yield_now();
            }
            let _ = ended.send(());
        });
        let client = tokio::spawn(work);
        has_begun.await.unwrap();
        client.abort();
        has_ended.await.unwrap();
    }

    #[test]
    fn work_that_has_not_begun_is_left_out() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (go_on, goes_on) = mpsc::channel::<()>();
            let before = tokio::task::spawn_blocking(move || goes_on.recv());
            let (did, has_done) = oneshot::channel();
            let work = tokio::spawn(blocking_while_wanted(move |_| did.send(())));
            // it stands in the queue behind the first when this task has had its turn
            tokio::task::yield_now().await;
            work.abort();
            assert!(work.await.unwrap_err().is_cancelled());
            drop(go_on);
            before.await.unwrap().unwrap_err();
            assert!(has_done.await.is_err(), "it was done for nobody");
        });
    }
}
