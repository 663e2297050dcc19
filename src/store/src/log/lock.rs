//! The directory of a store belongs to one process at a time.

use super::OpenError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

const LOCK: &str = "cluster.lock";

/// Makes the directory, and takes it for this process. `what` is what another one then holds.
pub(super) fn lock(dir: &Path, what: &str) -> Result<File, OpenError> {
    let failed =
        |why: std::io::Error| OpenError::Failed { place: dir.display().to_string(), why: why.to_string() };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(dir.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse { place: what.to_owned(), holder: holder(&mut lock) });
        }
        Err(TryLockError::Error(why)) => return Err(failed(why)),
    }
    // only to name the holder to others: with a full disk the lock holds all the same
    let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
    Ok(lock)
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    let read = lock.rewind().and_then(|()| lock.read_to_string(&mut pid));
    match (read, pid.parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}
