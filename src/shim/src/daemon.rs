//! From a child of the daemon to a process of its own: configuration in, one line out, then nobody's child.

use crate::cgroup;
use crate::fault::{Because, Result, fault};
use crate::sandbox::{Sandbox, join_cgroups};
use crate::shim::Shim;
use crate::sys;
use cri::wire::{SHM, ShimConfig, ShimReady};
use nix::mount::{MntFlags, umount2};
use nix::sys::prctl;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, setsid};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

/// Reads a [`ShimConfig`] from standard input, writes a [`ShimReady`] line to standard output, and serves until it is
/// shut down. The caller must be single-threaded; it returns in the first process as soon as that has forked.
pub fn main() -> ExitCode {
    match begin() {
        Ok(Role::Launcher) => ExitCode::SUCCESS,
        Ok(Role::Daemon(mut shim)) => {
            shim.serve();
            ExitCode::SUCCESS
        }
        Err(e) => {
            say(&ShimReady::Failed(e.to_string()));
            ExitCode::FAILURE
        }
    }
}

enum Role {
    Launcher,
    Daemon(Box<Shim>),
}

fn begin() -> Result<Role> {
    // whatever whoever started us had open is not ours to keep open for as long as a pod lives
    sys::close_from(3);
    // it was started by a descriptor, whose number would be its name in `ps`
    let _ = prctl::set_name(c"monopod");
    sys::look_up_users_in_files().because("choose where users are looked up")?;
    let config = read_config()?;
    // a fork takes only the calling thread along, and the locks of the others stay locked in it for ever
    if fs::read_dir("/proc/self/task").because("list threads")?.count() != 1 {
        return fault("the shim must be started in a process with a single thread");
    }
    for directory in &config.cgroups {
        cgroup::join(directory).because(format_args!("join cgroup {}", directory.display()))?;
    }
    if !leave_parent()? {
        return Ok(Role::Launcher);
    }
    let shim = become_shim(&config).inspect_err(|_| leave_nothing(&config.dir))?;
    Ok(Role::Daemon(Box::new(shim)))
}

fn become_shim(config: &ShimConfig) -> Result<Shim> {
    let shim = Shim::new(Sandbox::enter(config)?, config)?;
    say(&ShimReady::Serving { pid: getpid().as_raw(), start_time: start_time()? });
    let_go_of_stdio(&config.dir);
    // while the daemon sees to the network: nothing is asked of us before we serve. A daemon that dies meanwhile leaves a
    // record without the pid; the next one removes the cgroup, and then it can not be joined
    join_cgroups(&config.cgroup_procs, shim.sandbox.pause)?;
    Ok(shim)
}

/// A daemon may have removed the directory while we put something into it, and look no more. The place of a mount that we see can be
/// removed when it is unmounted.
fn leave_nothing(dir: &Path) {
    let _ = umount2(&dir.join(SHM), MntFlags::MNT_DETACH);
    let _ = fs::remove_dir_all(dir);
}

fn read_config() -> Result<ShimConfig> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).because("read the configuration")?;
    serde_json::from_str(&text).because("the configuration on standard input")
}

fn say(ready: &ShimReady) {
    let mut line = serde_json::to_string(ready).unwrap_or_default();
    line.push('\n');
    // nobody to tell that nobody listens
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// Forks twice, with a session of its own between: true in the process that nobody waits for.
fn leave_parent() -> Result<bool> {
    // SAFETY: there is one thread, so the child may go on as any process does.
    if let ForkResult::Parent { child } = unsafe { fork() }.because("fork")? {
        // it ends at once; whoever adopts orphans here may be one that reaps none
        let _ = waitpid(child, None);
        return Ok(false);
    }
    setsid().because("setsid")?;
    // SAFETY: as above.
    match unsafe { fork() }.because("fork")? {
        // SAFETY: ends this process without running what the other two will run themselves.
        ForkResult::Parent { .. } => unsafe { libc::_exit(0) },
        ForkResult::Child => Ok(true),
    }
}

/// When this process began, in clock ticks since boot: with its pid it is a name that is never used twice.
fn start_time() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat").because("read /proc/self/stat")?;
    // the second field is the program's name in parentheses and may hold blanks; proc(5)
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_whitespace().nth(19).unwrap_or_default().parse().because("start time in /proc/self/stat")
}

fn let_go_of_stdio(dir: &Path) {
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null);
        let _ = dup2_stdout(&null);
    }
    // what a panic says must outlive the daemon's pipe
    if let Ok(log) = File::options().append(true).create(true).open(dir.join("shim.log")) {
        let _ = dup2_stderr(&log);
    }
}
