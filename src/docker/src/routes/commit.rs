//! `docker commit`: a container's writable directory becomes the top layer of an image.

use crate::error::{ApiError, Result};
use crate::plan;
use crate::record::{Container, Record};
use crate::request::{ApiRequest, ApiResponse, with_status};
use http::StatusCode;
use image::HistoryItem;
use jiff::Timestamp;
use serde_json::json as value;
use std::sync::Arc;

pub(super) async fn commit(mut request: ApiRequest) -> ApiResponse {
    let changed: Option<crate::model::Config> = request.json_if_any().await?;
    let container = request.engine.container(request.query.get("container").unwrap_or_default())?;
    let record = container.record();
    let pause = request.query.get("pause").is_none_or(|_| request.query.flag("pause"));
    let mut frozen =
        record.running().filter(|running| pause && !running.paused).map(|running| running.container.clone());
    if let Some(run) = &frozen {
        match request.engine.runtime.freeze_container(run, true).await {
            Ok(()) => request.engine.events.container("pause", &record, &[]),
            // it has just ended
            Err(_) if request.engine.has_ended(&container, run).await => frozen = None,
            Err(error) => return Err(error.into()),
        }
    }
    let made = commit_paused(&request, &container, &record, changed).await;
    if let Ok(id) = &made {
        let reference = request.query.get("repo").unwrap_or_default().to_owned();
        let more = [
            ("comment", request.query.get("comment").unwrap_or_default().to_owned()),
            ("imageID", id.clone()),
            ("imageRef", reference),
        ];
        request.engine.events.container("commit", &record, &more);
    }
    if let Some(run) = &frozen {
        match request.engine.runtime.freeze_container(run, false).await {
            Err(error) if !request.engine.has_ended(&container, run).await => return Err(error.into()),
            _ => request.engine.events.container("unpause", &record, &[]),
        }
    }
    let id = made?;
    with_status(StatusCode::CREATED, &value!({"Id": id}))
}

async fn commit_paused(
    request: &ApiRequest,
    container: &Arc<Container>,
    record: &Record,
    changed: Option<crate::model::Config>,
) -> Result<String> {
    let images = &request.engine.images;
    let mut document = images.details(&record.image)?.document;
    let config = changed.unwrap_or_else(|| record.config.clone());
    let run = &mut document.config;
    (run.user, run.working_dir) = (config.user, config.working_dir);
    (run.env, run.entrypoint, run.cmd) = (config.env, config.entrypoint, config.cmd);
    (run.labels, run.stop_signal) = (config.labels, config.stop_signal);
    run.healthcheck = config.healthcheck;
    run.exposed_ports = config.exposed_ports.into_keys().map(|port| (port, image::Empty {})).collect();
    run.volumes = config.volumes.into_keys().map(|volume| (volume, image::Empty {})).collect();
    let changes = request.query.all("changes").collect::<Vec<_>>().join("\n");
    *run = image::apply_changes(std::mem::take(run), changes).await.map_err(ApiError::bad)?;
    let author = request.query.get("author").unwrap_or_default().to_owned();
    document.author = Some(author.clone()).filter(|author| !author.is_empty()).or(document.author);
    let step = HistoryItem {
        created: Some(Timestamp::now()),
        created_by: plan::arguments(&record.config).join(" "),
        author,
        comment: request.query.get("comment").unwrap_or_default().to_owned(),
        empty_layer: false,
    };
    std::fs::create_dir_all(container.upper()).map_err(|e| ApiError::failed("commit", e))?;
    let name = request.query.get("repo").map(|repo| match request.query.get("tag") {
        Some(tag) => format!("{repo}:{tag}"),
        None => repo.to_owned(),
    });
    let info =
        images.commit(Some(&record.image), &container.upper(), document, step, name.as_deref()).await?;
    Ok(info.id)
}
