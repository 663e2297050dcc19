//! `docker-init`: the first process of a container that wants one. It runs the container's program as its child, passes
//! signals on to it, reaps whoever is left to the container's first process, and ends as the program did.

use crate::cgroup::send;
use crate::sys;
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Pid, execvp, fork, getpid, setpgid, tcsetpgrp};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// What the program is called inside containers.
pub const INIT: &str = "docker-init";

/// Faults of this process's own; to pass them on would make the program fail for us.
const OWN: [Signal; 7] = [
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

/// Runs the command that follows `--` in `arguments`. The caller must be single-threaded.
pub fn init(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let command = arguments.skip_while(|word| word != "--").skip(1);
    let command: Result<Vec<CString>, _> = command.map(|word| CString::new(word.into_vec())).collect();
    match command.ok().filter(|words| !words.is_empty()) {
        Some(command) => run(&command).unwrap_or_else(|errno| {
            eprintln!("{INIT}: {}", errno.desc().to_lowercase());
            ExitCode::FAILURE
        }),
        None => {
            eprintln!("{INIT}: no command");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &[CString]) -> Result<ExitCode, Errno> {
    let mut ours = SigSet::all();
    OWN.iter().for_each(|one| ours.remove(*one));
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&ours), Some(&mut before))?;
    for stop in [Signal::SIGTTIN, Signal::SIGTTOU] {
        // SAFETY: no handler is installed. Else the terminal would stop us for giving it to our child.
        unsafe { signal(stop, SigHandler::SigIgn) }?;
    }
    let signals = SignalFd::with_flags(&ours, SfdFlags::SFD_CLOEXEC)?;
    // SAFETY: there is one thread, so the child may go on as any process does.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(follow(&signals, child)),
        ForkResult::Child => Ok(become_command(command, &before)),
    }
}

/// Until the program ends.
fn follow(signals: &SignalFd, child: Pid) -> ExitCode {
    loop {
        let Ok(Some(info)) = signals.read_signal() else { continue };
        if info.ssi_signo != Signal::SIGCHLD as u32 {
            // it may have ended just now
            let _ = send(child, info.ssi_signo as i32);
            continue;
        }
        while let Some((pid, code)) = sys::reap() {
            if pid == child.as_raw() {
                return ExitCode::from(code as u8);
            }
        }
    }
}

/// A group of its own, so that a terminal's Ctrl-C reaches it and not both of us; returns only where it can not be run.
fn become_command(command: &[CString], mask: &SigSet) -> ExitCode {
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    let _ = tcsetpgrp(std::io::stdin(), getpid());
    sys::default_signal_actions();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None);
    let Err(errno) = execvp(&command[0], command);
    eprintln!("{INIT}: exec {} failed: {}", command[0].to_string_lossy(), errno.desc());
    // as a shell has it
    ExitCode::from(match errno {
        Errno::ENOENT => 127,
        Errno::EACCES => 126,
        _ => 1,
    })
}
