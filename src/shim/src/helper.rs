//! A short-lived fork that makes one process, followed without waiting for it.

use crate::container::Run;
use crate::fault::{Because, Result};
use crate::report::{self, Report, Reporter};
use crate::sys;
use cri::wire::StreamFd;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{ForkResult, Pid, fork};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Who asked, so that the answer goes there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) client: u64,
    pub(crate) seq: u64,
}

pub(crate) struct Helper {
    pub(crate) pid: Pid,
    pub(crate) socket: OwnedFd,
    pub(crate) asker: Asker,
    pub(crate) work: Work,
    made: Option<i32>,
    failed: Option<String>,
    details: Vec<String>,
    pub(crate) terminal: Option<OwnedFd>,
}

/// What becomes of it when it has worked.
pub(crate) enum Work {
    /// `stdin`: whether a terminal is also input.
    Create {
        container: u64,
        run: Box<Run>,
        stdin: bool,
    },
    Exec {
        exec: u64,
        streams: Vec<(StreamFd, OwnedFd)>,
    },
}

/// A container's first process on its way to its program: the socket closes when it is there, or has ended.
pub(crate) struct Birth {
    pub(crate) socket: OwnedFd,
    /// Who is told then that the container was started.
    pub(crate) starter: Option<Asker>,
}

impl Birth {
    pub(crate) fn is_over(&self) -> bool {
        std::iter::from_fn(|| report::receive(&self.socket)).any(|report| matches!(report, Report::Closed))
    }
}

impl Helper {
    /// Runs `child` in a fork that has of all descriptors only `keep`, the reporter's, and 0 to 2.
    pub(crate) fn start(
        asker: Asker,
        work: Work,
        keep: &[RawFd],
        child: impl FnOnce(Reporter),
    ) -> Result<Helper> {
        let (socket, theirs) = report::channel().because("make a socket pair")?;
        // SAFETY: the shim has one thread, so the child may go on as any process does.
        match unsafe { fork() }.because("fork")? {
            ForkResult::Parent { child: pid } => Ok(Helper {
                pid,
                socket,
                asker,
                work,
                made: None,
                failed: None,
                details: Vec::new(),
                terminal: None,
            }),
            ForkResult::Child => {
                let mut keep: Vec<RawFd> = keep.iter().copied().chain([theirs.as_raw_fd()]).collect();
                sys::close_all_but(&mut keep);
                let _ = set_pdeathsig(Signal::SIGKILL);
                // blocked signals pass through fork(2); SIGPIPE stays ignored until the program is exec'd
                let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
                child(Reporter(theirs.as_raw_fd()));
                // SAFETY: ends the fork without running what the shim would run at its own end.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Takes what was reported. `Some` when it is known how it ended: the new process's pid, or why there is none.
    pub(crate) fn progress(&mut self) -> Option<Result<i32, String>> {
        while let Some((report, sender)) = report::receive_with_sender(&self.socket) {
            match report {
                // what came out of the helper is in the container already
                Report::Made(_) if sender != Some(self.pid) => {}
                Report::Made(pid) => {
                    self.made = Some(pid);
                    // a container's first process keeps the socket open until it is started
                    if matches!(self.work, Work::Create { .. }) {
                        return Some(Ok(pid));
                    }
                }
                // the first is nearest to the cause
                Report::Failed(why) => drop(self.failed.get_or_insert(why)),
                // it is the one that is told; what comes after it, a container that traces the process may say without end
                Report::Detail(text) if self.details.is_empty() => self.details.push(text),
                Report::Detail(_) => {}
                Report::Terminal(master) => self.terminal = Some(master),
                Report::Closed => return Some(self.outcome()),
            }
        }
        None
    }

    fn outcome(&mut self) -> Result<i32, String> {
        match (self.failed.take(), self.made) {
            (Some(why), _) => Err(explain(&why, &self.details)),
            (None, Some(pid)) => Ok(pid),
            (None, None) => Err(explain("the helper process ended early", &self.details)),
        }
    }
}

/// Where in libcontainer it failed: nothing that a user could use.
const WHEREABOUTS: [&str; 4] = [
    "failed to create container: ",
    "exec process failed with error ",
    "error in executing process : ",
    "intermediate process error ",
];

/// A failure that libcontainer only names, with the first reason that it logged. About cgroups it says everything.
fn explain(why: &str, details: &[String]) -> String {
    let why = WHEREABOUTS.iter().fold(why, |why, prefix| why.strip_prefix(prefix).unwrap_or(why));
    match details.first() {
        Some(detail) if !why.starts_with("exec: ") && !why.starts_with("cgroup error: ") => {
            format!("{why}: {detail}")
        }
        _ => why.to_owned(),
    }
}

/// Ignored and blocked signals pass through exec(2): a container must have neither of the shim's.
pub(crate) fn reset_signals() {
    sys::default_signal_actions();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::getpid;

    /// The attack: a process that is in the container before its program runs says that the container's first process is one of
    /// the machine's, and whoever execs into the container is on the machine.
    #[test]
    fn nobody_but_the_helper_says_which_process_exists() {
        for (by, want) in [(getpid(), Some(7)), (Pid::from_raw(1), None)] {
            let (socket, theirs) = report::channel().unwrap();
            let mut helper = Helper {
                pid: by,
                socket,
                asker: Asker { client: 0, seq: 0 },
                work: Work::Exec { exec: 0, streams: Vec::new() },
                made: None,
                failed: None,
                details: Vec::new(),
                terminal: None,
            };
            Reporter(theirs.as_raw_fd()).made(7);
            drop(theirs);
            let outcome = helper.progress().expect("the socket is closed");
            assert_eq!(outcome.ok(), want, "sent by {by}");
        }
    }

    #[test]
    fn of_what_a_process_says_of_its_failure_the_first_is_kept() {
        let (socket, theirs) = report::channel().unwrap();
        let mut helper = Helper {
            pid: getpid(),
            socket,
            asker: Asker { client: 0, seq: 0 },
            work: Work::Exec { exec: 0, streams: Vec::new() },
            made: None,
            failed: None,
            details: Vec::new(),
            terminal: None,
        };
        let reporter = Reporter(theirs.as_raw_fd());
        for text in ["first", "second", "third"] {
            reporter.detail(text);
        }
        assert!(helper.progress().is_none(), "it is not over");
        assert_eq!(helper.details, ["first"]);
    }

    #[test]
    fn a_failure_is_told_with_its_reason_and_without_whereabouts() {
        let logged = ["bind /x: no such file".to_owned(), "failed".to_owned()];
        let details = &logged[..];
        for (why, details, want) in [
            ("exec: \"foo\": not found", details, "exec: \"foo\": not found"),
            ("failed syscall", details, "failed syscall: bind /x: no such file"),
            ("failed syscall", &[], "failed syscall"),
            ("failed to create container: intermediate process error EPERM", &[], "EPERM"),
            ("intermediate process error cgroup error: no memory", details, "cgroup error: no memory"),
        ] {
            assert_eq!(explain(why, details), want);
        }
    }
}
