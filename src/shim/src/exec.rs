//! In the helper: begins a process in a container that runs.
//!
//! libcontainer could, but it re-reads and rewrites the whole spec for it, forgets its seccomp filter and limits, and
//! takes ten times as long. Joining a container is a few system calls: its cgroups, one setns(2) for all of its
//! namespaces, the descent to its user, and then a fork into its PID namespace.

use crate::cgroup;
use crate::create::become_program;
use crate::keyring;
use crate::privileges::become_user;
use crate::report::Reporter;
use crate::{sys, terminal};
use cri::wire::{CgroupFiles, ExecRequest, StreamFd};
use libcontainer::oci_spec::runtime::{LinuxSeccomp, PosixRlimit};
use libcontainer::seccomp::initialize_seccomp;
use libcontainer::syscall::syscall::SyscallType;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::stat::{Mode, major, minor, umask};
use nix::unistd::{Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fchown, getcwd, pipe2, setsid};
use serde::Deserialize;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) struct Execution {
    pub(crate) request: ExecRequest,
    pub(crate) first: Pid,
    /// The same, opened while it was known not to be reaped: what its number leads to may be another process by now, and the
    /// namespaces of that one may be the machine's.
    pub(crate) process: OwnedFd,
    pub(crate) cgroup: CgroupFiles,
    pub(crate) bundle: PathBuf,
    /// The process's ends of stdin, stdout and stderr; where there is none it gets /dev/null.
    pub(crate) stdio: [Option<OwnedFd>; 3],
}

/// The process's ends, and the client's. They are plain: neither is the shim's once the process has begun.
pub(crate) fn pipes(request: &ExecRequest) -> nix::Result<([Option<OwnedFd>; 3], Vec<(StreamFd, OwnedFd)>)> {
    let (mut theirs, mut streams) = ([None, None, None], Vec::new());
    if request.tty {
        return Ok((theirs, streams));
    }
    let pipe = || pipe2(OFlag::O_CLOEXEC);
    if request.stdin {
        let (reader, writer) = pipe()?;
        theirs[0] = Some(reader);
        streams.push((StreamFd::Stdin, writer));
    }
    for (at, wanted, name) in [(1, request.stdout, StreamFd::Stdout), (2, request.stderr, StreamFd::Stderr)] {
        if wanted {
            let (reader, writer) = pipe()?;
            theirs[at] = Some(writer);
            streams.push((name, reader));
        }
    }
    Ok((theirs, streams))
}

pub(crate) fn exec(execution: Execution, reporter: Reporter) {
    let begun = join(&execution).and_then(|filter| {
        let Execution { request, stdio, .. } = execution;
        let settled = settle(&request, stdio, filter, reporter)?;
        // SAFETY: a fork of the single-threaded shim has a single thread.
        match unsafe { sys::fork_sibling() }.map_err(said("fork"))? {
            Some(pid) => reporter.made(pid.as_raw()),
            None => {
                let why = run(&request, settled);
                reporter.failed(&why);
                // SAFETY: ends the process at once: nothing of the shim's may run in the container.
                unsafe { libc::_exit(1) }
            }
        }
        Ok(())
    });
    if let Err(why) = begun {
        reporter.failed(&why);
    }
}

/// Of the container's spec, what an exec takes over.
#[derive(Deserialize)]
struct Made {
    process: Process,
    linux: Linux,
}

#[derive(Deserialize)]
struct Process {
    #[serde(default)]
    rlimits: Vec<PosixRlimit>,
}

#[derive(Deserialize)]
struct Linux {
    seccomp: Option<LinuxSeccomp>,
}

impl Made {
    fn read(bundle: &Path) -> Result<Made, String> {
        let text = fs::read(bundle.join("config.json")).map_err(said("read the container's spec"))?;
        serde_json::from_slice(&text).map_err(said("read the container's spec"))
    }
}

fn said<E: Display>(what: impl Display) -> impl FnOnce(E) -> String {
    move |e| format!("{what}: {e}")
}

/// Everything that needs the machine's view, then into the namespaces.
fn join(execution: &Execution) -> Result<Option<LinuxSeccomp>, String> {
    let first = execution.first;
    // else the container's processes could trace this one, which still has the machine's files open
    let _ = prctl::set_dumpable(false);
    let Made { process, linux } = Made::read(&execution.bundle)?;
    let score = fs::read_to_string(format!("/proc/{first}/oom_score_adj")).unwrap_or_default();
    let _ = fs::write("/proc/self/oom_score_adj", score.trim());
    if let Some(container) = &execution.request.container {
        keyring::join(&container.0)?;
    }
    join_cgroups(execution)?;
    take_on_limits(&process.rlimits)?;
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    setns(&execution.process, namespaces).map_err(said("join the container's namespaces"))?;
    Ok(linux.seccomp.filter(|_| execution.request.seccomp))
}

/// Those that the container was made with. Its first process may have changed its own since, and to ask it needs
/// CAP_SYS_RESOURCE where it is another user's.
fn take_on_limits(limits: &[PosixRlimit]) -> Result<(), String> {
    let syscall = SyscallType::default().create_syscall();
    limits.iter().try_for_each(|limit| {
        syscall.set_rlimit(limit).map_err(said(format_args!("set limit {:?}", limit.typ())))
    })
}

fn join_cgroups(execution: &Execution) -> Result<(), String> {
    execution.cgroup.dirs.iter().try_for_each(|directory| {
        cgroup::join(directory)
            .or_else(|e| match e.kind() {
                // v2 has no processes in a cgroup with others below it that have controllers, as an init system in the
                // container makes them: go where the first process went
                ErrorKind::ResourceBusy => cgroup::join(&unified_cgroup(execution.first)?),
                _ => Err(e),
            })
            .map_err(said(format_args!("join cgroup {}", directory.display())))
    })
}

/// cgroups(7): `0::/path` in /proc/<pid>/cgroup.
fn unified_cgroup(pid: Pid) -> std::io::Result<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    Ok(PathBuf::from(format!("/sys/fs/cgroup{path}")))
}

/// What is left to do for the process itself.
struct Settled {
    terminal: Option<OwnedFd>,
    filter: Option<LinuxSeccomp>,
}

/// Before the process is in the container's PID namespace: there, one with CAP_SYS_PTRACE may take it over, with all that it has. So it
/// comes there with no right that is not the container's, and this process, which has all of the machine's, stays outside.
fn settle(
    request: &ExecRequest,
    stdio: [Option<OwnedFd>; 3],
    mut filter: Option<LinuxSeccomp>,
    reporter: Reporter,
) -> Result<Settled, String> {
    umask(Mode::from_bits_truncate(0o022));
    let terminal = match request.tty {
        true => {
            let terminal = open_terminal(request, reporter)?;
            // here, too: what is this process's until then is the machine's, its null device and a file that the shim writes to
            terminal::connect(&terminal).map_err(said("terminal"))?;
            Some(terminal)
        }
        false => {
            connect(stdio, request.uid)?;
            None
        }
    };
    enter_working_dir(request)?;
    if !request.no_new_privileges {
        // it takes a right that the user may not have. What follows, libcontainer does under it as well, but for the fork
        apply(filter.take())?;
    }
    become_user(request.uid, request.gid, &request.groups, request.capabilities)
        .map_err(said(format_args!("become user {}:{}", request.uid, request.gid)))?;
    Ok(Settled { terminal, filter })
}

fn apply(filter: Option<LinuxSeccomp>) -> Result<(), String> {
    filter.map_or(Ok(()), |filter| initialize_seccomp(&filter).map(drop).map_err(said("seccomp")))
}

/// In the container: returns only to say why there is no program.
fn run(request: &ExecRequest, settled: Settled) -> String {
    match prepare(request, settled) {
        Ok(()) => become_program(&request.args, &request.env),
        Err(why) => why,
    }
}

fn prepare(request: &ExecRequest, settled: Settled) -> Result<(), String> {
    setsid().map_err(said("setsid"))?;
    if let Some(terminal) = settled.terminal {
        terminal::take(&terminal).map_err(said("terminal"))?;
    }
    if request.no_new_privileges {
        prctl::set_no_new_privs().map_err(said("no_new_privs"))?;
    }
    apply(settled.filter)
}

fn enter_working_dir(request: &ExecRequest) -> Result<(), String> {
    let cwd = &request.cwd;
    let cwd = if cwd.as_os_str().is_empty() { Path::new("/") } else { cwd.as_path() };
    chdir(cwd).map_err(|e| {
        format!("chdir to cwd ({cwd:?}) set in config.json failed: {}", e.desc().to_lowercase())
    })?;
    // a directory outside of the root has no name here; CVE-2024-21626
    getcwd().map(drop).map_err(said("the working directory is outside of the container"))
}

/// Makes the terminal in the container, so that it has a name there, and sends its master to the shim.
fn open_terminal(request: &ExecRequest, reporter: Reporter) -> Result<OwnedFd, String> {
    let (master, terminal) = terminal::open().map_err(said("terminal"))?;
    reporter.terminal(&master);
    if let Some((width, height)) = request.terminal_size {
        let _ = sys::set_window_size(terminal.as_fd(), width, height);
    }
    let _ = fchown(&terminal, Some(request.uid.into()), None);
    Ok(terminal)
}

/// The container's own, whatever its processes have put in its place: this one still has rights that they do not have, and some
/// files ask for them when they are opened and never again (the kernel's log at /proc/kmsg).
fn null_device() -> Result<File, String> {
    const WHAT: &str = "open /dev/null";
    let mut options = File::options();
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY);
    let null = options.open("/dev/null").map_err(said(WHAT))?;
    let found = null.metadata().map_err(said(WHAT))?;
    match found.file_type().is_char_device() && (major(found.rdev()), minor(found.rdev())) == (1, 3) {
        true => Ok(null),
        false => Err(format!("{WHAT}: something else is there")),
    }
}

fn connect(stdio: [Option<OwnedFd>; 3], uid: u32) -> Result<(), String> {
    let null = null_device()?;
    let [stdin, stdout, stderr] = stdio.map(|end| match end {
        Some(end) => {
            // /dev/stdout is opened anew by programs, as this user
            let _ = fchown(&end, Some(uid.into()), None);
            Ok(end)
        }
        None => null.try_clone().map(OwnedFd::from).map_err(said("stdio")),
    });
    dup2_stdin(stdin?).map_err(said("stdin"))?;
    dup2_stdout(stdout?).map_err(said("stdout"))?;
    dup2_stderr(stderr?).map_err(said("stderr"))
}
