//! `docker commit`: a container's writable directory becomes the top layer of an image.

use super::lifecycle::to_the_end;
use crate::error::{ApiError, Result};
use crate::model::Config;
use crate::plan;
use crate::record::{Container, Record};
use crate::request::{ApiRequest, ApiResponse, with_status};
use http::StatusCode;
use image::{HistoryItem, RunConfig};
use jiff::Timestamp;
use serde_json::json as value;
use std::sync::Arc;

pub(super) async fn commit(mut request: ApiRequest) -> ApiResponse {
    let changed: Option<Config> = request.json_if_any().await?;
    let container = request.engine.container(request.query.get("container").unwrap_or_default())?;
    // a client that hangs up leaves nobody frozen
    let id = to_the_end(async move { committed(&request, &container, changed).await }).await?;
    with_status(StatusCode::CREATED, &value!({"Id": id}))
}

async fn committed(
    request: &ApiRequest,
    container: &Arc<Container>,
    changed: Option<Config>,
) -> Result<String> {
    let record = container.record();
    let pause = request.query.get("pause").is_none_or(|_| request.query.flag("pause"));
    let mut frozen =
        record.running().filter(|running| pause && !running.paused).map(|running| running.container.clone());
    if let Some(run) = &frozen {
        match request.engine.runtime.freeze_container(run, true).await {
            Ok(()) => request.engine.events.container("pause", &record, &[]),
            // it has just ended
            Err(_) if request.engine.has_ended(container, run).await => frozen = None,
            Err(error) => return Err(error.into()),
        }
    }
    let made = commit_paused(request, container, &record, changed).await;
    if let Ok(id) = &made {
        let reference = request.query.get("repo").unwrap_or_default().to_owned();
        let more = [
            ("comment", request.query.get("comment").unwrap_or_default().to_owned()),
            ("imageID", id.clone()),
            ("imageRef", reference),
        ];
        request.engine.events.container("commit", &record, &more);
    }
    // who was paused meanwhile stays so
    let is_paused = container.see(|r| r.running().is_some_and(|running| running.paused));
    if let Some(run) = frozen.filter(|_| !is_paused) {
        match request.engine.runtime.freeze_container(&run, false).await {
            Err(error) if !request.engine.has_ended(container, &run).await => return Err(error.into()),
            _ => request.engine.events.container("unpause", &record, &[]),
        }
    }
    made
}

async fn commit_paused(
    request: &ApiRequest,
    container: &Arc<Container>,
    record: &Record,
    changed: Option<Config>,
) -> Result<String> {
    let images = &request.engine.images;
    let mut document = images.details(&record.image)?.document;
    let config = merged(changed, &record.config);
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

/// What the client says of the new image, and the container's own for the rest: who sends `{}`, as docker-py does, changes nothing.
fn merged(changed: Option<Config>, own: &Config) -> Config {
    let Some(changed) = changed else { return own.clone() };
    let own = RunConfig {
        user: own.user.clone(),
        exposed_ports: own.exposed_ports.keys().map(|port| (port.clone(), image::Empty {})).collect(),
        env: own.env.clone(),
        entrypoint: own.entrypoint.clone(),
        cmd: own.cmd.clone(),
        volumes: own.volumes.keys().map(|volume| (volume.clone(), image::Empty {})).collect(),
        working_dir: own.working_dir.clone(),
        labels: own.labels.clone(),
        stop_signal: own.stop_signal.clone(),
        healthcheck: own.healthcheck.clone(),
        ..RunConfig::default()
    };
    plan::with_image(changed, &own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_said_stays_as_it_is() {
        let own = json!({
            "User": "app", "Env": ["A=1", "B=1"], "Entrypoint": ["/e"], "Cmd": ["c"], "WorkingDir": "/w", "Labels": {"l": "1"},
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "StopSignal": "INT", "Healthcheck": {"Test": ["NONE"]},
        });
        let own: Config = serde_json::from_value(own).unwrap();
        for (changed, differs) in [
            (json!({}), json!({})),
            (json!({"Env": ["B=2"]}), json!({"Env": ["B=2", "A=1"]})),
            (json!({"Cmd": ["d"]}), json!({"Cmd": ["d"]})),
            (json!({"Entrypoint": ["/f"]}), json!({"Entrypoint": ["/f"], "Cmd": null})),
            (
                json!({"User": "root", "Labels": {"m": "2"}}),
                json!({"User": "root", "Labels": {"l": "1", "m": "2"}}),
            ),
        ] {
            let mut want = serde_json::to_value(&own).unwrap();
            want.as_object_mut().unwrap().extend(differs.as_object().unwrap().clone());
            let got = merged(Some(serde_json::from_value(changed.clone()).unwrap()), &own);
            assert_eq!(serde_json::to_value(got).unwrap(), want, "{changed}");
        }
        assert_eq!(merged(None, &own), own);
    }
}
