//! Processes that are not our children: whether one still is the one we knew, and how to see it end.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A pid alone may have been given to another since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: i32,
    /// Clock ticks after boot: field 22 of /proc/<pid>/stat.
    pub start_time: u64,
}

impl ProcessId {
    /// A path that leads to it while it lives.
    pub fn network_namespace(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.pid))
    }

    pub fn is_alive(self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .is_ok_and(|stat| alive_since(&stat) == Some(self.start_time))
    }

    /// # Errors
    /// It has ended.
    pub fn directory(self) -> std::io::Result<ProcessDirectory> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(format!("/proc/{}", self.pid).as_str(), flags, Mode::empty())?;
        // it is of whoever has the pid now; when that is still the one we knew, it stays so
        match self.is_alive() {
            true => Ok(ProcessDirectory(directory)),
            false => Err(std::io::Error::other(format!("process {} has ended", self.pid))),
        }
    }

    /// SIGKILL, unless the pid is another's by now.
    pub fn kill(self) {
        let Ok(fd) = PidFd::open(self.pid) else { return };
        // the descriptor is of whoever has the pid now; when that is still the one we knew, it stays so
        if self.is_alive() {
            let _ = fd.kill();
            wait_all(&[fd], Duration::from_secs(5));
        }
    }

    /// SIGTERM, unless the pid is another's by now; what to wait for, where there is somebody.
    pub fn terminate(self) -> Option<PidFd> {
        let fd = PidFd::open(self.pid).ok()?;
        (self.is_alive() && fd.signal(libc::SIGTERM).is_ok()).then_some(fd)
    }
}

/// The start time out of a /proc/<pid>/stat, `None` for a zombie. The command's name may hold blanks and parentheses.
fn alive_since(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

/// A process's directory in /proc, held open: whoever has its pid later is not reached by it.
pub struct ProcessDirectory(OwnedFd);

impl ProcessDirectory {
    /// Where this process finds what that one has at an absolute path; nothing, once that one has ended.
    pub fn seen(&self, path: &Path) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/root{}", self.0.as_raw_fd(), path.display()))
    }
}

/// A process that keeps its identity.
pub struct PidFd(OwnedFd);

impl PidFd {
    pub fn open(pid: i32) -> nix::Result<Self> {
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = Errno::result(fd)? as i32;
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
        Ok(PidFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub fn kill(&self) -> nix::Result<()> {
        self.signal(libc::SIGKILL)
    }

    fn signal(&self, number: i32) -> nix::Result<()> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open; a null siginfo is what kill(2) itself sends.
        let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), number, none, 0) };
        Errno::result(done).map(drop)
    }
}

/// Waits until each has ended or the time is over; says whether all have.
pub fn wait_all(processes: &[PidFd], patience: Duration) -> bool {
    let end = Instant::now() + patience;
    processes.iter().all(|process| {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(process.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, timeout), Ok(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times() {
        let tail = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let cases = [
            ("plain", format!("7 (sleep) S{tail}"), Some(4711)),
            ("a hostile name", format!("7 (a) Z (b)) S{tail}"), Some(4711)),
            ("a zombie", format!("7 (sleep) Z{tail}"), None),
            ("cut off", "7 (sleep) S 1 2".to_owned(), None),
            ("nothing", String::new(), None),
        ];
        for (name, stat, want) in cases {
            assert_eq!(alive_since(&stat), want, "{name}");
        }
    }

    #[test]
    fn a_child_is_killed_only_under_its_own_start_time() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let known = ProcessId { pid, start_time: alive_since(&stat).unwrap() };
        let another = ProcessId { start_time: known.start_time + 1, ..known };
        another.kill();
        assert!(known.is_alive());
        assert!(another.directory().is_err());
        let directory = known.directory().unwrap();
        assert!(directory.seen(Path::new("/proc/version")).is_file());
        known.kill();
        assert!(!known.is_alive());
        child.wait().unwrap();
        assert!(!directory.seen(Path::new("/proc/version")).exists());
    }
}
