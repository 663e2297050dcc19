//! `docker exec`: made, started, looked at.

use crate::attach::{self, Attached, Detach};
use crate::detach;
use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::execs::{Exec, ExecWanted, Stage};
use crate::frames;
use crate::owner;
use crate::record::{Container, State, new_id};
use crate::request::{ApiRequest, ApiResponse, empty, json, with_status};
use crate::root::Root;
use cri::{ExecConfig, ExecSession, blocking};
use http::StatusCode;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json as value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// So long a client that asks for a window's size may be ahead of the exec's process: Docker's own.
const UNTIL_STARTED: Duration = Duration::from_secs(10);

pub(super) async fn create(mut request: ApiRequest) -> ApiResponse {
    let wanted: ExecWanted = request.json().await?;
    let container = request.engine.container(request.name())?;
    if wanted.cmd.is_empty() {
        return Err(ApiError::bad("No exec command specified"));
    }
    running(&container)?;
    detach::keys(Some(&wanted.detach_keys))?;
    // told at once, where Docker tells it in the exec's output
    if let Some(dir) = wanted.working_dir.as_deref().filter(|dir| !dir.is_empty() && !dir.starts_with('/')) {
        return Err(ApiError::bad(format_args!("Cwd must be an absolute path: {dir}")));
    }
    if !wanted.user.is_empty() {
        let (container, user) = (container.clone(), wanted.user.clone());
        blocking(move || is_known(&container, &user)).await?;
    }
    let id = new_id();
    let exec = Exec {
        id: id.clone(),
        container,
        wanted,
        stage: Mutex::new(Stage::Made),
        pid: AtomicI32::new(0),
        window: watch::Sender::new(None),
    };
    request.engine.events.container(
        &format!("exec_create: {}", exec.wanted.cmd.join(" ")),
        &exec.container.record(),
        &[("execID", id.clone())],
    );
    request.engine.execs.add(Arc::new(exec));
    with_status(StatusCode::CREATED, &value!({"Id": id}))
}

/// # Errors
/// The container's own files do not have this user or group.
fn is_known(container: &Container, user: &str) -> Result<()> {
    let Some(pid) = container.see(|r| r.process().map(|running| running.pid)) else {
        return Ok(());
    };
    // a container that ends meanwhile has other words for it
    let Ok(root) = Root::of_process(pid) else { return Ok(()) };
    let read = |path: &str| root.read_text(Path::new(path));
    owner::resolve(user, &read("/etc/passwd"), &read("/etc/group")).map(drop).map_err(ApiError::bad)
}

fn running(container: &Container) -> Result<cri::ContainerId> {
    container.see(|r| match r.process() {
        None if matches!(r.state, State::Restarting(_)) => Err(ApiError::conflict(format_args!(
            "Container {} is restarting, wait until the container is running",
            r.id
        ))),
        None => Err(ApiError::conflict(format_args!("container {} is not running", r.id))),
        Some(running) if running.paused => Err(ApiError::conflict(format_args!(
            "Container {} is paused, unpause the container before exec",
            r.name
        ))),
        Some(running) => Ok(running.container.clone()),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Start {
    detach: bool,
    console_size: Option<[u16; 2]>,
    tty: bool,
}

pub(super) async fn start(mut request: ApiRequest) -> ApiResponse {
    let start: Start = request.json().await?;
    let exec = request.engine.execs.get(request.name())?;
    let run = running(&exec.container)?;
    let taken = exec.take();
    // frames as the start says it, whatever the exec has: Docker's clients read by what they sent here
    let (engine, raw, detach) = (request.engine.clone(), start.tty, start.detach);
    // a task of its own: what is begun is watched to its end, whether its client stays or not
    let beginning = async move {
        match taken {
            Ok(()) => tokio::spawn(exec_start(engine, exec, run, start)).await.ok(),
            Err(why) => Some(Err(why)),
        }
    };
    if detach {
        return match beginning.await {
            Some(Ok(_)) => empty(StatusCode::OK),
            Some(Err(refusal)) => Err(refusal),
            None => Err(ApiError::failed("start the exec", "it was cut off")),
        };
    }
    let wants_upgrade = request.headers.contains_key(http::header::UPGRADE);
    // it begins when the client has left HTTP: the SDKs lose output that comes in one piece with the answer's head
    let session = async move {
        // as Docker has it: the reason is the output, and the exit code tells the rest
        let said = |refusal: ApiError| Attached::only_saying(format!("{refusal}\r\n"));
        Some(beginning.await?.unwrap_or_else(said))
    };
    let kind = frames::content_type(raw, request.version);
    attach::serve(request.engine.config.unread, request.upgrade, wants_upgrade, raw, kind, session)
}

async fn exec_start(
    engine: Arc<Engine>,
    exec: Arc<Exec>,
    run: cri::ContainerId,
    start: Start,
) -> Result<Attached> {
    let groups = exec.container.see(|r| r.host.group_add.clone());
    match engine.runtime.exec(&run, config(&exec.wanted, &start, groups)).await {
        Ok(session) => Ok(watched(&engine, &exec, session)),
        Err(error) => {
            let (refusal, code) = failed(error.into());
            *exec.stage.lock() = Stage::Ended(code);
            exec.window.send_replace(None);
            Err(refusal)
        }
    }
}

/// `group_names`: the container's `--group-add`, which holds for another user of it too.
fn config(wanted: &ExecWanted, start: &Start, group_names: Vec<String>) -> ExecConfig {
    let env = wanted.env.iter().flatten().filter_map(|e| e.split_once('='));
    let attach = !start.detach;
    ExecConfig {
        command: wanted.cmd.clone(),
        stdin: attach && wanted.attach_stdin,
        stdout: attach && wanted.attach_stdout,
        stderr: attach && wanted.attach_stderr,
        tty: wanted.tty,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        working_dir: wanted.working_dir.clone().filter(|dir| !dir.is_empty()),
        user: Some(wanted.user.clone()).filter(|user| !user.is_empty()),
        group_names,
        privileged: wanted.privileged,
        terminal_size: start.console_size.or(wanted.console_size).map(|[height, width]| (width, height)),
    }
}

/// Its window and its exit code are remembered.
fn watched(engine: &Arc<Engine>, exec: &Arc<Exec>, mut session: ExecSession) -> Attached {
    let text = format!("exec_start: {}", exec.wanted.cmd.join(" "));
    engine.events.container(&text, &exec.container.record(), &[("execID", exec.id.clone())]);
    exec.pid.store(session.pid, Ordering::Relaxed);
    exec.window.send_replace(session.resize.take());
    let (_, never) = tokio::sync::oneshot::channel();
    let exit = std::mem::replace(&mut session.exit, never);
    let detach = detach_of(engine, exec);
    let (engine, exec) = (engine.clone(), exec.clone());
    let ended = tokio::spawn(async move {
        let code = exit.await.ok().and_then(Result::ok).unwrap_or(137);
        *exec.stage.lock() = Stage::Ended(code);
        exec.window.send_replace(None);
        let more = [("execID", exec.id.clone()), ("exitCode", code.to_string())];
        engine.events.container("exec_die", &exec.container.record(), &more);
    });
    Attached { session, ended: Some(ended), before: None, detach, listener: None }
}

/// The exec goes on without its client.
fn detach_of(engine: &Arc<Engine>, exec: &Arc<Exec>) -> Option<Detach> {
    let keys = detach::keys(Some(&exec.wanted.detach_keys)).ok().filter(|_| exec.wanted.tty)?;
    let (engine, exec) = (engine.clone(), exec.clone());
    let tell = Box::new(move || {
        let more = [("execID", exec.id.clone())];
        engine.events.container("exec_detach", &exec.container.record(), &more);
    });
    Some(Detach { keys, tell })
}

fn failed(refusal: ApiError) -> (ApiError, i32) {
    const TASK: &str = "OCI runtime exec failed: exec failed: unable to start container process: ";
    let marks = ["exec: ", "chdir to cwd", "unable to find"];
    let Some(at) = marks.iter().find_map(|mark| refusal.message.find(mark)) else { return (refusal, 126) };
    let why = match &refusal.message[at..] {
        "exec: no command" => "exec: \"\": executable file not found in $PATH",
        why => why,
    };
    // an account that is not there is told as it is
    if why.starts_with("unable to find") {
        return (ApiError::bad(why), 126);
    }
    let is_missing = why.contains("not found in $PATH") || why.contains("no such file or directory");
    (ApiError::bad(format_args!("{TASK}{why}")), if is_missing { 127 } else { 126 })
}

pub(super) async fn resize(request: ApiRequest) -> ApiResponse {
    let size = super::streams::size(&request)?;
    let exec = request.engine.execs.get(request.name())?;
    match exec.terminal(UNTIL_STARTED).await? {
        Some(window) => {
            let _ = window.send(size).await;
            empty(StatusCode::OK)
        }
        None => Err(ApiError::conflict(format_args!("exec {} has no terminal", exec.id))),
    }
}

pub(super) async fn inspect(request: ApiRequest) -> ApiResponse {
    let exec = request.engine.execs.get(request.name())?;
    let stage = exec.stage.lock().clone();
    let wanted = &exec.wanted;
    let (program, arguments) = wanted.cmd.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    json(&value!({
        "ID": exec.id,
        "Running": stage == Stage::Running,
        "ExitCode": if let Stage::Ended(code) = stage { Some(code) } else { None },
        "ProcessConfig": {
            "tty": wanted.tty, "entrypoint": program, "arguments": arguments, "privileged": wanted.privileged,
            "user": wanted.user,
        },
        "OpenStdin": wanted.attach_stdin, "OpenStdout": wanted.attach_stdout, "OpenStderr": wanted.attach_stderr,
        "CanRemove": false, "ContainerID": exec.container.see(|r| r.id.clone()), "DetachKeys": wanted.detach_keys, "Pid": exec.pid.load(Ordering::Relaxed),
    }))
}
