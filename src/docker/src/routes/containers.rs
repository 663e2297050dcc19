//! Containers as things: made, listed, shown, changed, removed.

use crate::call::{Answer, Call, empty, json, with_status};
use crate::engine::Engine;
use crate::filters::Filters;
use crate::inspect::{self, Around};
use crate::making::is_name;
use crate::model::{Create, Limits, RestartPolicy};
use crate::moments::moment;
use crate::record::{Container, Record, State};
use crate::refusal::{Refusal, Result};
use crate::{changes, files, instructions, plan, top, verify};
use http::StatusCode;
use image::{HistoryItem, ImageRef};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json as value};
use std::collections::BTreeSet;
use std::sync::Arc;

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

pub(super) async fn create(mut call: Call) -> Answer {
    let asked: Create = call.json().await?;
    let platform = call.query.get("platform").map(super::images::platform).transpose()?;
    let (container, warnings) = call.engine.create(call.query.get("name"), platform, asked).await?;
    let id = container.see(|r| r.id.clone());
    with_status(StatusCode::CREATED, &value!({"Id": id, "Warnings": warnings}))
}

/// Shows something of a container together with what is around it.
pub(super) fn around<T>(engine: &Engine, container: &Container, show: impl FnOnce(&Around<'_>) -> T) -> T {
    let networks = engine.networks.all();
    show(&Around {
        networks: &networks,
        log: &container.log(),
        dir: container.dir(),
        execs: engine.execs.of(&container.see(|r| r.id.clone())),
    })
}

pub(super) async fn inspect(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let mut shown = around(&call.engine, &container, |around| container.see(|r| inspect::inspect(r, around)));
    // an image that was removed by force has no layers any more
    if let Ok(rootfs) = call.engine.images.rootfs(&container.see(|r| r.image.clone())) {
        let layers: Vec<String> = rootfs.layers.iter().map(|layer| layer.display().to_string()).collect();
        shown["GraphDriver"]["Data"]["LowerDir"] = value!(layers.join(":"));
    }
    if call.query.flag("size") {
        let (written, all) = sizes(&call.engine, &container).await;
        (shown["SizeRw"], shown["SizeRootFs"]) = (value!(written), value!(all));
    }
    json(&shown)
}

/// Bytes that it wrote, and those together with its image's.
pub(super) async fn sizes(engine: &Engine, container: &Container) -> (u64, u64) {
    let upper = container.upper();
    let written = tokio::task::spawn_blocking(move || files::size(&upper)).await.unwrap_or(0);
    let image = engine.images.image(&container.see(|r| r.image.clone())).ok().flatten();
    (written, written + image.map_or(0, |image| image.size))
}

pub(super) async fn list(call: Call) -> Answer {
    let engine = &call.engine;
    let filters: Filters = call.query.json("filters")?;
    filters.check(FILTERS)?;
    filters.check_containers()?;
    let limit = call.query.number::<i64>("limit")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let all = call.query.flag("all") || limit.is_some() || filters.has("status") || filters.has("exited");
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
        if container.see(|r| is_renamed(engine, r)) {
            line["Image"] = line["ImageID"].clone();
        }
        if call.query.flag("size") {
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

/// `docker.io/library/busybox:1` → `busybox:1`.
pub(super) fn familiar(name: &str) -> String {
    ImageRef::parse(name).map_or_else(|_| name.to_owned(), |name| name.familiar())
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

pub(super) async fn remove(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    if call.query.flag("link") {
        // there are no links but the containers' own names
        return Err(Refusal::bad("Conflict, cannot remove the default link name of the container"));
    }
    let (engine, force, volumes) = (call.engine.clone(), call.query.flag("force"), call.query.flag("v"));
    let removed = tokio::spawn(async move { engine.remove(&container, force, volumes).await }).await;
    removed.map_err(|e| Refusal::failed("remove the container", e))??;
    empty(StatusCode::NO_CONTENT)
}

pub(super) async fn prune(call: Call) -> Answer {
    let filters: Filters = call.query.json("filters")?;
    filters.check(&["until", "label", "label!"])?;
    let until = match filters.values("until") {
        [] => None,
        [text] => Some(moment(text, Timestamp::now()).ok_or_else(|| {
            Refusal::bad(format_args!("failed to parse value as time or duration: {text:?}"))
        })?),
        _ => return Err(Refusal::bad("more than one until filter specified")),
    };
    let (mut removed, mut freed) = (Vec::new(), 0);
    for container in call.engine.containers() {
        let wanted = container.see(|r| {
            matches!(r.state, State::Created | State::Exited(_))
                && until.is_none_or(|until| r.created < until)
                && filters.labels(&r.config.labels)
        });
        if !wanted {
            continue;
        }
        let upper = container.upper();
        let size = tokio::task::spawn_blocking(move || files::size(&upper)).await.unwrap_or(0);
        if call.engine.remove(&container, false, false).await.is_ok() {
            removed.push(container.see(|r| r.id.clone()));
            freed += size;
        }
    }
    call.engine.events.pruned("container", freed);
    json(&value!({"ContainersDeleted": (!removed.is_empty()).then_some(removed), "SpaceReclaimed": freed}))
}

pub(super) async fn rename(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let name = call.query.get("name").unwrap_or_default().trim_start_matches('/');
    let old = container.see(|r| r.name.clone());
    if old == name {
        return Err(Refusal::bad("Renaming a container with the same name as its current name"));
    }
    let renamed = is_name(name).and_then(|()| call.engine.rename(&container, name));
    renamed.map_err(|why| Refusal {
        message: format!("Error when allocating new name: {}", why.message),
        ..why
    })?;
    call.engine.events.container("rename", &container.record(), &[("oldName", format!("/{old}"))]);
    call.engine.refresh_hosts();
    empty(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Update {
    #[serde(flatten)]
    limits: Limits,
    restart_policy: Option<RestartPolicy>,
}

pub(super) async fn update(mut call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let update: Update = call.json().await?;
    let mut update = update;
    if update.limits.memory_swap != 0 && update.limits.memory == 0 {
        // memory and swap together mean something only beside memory
        update.limits.memory = container.see(|r| r.host.limits.memory);
    }
    let warnings = verify::limits(&mut update.limits, &call.engine.machine)?;
    if let Some(policy) = &update.restart_policy {
        verify::restart_policy(policy)?;
    }
    let id = container.see(|r| r.id.clone());
    let cannot = |why: Refusal| Refusal {
        status: why.status,
        message: format!("Cannot update container {id}: {}", why.message),
    };
    container.see(|r| fits(r, &update)).map_err(cannot)?;
    if let Some(running) = container.see(|r| r.running().cloned()) {
        let limits = plan::resources(&update.limits);
        call.engine
            .runtime
            .limit_container(&running.container, &limits)
            .await
            .map_err(|e| cannot(e.into()))?;
    }
    container.change(|r| {
        merge(&mut r.host.limits, update.limits);
        if let Some(policy) = update.restart_policy.filter(|policy| !policy.name.is_empty()) {
            r.host.restart_policy = policy;
        }
        true
    });
    call.engine.events.container("update", &container.record(), &[]);
    json(&value!({"Warnings": warnings}))
}

/// Whether it can be so with what it has already.
fn fits(record: &Record, update: &Update) -> Result<()> {
    let (own, said) = (&record.host.limits, &update.limits);
    if said.memory > own.memory_swap && said.memory_swap == 0 && said.memory > 0 && own.memory_swap != -1 {
        return Err(Refusal::bad(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    let is_policy = update.restart_policy.as_ref().is_some_and(|p| !matches!(p.name.as_str(), "" | "no"));
    if record.host.auto_remove && is_policy {
        return Err(Refusal::bad(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ));
    }
    Ok(())
}

/// What is zero was not said.
fn merge(own: &mut Limits, said: Limits) {
    fn take<T: PartialEq + Default>(own: &mut T, said: T) {
        if said != T::default() {
            *own = said;
        }
    }
    take(&mut own.memory, said.memory);
    take(&mut own.memory_swap, said.memory_swap);
    take(&mut own.memory_reservation, said.memory_reservation);
    take(&mut own.nano_cpus, said.nano_cpus);
    take(&mut own.cpu_shares, said.cpu_shares);
    take(&mut own.cpu_quota, said.cpu_quota);
    take(&mut own.cpu_period, said.cpu_period);
    take(&mut own.cpuset_cpus, said.cpuset_cpus);
    take(&mut own.cpuset_mems, said.cpuset_mems);
    take(&mut own.blkio_weight, said.blkio_weight);
    take(&mut own.pids_limit, said.pids_limit);
}

pub(super) async fn top(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let pid = container.see(|r| r.running().map(|running| running.pid));
    let Some(pid) = pid else {
        let id = container.see(|r| r.id.clone());
        return Err(Refusal::conflict(format_args!("container {id} is not running")));
    };
    let arguments = call.query.get("ps_args").unwrap_or("-ef").to_owned();
    let pids = top::family(pid);
    let output = tokio::process::Command::new("ps").args(arguments.split_whitespace()).output().await;
    let output = output.map_err(|e| Refusal::failed("run ps", e))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Refusal::failed("ps", said.trim().lines().next().unwrap_or_default()));
    }
    call.engine.events.container("top", &container.record(), &[]);
    let (titles, processes) = top::parse(&String::from_utf8_lossy(&output.stdout), &pids)?;
    json(&value!({"Titles": titles, "Processes": processes}))
}

pub(super) async fn changes(call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let lower = call.engine.images.rootfs(&container.see(|r| r.image.clone()))?.layers;
    let mounted = container.see(|r| r.mounts.iter().map(|m| m.target.clone()).collect::<Vec<_>>());
    let found =
        tokio::task::spawn_blocking(move || changes::find(&container.upper(), &lower, &mounted)).await;
    let found =
        found.map_err(|e| Refusal::failed("compare", e))?.map_err(|e| Refusal::failed("compare", e))?;
    json(&found)
}

pub(super) async fn commit(mut call: Call) -> Answer {
    let container = call.engine.container(call.query.get("container").unwrap_or_default())?;
    let changed: Option<crate::model::Config> = call.json().await?;
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
        call.engine.runtime.freeze_container(run, false).await?;
        call.engine.events.container("unpause", &record, &[]);
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
