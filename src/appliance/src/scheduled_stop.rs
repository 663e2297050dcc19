//! A stop at a later time: one at most, kept in a file, so that a daemon that is exchanged meanwhile stops as well.

use parking_lot::Mutex;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct ScheduledStop {
    file: PathBuf,
    stop: CancellationToken,
    next: Mutex<Option<Planned>>,
}

struct Planned {
    /// Seconds since 1970.
    at: u64,
    timer: AbortHandle,
}

impl ScheduledStop {
    /// Takes up what was planned before; what is past is forgotten: the stop that it meant has been.
    pub fn load(file: PathBuf, stop: CancellationToken) -> Arc<Self> {
        let planned = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        let scheduled = Arc::new(ScheduledStop { file, stop, next: Mutex::default() });
        match planned {
            Some(at) if at > now() => scheduled.wait_until(at),
            _ => drop(scheduled.cancel()),
        }
        scheduled
    }

    /// Seconds since 1970.
    pub fn at(&self) -> Option<u64> {
        self.locked().as_ref().map(|planned| planned.at)
    }

    /// Instead of what was planned before.
    ///
    /// # Errors
    /// It could not be written down; what was planned before stays.
    pub fn set(&self, after: Duration) -> io::Result<u64> {
        let at = now().saturating_add(after.as_secs().max(1));
        std::fs::write(&self.file, at.to_string())?;
        self.wait_until(at);
        Ok(at)
    }

    /// # Errors
    /// It would be planned again after the next start.
    pub fn cancel(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        if let Some(before) = self.locked().take() {
            before.timer.abort();
        }
        Ok(())
    }

    fn wait_until(&self, at: u64) {
        let (stop, file) = (self.stop.clone(), self.file.clone());
        let left = Duration::from_secs(at.saturating_sub(now()));
        let timer = tokio::spawn(async move {
            tokio::time::sleep(left).await;
            tracing::info!("the scheduled stop is due");
            let _ = std::fs::remove_file(file);
            stop.cancel();
        });
        let before = self.locked().replace(Planned { at, timer: timer.abort_handle() });
        if let Some(before) = before {
            before.timer.abort();
        }
    }

    fn locked(&self) -> parking_lot::MutexGuard<'_, Option<Planned>> {
        self.next.lock()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stop_comes_when_it_is_due_and_a_new_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stop-at");
        let stop = CancellationToken::new();
        let scheduled = ScheduledStop::load(file.clone(), stop.clone());
        assert_eq!(scheduled.at(), None);
        scheduled.set(Duration::from_secs(60)).unwrap();
        let later = scheduled.set(Duration::from_secs(600)).unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(!stop.is_cancelled() && scheduled.at() == Some(later), "the first was replaced");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(stop.is_cancelled() && !file.exists());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_cancelled_and_taken_up_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stop-at");
        let stop = CancellationToken::new();
        ScheduledStop::load(file.clone(), stop.clone()).set(Duration::from_secs(60)).unwrap();
        let again = ScheduledStop::load(file.clone(), stop.clone());
        assert!(again.at().is_some(), "the next daemon knows it");
        again.cancel().unwrap();
        assert!(again.at().is_none() && !file.exists());
        std::fs::write(&file, "17").unwrap();
        assert_eq!(ScheduledStop::load(file.clone(), stop.clone()).at(), None, "what is past is past");
        assert!(!stop.is_cancelled() && !file.exists());
    }
}
