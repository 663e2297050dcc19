//! Ctrl-C while a daemon starts takes the start back, at whatever point it comes.
//!
//! The terminal alone would not do: its signal reaches the daemon until that has a session of its own, and not from then on.

use crate::failures;
use anyhow::Result;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::unistd::Pid;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a SIGINT ends.
#[derive(Debug, Default)]
enum Target {
    /// This program, as ever.
    #[default]
    Own,
    Daemon(Pid),
    /// The daemon has been told; one that does not heed it is left alone the next time.
    Told,
}

/// SIGINT is this thread's no more while it lives.
pub struct Interruption {
    target: Arc<Mutex<Target>>,
}

impl Interruption {
    /// Before other threads are made: one that does not have the signal blocked would die of it, and take the program along. Where
    /// the signal is ignored, as a script's shell has it for what it puts into the background, it stays so.
    pub fn watch() -> Self {
        let target = Arc::<Mutex<Target>>::default();
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        if !is_ignored(&status) && sigint().thread_block().is_ok() {
            let target = Arc::clone(&target);
            std::thread::spawn(move || wait(&target));
        }
        Interruption { target }
    }

    /// What `start` gives is ended by the signal from now on, until [`Interruption::finish`].
    ///
    /// # Errors
    /// Those of `start`.
    pub fn guard(&self, start: impl FnOnce() -> Result<Child>) -> Result<Child> {
        // a child inherits what is blocked, and hands it on to all containers
        let blocked = sigint().thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
        let started = start();
        let _ = blocked.and_then(|mask| mask.thread_set_mask());
        let daemon = started?;
        *lock(&self.target) = Target::Daemon(Pid::from_raw(daemon.id().cast_signed()));
        Ok(daemon)
    }

    /// Whether the daemon has been told to end. It is not told any more.
    pub fn finish(&self) -> bool {
        matches!(std::mem::take(&mut *lock(&self.target)), Target::Told)
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        let _ = sigint().thread_unblock();
    }
}

fn wait(target: &Mutex<Target>) {
    let end = |daemon| {
        let _ = kill(daemon, Signal::SIGTERM);
    };
    while sigint().wait().is_ok() {
        if !interrupt(&mut lock(target), end) {
            std::process::exit(failures::INTERRUPTED.exit_code.into());
        }
    }
}

/// Whether this program is to go on, to see how the daemon ends.
fn interrupt(target: &mut Target, end: impl FnOnce(Pid)) -> bool {
    match std::mem::replace(target, Target::Told) {
        Target::Daemon(daemon) => {
            end(daemon);
            true
        }
        Target::Own | Target::Told => false,
    }
}

/// Of proc(5)'s `status`.
fn is_ignored(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (Signal::SIGINT as u32 - 1)) != 0
}

fn sigint() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set
}

fn lock(target: &Mutex<Target>) -> MutexGuard<'_, Target> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_told_once_and_then_the_program_ends() {
        let daemon = Pid::from_raw(7);
        let mut told = Vec::new();
        let mut target = Target::Daemon(daemon);
        assert!(interrupt(&mut target, |pid| told.push(pid)), "it waits for the daemon's end");
        assert!(!interrupt(&mut target, |pid| told.push(pid)), "the daemon hangs");
        assert_eq!(told, [daemon]);
        assert!(!interrupt(&mut Target::Own, |_| panic!("there is no daemon")));
    }

    #[test]
    fn what_is_ignored_stays_so() {
        for (status, want) in [
            ("SigBlk:\t0000000000000002\nSigIgn:\t0000000000001000\n", false),
            ("SigIgn:\t0000000000001002\n", true),
            ("SigIgn:\tmany\n", false),
            ("", false),
        ] {
            assert_eq!(is_ignored(status), want, "{status:?}");
        }
    }

    #[test]
    fn only_what_was_told_to_end_was_interrupted() {
        for (name, target, want) in [
            ("nothing was started", Target::Own, false),
            ("it came up", Target::Daemon(Pid::from_raw(7)), false),
            ("it was told", Target::Told, true),
        ] {
            let interruption = Interruption { target: Arc::new(Mutex::new(target)) };
            assert_eq!(interruption.finish(), want, "{name}");
            assert!(!interruption.finish(), "{name}: what comes later is another's");
        }
    }
}
