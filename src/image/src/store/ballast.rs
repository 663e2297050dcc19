//! A full disk must not keep anybody from removing images: the index is written before anything is freed, and for that
//! there is something that can be thrown away: a file that takes bytes, and a directory of empty files that take inodes. A disk
//! without the one is as full as a disk without the other.

use rustix::fs::FallocateFlags;
use std::fs::File;
use std::io;
use std::path::Path;

const FILE: &str = "ballast";
/// An index of some thousand images; written beside the one that it replaces.
const SIZE: u64 = 4 << 20;
const INODES: &str = "ballast-inodes";
/// What the removal of images and containers needs at a time, a few files and directories each.
const COUNT: u64 = 64;

/// Writes, and where the disk is full once more without the ballast.
pub(super) fn with_room<T>(dir: &Path, write: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match write() {
        Err(e) if is_full(&e) && throw_away(dir) => write(),
        result => result,
    }
}

/// For a start: where the disk has no more inodes all that follows finds some, not this store alone.
pub(super) fn make_room_for_a_start(dir: &Path) {
    if free_inodes(dir).is_some_and(|free| free < COUNT) {
        throw_away_inodes(dir);
    }
}

/// Takes it aboard, where there is room for it: what was thrown away for a write is taken back once that has made room.
pub(super) fn take(dir: &Path) {
    take_leaving(dir, 0);
}

/// For a start, at which others write for the first time: only where as much stays free for them.
pub(super) fn take_at_start(dir: &Path) {
    take_leaving(dir, SIZE);
}

fn take_leaving(dir: &Path, spare: u64) {
    let file = dir.join(FILE);
    // asked before it is tried: a disk that is full for the time of a try is full for everybody
    if !file.exists() && free_bytes(dir).is_none_or(|free| free >= SIZE + spare) {
        let made =
            File::create(&file).and_then(|f| Ok(rustix::fs::fallocate(f, FallocateFlags::empty(), 0, SIZE)?));
        if made.is_err() {
            _ = std::fs::remove_file(&file);
        }
    }
    // as many stay free as it takes: what was thrown away for a removal is not taken back in the middle of it
    let has_room = || free_inodes(dir).is_none_or(|free| free > 2 * COUNT);
    if !dir.join(INODES).exists() && has_room() && take_inodes(&dir.join(INODES)).is_err() {
        throw_away_inodes(dir);
    }
}

fn take_inodes(dir: &Path) -> io::Result<()> {
    std::fs::create_dir(dir)?;
    (0..COUNT).try_for_each(|number| File::create(dir.join(number.to_string())).map(drop))
}

/// Whether there was any.
fn throw_away(dir: &Path) -> bool {
    let had_bytes = std::fs::remove_file(dir.join(FILE)).is_ok();
    throw_away_inodes(dir) || had_bytes
}

fn throw_away_inodes(dir: &Path) -> bool {
    std::fs::remove_dir_all(dir.join(INODES)).is_ok()
}

fn free_bytes(dir: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(dir).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// `None` of a file system that makes them as it needs them.
fn free_inodes(dir: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(dir).ok()?;
    (facts.f_files > 0).then_some(facts.f_favail)
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
