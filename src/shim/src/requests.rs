//! What each request does. Create and exec are answered when their helper is done, all others at once.

use crate::attach::Attachment;
use crate::container::{Container, Output, Run, Stdin};
use crate::create::{self, Creation, Stdio};
use crate::exec::{self, Execution};
use crate::fault::{Because, Fault, Result, fault};
use crate::helper::{Asker, Helper, Work};
use crate::logs::Log;
use crate::oom::{self, OomWatch};
use crate::shim::{Ending, Shim};
use crate::{cgroup, mounts, pipes, sys};
use cri::ContainerId;
use cri::wire::{Call, ContainerRecord, CreateRequest, ExecRequest, MountRequest, Reply, Request, StreamFd};
use libcontainer::notify_socket::{NOTIFY_FILE, NotifySocket};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

type Answer = (Reply, Vec<OwnedFd>);

/// Killed processes leave their cgroup a moment after the kill; no event tells it on cgroup v1.
const CGROUP_PATIENCE: [Duration; 6] = [
    Duration::from_millis(0),
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(15),
    Duration::from_millis(50),
    Duration::from_millis(150),
];

impl Shim {
    pub(crate) fn answer(&mut self, client: u64, call: Call) {
        let asker = Asker { client, seq: call.seq };
        let done = |()| Some((Reply::Done, Vec::new()));
        let answer = match call.request {
            Request::Hello => Ok(Some((Reply::Containers(self.records()), Vec::new()))),
            Request::Mount(request) => self.mount(request).map(done),
            Request::Create(request) => self.create(request, asker).map(|()| None),
            Request::Start { container } => self.start(&container, asker),
            Request::Signal { container, signal, all } => self.signal(&container, signal, all).map(done),
            Request::Exec(request) => self.exec(request, asker).map(|()| None),
            Request::SignalExec { exec, signal } => self.signal_exec(exec, signal).map(done),
            Request::Attach { container, stdin, stdout, stderr } => {
                self.attach(&container, stdin, [stdout, stderr]).map(Some)
            }
            Request::Resize { container, width, height } => {
                self.run(&container).and_then(|run| run.resize(width, height)).map(done)
            }
            Request::ReopenLog { container } => {
                self.run(&container).and_then(|run| run.log.reopen()).map(done)
            }
            Request::Remove { container } => self.remove(&container).map(done),
            Request::Shutdown => {
                self.ending = Some(Ending::AtOnce);
                Ok(None)
            }
        };
        match answer {
            Ok(None) => {}
            Ok(Some(answer)) => self.reply(client, asker.seq, Ok(answer)),
            Err(Fault(why)) => self.reply(client, asker.seq, Err(why)),
        }
    }

    fn records(&self) -> Vec<(ContainerId, ContainerRecord)> {
        self.containers
            .values()
            .filter_map(|one| one.run.as_ref().map(|run| (one.id.clone(), run.record.clone())))
            .collect()
    }

    fn run(&mut self, id: &ContainerId) -> Result<&mut Run> {
        self.containers
            .values_mut()
            .find(|container| container.id == *id)
            .and_then(|container| container.run.as_mut())
            .ok_or_else(|| Fault(format!("no container {id}")))
    }

    fn running(&mut self, id: &ContainerId) -> Result<(&mut Run, Pid)> {
        let run = self.run(id)?;
        match run.record.pid {
            Some(pid) if run.is_alive() => Ok((run, Pid::from_raw(pid))),
            _ => fault("the container is not running"),
        }
    }

    /// The container's entry, new where there is none.
    fn entry(&mut self, id: &ContainerId) -> u64 {
        self.find(id).unwrap_or_else(|| {
            let key = self.new_key();
            let container = Container {
                id: id.clone(),
                mounts: Vec::new(),
                being_created: false,
                unwanted: false,
                run: None,
            };
            self.containers.insert(key, container);
            key
        })
    }

    fn mount(&mut self, request: MountRequest) -> Result<()> {
        if self.find(&request.container).is_some() {
            return fault(format_args!("container {} is mounted already", request.container));
        }
        let made = mounts::make(&request, &self.sandbox.machine_mounts)?;
        let key = self.entry(&request.container);
        if let Some(container) = self.containers.get_mut(&key) {
            container.mounts = made;
        }
        Ok(())
    }

    fn create(&mut self, request: CreateRequest, asker: Asker) -> Result<()> {
        let key = self.entry(&request.container);
        if self.containers.get(&key).is_some_and(|one| one.being_created || one.run.is_some()) {
            return fault(format_args!("container {} exists already", request.container));
        }
        let (run, stdio) = prepare(&request)?;
        let keep: Vec<RawFd> = match &stdio {
            Stdio::Pipes { stdin, stdout, stderr } => {
                [stdin, stdout, stderr].map(AsRawFd::as_raw_fd).to_vec()
            }
            Stdio::Terminal => Vec::new(),
        };
        let creation = Creation {
            id: request.container.0,
            root: self.state_root(),
            bundle: request.bundle,
            oom_score: self.sandbox.oom_score.clone(),
            late: request.late,
            guarded: request.guarded,
            cgroup: request.cgroup,
            cgroup_view: request.cgroup_view,
            terminal_size: request.terminal_size,
            stdio,
        };
        let work = Work::Create { container: key, run: Box::new(run), stdin: request.stdin };
        let helper = Helper::start(asker, work, &keep, |reporter| create::create(creation, reporter))?;
        let helper_key = self.new_key();
        self.helpers.insert(helper_key, helper);
        if let Some(container) = self.containers.get_mut(&key) {
            container.being_created = true;
        }
        Ok(())
    }

    fn state_root(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub(crate) fn created(
        &mut self,
        key: u64,
        mut run: Run,
        (terminal, stdin): (Option<OwnedFd>, bool),
        outcome: &Result<i32, String>,
    ) -> Result<Answer, String> {
        let container = self.containers.get_mut(&key).ok_or("the container was removed")?;
        container.being_created = false;
        let explained = |why: &String| {
            let kills = OomWatch::open(&run.cgroup).map_or(0, |watch| watch.count());
            oom::explain(why, kills)
        };
        let pid = *outcome.as_ref().map_err(explained)?;
        if let Some(master) = terminal {
            run.set_terminal(master, stdin).map_err(|e| e.to_string())?;
        }
        run.record.pid = Some(pid);
        run.oom = OomWatch::open(&run.cgroup);
        let saved = run.save();
        container.run = Some(run);
        saved.map(|()| (Reply::Created { pid }, Vec::new())).map_err(|e| e.to_string())
    }

    /// Answered when its first process has become its program, or has ended: whoever looks at it then finds the program.
    fn start(&mut self, id: &ContainerId, asker: Asker) -> Result<Option<Answer>> {
        let socket = self.state_root().join(&id.0).join(NOTIFY_FILE);
        let (run, _) = self.running(id)?;
        if run.record.started_at.is_some() {
            return fault("the container was started already");
        }
        NotifySocket::new(socket).notify_container_start().because("start the container")?;
        run.record.started_at = Some(jiff::Timestamp::now());
        run.save()?;
        let birth = match self.find(id) {
            Some(key) => self.births.get_mut(&key),
            None => None,
        };
        match birth {
            Some(birth) => {
                birth.starter = Some(asker);
                Ok(None)
            }
            None => Ok(Some((Reply::Done, Vec::new()))),
        }
    }

    fn signal(&mut self, id: &ContainerId, signal: i32, all: bool) -> Result<()> {
        let (run, pid) = self.running(id)?;
        cgroup::send(pid, signal).because(format_args!("signal {signal}"))?;
        if all {
            cgroup::signal_others(&run.cgroup, signal, pid);
        }
        Ok(())
    }

    fn exec(&mut self, request: ExecRequest, asker: Asker) -> Result<()> {
        let id = request.container.clone().ok_or_else(|| Fault("exec: no container".into()))?;
        let (run, first) = self.running(&id)?;
        if run.record.started_at.is_none() {
            return fault("the container is not running");
        }
        let (cgroup, bundle) = (run.cgroup.clone(), run.bundle.clone());
        // here nobody reaps it meanwhile
        let process = sys::pidfd_open(first).because("find the container's first process")?;
        let (stdio, streams) = exec::pipes(&request).because("make pipes")?;
        let keep: Vec<RawFd> = stdio.iter().flatten().chain([&process]).map(AsRawFd::as_raw_fd).collect();
        let work = Work::Exec { exec: request.exec, streams };
        let execution = Execution { request, first, process, cgroup, bundle, stdio };
        let helper = Helper::start(asker, work, &keep, |reporter| exec::exec(execution, reporter))?;
        let key = self.new_key();
        self.helpers.insert(key, helper);
        Ok(())
    }

    pub(crate) fn begun(
        &mut self,
        exec: u64,
        mut streams: Vec<(StreamFd, OwnedFd)>,
        terminal: Option<OwnedFd>,
        outcome: &Result<i32, String>,
    ) -> Result<Answer, String> {
        let pid = *outcome.as_ref().map_err(String::clone)?;
        self.execs.insert(pid, exec);
        streams.extend(terminal.map(|master| (StreamFd::Terminal, master)));
        let (fds, ends) = streams.into_iter().unzip();
        Ok((Reply::Streams { pid, fds }, ends))
    }

    fn signal_exec(&mut self, exec: u64, signal: i32) -> Result<()> {
        match self.execs.iter().find(|(_, id)| **id == exec) {
            Some((pid, _)) => {
                cgroup::send(Pid::from_raw(*pid), signal).because(format_args!("signal {signal}"))
            }
            None => fault("the exec has ended"),
        }
    }

    fn attach(&mut self, id: &ContainerId, stdin: bool, outputs: [bool; 2]) -> Result<Answer> {
        let key = self.new_key();
        let (run, pid) = self.running(id)?;
        let open = [0, 1].map(|which| outputs[which] && run.outputs[which].is_some());
        let (attachment, streams) =
            Attachment::new(stdin && run.stdin.is_some(), open).because("make pipes")?;
        run.attachments.insert(key, attachment);
        run.forget_attachments_that_are_over();
        let (fds, ends) = streams.into_iter().unzip();
        Ok((Reply::Streams { pid: pid.as_raw(), fds }, ends))
    }

    pub(crate) fn remove(&mut self, id: &ContainerId) -> Result<()> {
        let Some(key) = self.find(id) else { return Ok(()) };
        let Some(container) = self.containers.get_mut(&key) else { return Ok(()) };
        if container.being_created {
            // asked by a daemon whose forerunner died while it waited for it
            container.unwanted = true;
            return Ok(());
        }
        if container.run.as_ref().is_some_and(Run::is_alive) {
            return fault(format_args!("container {id} is running"));
        }
        if let Some(run) = &container.run {
            remove_cgroup(run);
        }
        mounts::unmount(&container.mounts);
        let _ = fs::remove_dir_all(self.state_root().join(&id.0));
        self.containers.remove(&key);
        self.born(key);
        Ok(())
    }
}

/// What the kernel does not let go of by then is the runtime's, which can wait longer: here every container waits with it.
fn remove_cgroup(run: &Run) {
    for pause in CGROUP_PATIENCE {
        std::thread::sleep(pause);
        if cgroup::remove(&run.cgroup).is_ok() {
            return;
        }
        cgroup::signal_all(&run.cgroup, Signal::SIGKILL as i32);
    }
}

fn open_held(path: &Path) -> Result<File> {
    File::open(path).because(format_args!("open {}", path.display()))
}

/// The container's side that stays here, and the side that goes to its process.
fn prepare(request: &CreateRequest) -> Result<(Run, Stdio)> {
    let mut run = Run {
        bundle: request.bundle.clone(),
        cgroup: request.cgroup.clone(),
        stop_signal: request.stop_signal.unwrap_or(Signal::SIGTERM as i32),
        tty: request.tty,
        record: ContainerRecord::default(),
        log: Log::open(&request.log_path, &request.logging)?,
        outputs: [None, None],
        stdin: None,
        stdin_once: request.stdin_once,
        attachments: BTreeMap::new(),
        oom: None,
        held: request.held.iter().map(|path| open_held(path)).collect::<Result<_>>()?,
    };
    if request.tty {
        return Ok((run, Stdio::Terminal));
    }
    let (out, stdout) = pipes::from_them().because("make pipes")?;
    let (err, stderr) = pipes::from_them().because("make pipes")?;
    run.outputs = [Some(Output::new(out, "stdout")), Some(Output::new(err, "stderr"))];
    let stdin = if request.stdin {
        let (theirs, ours) = pipes::to_them().because("make pipes")?;
        run.stdin = Some(Stdin::new(ours));
        theirs
    } else {
        File::open("/dev/null").because("open /dev/null")?.into()
    };
    Ok((run, Stdio::Pipes { stdin, stdout, stderr }))
}
