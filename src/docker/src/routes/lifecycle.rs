//! Start, stop and what lies between.

use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::lifecycle::stop_signal;
use crate::record::{Container, Record, State};
use crate::request::{ApiRequest, ApiResponse, empty, line, stream};
use crate::signals;
use futures::stream as streams;
use http::StatusCode;
use nix::sys::signal::Signal;
use serde_json::json as value;
use std::sync::Arc;

/// To its end, even where the client hangs up before.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|e| Err(ApiError::failed("the engine's own fault", e)))
}

fn changed(changed: bool) -> ApiResponse {
    empty(if changed { StatusCode::NO_CONTENT } else { StatusCode::NOT_MODIFIED })
}

pub(super) async fn start(request: ApiRequest) -> ApiResponse {
    let (engine, container) = (request.engine.clone(), request.engine.container(request.name())?);
    changed(to_the_end(async move { started(&engine, &container).await }).await?)
}

async fn started(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<bool> {
    let result = engine.start(container).await;
    if result.is_err() && container.see(|r| r.host.auto_remove && r.running().is_none()) {
        engine.remove(container, true, true).await?;
    }
    result
}

pub(super) async fn stop(request: ApiRequest) -> ApiResponse {
    let (engine, container) = (request.engine.clone(), request.engine.container(request.name())?);
    let (grace, signal) =
        (request.query.number("t")?, request.query.get("signal").map(signals::number).transpose()?);
    changed(to_the_end(async move { engine.stop(&container, grace, signal).await }).await?)
}

pub(super) async fn restart(request: ApiRequest) -> ApiResponse {
    let (engine, container) = (request.engine.clone(), request.engine.container(request.name())?);
    let (grace, signal) =
        (request.query.number("t")?, request.query.get("signal").map(signals::number).transpose()?);
    to_the_end(async move {
        let goes_on = container.restart();
        engine.stop(&container, grace, signal).await?;
        let started = engine.start(&container).await;
        drop(goes_on);
        if let Err(why) = started {
            // there will be no other end of it
            if container.see(|r| r.running().is_none()) && container.is_removed_at_its_end() {
                engine.remove(&container, true, true).await?;
            }
            return Err(why);
        }
        engine.events.container("restart", &container.record(), &[]);
        Ok(())
    })
    .await?;
    empty(StatusCode::NO_CONTENT)
}

pub(super) async fn kill(request: ApiRequest) -> ApiResponse {
    let cannot = |why: ApiError| ApiError {
        status: why.status,
        message: format!("cannot kill container: {}: {}", request.name(), why.message),
    };
    let number = signals::number(request.query.get("signal").unwrap_or("KILL"));
    let number = number
        .map_err(|why| cannot(ApiError { message: why.message.replace("Invalid", "invalid"), ..why }))?;
    let (engine, container) =
        (request.engine.clone(), request.engine.container(request.name()).map_err(cannot)?);
    let Some(running) = container.see(|r| r.running().cloned()) else {
        let id = container.see(|r| r.id.clone());
        return Err(cannot(ApiError::conflict(format_args!("container {id} is not running"))));
    };
    let is_kill = number == Signal::SIGKILL as i32;
    if is_kill || number == container.see(stop_signal) {
        container.change(|r| {
            r.manually_stopped = true;
            true
        });
    }
    engine.runtime.signal_container(&running.container, number).await?;
    engine.events.container("kill", &container.record(), &[("signal", number.to_string())]);
    if is_kill {
        to_the_end(async move {
            if running.paused {
                // a frozen process dies when it thaws
                engine.runtime.freeze_container(&running.container, false).await?;
            }
            engine.until_ended(&container, &running.container).await;
            Ok(())
        })
        .await?;
    }
    empty(StatusCode::NO_CONTENT)
}

pub(super) async fn pause(request: ApiRequest) -> ApiResponse {
    set_paused(request, true).await
}

pub(super) async fn unpause(request: ApiRequest) -> ApiResponse {
    set_paused(request, false).await
}

async fn set_paused(request: ApiRequest, paused: bool) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    let _alone = container.gate.lock().await;
    let id = container.see(|r| r.id.clone());
    match container.see(|r| r.running().cloned()) {
        None if paused => return Err(ApiError::conflict(format_args!("container {id} is not running"))),
        None => return Err(ApiError::conflict(format_args!("Container {id} is not paused"))),
        Some(running) if running.paused == paused => {
            let how = if paused { "already" } else { "not" };
            return Err(ApiError::conflict(format_args!("Container {id} is {how} paused")));
        }
        Some(running) => request.engine.runtime.freeze_container(&running.container, paused).await?,
    }
    container.change(|r| match &mut r.state {
        State::Running(running) => {
            running.paused = paused;
            true
        }
        _ => false,
    });
    request.engine.events.container(if paused { "pause" } else { "unpause" }, &container.record(), &[]);
    empty(StatusCode::NO_CONTENT)
}

/// The head of the answer goes out at once: `docker run` starts the container only then.
pub(super) async fn wait(request: ApiRequest) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    let mut records = container.watch();
    let begun = container.see(|r| r.exits);
    let is_over: Box<dyn FnMut(&Record) -> bool + Send> = match request.query.get("condition") {
        // the end of a run counts, though another follows
        None | Some("not-running") => Box::new(move |r| {
            r.exits > begun || (r.running().is_none() && !matches!(r.state, State::Restarting(_)))
        }),
        Some("next-exit") => Box::new(move |r| r.exits > begun || matches!(r.state, State::Removed(_))),
        Some("removed") => Box::new(|r| matches!(r.state, State::Removed(_))),
        Some(other) => return Err(ApiError::bad(format_args!("invalid condition: \"{other}\""))),
    };
    stream(
        "application/json",
        streams::once(async move {
            let record = records.wait_for(is_over).await;
            let code = record.as_ref().map_or(0, |record| record.exit_code());
            line(&value!({"StatusCode": code}))
        }),
    )
}
