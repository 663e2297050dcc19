//! A container's cgroups: who is in them, and their end.

use cri::wire::CgroupFiles;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Sends a signal (by number) to every process in the container's cgroup and those below it.
pub(crate) fn signal_all(cgroup: &CgroupFiles, signal: i32) {
    let Some(members) = &cgroup.members else { return };
    if signal == Signal::SIGKILL as i32
        && cgroup.unified
        && fs::write(members.join("cgroup.kill"), "1").is_ok()
    {
        return;
    }
    signal_tree(members, signal, None);
}

/// To everybody but `but`, which has it already.
pub(crate) fn signal_others(cgroup: &CgroupFiles, signal: i32, but: Pid) {
    if let Some(members) = &cgroup.members {
        signal_tree(members, signal, Some(but.as_raw()));
    }
}

fn signal_tree(directory: &Path, signal: i32, but: Option<i32>) {
    for pid in fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default().lines() {
        // 0 is a process that this PID namespace does not see; to kill() it would mean ourselves
        if let Some(pid) = pid.parse().ok().filter(|pid| *pid > 0 && Some(*pid) != but) {
            send(Pid::from_raw(pid), signal).ok();
        }
    }
    for below in subdirectories(directory) {
        signal_tree(&below, signal, but);
    }
}

/// kill(2) with a number: real-time signals have no name.
pub(crate) fn send(pid: Pid, signal: i32) -> Result<(), Errno> {
    match Signal::try_from(signal) {
        Ok(named) => kill(pid, named),
        // SAFETY: takes numbers only.
        Err(_) => Errno::result(unsafe { libc::kill(pid.as_raw(), signal) }).map(drop),
    }
}

/// Moves this process, which has one thread, to the cgroup in `directory`.
pub(crate) fn join(directory: &Path) -> io::Result<()> {
    // v1: for a process other than one's own only thread the kernel waits until nobody forks, for some 10 ms
    // (cgroup_procs_write_start)
    match fs::OpenOptions::new().write(true).open(directory.join("tasks")) {
        Ok(mut tasks) => tasks.write_all(b"0"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => fs::write(directory.join("cgroup.procs"), "0"),
        Err(e) => Err(e),
    }
}

/// Removes the container's cgroups. What is still in use stays: it is the runtime's to report.
pub(crate) fn remove(cgroup: &CgroupFiles) -> Result<(), String> {
    let failures: Vec<String> = cgroup
        .dirs
        .iter()
        .filter_map(|directory| match remove_tree(directory) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Some(format!("remove cgroup {}: {e}", directory.display()))
            }
            _ => None,
        })
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    for below in subdirectories(directory) {
        remove_tree(&below)?;
    }
    fs::remove_dir(directory)
}

fn subdirectories(directory: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
