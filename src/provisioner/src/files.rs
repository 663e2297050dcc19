//! The files of volumes that are devices, each named as its volume is. The kubelet makes a loop device of one as long as a
//! pod has it: what is done here to a file that is one, is done to both.

use crate::copy::copy_file;
use crate::parent::{PARTIAL, make_parent};
use rustix::fs::{self as sys, Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Whole blocks of every disk, so that the device is not smaller than what was asked for.
const BLOCK: u64 = 4096; // bytes
const WRITTEN: OFlags = OFlags::WRONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Without blocks of its own before somebody writes to them. One that is there already is as good: the volume could not be
/// stored the last time.
pub(crate) fn make(below: &Path, name: &str, bytes: u64) -> io::Result<PathBuf> {
    loopdev::check()?;
    make_parent(below)?;
    let path = below.join(name);
    let is_new = !is_there(&path);
    let file = File::from(sys::open(path.as_path(), WRITTEN | OFlags::CREATE, Mode::RUSR | Mode::WUSR)?);
    match lengthen(&file, &path, bytes) {
        Ok(()) => Ok(path),
        Err(error) => {
            if is_new {
                let _ = fs::remove_file(&path);
            }
            Err(error)
        }
    }
}

/// Never makes it smaller.
pub(crate) fn grow(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::from(sys::open(path, WRITTEN, Mode::empty())?);
    lengthen(&file, path, bytes)?;
    loopdev::fit(path)
}

fn lengthen(file: &File, path: &Path, bytes: u64) -> io::Result<()> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(format!("{} is no file", path.display())));
    }
    let bytes = bytes.checked_next_multiple_of(BLOCK).ok_or(ErrorKind::FileTooLarge)?;
    if metadata.len() < bytes {
        file.set_len(bytes)?;
    }
    file.sync_all()
}

/// A copy of `from`, whole or not at all, and at least so large. One that is there already is the one that was made the last
/// time.
pub(crate) fn make_copy(
    from: &Path,
    below: &Path,
    name: &str,
    bytes: u64,
    stop: &CancellationToken,
) -> io::Result<PathBuf> {
    make_parent(below)?;
    let path = below.join(name);
    if is_there(&path) {
        return Ok(path);
    }
    // what is not in the file yet would not be in the copy
    loopdev::flush(from)?;
    let partial = below.join(format!("{PARTIAL}{name}"));
    remove(&partial)?;
    let copied = copy_file(from, &partial, stop).and_then(|copy| lengthen(&copy, &partial, bytes));
    let made = copied.and_then(|()| fs::rename(&partial, &path));
    if made.is_err() {
        // what can not be removed now is when the program starts again
        let _ = remove(&partial);
    }
    made?;
    File::open(below)?.sync_all()?;
    Ok(path)
}

pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|of| of.is_file())
}

/// One that is a device is a pod's still.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if let Some(device) = loopdev::find(path)? {
        let (path, device) = (path.display(), device.path());
        return Err(io::Error::other(format!("{path} is still attached as {}", device.display())));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

    fn has_loop_devices() -> bool {
        let has = loopdev::check().is_ok();
        if !has {
            println!("SKIPPED: there is no /dev/loop-control, or only root may open it");
        }
        has
    }

    #[test]
    fn a_file_has_the_size_that_was_asked_for_and_no_blocks() {
        if !has_loop_devices() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("volumes");
        let path = make(&below, "pvc-1", 10_000).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.len(), found.blocks(), found.permissions().mode() & 0o7777), (12_288, 0, 0o600));
        fs::OpenOptions::new().write(true).open(&path).unwrap().write_at(b"kept", 0).unwrap();
        for (bytes, want) in [(1, 12_288), (20_000, 20_480)] {
            assert_eq!(make(&below, "pvc-1", bytes).unwrap(), path, "again, and what is in it stays");
            grow(&path, bytes).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), want);
        }
        assert_eq!(fs::read(&path).unwrap()[..4], *b"kept");
        assert!(make(&below, "pvc-2", u64::MAX).is_err(), "larger than any");
        assert!(!below.join("pvc-2").exists());
        std::os::unix::fs::symlink(&path, below.join("pvc-3")).unwrap();
        fs::create_dir(below.join("pvc-4")).unwrap();
        for name in ["pvc-3", "pvc-4"] {
            assert!(make(&below, name, 1).is_err(), "{name}");
        }
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_copy_is_there_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let (below, from) = (root.path().join("volumes"), root.path().join("from"));
        let file = File::create(&from).unwrap();
        file.set_len(40_960).unwrap();
        file.write_at(b"end", 40_000).unwrap();
        let go_on = CancellationToken::new();
        let stopped = CancellationToken::new();
        stopped.cancel();
        let names = || {
            let entries = fs::read_dir(&below).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        // one that clones is done before it looks
        let _ = make_copy(&from, &below, "pvc-1", 0, &stopped).map(fs::remove_file);
        assert!(make_copy(&root.path().join("none"), &below, "pvc-1", 0, &go_on).is_err());
        assert!(make_copy(root.path(), &below, "pvc-1", 0, &go_on).is_err());
        assert!(names().is_empty(), "{:?}", names());
        // what a crash has left is neither taken for the copy nor kept
        fs::write(below.join(format!("{PARTIAL}pvc-1")), "half").unwrap();
        let path = make_copy(&from, &below, "pvc-1", 50_000, &go_on).unwrap();
        let copied = fs::read(&path).unwrap();
        assert_eq!((copied.len(), &copied[40_000..40_003], copied[0]), (53_248, b"end".as_slice(), 0));
        assert_eq!(names(), ["pvc-1"]);
        fs::write(&path, "changed").unwrap();
        make_copy(&from, &below, "pvc-1", 50_000, &go_on).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"changed", "again, and it stays what it is");
    }

    #[test]
    fn what_is_a_device_grows_is_copied_and_is_not_removed() {
        if !rustix::process::geteuid().is_root() || !has_loop_devices() {
            println!("SKIPPED: loop devices need root");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("volumes");
        let path = make(&below, "pvc-1", 8192).unwrap();
        let device = loopdev::attach(&path).unwrap().path();
        let opened = fs::OpenOptions::new().read(true).write(true).open(&device).unwrap();
        opened.write_at(b"kept", 4096).unwrap();
        // it is not in the file yet
        let copy = make_copy(&path, &below, "pvc-2", 8192, &CancellationToken::new());
        grow(&path, 16_384).unwrap();
        let grown = opened.write_at(b"more", 12_288);
        let refused = remove(&path);
        drop(opened);
        loopdev::detach(&path).unwrap();
        assert_eq!(fs::read(copy.unwrap()).unwrap()[4096..4100], *b"kept");
        assert_eq!(grown.unwrap(), 4);
        let want = format!("{} is still attached as {}", path.display(), device.display());
        assert_eq!(refused.unwrap_err().to_string(), want);
        remove(&path).unwrap();
    }
}
