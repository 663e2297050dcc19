//! A full disk must not keep anybody from removing images: the index is written before anything is freed, and for that
//! there is a file that can be thrown away.

use rustix::fs::FallocateFlags;
use std::fs::File;
use std::io;
use std::path::Path;

const FILE: &str = "ballast";
/// An index of some thousand images; written beside the one that it replaces.
const SIZE: u64 = 4 << 20;

/// Writes, and where the disk is full once more without the ballast.
pub(super) fn with_room<T>(dir: &Path, write: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match write() {
        Err(e) if is_full(&e) && std::fs::remove_file(dir.join(FILE)).is_ok() => write(),
        result => result,
    }
}

/// Takes it aboard, where there is room for it.
pub(super) fn take(dir: &Path) {
    let file = dir.join(FILE);
    if file.exists() {
        return;
    }
    let made =
        File::create(&file).and_then(|f| Ok(rustix::fs::fallocate(f, FallocateFlags::empty(), 0, SIZE)?));
    if made.is_err() {
        _ = std::fs::remove_file(&file);
    }
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
