//! Volumes.

use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::files;
use crate::filters::{Filters, contains};
use crate::request::{ApiRequest, ApiResponse, empty, json, with_status};
use crate::volumes::{ANONYMOUS, Volume};
use cri::{Asker, blocking, blocking_while_wanted};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json as value};
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wanted {
    name: String,
    driver: String,
    labels: Option<BTreeMap<String, String>>,
    driver_opts: Option<BTreeMap<String, String>>,
}

/// Where it is `measured` for somebody, the size and the users as well, which takes a walk through its files.
pub(super) fn shown(engine: &Engine, volume: &Volume, measured: Option<&Asker>) -> Value {
    let place = engine.volumes.mountpoint(&volume.name);
    let mut shown = value!({
        "Name": volume.name, "Driver": "local", "Mountpoint": place, "CreatedAt": created_at(volume),
        "Labels": (!volume.labels.is_empty()).then_some(&volume.labels), "Options": (!volume.options.is_empty()).then_some(&volume.options), "Scope": "local",
    });
    if let Some(client) = measured {
        let users = engine.users_of_volume(&volume.name).len();
        // what is mounted there is not ours to measure, and may not answer: clients show -1 as unknown
        let size = match volume.options.is_empty() {
            true => i64::try_from(files::size(&place, client)).unwrap_or(i64::MAX),
            false => -1,
        };
        shown["UsageData"] = value!({"Size": size, "RefCount": users});
    }
    shown
}

pub(super) async fn create(mut request: ApiRequest) -> ApiResponse {
    let wanted: Wanted = request.json().await?;
    if !matches!(wanted.driver.as_str(), "" | "local") {
        return Err(ApiError::not_found(format_args!(
            "create {}: error looking up volume plugin {1}: plugin \"{1}\" not found",
            wanted.name, wanted.driver
        )));
    }
    let (labels, options) = (wanted.labels.unwrap_or_default(), wanted.driver_opts.unwrap_or_default());
    let volume = request.engine.make_volume(&wanted.name, labels, options)?;
    with_status(StatusCode::CREATED, &shown(&request.engine, &volume, None))
}

/// To the second, as Docker has it.
fn created_at(volume: &Volume) -> String {
    volume.created_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Engine {
    /// The volume of this name, made where it is missing.
    pub(crate) fn make_volume(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Result<Volume> {
        let is_known = self.volumes.get(name).is_ok();
        let volume = self.volumes.make(name, labels, options)?;
        if !is_known {
            tell(self, "create", &volume.name);
        }
        Ok(volume)
    }
}

fn tell(engine: &Engine, action: &str, name: &str) {
    engine.events.tell("volume", action, name, [("driver".to_owned(), "local".to_owned())].into());
}

pub(super) async fn list(request: ApiRequest) -> ApiResponse {
    let filters: Filters = request.query.json("filters")?;
    filters.check(&["dangling", "driver", "label", "label!", "name"])?;
    let dangling = filters.truth("dangling")?;
    let engine = &request.engine;
    let wanted = |volume: &Volume| {
        filters.any("name", |name| contains(&volume.name, name))
            && filters.any("driver", |driver| driver == "local")
            && filters.labels(&volume.labels)
            && dangling.is_none_or(|dangling| dangling == engine.users_of_volume(&volume.name).is_empty())
    };
    let all: Vec<Value> =
        engine.volumes.all().iter().filter(|v| wanted(v)).map(|v| shown(engine, v, None)).collect();
    json(&value!({"Volumes": all, "Warnings": null}))
}

pub(super) async fn inspect(request: ApiRequest) -> ApiResponse {
    json(&shown(&request.engine, &request.engine.volumes.get(request.name())?, None))
}

pub(super) async fn remove(request: ApiRequest) -> ApiResponse {
    let (engine, name) = (request.engine.clone(), request.name().to_owned());
    if let Err(missing) = engine.volumes.get(&name) {
        return if request.query.flag("force") { empty(StatusCode::NO_CONTENT) } else { Err(missing) };
    }
    let users = engine.users_of_volume(&name);
    if !users.is_empty() {
        return Err(ApiError::conflict(format_args!(
            "remove {name}: volume is in use - [{}]",
            users.join(", ")
        )));
    }
    erase(&request, &name).await?;
    empty(StatusCode::NO_CONTENT)
}

async fn erase(request: &ApiRequest, name: &str) -> Result<()> {
    let (engine, of) = (request.engine.clone(), name.to_owned());
    blocking(move || engine.volumes.remove(&of)).await?;
    tell(&request.engine, "destroy", name);
    Ok(())
}

/// Anonymous ones; with `all=true` those with names as well, as all were before 1.42.
pub(super) async fn prune(request: ApiRequest) -> ApiResponse {
    let filters: Filters = request.query.json("filters")?;
    filters.check(&["all", "label", "label!"])?;
    let all = filters.truth("all")?.unwrap_or(false) || request.version < (1, 42);
    let (mut removed, mut freed) = (Vec::new(), 0);
    for volume in request.engine.volumes.all() {
        // those with options hold what others have, and go by name only
        let wanted = (all || volume.labels.contains_key(ANONYMOUS))
            && volume.options.is_empty()
            && filters.labels(&volume.labels);
        if wanted && request.engine.users_of_volume(&volume.name).is_empty() {
            let data = request.engine.volumes.mountpoint(&volume.name);
            freed += blocking_while_wanted(move |client| files::size(&data, client)).await.unwrap_or(0);
            erase(&request, &volume.name).await?;
            removed.push(volume.name);
        }
    }
    request.engine.events.pruned("volume", freed);
    json(&value!({"VolumesDeleted": removed, "SpaceReclaimed": freed}))
}
