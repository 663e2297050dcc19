//! The loop: one thread, one `poll(2)`, everything else follows from what became ready.

mod ending;

use crate::client::{Client, Gone};
use crate::container::{Container, Run};
use crate::fault::{Because, Result};
use crate::helper::{Birth, Helper, Work};
use crate::interests::{self, Token};
use crate::sandbox::Sandbox;
use crate::{cgroup, sys};
use cri::ContainerId;
use cri::wire::{Message, Reply, SOCKET, ShimConfig, ShimEvent};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// As much as a pipe holds by default.
const BUFFER: usize = 64 << 10;

/// How it was told to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By whoever has ended the containers already, as they wanted to be.
    AtOnce,
    /// By a signal: the machine is going down, or the program is being taken away.
    WithGrace,
}

pub(crate) struct Shim {
    pub(crate) dir: PathBuf,
    pub(crate) sandbox: Sandbox,
    signals: SignalFd,
    listener: UnixListener,
    clients: BTreeMap<u64, Client>,
    pub(crate) containers: BTreeMap<u64, Container>,
    pub(crate) helpers: BTreeMap<u64, Helper>,
    /// By container.
    pub(crate) births: BTreeMap<u64, Birth>,
    /// Processes of execs, by pid.
    pub(crate) execs: BTreeMap<i32, u64>,
    /// Children that ended before it was known what they are: (pid, exit code).
    strays: Vec<(i32, i32)>,
    buffer: Box<[u8]>,
    last_key: u64,
    pub(crate) ending: Option<Ending>,
}

impl Shim {
    pub(crate) fn new(sandbox: Sandbox, config: &ShimConfig) -> Result<Shim> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        set.add(Signal::SIGTERM);
        set.thread_block().because("block signals")?;
        for ignored in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGPIPE] {
            // SAFETY: no handler is installed.
            unsafe { signal(ignored, SigHandler::SigIgn) }.because("ignore signals")?;
        }
        Ok(Shim {
            signals: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
                .because("signalfd")?,
            listener: listen(&config.dir)?,
            dir: config.dir.clone(),
            sandbox,
            clients: BTreeMap::new(),
            containers: BTreeMap::new(),
            helpers: BTreeMap::new(),
            births: BTreeMap::new(),
            execs: BTreeMap::new(),
            strays: Vec::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            last_key: 0,
            ending: None,
        })
    }

    /// Until it is told to end.
    pub(crate) fn serve(&mut self) {
        while self.ending.is_none() {
            self.turn(PollTimeout::NONE);
        }
        if self.ending == Some(Ending::WithGrace) {
            self.wait_for_ends();
        }
        self.kill_everything();
        let _ = fs::remove_file(self.dir.join(SOCKET));
    }

    /// Waits for something and does it; false at the timeout.
    fn turn(&mut self, timeout: PollTimeout) -> bool {
        let (mut fds, tokens): (Vec<PollFd>, Vec<Token>) = self.interests().unzip();
        // an interruption is no event; any other failure of poll(2) is one of this program
        let count = poll(&mut fds, timeout).unwrap_or(1);
        let ready: Vec<Token> = std::iter::zip(&fds, tokens)
            .filter(|(fd, _)| fd.revents().is_some_and(|events| !events.is_empty()))
            .map(|(_, token)| token)
            .collect();
        drop(fds);
        ready.into_iter().for_each(|token| self.handle(token));
        count > 0
    }

    fn interests(&self) -> impl Iterator<Item = (PollFd<'_>, Token)> {
        const READ: PollFlags = PollFlags::POLLIN;
        let own = [
            (PollFd::new(self.signals.as_fd(), READ), Token::Signals),
            (PollFd::new(self.listener.as_fd(), READ), Token::Listener),
        ];
        let clients = self.clients.iter().map(|(key, client)| {
            let mut events = READ;
            events.set(PollFlags::POLLOUT, client.wants_to_write());
            (PollFd::new(client.as_fd(), events), Token::Client(*key))
        });
        let helpers = self
            .helpers
            .iter()
            .map(|(key, helper)| (PollFd::new(helper.socket.as_fd(), READ), Token::Helper(*key)));
        let births = self
            .births
            .iter()
            .map(|(key, birth)| (PollFd::new(birth.socket.as_fd(), READ), Token::Birth(*key)));
        let containers =
            self.containers.iter().flat_map(|(key, container)| interests::of_container(*key, container));
        own.into_iter().chain(clients).chain(helpers).chain(births).chain(containers)
    }

    fn handle(&mut self, token: Token) {
        match token {
            Token::Signals => self.take_signals(),
            Token::Listener => self.accept(),
            Token::Client(key) => self.serve_client(key),
            Token::Helper(key) => self.follow(key),
            Token::Birth(key) => self.look_at_birth(key),
            Token::Memory(key) => self.look_at_memory(key),
            Token::Output(key, which) => {
                self.with_run(key, |run, buffer| {
                    run.read_output(which, buffer);
                });
            }
            Token::Stdin(key) => self.with_run(key, |run, _| run.flush_stdin()),
            Token::AttachedInput(key, client) => {
                self.with_run(key, |run, buffer| run.read_client(client, buffer))
            }
            Token::AttachedOutput(key, client, which) => self.with_run(key, |run, _| {
                // nothing is asked of this end, so it is the news that its reader is gone
                if let Some(attachment) = run.attachments.get_mut(&client) {
                    attachment.outputs[which] = None;
                }
                run.forget_attachments_that_are_over();
            }),
        }
    }

    fn with_run(&mut self, key: u64, act: impl FnOnce(&mut Run, &mut [u8])) {
        if let Some(run) = self.containers.get_mut(&key).and_then(|container| container.run.as_mut()) {
            act(run, &mut self.buffer);
        }
    }

    pub(crate) fn new_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    pub(crate) fn find(&self, id: &ContainerId) -> Option<u64> {
        self.containers.iter().find(|(_, container)| container.id == *id).map(|(key, _)| *key)
    }

    fn accept(&mut self) {
        loop {
            match self.listener.accept().and_then(|(stream, _)| Client::new(stream)) {
                Ok(client) => {
                    let key = self.new_key();
                    self.clients.insert(key, client);
                }
                Err(e) if e.raw_os_error() == Some(libc::EMFILE) => {
                    // a caller that stays in the queue would wake us for ever: the oldest client makes room for it
                    if self.clients.pop_first().is_none() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    fn serve_client(&mut self, key: u64) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        match client.flush().and_then(|()| client.receive(&mut self.buffer)) {
            // who asks something of a shim that ends gets the connection's end for an answer
            Ok(calls) => calls.into_iter().for_each(|call| {
                if self.ending.is_none() {
                    self.answer(key, call);
                }
            }),
            Err(Gone) => drop(self.clients.remove(&key)),
        }
    }

    pub(crate) fn reply(&mut self, client: u64, seq: u64, result: Result<(Reply, Vec<OwnedFd>), String>) {
        let (result, fds) = match result {
            Ok((reply, fds)) => (Ok(reply), fds),
            Err(why) => (Err(why), Vec::new()),
        };
        let Some(to) = self.clients.get_mut(&client) else { return };
        if to.send(&Message::Reply { seq, result }, fds).is_err() {
            self.clients.remove(&client);
        }
    }

    pub(crate) fn tell_all(&mut self, event: ShimEvent) {
        let message = Message::Event(event);
        self.clients.retain(|_, client| client.send(&message, Vec::new()).is_ok());
    }

    fn take_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            if info.ssi_signo == Signal::SIGTERM as u32 && self.ending.is_none() {
                self.ending = Some(Ending::WithGrace);
                self.ask_to_end(info.ssi_pid);
            }
        }
        while let Some((pid, exit_code)) = sys::reap() {
            self.ended(pid, exit_code);
        }
    }

    /// A child was reaped.
    fn ended(&mut self, pid: i32, exit_code: i32) {
        if self.sandbox.pause.is_some_and(|pause| pause.as_raw() == pid) {
            // its number is another's from now on, and not ours to kill
            self.sandbox.pause = None;
            return;
        }
        if let Some(exec) = self.execs.remove(&pid) {
            return self.tell_all(ShimEvent::ExecExited { exec, exit_code });
        }
        let runs = |container: &Container| {
            container.run.as_ref().is_some_and(|run| run.record.pid == Some(pid) && run.is_alive())
        };
        match self.containers.iter().find(|(_, container)| runs(container)).map(|(key, _)| *key) {
            Some(key) => self.container_ended(key, exit_code),
            None if !self.helpers.is_empty() => self.strays.push((pid, exit_code)),
            None => {}
        }
    }

    fn container_ended(&mut self, key: u64, exit_code: i32) {
        self.look_at_memory(key);
        let Some(Container { id, run: Some(run), .. }) = self.containers.get_mut(&key) else { return };
        // in a PID namespace of its own they died with it, in a shared one they did not
        cgroup::signal_all(&run.cgroup, Signal::SIGKILL as i32);
        let exit = run.end(exit_code, &mut self.buffer);
        // where the disk is full it is told all the same; a client that comes later asks us
        let _ = run.save();
        let container = id.clone();
        self.tell_all(ShimEvent::Exited { container: container.clone(), exit });
        if self.containers.get(&key).is_some_and(|one| one.unwanted) {
            let _ = self.remove(&container);
        }
    }

    fn look_at_birth(&mut self, key: u64) {
        if self.births.get(&key).is_some_and(Birth::is_over) {
            self.born(key);
        }
    }

    /// Whoever started the container hears of it when its program is there, or will never be.
    pub(crate) fn born(&mut self, key: u64) {
        if let Some(asker) = self.births.remove(&key).and_then(|birth| birth.starter) {
            self.reply(asker.client, asker.seq, Ok((Reply::Done, Vec::new())));
        }
    }

    fn follow(&mut self, key: u64) {
        let Some(outcome) = self.helpers.get_mut(&key).and_then(Helper::progress) else { return };
        let Some(helper) = self.helpers.remove(&key) else { return };
        let asker = helper.asker;
        let result = match helper.work {
            Work::Create { container, run, stdin } => {
                let created = self.created(container, *run, (helper.terminal, stdin), &outcome);
                if created.is_ok() {
                    self.births.insert(container, Birth { socket: helper.socket, starter: None });
                }
                self.end_unwanted(container);
                created
            }
            Work::Exec { exec, streams } => self.begun(exec, streams, helper.terminal, &outcome),
        };
        self.reply(asker.client, asker.seq, result);
        // it may have been too quick for us
        if let Ok(pid) = outcome
            && let Some(at) = self.strays.iter().position(|(stray, _)| *stray == pid)
        {
            let (pid, exit_code) = self.strays.swap_remove(at);
            self.ended(pid, exit_code);
        }
        if self.helpers.is_empty() {
            self.strays = Vec::new();
        }
    }

    fn end_unwanted(&mut self, key: u64) {
        let Some(container) = self.containers.get(&key).filter(|container| container.unwanted) else {
            return;
        };
        match &container.run {
            Some(run) => {
                if let Some(pid) = run.record.pid {
                    let _ = cgroup::send(Pid::from_raw(pid), Signal::SIGKILL as i32);
                }
                cgroup::signal_all(&run.cgroup, Signal::SIGKILL as i32);
            }
            None => {
                let id = container.id.clone();
                let _ = self.remove(&id);
            }
        }
    }

    fn look_at_memory(&mut self, key: u64) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        let fired = container.run.as_mut().and_then(|run| run.oom.as_mut()).is_some_and(|oom| oom.fired());
        if fired {
            let container = container.id.clone();
            self.tell_all(ShimEvent::OutOfMemory { container });
        }
    }
}

fn listen(dir: &Path) -> Result<UnixListener> {
    let what = format!("serve {}", dir.join(SOCKET).display());
    // by a relative name: a socket's path has 107 bytes at most
    std::env::set_current_dir(dir).because(&what)?;
    let _ = fs::remove_file(SOCKET);
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(SOCKET).because(&what);
    nix::sys::stat::umask(mask);
    fs::set_permissions(SOCKET, Permissions::from_mode(0o600)).because(&what)?;
    std::env::set_current_dir("/").because(&what)?;
    let listener = listener?;
    listener.set_nonblocking(true).because(what)?;
    Ok(listener)
}
