//! Containers as things: made, listed, shown, changed, removed.

use crate::create::is_name;
use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::filters::Filters;
use crate::inspect::{self, Around};
use crate::model::Create;
use crate::names::familiar;
use crate::record::{Container, Record, State};
use crate::request::{ApiRequest, ApiResponse, empty, json, with_status, written};
use crate::{changes, files, link, top, versions};
use cri::blocking_while_wanted;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json as value};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A start that takes longer is shown as it is.
const UNTIL_RESTARTED: Duration = Duration::from_secs(10);

const FILTERS: &[&str] = &[
    "ancestor",
    "before",
    "expose",
    "exited",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
/// Who asks for these wants to see Kubernetes' containers.
const OF_PODS: &str = "io.kubernetes.";

pub(super) async fn create(mut request: ApiRequest) -> ApiResponse {
    let said: Value = request.json().await?;
    // the two others stand beside the container's own words, which is how Docker's engine knows that there are none
    let is_empty = said.as_object().is_none_or(|said| {
        said.keys().all(|name| matches!(name.as_str(), "HostConfig" | "NetworkingConfig"))
    });
    if is_empty {
        return Err(ApiError::bad("config cannot be empty in order to create a container"));
    }
    let mut asked: Create =
        serde_json::from_value(said).map_err(|e| ApiError::bad(format_args!("invalid JSON: {e}")))?;
    versions::fit(&mut asked, request.version)?;
    let platform = request.query.get("platform").map(super::images::platform).transpose()?;
    let (container, warnings) = request.engine.create(request.query.get("name"), platform, asked).await?;
    let id = container.see(|r| r.id.clone());
    with_status(StatusCode::CREATED, &value!({"Id": id, "Warnings": warnings}))
}

/// Shows something of a container together with what is around it.
pub(super) fn around<T>(engine: &Engine, container: &Container, show: impl FnOnce(&Around<'_>) -> T) -> T {
    let networks = engine.networks.all();
    let links = engine.shown_links(&container.record());
    show(&Around {
        networks: &networks,
        links: &links,
        log: &container.log(),
        dir: container.dir(),
        execs: engine.execs.of(&container.see(|r| r.id.clone())),
    })
}

pub(super) async fn inspect(request: ApiRequest) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    container.until_restarted(UNTIL_RESTARTED).await;
    let mut shown =
        around(&request.engine, &container, |around| container.see(|r| inspect::inspect(r, around)));
    // an image that was removed by force has no layers any more
    if let Ok(rootfs) = request.engine.images.rootfs(&container.see(|r| r.image.clone())) {
        let layers: Vec<String> = rootfs.layers.iter().map(|layer| layer.display().to_string()).collect();
        shown["GraphDriver"]["Data"]["LowerDir"] = value!(layers.join(":"));
    }
    if request.query.flag("size") {
        let (written, all) = sizes(&request.engine, &container).await;
        (shown["SizeRw"], shown["SizeRootFs"]) = (value!(written), value!(all));
    }
    json(&shown)
}

/// Bytes that it wrote, and those together with its image's.
pub(super) async fn sizes(engine: &Engine, container: &Container) -> (u64, u64) {
    let upper = container.upper();
    let written = blocking_while_wanted(move |client| files::size(&upper, client)).await.unwrap_or(0);
    let image = engine.images.image(&container.see(|r| r.image.clone())).ok().flatten();
    (written, written + image.map_or(0, |image| image.size))
}

pub(super) async fn list(request: ApiRequest) -> ApiResponse {
    let engine = &request.engine;
    let mut filters: Filters = request.query.json("filters")?;
    filters.check(FILTERS)?;
    filters.check_containers()?;
    filters.name_networks(&engine.networks.all());
    let limit =
        request.query.number::<i64>("limit")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let all = request.query.flag("all") || limit.is_some() || filters.has("status") || filters.has("exited");
    let bound = |name: &str| -> Result<Option<Timestamp>> {
        let of = filters.values(name).first();
        of.map(|of| engine.container(of).map(|c| c.see(|r| r.created))).transpose()
    };
    let (before, since) = (bound("before")?, bound("since")?);
    let ancestors = descendants(engine, filters.values("ancestor"));
    let is_shown = |record: &Record| {
        (all || matches!(record.state, State::Running(_) | State::Restarting(_)))
            && before.is_none_or(|before| record.created < before)
            && since.is_none_or(|since| record.created > since)
            && filters.container(record, &ancestors)
    };
    let now = Timestamp::now();
    let shown = engine.containers().into_iter().filter(|c| c.see(is_shown)).take(limit.unwrap_or(usize::MAX));
    let mut list = Vec::new();
    for container in shown {
        let mut line =
            around(engine, &container, |around| container.see(|r| inspect::summary(r, around, now)));
        if let Some(names) = line["Names"].as_array_mut() {
            names.extend(engine.link_names(&container).into_iter().map(Value::from));
        }
        if container.see(|r| is_renamed(engine, r)) {
            line["Image"] = line["ImageID"].clone();
        }
        if request.query.flag("size") {
            let (written, all) = sizes(engine, &container).await;
            (line["SizeRw"], line["SizeRootFs"]) = (value!(written), value!(all));
        }
        list.push(line);
    }
    if filters.values("label").iter().any(|label| label.starts_with(OF_PODS)) {
        list.extend(of_pods(engine, &filters).await?);
    }
    json(&list)
}

/// The name that a container was made with means another image by now, or none.
fn is_renamed(engine: &Engine, record: &Record) -> bool {
    let named = engine.images.image(&record.config.image).ok().flatten();
    named.is_none_or(|named| named.id != record.image)
}

/// Ids of these images, and of those that were made from them.
fn descendants(engine: &Engine, names: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for ancestor in names.iter().filter_map(|name| engine.images.details(name).ok()) {
        let begins_like = |id: &str| {
            engine.images.details(id).is_ok_and(|details| {
                details.document.rootfs.diff_ids.starts_with(&ancestor.document.rootfs.diff_ids)
                    && details.document.history.starts_with(&ancestor.document.history)
            })
        };
        found.extend(engine.images.images().into_iter().map(|image| image.id).filter(|id| begins_like(id)));
        found.insert(ancestor.info.id);
    }
    found
}

/// The containers of Kubernetes' pods, which the kubelet keeps: to be looked at only.
async fn of_pods(engine: &Engine, filters: &Filters) -> Result<Vec<Value>> {
    let sandboxes = engine.runtime.list().await?;
    let all = sandboxes.into_iter().filter(|s| !s.config.labels.contains_key(crate::LABEL)).flat_map(|s| {
        let pod = format!("{}_{}", s.config.name, s.config.namespace);
        s.containers.into_iter().map(move |c| (pod.clone(), c))
    });
    let wanted = all.filter(|(_, container)| filters.labels(&container.labels));
    Ok(wanted
        .map(|(pod, container)| {
            let state = match &container.state {
                cri::ContainerState::Created => "created",
                cri::ContainerState::Running { .. } => "running",
                cri::ContainerState::Exited { .. } => "exited",
            };
            value!({
                "Id": container.id, "Names": [format!("/k8s_{}_{pod}_{}", container.name, container.attempt)],
                "Image": familiar(&container.image_ref), "ImageID": container.image, "Command": "",
                "Created": container.created_at.as_second(), "Ports": [], "Labels": container.labels, "State": state,
                "Status": state, "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": {"Networks": {}}, "Mounts": [],
            })
        })
        .collect())
}

pub(super) async fn remove(request: ApiRequest) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    if request.query.flag("link") {
        return remove_link(&request);
    }
    let (engine, force, volumes) =
        (request.engine.clone(), request.query.flag("force"), request.query.flag("v"));
    let removed = tokio::spawn(async move { engine.remove(&container, force, volumes).await }).await;
    removed.map_err(|e| ApiError::failed("remove the container", e))??;
    empty(StatusCode::NO_CONTENT)
}

/// `docker rm --link web/data`: what the name stands for stays.
fn remove_link(request: &ApiRequest) -> ApiResponse {
    let name = request.name().trim_start_matches('/');
    let Some((linker, alias)) = name.split_once('/') else {
        return Err(ApiError::bad("Conflict, cannot remove the default link name of the container"));
    };
    request.engine.container(linker)?.change(|r| {
        r.host.links.retain(|link| link::alias(link) != alias);
        true
    });
    request.engine.refresh_hosts();
    empty(StatusCode::NO_CONTENT)
}

pub(super) async fn prune(request: ApiRequest) -> ApiResponse {
    let filters: Filters = request.query.json("filters")?;
    filters.check(&["until", "label", "label!"])?;
    let until = filters.until()?;
    let (mut removed, mut freed) = (Vec::new(), 0);
    for container in request.engine.containers() {
        let wanted = container.see(|r| {
            matches!(r.state, State::Created | State::Exited(_))
                && until.is_none_or(|until| r.created < until)
                && filters.labels(&r.config.labels)
        });
        if !wanted {
            continue;
        }
        let upper = container.upper();
        let size = blocking_while_wanted(move |client| files::size(&upper, client)).await.unwrap_or(0);
        if request.engine.remove(&container, false, false).await.is_ok() {
            removed.push(container.see(|r| r.id.clone()));
            freed += size;
        }
    }
    request.engine.events.pruned("container", freed);
    json(&value!({"ContainersDeleted": (!removed.is_empty()).then_some(removed), "SpaceReclaimed": freed}))
}

pub(super) async fn rename(request: ApiRequest) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    let name = request.query.get("name").unwrap_or_default().trim_start_matches('/');
    if name.is_empty() {
        return Err(ApiError::bad("Neither old nor new names may be empty"));
    }
    let old = container.see(|r| r.name.clone());
    if old == name {
        return Err(ApiError::bad("Renaming a container with the same name as its current name"));
    }
    let renamed = is_name(name, &format!("/{name}")).and_then(|()| request.engine.rename(&container, name));
    renamed.map_err(|why| ApiError {
        message: format!("Error when allocating new name: {}", why.message),
        ..why
    })?;
    request.engine.events.container("rename", &container.record(), &[("oldName", format!("/{old}"))]);
    request.engine.refresh_hosts();
    empty(StatusCode::NO_CONTENT)
}

pub(super) async fn top(request: ApiRequest) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    let run = container.see(|r| r.process().map(|running| running.container.to_string()));
    let Some(run) = run else {
        let (id, is_restarting) = container.see(|r| (r.id.clone(), matches!(r.state, State::Restarting(_))));
        return Err(ApiError::conflict(match is_restarting {
            true => format!("Container {id} is restarting, wait until the container is running"),
            false => format!("container {id} is not running"),
        }));
    };
    let options = request.query.get("ps_args").filter(|options| !options.is_empty()).unwrap_or("-ef");
    top::check(options)?;
    let (titles, processes) = top::ps(options, || top::members(Path::new("/proc"), &run)).await?;
    request.engine.events.container("top", &container.record(), &[]);
    json(&value!({"Titles": titles, "Processes": processes}))
}

pub(super) async fn changes(request: ApiRequest) -> ApiResponse {
    let container = request.engine.container(request.name())?;
    let lower = request.engine.images.rootfs(&container.see(|r| r.image.clone()))?.layers;
    let mounted = container.see(|r| r.mounts.iter().map(|m| m.target.clone()).collect::<Vec<_>>());
    let upper = container.upper();
    let write = move |out: &mut dyn Write| changes::write(&upper, &lower, &mounted, out);
    written("application/json", "compare", write).await
}
