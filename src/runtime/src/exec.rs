//! Further processes in a container, and the streams of the first one.

use crate::account::{self, Wanted};
use crate::capabilities::CapabilitySet;
use crate::client::Answer;
use crate::container::Container;
use crate::rootfs::Rootfs;
use crate::runtime::{Inner, blocking};
use crate::spec::{last_of_each, with_home};
use crate::streams::FdStream;
use bytes::BytesMut;
use cri::wire::{ExecRequest, Reply, Request, StreamFd};
use cri::{
    AttachStreams, ContainerId, CriError, ExecConfig, ExecOutput, ExecSession, Output, Result, TerminalSize,
};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};

/// The most that `exec_sync` collects, of both streams together; upstream's limit for probes and hooks.
const MOST_OUTPUT: usize = 16 << 10;
/// A process that has ended may have left another one behind that holds its output open.
const DRAIN: Duration = Duration::from_millis(200);
const SIGKILL: i32 = 9;

nix::ioctl_write_ptr_bad!(set_window_size, libc::TIOCSWINSZ, libc::winsize);

impl Inner {
    pub async fn exec(&self, id: &ContainerId, config: ExecConfig) -> Result<ExecSession> {
        self.begin_exec(id, config).await.map(|(session, _)| session)
    }

    async fn begin_exec(&self, id: &ContainerId, config: ExecConfig) -> Result<(ExecSession, u64)> {
        let container = self.container(id)?;
        let pid = container.running_pid()?;
        let (of, all) = (container.clone(), self.host.capabilities);
        let request = blocking(move || resolve(&of, pid, &config, all)).await?;
        let exec = request.exec;
        let exit = container.sandbox.expect_exec(exec);
        let doing = format!("exec in container {}", container.record.config.name);
        let answer = container.sandbox.call(&doing, Request::Exec(request)).await;
        let session = answer.and_then(|a| session(a, exit).map_err(|e| CriError::failed(&doing, e)));
        if session.is_err() {
            container.sandbox.forget_exec(exec);
        }
        session.map(|s| (s, exec))
    }

    pub async fn exec_sync(
        &self,
        id: &ContainerId,
        command: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<ExecOutput> {
        let shown = command.join(" ");
        let config = ExecConfig { command, stdout: true, stderr: true, ..ExecConfig::default() };
        let (session, exec) = self.begin_exec(id, config).await?;
        let (mut stdout, mut stderr) = (BytesMut::new(), BytesMut::new());
        let collected = collect(session, &mut stdout, &mut stderr);
        let code = match timeout.filter(|t| !t.is_zero()) {
            None => Ok(collected.await),
            Some(timeout) => tokio::time::timeout(timeout, collected).await.map_err(|_| timeout),
        };
        match code {
            Ok(code) => {
                let exit_code = code?;
                Ok(ExecOutput { exit_code, stdout: stdout.freeze(), stderr: stderr.freeze() })
            }
            Err(timeout) => {
                let sandbox = self.container(id)?.sandbox.clone();
                let kill = Request::SignalExec { exec, signal: SIGKILL };
                // it may have ended just now
                let _ = sandbox.call("kill exec", kill).await;
                sandbox.forget_exec(exec);
                let why = format!("command \"{shown}\" timed out after {timeout:?}");
                Err(CriError::CommandTimedOut { why, output: [stdout, stderr].concat() })
            }
        }
    }

    pub async fn attach(&self, id: &ContainerId, want: AttachStreams) -> Result<ExecSession> {
        let container = self.container(id)?;
        let tty = container.record.config.tty;
        let request = Request::Attach {
            container: id.clone(),
            stdin: want.stdin && container.record.config.stdin,
            stdout: want.stdout,
            stderr: want.stderr && !tty,
        };
        let doing = format!("attach to container {}", container.record.config.name);
        let answer = container.sandbox.call(&doing, request).await?;
        let (tell, exit) = oneshot::channel();
        let mut session = session(answer, exit).map_err(|e| CriError::failed(&doing, e))?;
        session.resize = tty.then(|| resize_by_shim(container.clone()));
        tokio::spawn(tell_exit(container, tell));
        Ok(session)
    }
}

async fn tell_exit(container: Arc<Container>, mut tell: oneshot::Sender<Result<i32>>) {
    tokio::select! {
        () = tell.closed() => {}
        code = container.ended() => {
            let _ = tell.send(Ok(code));
        }
    }
}

/// Names become numbers, and what is not said is as in the container itself.
fn resolve(container: &Container, pid: i32, config: &ExecConfig, all: CapabilitySet) -> Result<ExecRequest> {
    if config.command.is_empty() {
        return Err(CriError::Invalid("no command specified".to_owned()));
    }
    let mut request = container.record.process.clone();
    let mut home = container.record.home.clone();
    if let Some(user) = config.user.as_deref().filter(|u| !u.is_empty()) {
        let root = Rootfs::open(Path::new(&format!("/proc/{pid}/root"))).map_err(|e| {
            CriError::failed(format_args!("open root of container {}", container.record.id), e)
        })?;
        let read = |path: &str| root.read_text(Path::new(path));
        let wanted = Wanted { user: Some(user), group_names: &config.group_names, ..Wanted::default() };
        let account = account::resolve(wanted, &read("/etc/passwd"), &read("/etc/group"))?;
        (request.uid, request.gid, request.groups, home) =
            (account.uid, account.gid, account.groups, account.home);
    }
    request.env = with_home(environment(&request.env, config), &home);
    if let Some(dir) = &config.working_dir {
        request.cwd = Path::new("/").join(dir);
    }
    if config.privileged {
        request.capabilities = all.0;
        request.seccomp = false;
    }
    Ok(ExecRequest {
        exec: rand::random(),
        container: Some(container.record.id.clone()),
        args: config.command.clone(),
        tty: config.tty,
        terminal_size: config.terminal_size.filter(|_| config.tty),
        stdin: config.stdin,
        stdout: config.stdout,
        stderr: config.stderr && !config.tty,
        ..request
    })
}

fn environment(own: &[String], config: &ExecConfig) -> Vec<String> {
    let own = own.iter().filter_map(|e| e.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned()));
    let mut all: Vec<(String, String)> = own.collect();
    if config.tty && !all.iter().any(|(n, _)| n == "TERM") {
        all.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    all.extend(config.env.iter().cloned());
    last_of_each(all)
}

/// The descriptors that came, as a session.
fn session(answer: Answer, exit: oneshot::Receiver<Result<i32>>) -> std::io::Result<ExecSession> {
    let pid = if let Reply::Streams { pid, .. } = answer.reply { pid } else { 0 };
    let mut session = ExecSession { stdin: None, stdout: None, stderr: None, resize: None, pid, exit };
    for (name, fd) in answer.fds {
        match name {
            StreamFd::Stdin => session.stdin = Some(Box::new(FdStream::new(fd)?)),
            StreamFd::Stdout => session.stdout = Some(Box::new(FdStream::new(fd)?)),
            StreamFd::Stderr => session.stderr = Some(Box::new(FdStream::new(fd)?)),
            StreamFd::Terminal => {
                session.stdin = Some(Box::new(FdStream::new(fd.try_clone()?)?));
                session.resize = Some(resize_terminal(fd.try_clone()?));
                session.stdout = Some(Box::new(FdStream::new(fd)?));
            }
        }
    }
    Ok(session)
}

fn resize_terminal(terminal: OwnedFd) -> mpsc::Sender<TerminalSize> {
    let (tell, mut sizes) = mpsc::channel::<TerminalSize>(4);
    tokio::spawn(async move {
        while let Some(size) = sizes.recv().await {
            let size = libc::winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
            // SAFETY: the descriptor is open, and the kernel only reads the winsize, which lives through the call.
            let _ = unsafe { set_window_size(terminal.as_raw_fd(), &size) };
        }
    });
    tell
}

fn resize_by_shim(container: Arc<Container>) -> mpsc::Sender<TerminalSize> {
    let (tell, mut sizes) = mpsc::channel::<TerminalSize>(4);
    tokio::spawn(async move {
        while let Some(TerminalSize { width, height }) = sizes.recv().await {
            let resize = Request::Resize { container: container.record.id.clone(), width, height };
            // a container that has ended has no window
            let _ = container.sandbox.call("resize", resize).await;
        }
    });
    tell
}

/// Reads both streams to their ends and waits for the exit. Whoever does not wait so long has what came by then.
async fn collect(session: ExecSession, stdout: &mut BytesMut, stderr: &mut BytesMut) -> Result<i32> {
    let left = std::sync::atomic::AtomicUsize::new(MOST_OUTPUT);
    let mut exit = session.exit;
    let code = {
        let (out, err) = (session.stdout, session.stderr);
        let read = async { tokio::join!(drain(out, stdout, &left), drain(err, stderr, &left)) };
        tokio::pin!(read);
        tokio::select! {
            code = &mut exit => {
                let _ = tokio::time::timeout(DRAIN, &mut read).await;
                code
            }
            _ = &mut read => exit.await,
        }
    };
    code.unwrap_or_else(|_| Err(CriError::Failed("the sandbox's shim is gone".to_owned())))
}

/// What does not fit is read all the same: the process must not wait for us.
async fn drain(stream: Option<Output>, into: &mut BytesMut, left: &std::sync::atomic::AtomicUsize) {
    use std::sync::atomic::Ordering::Relaxed;
    let Some(mut stream) = stream else { return };
    let mut piece = [0; 4096];
    while let Ok(read) = stream.read(&mut piece).await {
        if read == 0 {
            return;
        }
        let kept = read.min(left.load(Relaxed));
        left.fetch_sub(kept, Relaxed);
        into.extend_from_slice(&piece[..kept]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session_of(stdout: &'static [u8], code: Option<i32>) -> ExecSession {
        let (tell, exit) = oneshot::channel();
        if let Some(code) = code {
            tell.send(Ok(code)).unwrap();
        }
        ExecSession {
            stdin: None,
            stdout: Some(Box::new(stdout)),
            stderr: Some(Box::new(&b"err"[..])),
            resize: None,
            pid: 0,
            exit,
        }
    }

    #[tokio::test]
    async fn output_is_collected_up_to_the_limit() {
        let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
        let code = collect(session_of(b"out", Some(4)), &mut out, &mut err).await.unwrap();
        assert_eq!((code, &out[..], &err[..]), (4, &b"out"[..], &b"err"[..]));
        static LONG: [u8; 100_000] = [b'x'; 100_000];
        let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
        collect(session_of(&LONG, Some(0)), &mut out, &mut err).await.unwrap();
        assert_eq!(out.len() + err.len(), MOST_OUTPUT);
        assert!(collect(session_of(b"", None), &mut out, &mut err).await.is_err());
    }

    #[test]
    fn the_environment_of_an_exec() {
        let own = ["PATH=/bin".to_owned(), "A=1".to_owned()];
        let config = ExecConfig { tty: true, env: vec![("A".into(), "2".into())], ..Default::default() };
        assert_eq!(environment(&own, &config), ["PATH=/bin", "A=2", "TERM=xterm"]);
    }
}
