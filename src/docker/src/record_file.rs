//! A container's record on the disk, which is behind where there was no room for it.

use crate::files;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How often a record is tried again that could not be written: whoever makes room sees it soon, and a full disk costs little.
const AGAIN: Duration = Duration::from_secs(5);

pub(crate) struct RecordFile<T> {
    path: PathBuf,
    /// Nothing is written of what is no record any more.
    is_kept: fn(&T) -> bool,
    /// The container is being removed: nothing of it is written any more.
    gone: AtomicBool,
    /// Somebody tries again.
    is_late: AtomicBool,
}

impl<T: Serialize + Send + Sync + 'static> RecordFile<T> {
    pub(crate) fn new(path: PathBuf, is_kept: fn(&T) -> bool) -> Self {
        RecordFile { path, is_kept, gone: AtomicBool::new(false), is_late: AtomicBool::new(false) }
    }

    pub(crate) fn stop(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    /// # Errors
    /// What the file system says; the file is as it was then.
    pub(crate) fn write(&self, record: &T) -> io::Result<()> {
        match self.gone.load(Ordering::SeqCst) || !(self.is_kept)(record) {
            true => Ok(()),
            false => files::write(&self.path, record),
        }
    }

    /// Tries until the disk has what the record is by then.
    pub(crate) fn write_later(self: &Arc<Self>, record: &watch::Sender<T>) {
        // without a runtime nothing goes on that could try
        let Ok(runtime) = Handle::try_current() else { return };
        if self.is_late.swap(true, Ordering::SeqCst) {
            return;
        }
        let (file, record) = (self.clone(), record.clone());
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(AGAIN).await;
                // before the record is looked at: whoever changes it from here on, and fails, begins anew
                file.is_late.store(false, Ordering::SeqCst);
                let written = file.write(&record.borrow());
                if written.is_ok() || file.is_late.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_could_not_be_written_is_written_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("container.json");
        // in its place something that no file takes the place of
        std::fs::create_dir_all(path.join("in-the-way")).unwrap();
        let file = Arc::new(RecordFile::new(path.clone(), |number: &u32| *number != 0));
        let record = watch::Sender::new(1_u32);
        file.write(&record.borrow()).unwrap_err();
        file.write_later(&record);
        file.write_later(&record);
        record.send_replace(2);
        std::fs::remove_dir_all(&path).unwrap();
        let written = async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(AGAIN * 4, written).await.unwrap();
        assert_eq!(files::read::<u32>(&path).unwrap(), 2, "as it is by then");

        file.write(&0).unwrap();
        file.stop();
        file.write(&3).unwrap();
        assert_eq!(
            files::read::<u32>(&path).unwrap(),
            2,
            "neither what is no record nor what is being removed"
        );
    }
}
