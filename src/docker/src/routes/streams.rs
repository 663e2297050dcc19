//! What comes out of containers: logs, attached terminals, statistics.

use crate::attach::{self, Attached, Detach};
use crate::attach_websocket::Handshake;
use crate::error::{ApiError, Result};
use crate::frames;
use crate::logs::{self, Wanted};
use crate::record::{Attacher, Container, State};
use crate::request::{ApiRequest, ApiResponse, empty, json, line, stream};
use crate::{detach, engine::Engine, log_details, logging, stats};
use cri::{AttachStreams, ExecSession, TerminalSize};
use futures::future::BoxFuture;
use futures::stream as streams;
use http::StatusCode;
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often Docker sends statistics.
const STATS_PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn logs(request: ApiRequest) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    let query = &request.query;
    let record = container.record();
    let wanted = Wanted {
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        timestamps: query.flag("timestamps"),
        follow: query.flag("follow"),
        since: time(&request, "since")?,
        until: time(&request, "until")?,
        tail: query.get("tail").filter(|t| *t != "all").and_then(|t| t.parse().ok()),
        tty: record.config.tty,
        details: query.flag("details").then(|| log_details::details(&record)),
    };
    if !wanted.stdout && !wanted.stderr {
        return Err(ApiError::bad("Bad parameters: you must choose at least one stream"));
    }
    if logging::driver(&record.host.log_config) == logging::NONE {
        return Err(ApiError::not_implemented("configured logging driver does not support reading"));
    }
    let kind = frames::content_type(wanted.tty, request.version);
    let lines = logs::follow(container, wanted).await.map_err(unreadable)?;
    stream(kind, streams::unfold(lines, |mut lines| async move { Some((lines.recv().await?, lines)) }))
}

fn unreadable(why: std::io::Error) -> ApiError {
    ApiError::failed("read the container's log", why)
}

pub(super) fn time(request: &ApiRequest, name: &str) -> Result<Option<Timestamp>> {
    let Some(text) = request.query.get(name).filter(|text| *text != "0") else { return Ok(None) };
    let bad = || ApiError::bad(format_args!("invalid value for \"{name}\": {text}"));
    logs::time(text).map(Some).ok_or_else(bad)
}

pub(super) async fn attach(request: ApiRequest) -> ApiResponse {
    let tty = request.engine.container(request.name())?.see(|r| r.config.tty);
    let session = attaching(&request, tty).await?;
    let kind = frames::content_type(tty, request.version);
    let wants_upgrade = request.headers.contains_key(http::header::UPGRADE);
    attach::serve(request.engine.config.unread, request.upgrade, wants_upgrade, tty, kind, session)
}

pub(super) async fn attach_by_websocket(request: ApiRequest) -> ApiResponse {
    let handshake = Handshake::of(&request.headers)?;
    let session = attaching(&request, true).await?;
    handshake.serve(request.upgrade, session)
}

/// What is asked for, as soon as it is there. `is_raw`: no frames say which output a piece is of.
async fn attaching(request: &ApiRequest, is_raw: bool) -> Result<BoxFuture<'static, Option<Attached>>> {
    let container = request.engine.container(request.name())?;
    let query = &request.query;
    let tty = container.see(|r| r.config.tty);
    let keys = detach::keys(query.get("detachKeys"))?;
    let stream = query.flag("stream");
    let shown = |name: &str| query.flag(name);
    let want = AttachStreams {
        stdin: stream && shown("stdin"),
        stdout: stream && shown("stdout"),
        stderr: stream && shown("stderr"),
        tty,
    };
    if container.see(|r| r.running().is_some_and(|running| running.paused)) {
        return Err(ApiError::conflict("container is paused, unpause the container before attach"));
    }
    if container.see(|r| matches!(r.state, State::Restarting(_))) {
        let id = container.see(|r| r.id.clone());
        return Err(ApiError::conflict(format_args!(
            "container {id} is restarting, wait until the container is running"
        )));
    }
    let wanted =
        Wanted { stdout: shown("stdout"), stderr: shown("stderr"), tty: is_raw, ..Wanted::default() };
    let has_log = container.see(|r| logging::driver(&r.host.log_config) != logging::NONE);
    let logs = (shown("logs") && has_log).then_some(wanted);
    // what is written in between is seen twice rather than never
    let session = if stream { Some(attached(&request.engine, &container, want).await?) } else { None };
    let listener = session.is_some().then(|| container.listen());
    let before = match logs {
        Some(wanted) => Some(logs::follow(container.clone(), wanted).await.map_err(unreadable)?),
        None => None,
    };
    request.engine.events.container("attach", &container.record(), &[]);
    let engine = request.engine.clone();
    let tell = Box::new(move || engine.events.container("detach", &container.record(), &[]));
    Ok(Box::pin(async move {
        let detach = tty.then_some(Detach { keys, tell });
        let nothing = Attached::only_saying(String::new());
        match session {
            None => Some(Attached { before, ..nothing }),
            Some(session) => {
                let session = session.await.ok()?;
                Some(Attached { session, before, detach, ended: None, listener })
            }
        }
    }))
}

/// The session of what runs now, or of what is started next.
async fn attached(
    engine: &Engine,
    container: &Container,
    want: AttachStreams,
) -> Result<oneshot::Receiver<ExecSession>> {
    let (tell, session) = oneshot::channel();
    let (run, refusal) = {
        // not while it is being started
        let _alone = container.gate.lock().await;
        let Some(running) = container.see(|r| r.running().cloned()) else {
            let mut waiting = container.attachers.lock();
            // those who hung up
            waiting.retain(|attacher| !attacher.tell.is_closed());
            waiting.push(Attacher { want, tell });
            return Ok(session);
        };
        match engine.runtime.attach(&running.container, want).await {
            Ok(attached) => {
                let _ = tell.send(attached);
                return Ok(session);
            }
            Err(refusal) => (running.container, refusal),
        }
    };
    if !engine.has_ended(container, &run).await {
        return Err(refusal.into());
    }
    // nothing more comes from it
    let _ = tell.send(Attached::only_saying(String::new()).session);
    Ok(session)
}

/// `h` rows and `w` columns.
pub(super) fn size(request: &ApiRequest) -> Result<TerminalSize> {
    let number = |name: &str, what: &str| {
        let text = request.query.get(name).unwrap_or_default();
        text.parse::<u32>().map(|number| u16::try_from(number).unwrap_or(u16::MAX)).map_err(|e| {
            let why = match e.kind() {
                std::num::IntErrorKind::PosOverflow => "value out of range",
                _ => "invalid syntax",
            };
            ApiError::bad(format_args!("invalid resize {what} {text:?}: {why}"))
        })
    };
    Ok(TerminalSize { height: number("h", "height")?, width: number("w", "width")? })
}

pub(super) async fn resize(request: ApiRequest) -> ApiResponse {
    let size = size(&request)?;
    let container = request.engine.container(request.name())?;
    let running = container.see(|r| r.running().cloned());
    let Some(running) = running else {
        let id = container.see(|r| r.id.clone());
        return Err(ApiError::conflict(format_args!("Container {id} is not running")));
    };
    let nothing = AttachStreams { tty: true, ..AttachStreams::default() };
    let session = request.engine.runtime.attach(&running.container, nothing).await?;
    if let Some(window) = session.resize {
        let _ = window.send(size).await;
    }
    let more = [("height", size.height.to_string()), ("width", size.width.to_string())];
    request.engine.events.container("resize", &container.record(), &more);
    empty(StatusCode::OK)
}

pub(super) async fn statistics(request: ApiRequest) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    let once = request.query.get("stream").is_some_and(|_| !request.query.flag("stream"));
    if once {
        let one_shot = request.query.flag("one-shot");
        let before = if one_shot { None } else { stats::sample(&request.engine, &container).await };
        if before.is_some() {
            tokio::time::sleep(STATS_PERIOD).await;
        }
        let now = stats::sample(&request.engine, &container).await;
        return json(&stats::shown(&container.record(), now.as_ref(), before.as_ref()));
    }
    let state = (request.engine.clone(), container, None, tokio::time::interval(STATS_PERIOD));
    stream(
        "application/json",
        streams::unfold(state, |(engine, container, before, mut due)| async move {
            due.tick().await;
            let now = stats::sample(&engine, &container).await;
            if container.see(|r| r.status() == "removing") {
                return None;
            }
            let shown = line(&stats::shown(&container.record(), now.as_ref(), before.as_ref()));
            Some((shown, (engine, container, now, due)))
        }),
    )
}
