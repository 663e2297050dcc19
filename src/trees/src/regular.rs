//! A file among what others have put there.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// A passwd file larger than this is no passwd file.
const MOST_TEXT: u64 = 4 << 20;

/// What was opened by its place alone (`O_PATH`), opened for reading; `None` for what is no regular file. To open a device
/// node sets a device to work, a watchdog or a tape, and whoever makes an image may put any of them in a file's place: so
/// nothing is opened before it is known for what it is.
///
/// # Errors
/// What the kernel says; `EWOULDBLOCK` where somebody holds a lease on the file.
pub fn read_regular(found: OwnedFd) -> io::Result<Option<File>> {
    let found = File::from(found);
    if !found.metadata()?.is_file() {
        return Ok(None);
    }
    // the same file, whatever has its name by now; and who has a lease on it must not stop us
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(Some(rustix::fs::open(itself, flags, Mode::empty())?.into()))
}

/// The text of what was opened by its place alone, no more of it than a file of accounts has; empty where that is no regular file, or one
/// of /proc.
///
/// # Errors
/// As of [`read_regular`].
pub fn read_text(found: OwnedFd) -> io::Result<String> {
    let Some(file) = read_regular(found)?.filter(|file| !is_of_proc(file)) else {
        return Ok(String::new());
    };
    let mut bytes = Vec::new();
    file.take(MOST_TEXT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What is at `path`, opened for reading; `None` for what is no regular file, which a link is not.
///
/// # Errors
/// As of [`read_regular`].
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    read_regular(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Makes this the content of the file at `path`, in place: a container has it mounted. Nobody is waited for. Who may write to a file may
/// have a lease on it, and whoever opens it otherwise stands still for as long as the machine gives its holder (`lease-break-time`,
/// 45 seconds), again and again: a thread that serves others has no time for that.
///
/// # Errors
/// What the kernel says; `EWOULDBLOCK` where somebody holds a lease on the file. It is taken from him when that time is over, by who
/// opens it then.
pub fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let how = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let flags = how | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))?;
    File::from(file).write_all(content)
}

/// Whether a file is one of /proc. What is told there is made when it is read, for who reads it: the kernel's log is gone from
/// /proc/kmsg then, which a container may not open, and a link of its own leads there.
fn is_of_proc(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|facts| facts.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
    use rustix::fs::{CWD, openat};
    use std::io::ErrorKind;

    fn found(path: &Path) -> OwnedFd {
        openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    #[test]
    fn only_a_file_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "its own").unwrap();
        let place = found(&file);
        std::fs::rename(&file, dir.path().join("renamed")).unwrap();
        std::fs::write(&file, "another's").unwrap();
        let read = std::io::read_to_string(read_regular(place).unwrap().unwrap()).unwrap();
        assert_eq!(read, "its own");
        let (link, pipe) = (dir.path().join("link"), dir.path().join("pipe"));
        std::os::unix::fs::symlink("file", &link).unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [dir.path(), &link, &pipe, Path::new("/dev/null")] {
            assert!(read_regular(found(path)).unwrap().is_none(), "{}", path.display());
            assert!(open_regular(path).unwrap().is_none(), "{}", path.display());
        }
        assert!(open_regular(&file).unwrap().is_some());
        assert_eq!(open_regular(&dir.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_overwritten_where_it_is_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let (file, mounted) = (dir.path().join("file"), dir.path().join("mounted"));
        overwrite(&file, b"something long").unwrap();
        std::fs::hard_link(&file, &mounted).unwrap();
        overwrite(&file, b"short").unwrap();
        assert_eq!(std::fs::read(&mounted).unwrap(), b"short");
    }

    /// A lease can not be had without unsafe code; a pipe that nobody reads has whoever opens it wait in the same way.
    #[test]
    fn who_overwrites_waits_for_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (sender, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(overwrite(&pipe, b"x").map_err(|e| e.raw_os_error())));
        let told = done.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(told, Ok(Err(Some(rustix::io::Errno::NXIO.raw_os_error()))));
    }

    #[test]
    fn files_of_proc_are_known() {
        for (file, want) in [("/proc/version", true), ("/proc/self/status", true), ("/etc/passwd", false)] {
            assert_eq!(is_of_proc(&File::open(file).unwrap()), want, "{file}");
        }
    }

    #[test]
    fn the_text_of_a_file_of_its_own_is_read_and_not_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (text, large, link) = (at("text"), at("large"), at("link"));
        std::fs::write(&text, b"caf\xe9").unwrap();
        File::create(&large).unwrap().set_len(MOST_TEXT + 1).unwrap();
        std::os::unix::fs::symlink("text", &link).unwrap();
        for (path, want) in
            [(text.as_path(), "caf\u{fffd}"), (link.as_path(), ""), (Path::new("/proc/version"), "")]
        {
            assert_eq!(read_text(found(path)).unwrap(), want, "{}", path.display());
        }
        assert_eq!(read_text(found(&large)).unwrap().len() as u64, MOST_TEXT);
    }

    #[test]
    fn a_device_is_not_set_to_work() {
        use nix::fcntl::OFlag;
        let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let terminal = ptsname_r(&master).unwrap();
        assert!(read_regular(found(Path::new(&terminal))).unwrap().is_none());
        // the end of a terminal that somebody has opened and closed
        let told = master.read(&mut [0]).unwrap_err();
        assert_eq!(told.kind(), ErrorKind::WouldBlock, "{told}");
    }
}
