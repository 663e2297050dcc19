//! Tells when the kernel kills for memory in a container's cgroup.

use cri::wire::CgroupFiles;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::read;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Readable when something may have been killed.
#[derive(Debug)]
pub(crate) struct OomWatch {
    wake: OwnedFd,
    /// The file with the line `oom_kill <count>`.
    counter: PathBuf,
    seen: u64,
    unified: bool,
}

impl OomWatch {
    /// `None` where there is no memory controller, or it does not tell.
    pub(crate) fn open(cgroup: &CgroupFiles) -> Option<OomWatch> {
        let directory = cgroup.memory.as_ref()?;
        let (wake, counter) =
            if cgroup.unified { watch_unified(directory)? } else { watch_legacy(directory)? };
        let seen = count(&counter);
        Some(OomWatch { wake, counter, seen, unified: cgroup.unified })
    }

    /// Kills so far.
    pub(crate) fn count(&self) -> u64 {
        count(&self.counter)
    }

    /// Whether there was a kill since the last time, as far as the descriptor tells.
    pub(crate) fn fired(&mut self) -> bool {
        let mut woken = false;
        while read(&self.wake, &mut [0; 4096]).is_ok_and(|length| length > 0) {
            woken = true;
        }
        if !self.unified {
            // the kernel wakes us just before it kills and counts; once more when the cgroup is removed
            return woken && self.counter.exists();
        }
        let seen = std::mem::replace(&mut self.seen, count(&self.counter));
        self.seen > seen
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Kernel documentation, admin-guide/cgroup-v1/memory.rst, section 10.
fn watch_legacy(directory: &Path) -> Option<(OwnedFd, PathBuf)> {
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).ok()?;
    let counter = directory.join("memory.oom_control");
    let control = File::open(&counter).ok()?;
    let line = format!("{} {}", event.as_fd().as_raw_fd(), control.as_raw_fd());
    fs::write(directory.join("cgroup.event_control"), line).ok()?;
    Some((event.into(), counter))
}

/// `memory.events` is modified with each event; Kernel documentation, admin-guide/cgroup-v2.rst.
fn watch_unified(directory: &Path) -> Option<(OwnedFd, PathBuf)> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
    let counter = directory.join("memory.events");
    inotify.add_watch(&counter, AddWatchFlags::IN_MODIFY).ok()?;
    Some((inotify.into(), counter))
}

/// Why a container was not made, where the kernel may have killed in its cgroup meanwhile: who is killed can not say it. In runc's
/// words, which users look for.
pub(crate) fn explain(why: &str, kills: u64) -> String {
    match kills {
        0 => why.to_owned(),
        _ => format!("container init was OOM-killed (memory limit too low?): {why}"),
    }
}

fn count(counter: &Path) -> u64 {
    parse(&fs::read_to_string(counter).unwrap_or_default())
}

fn parse(text: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kernels_count_kills_in_the_same_words() {
        for (name, text, want) in [
            ("v1", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3),
            ("v2", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n", 1),
            ("nothing", "", 0),
        ] {
            assert_eq!(parse(text), want, "{name}");
        }
    }

    #[test]
    fn a_limit_that_is_too_low_is_told() {
        const WHY: &str = "the helper process ended early";
        assert_eq!(explain(WHY, 0), WHY);
        let told = explain(WHY, 1);
        assert_eq!(told, format!("container init was OOM-killed (memory limit too low?): {WHY}"));
    }
}
