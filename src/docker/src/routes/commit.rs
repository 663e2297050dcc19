//! `docker commit`: a container's writable folder becomes the top layer of an image.

use crate::call::{Answer, Call, with_status};
use crate::record::{Container, Record};
use crate::refusal::{Refusal, Result};
use crate::{instructions, plan};
use http::StatusCode;
use image::HistoryItem;
use jiff::Timestamp;
use serde_json::json as value;
use std::sync::Arc;

pub(super) async fn commit(mut call: Call) -> Answer {
    let changed: Option<crate::model::Config> = call.json_if_any().await?;
    let container = call.engine.container(call.query.get("container").unwrap_or_default())?;
    let record = container.record();
    let pause = call.query.get("pause").is_none_or(|_| call.query.flag("pause"));
    let mut frozen =
        record.running().filter(|running| pause && !running.paused).map(|running| running.container.clone());
    if let Some(run) = &frozen {
        match call.engine.runtime.freeze_container(run, true).await {
            Ok(()) => call.engine.events.container("pause", &record, &[]),
            // it has just ended
            Err(_) if call.engine.has_ended(&container, run).await => frozen = None,
            Err(error) => return Err(error.into()),
        }
    }
    let made = commit_paused(&call, &container, &record, changed).await;
    if let Ok(id) = &made {
        let reference = call.query.get("repo").unwrap_or_default().to_owned();
        let more = [
            ("comment", call.query.get("comment").unwrap_or_default().to_owned()),
            ("imageID", id.clone()),
            ("imageRef", reference),
        ];
        call.engine.events.container("commit", &record, &more);
    }
    if let Some(run) = &frozen {
        match call.engine.runtime.freeze_container(run, false).await {
            Err(error) if !call.engine.has_ended(&container, run).await => return Err(error.into()),
            _ => call.engine.events.container("unpause", &record, &[]),
        }
    }
    let id = made?;
    with_status(StatusCode::CREATED, &value!({"Id": id}))
}

async fn commit_paused(
    call: &Call,
    container: &Arc<Container>,
    record: &Record,
    changed: Option<crate::model::Config>,
) -> Result<String> {
    let images = &call.engine.images;
    let mut document = images.details(&record.image)?.document;
    let config = changed.unwrap_or_else(|| record.config.clone());
    let run = &mut document.config;
    (run.user, run.working_dir) = (config.user, config.working_dir);
    (run.env, run.entrypoint, run.cmd) = (config.env, config.entrypoint, config.cmd);
    (run.labels, run.stop_signal) = (config.labels, config.stop_signal);
    run.healthcheck = config.healthcheck;
    run.exposed_ports = config.exposed_ports.into_keys().map(|port| (port, image::Empty {})).collect();
    run.volumes = config.volumes.into_keys().map(|volume| (volume, image::Empty {})).collect();
    for text in call.query.all("changes").flat_map(str::lines) {
        instructions::apply(run, text)?;
    }
    let author = call.query.get("author").unwrap_or_default().to_owned();
    document.author = Some(author.clone()).filter(|author| !author.is_empty()).or(document.author);
    let step = HistoryItem {
        created: Some(Timestamp::now()),
        created_by: plan::arguments(&record.config).join(" "),
        author,
        comment: call.query.get("comment").unwrap_or_default().to_owned(),
        empty_layer: false,
    };
    std::fs::create_dir_all(container.upper()).map_err(|e| Refusal::failed("commit", e))?;
    let name = call.query.get("repo").map(|repo| match call.query.get("tag") {
        Some(tag) => format!("{repo}:{tag}"),
        None => repo.to_owned(),
    });
    let info =
        images.commit(Some(&record.image), &container.upper(), document, step, name.as_deref()).await?;
    Ok(info.id)
}
