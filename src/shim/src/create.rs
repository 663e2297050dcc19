//! In the helper: makes a container with libcontainer, its first process waiting to be started.

use crate::helper::reset_signals;
use crate::path::look_up;
use crate::report::Reporter;
use crate::{cgroup_view, guard, keyring, late, machine_proc, pipes, sys};
use cri::wire::{CgroupFiles, CgroupView, LateMount};
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, execve, fchdir, fchown};
use serde::Deserialize;
use std::collections::HashMap;
use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Exit code of a first process whose program the kernel refused to run.
const CANNOT_EXEC: i32 = 255;
const OUTSIDE: &str = "the working directory is outside of the container";

pub(crate) struct Creation {
    pub(crate) id: String,
    /// Where libcontainer keeps its state.
    pub(crate) root: PathBuf,
    pub(crate) bundle: PathBuf,
    pub(crate) oom_score: String,
    pub(crate) late: Vec<LateMount>,
    pub(crate) guarded: Vec<PathBuf>,
    pub(crate) cgroup: CgroupFiles,
    pub(crate) cgroup_view: Option<CgroupView>,
    /// Columns and rows.
    pub(crate) terminal_size: Option<(u16, u16)>,
    pub(crate) stdio: Stdio,
}

/// The container's ends.
pub(crate) enum Stdio {
    Pipes { stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd },
    Terminal,
}

pub(crate) fn create(creation: Creation, reporter: Reporter) {
    let _guard = tracing::subscriber::set_default(crate::report_log::Capture(reporter));
    match build(creation, reporter) {
        Ok(pid) => reporter.made(pid),
        Err(why) => reporter.failed(&why),
    }
}

/// Of the spec, what is needed before libcontainer reads all of it.
#[derive(Deserialize)]
struct Head {
    process: Process,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    user: User,
    oom_score_adj: Option<i32>,
}

#[derive(Deserialize)]
struct User {
    uid: u32,
}

fn build(creation: Creation, reporter: Reporter) -> Result<i32, String> {
    let config = creation.bundle.join("config.json");
    let text = fs::read(&config).map_err(|e| format!("read {}: {e}", config.display()))?;
    let Head { process } = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", config.display()))?;
    drop(text);
    if process.oom_score_adj.is_none() {
        // the shim's own is not for containers; refused only if it is lower than ours, which the shim's never is
        let _ = fs::write("/proc/self/oom_score_adj", &creation.oom_score);
    }
    keyring::join(&creation.id)?;
    let closed = guard::close(&creation.bundle, &creation.guarded)?;
    let is_guarded = closed.is_some();
    let directory = closed.and_then(|closed| closed.directory);
    let console =
        matches!(creation.stdio, Stdio::Terminal).then(|| Console::bind(&creation.bundle)).transpose()?;
    let view = creation.cgroup_view.as_ref().map(|view| cgroup_view::enter(view, &creation.cgroup));
    let view = view.transpose()?;
    let machine_proc = machine_proc::open(view.as_ref())?;
    let mut builder = ContainerBuilder::new(creation.id, SyscallType::default())
        .with_root_path(creation.root)
        .map_err(|e| chain(&e))?
        .with_executor(Workload { reporter, is_guarded, directory, machine_proc });
    match creation.stdio {
        Stdio::Pipes { stdin, stdout, stderr } => {
            // /dev/stdout is opened anew by programs, as the container's user. Who has no input has the machine's own
            // /dev/null, which stays root's: whoever owns it may close it to everybody
            for end in [&stdin, &stdout, &stderr].into_iter().filter(|end| pipes::is_pipe(end)) {
                let _ = fchown(end, Some(process.user.uid.into()), None);
            }
            builder = builder.with_stdin(stdin).with_stdout(stdout).with_stderr(stderr);
        }
        Stdio::Terminal => builder = builder.with_console_socket(Some(Console::path(&creation.bundle))),
    }
    let container = builder
        .as_init(creation.bundle)
        .with_systemd(false)
        .with_detach(true)
        .as_sibling(true)
        .build()
        .map_err(|e| chain(&e))?;
    let pid = container.pid().ok_or("libcontainer tells no pid")?.as_raw();
    if let Some(console) = console {
        let master = console.master()?;
        if let Some((width, height)) = creation.terminal_size {
            // before the first program looks
            let _ = sys::set_window_size(master.as_fd(), width, height);
        }
        reporter.terminal(&master);
        // the terminal is the user's, as its pipes would be
        let _ = std::os::unix::fs::chown(format!("/proc/{pid}/fd/0"), Some(process.user.uid), None);
    }
    let guarded: &[PathBuf] = if is_guarded { &creation.guarded } else { &[] };
    if let Err(why) = late::mount(&creation.late, guarded, view.as_ref(), pid) {
        // it waits for its start, which will not come
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        return Err(why);
    }
    Ok(pid)
}

/// An error with the errors behind it, each said once.
fn chain(error: &LibcontainerError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = error.source();
    }
    text
}

/// Where libcontainer brings the master of the terminal that it makes inside the container.
struct Console {
    listener: UnixListener,
    path: PathBuf,
}

impl Console {
    const NAME: &'static str = "console.sock";

    fn path(bundle: &Path) -> PathBuf {
        bundle.join(Self::NAME)
    }

    fn bind(bundle: &Path) -> Result<Console, String> {
        let path = Self::path(bundle);
        let _ = fs::remove_file(&path);
        // by a relative name: a socket's path has 107 bytes at most
        std::env::set_current_dir(bundle).map_err(|e| format!("enter {}: {e}", bundle.display()))?;
        let listener = UnixListener::bind(Self::NAME).map_err(|e| format!("bind {}: {e}", path.display()))?;
        let _ = std::env::set_current_dir("/");
        Ok(Console { listener, path })
    }

    /// The container exists, so its terminal is in the queue already.
    fn master(self) -> Result<OwnedFd, String> {
        let _ = self.listener.set_nonblocking(true);
        let (stream, _) =
            self.listener.accept().map_err(|e| format!("the container has no terminal: {e}"))?;
        let _ = fs::remove_file(&self.path);
        match crate::report::receive(&stream.into()) {
            Some(crate::report::Report::Terminal(master)) => Ok(master),
            _ => Err("the container sent no terminal".into()),
        }
    }
}

/// Becomes the container's program, cleaner than libcontainer's own executor does.
#[derive(Clone)]
struct Workload {
    reporter: Reporter,
    /// Links in volumes lead nowhere yet.
    is_guarded: bool,
    /// Where to go first when they do.
    directory: Option<PathBuf>,
    /// Not for the container.
    machine_proc: Option<RawFd>,
}

impl Executor for Workload {
    /// In the container, as its user: from here on no name leads to what libcontainer sees of the machine.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        if let Some(number) = self.machine_proc {
            sys::close(number as u32);
        }
        if !sys::is_inside_root() {
            // libcontainer went there while it had the machine's rights; CVE-2024-21626
            let why = OUTSIDE.to_owned();
            self.reporter.failed(&why);
            return Err(ExecutorValidationError::ArgValidationError(why));
        }
        let (args, env) = command(spec);
        match look_up(args.first().map_or("", |name| name), env) {
            // it may be behind such a link, and is looked for again before it is run
            Err(why) if !self.is_guarded => {
                self.reporter.failed(&why);
                Err(ExecutorValidationError::ArgValidationError(why))
            }
            _ => Ok(()),
        }
    }

    /// Nothing: the environment is given with the program.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let (args, env) = command(spec);
        // last, because a change of user clears it: a container must not outlive the one who watches it
        let _ = set_pdeathsig(Signal::SIGKILL);
        let gone = self.directory.as_deref().map_or(Ok(()), enter);
        let why = gone.map_or_else(|why| why, |()| become_program(args, env));
        // the container was started already, so the only place left to say it is its log
        let _ = writeln!(std::io::stderr(), "{why}");
        // SAFETY: ends the process at once: nothing of the shim's may run in the container.
        unsafe { libc::_exit(CANNOT_EXEC) }
    }
}

/// Goes there as the container's user, and by no link of the kernel's, which would lead to what is still open of the machine.
fn enter(directory: &Path) -> Result<(), String> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(AT_FDCWD, directory, how).and_then(fchdir).map_err(|errno| {
        format!("chdir to cwd ({directory:?}) set in config.json failed: {}", errno.desc().to_lowercase())
    })?;
    match sys::is_inside_root() {
        true => Ok(()),
        false => Err(OUTSIDE.to_owned()),
    }
}

fn command(spec: &Spec) -> (&[String], &[String]) {
    let process = spec.process().as_ref();
    let args = process.and_then(|p| p.args().as_deref()).unwrap_or_default();
    let env = process.and_then(|p| p.env().as_deref()).unwrap_or_default();
    (args, env)
}

/// Replaces this process; returns only to say why not.
pub(crate) fn become_program(args: &[String], env: &[String]) -> String {
    let name = args.first().map_or("", |name| name.as_str());
    let program = match look_up(name, env) {
        Ok(program) => program,
        Err(why) => return why,
    };
    let strings = |list: &[String]| {
        list.iter().map(|text| CString::new(text.as_bytes())).collect::<Result<Vec<_>, _>>()
    };
    let (Ok(path), Ok(args), Ok(env)) =
        (CString::new(program.as_os_str().as_encoded_bytes()), strings(args), strings(env))
    else {
        return format!("exec: {name:?}: an argument or a variable holds a NUL byte");
    };
    reset_signals();
    let Err(errno) = execve(&path, &args, &env);
    format!("exec {}: {}", program.display(), errno.desc().to_lowercase())
}
