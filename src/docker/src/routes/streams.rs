//! What comes out of containers: logs, attached terminals, statistics.

use crate::attach::{self, Attached};
use crate::call::{Answer, Call, empty, json, line, stream};
use crate::frames;
use crate::logs::{self, Wanted};
use crate::record::{Attacher, Container, lock};
use crate::refusal::{Refusal, Result};
use crate::{engine::Engine, stats};
use cri::{AttachStreams, ExecSession, TerminalSize};
use futures::stream as streams;
use http::StatusCode;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often Docker sends statistics.
const STATS_PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn logs(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let query = &call.query;
    let wanted = Wanted {
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        timestamps: query.flag("timestamps"),
        follow: query.flag("follow"),
        since: query.get("since").and_then(logs::time),
        until: query.get("until").and_then(logs::time),
        tail: query.get("tail").filter(|t| *t != "all").and_then(|t| t.parse().ok()),
        tty: container.see(|r| r.config.tty),
    };
    if !wanted.stdout && !wanted.stderr {
        return Err(Refusal::bad("Bad parameters: you must choose at least one stream"));
    }
    let kind = frames::content_type(wanted.tty);
    let lines = logs::follow(container, wanted);
    stream(kind, streams::unfold(lines, |mut lines| async move { Some((lines.recv().await?, lines)) }))
}

pub(super) async fn attach(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let query = &call.query;
    let tty = container.see(|r| r.config.tty);
    let stream = query.flag("stream");
    let want = AttachStreams {
        stdin: stream && query.flag("stdin"),
        stdout: stream && query.flag("stdout"),
        stderr: stream && query.flag("stderr"),
        tty,
    };
    if container.see(|r| r.running().is_some_and(|running| running.paused)) {
        return Err(Refusal::conflict("Container is paused. Unpause the container before attach"));
    }
    let session = attached(&call.engine, &container, want).await?;
    call.engine.events.container("attach", &container.record(), &[]);
    let wants_upgrade = call.headers.contains_key(http::header::UPGRADE);
    attach::serve(call.upgrade, wants_upgrade, tty, async move {
        session.await.ok().map(|session| Attached { session, ended: None })
    })
}

/// The session of what runs now, or of what is started next.
async fn attached(
    engine: &Engine,
    container: &Container,
    want: AttachStreams,
) -> Result<oneshot::Receiver<ExecSession>> {
    let (tell, session) = oneshot::channel();
    // not while it is being started
    let _alone = container.gate.lock().await;
    match container.see(|r| r.running().cloned()) {
        Some(running) => {
            let _ = tell.send(engine.runtime.attach(&running.container, want).await?);
        }
        None => lock(&container.attachers).push(Attacher { want, tell }),
    }
    Ok(session)
}

/// `h` rows and `w` columns.
pub(super) fn size(call: &Call) -> Result<TerminalSize> {
    let number = |name| Ok::<_, Refusal>(call.query.number::<u16>(name)?.unwrap_or(0));
    Ok(TerminalSize { width: number("w")?, height: number("h")? })
}

pub(super) async fn resize(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let size = size(&call)?;
    let running = container.see(|r| r.running().cloned());
    let Some(running) = running else {
        return Err(Refusal::conflict(format_args!("container {} is not running", call.name())));
    };
    let nothing = AttachStreams { tty: true, ..AttachStreams::default() };
    let session = call.engine.runtime.attach(&running.container, nothing).await?;
    if let Some(window) = session.resize {
        let _ = window.send(size).await;
    }
    empty(StatusCode::OK)
}

pub(super) async fn statistics(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let once = call.query.get("stream").is_some_and(|_| !call.query.flag("stream"));
    if once {
        let mut before = None;
        if !call.query.flag("one-shot") {
            before = stats::sample(&call.engine, &container).await;
            tokio::time::sleep(STATS_PERIOD).await;
        }
        let now = stats::sample(&call.engine, &container).await;
        return json(&stats::shown(&container.record(), now.as_ref(), before.as_ref()));
    }
    let state = (call.engine.clone(), container, None, tokio::time::interval(STATS_PERIOD));
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
