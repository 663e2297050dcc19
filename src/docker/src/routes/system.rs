//! The engine itself: ping, version, info, events, disk usage.

use crate::api_version::{MAX_VERSION_TEXT, MIN_VERSION_TEXT};
use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::events::Event;
use crate::files;
use crate::filters::Filters;
use crate::inspect::{summary, time};
use crate::logs;
use crate::machine::Machine;
use crate::names::without_version;
use crate::record::Container;
use crate::request::{ApiRequest, ApiResponse, json, line, stream, text};
use cri::{Asker, blocking_while_wanted};
use futures::{StreamExt, stream as streams};
use jiff::Timestamp;
use serde_json::{Value, json as value};
use std::path::Path;
use std::sync::Arc;

/// The engine whose behaviour is followed.
const ENGINE: &str = "28.2.2";

pub(super) async fn ping(_: ApiRequest) -> ApiResponse {
    let mut answer = text("OK")?;
    // BuildKit, for who has its plugin; the classic builder is there as well
    for (name, value) in [
        ("builder-version", "2"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
        // who reads it need not ask for all of `info`
        ("swarm", "inactive"),
    ] {
        answer.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    Ok(answer)
}

pub(super) async fn version(request: ApiRequest) -> ApiResponse {
    let kernel = kernel();
    let own = &request.engine.config.version;
    json(&value!({
        "Platform": {"Name": format!("monopod {own}")},
        "Components": [{"Name": "Engine", "Version": ENGINE, "Details": {
            "ApiVersion": MAX_VERSION_TEXT, "MinAPIVersion": MIN_VERSION_TEXT, "Os": "linux", "Arch": image::architecture(),
            "KernelVersion": kernel, "Experimental": "false", "GitCommit": own, "GoVersion": "none",
        }}],
        "Version": ENGINE, "ApiVersion": MAX_VERSION_TEXT, "MinAPIVersion": MIN_VERSION_TEXT, "GitCommit": own,
        "GoVersion": "none", "Os": "linux", "Arch": image::architecture(), "KernelVersion": kernel,
    }))
}

fn kernel() -> String {
    nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) async fn info(request: ApiRequest) -> ApiResponse {
    let engine = &request.engine;
    let states: Vec<&str> = engine.containers().iter().map(|c| c.see(|r| r.status())).collect();
    let count = |wanted: &str| states.iter().filter(|state| **state == wanted).count();
    let running = count("running");
    let machine = &engine.machine;
    let unified = machine.unified;
    let registries: Vec<String> = Vec::new();
    json(&value!({
        "ID": engine.config.name, "Name": engine.config.name, "ServerVersion": ENGINE,
        "Containers": states.len(), "ContainersRunning": running, "ContainersPaused": count("paused"),
        "ContainersStopped": states.len() - running - count("paused"), "Images": engine.images.count(),
        "Driver": "overlay2", "DriverStatus": [
            ["Backing Filesystem", file_system(&engine.config.state_dir)], ["Supports d_type", "true"],
            ["Using metacopy", "false"], ["Native Overlay Diff", "true"], ["userxattr", "false"],
        ],
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "null"], "Authorization": null, "Log": ["json-file", "local", "none"]},
        "MemoryLimit": true, "SwapLimit": machine.swap, "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true,
        "CPUSet": true, "PidsLimit": true, "IPv4Forwarding": true, "OomKillDisable": !unified, "Debug": false,
        "NFd": open_files(), "NGoroutines": 0, "SystemTime": Timestamp::now().to_string(), "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs", "CgroupVersion": if unified { "2" } else { "1" }, "NEventsListener": engine.events.listeners(),
        "KernelVersion": kernel(), "OperatingSystem": os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
        "OSVersion": os_release("VERSION_ID").unwrap_or_default(), "OSType": "linux",
        "Architecture": std::env::consts::ARCH, "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "IndexConfigs": {"docker.io": {"Name": "docker.io", "Mirrors": registries, "Secure": true, "Official": true}},
            "InsecureRegistryCIDRs": ["127.0.0.0/8"], "Mirrors": registries,
        },
        "NCPU": machine.cpus, "MemTotal": memory(),
        "DockerRootDir": engine.config.state_dir, "HttpProxy": "", "HttpsProxy": "", "NoProxy": "", "Labels": [],
        "ExperimentalBuild": false, "Runtimes": {"runc": {"path": "libcontainer"}}, "DefaultRuntime": "runc",
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "", "RemoteManagers": null},
        "LiveRestoreEnabled": true, "Isolation": "", "InitBinary": "docker-init",
        "ContainerdCommit": {"ID": ""}, "RuncCommit": {"ID": ""}, "InitCommit": {"ID": ""},
        "SecurityOptions": security(machine), "Warnings": warnings(machine),
    }))
}

fn security(machine: &Machine) -> Vec<&'static str> {
    let mut all = vec!["name=seccomp,profile=builtin"];
    if machine.unified {
        all.push("name=cgroupns");
    }
    all
}

fn warnings(machine: &Machine) -> Vec<&'static str> {
    let missing = [(!machine.swap, "WARNING: No swap limit support")];
    missing.iter().filter(|(missing, _)| *missing).map(|(_, what)| *what).collect()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// As Docker calls what overlayfs lies on.
fn file_system(directory: &Path) -> &'static str {
    use nix::sys::statfs::{
        BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC,
    };
    match nix::sys::statfs::statfs(directory).map(|found| found.filesystem_type()) {
        Ok(EXT4_SUPER_MAGIC) => "extfs",
        Ok(XFS_SUPER_MAGIC) => "xfs",
        Ok(BTRFS_SUPER_MAGIC) => "btrfs",
        Ok(TMPFS_MAGIC) => "tmpfs",
        Ok(OVERLAYFS_SUPER_MAGIC) => "overlayfs",
        _ => "<unknown>",
    }
}

/// A value of os-release(5).
fn os_release(name: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

/// Bytes.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|t| t.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

pub(super) async fn events(request: ApiRequest) -> ApiResponse {
    let filters: Filters = request.query.json("filters")?;
    filters.check(&[
        "config",
        "container",
        "daemon",
        "event",
        "image",
        "label",
        "network",
        "node",
        "plugin",
        "scope",
        "secret",
        "service",
        "type",
        "volume",
    ])?;
    let (since, until) = (moment(&request, "since")?, moment(&request, "until")?);
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        let (since, until) = (request.query.get("since"), request.query.get("until"));
        return Err(ApiError::bad(format_args!(
            "`since` time ({}) cannot be after `until` time ({})",
            since.unwrap_or_default(),
            until.unwrap_or_default()
        )));
    }
    // who says an end alone wants all that is remembered
    let since = since.or_else(|| until.map(|_| Timestamp::UNIX_EPOCH));
    let (past, future) = request.engine.events.follow();
    let past = past.filter(move |e| since.is_some_and(|since| e.time_nano >= since.as_nanosecond()));
    let stop = request.engine.stop.clone();
    let future = streams::unfold(future, |mut future| async move { Some((future.next().await?, future)) });
    let end = async move {
        let Some(until) = until else { return stop.cancelled().await };
        tokio::select! { () = tokio::time::sleep(logs::left(until)) => {}, () = stop.cancelled() => {} }
    };
    let in_time = move |e: &Event| until.is_none_or(|until| e.time_nano <= until.as_nanosecond());
    let all = streams::iter(past)
        .filter(move |e| std::future::ready(in_time(e)))
        .chain(future.take_until(Box::pin(end)));
    let wanted = all.filter(move |event| std::future::ready(fits(&filters, event)));
    stream("application/json", wanted.map(|event| line(&*event)))
}

/// Of logs zero is: not said; of events it is a time as others are.
fn moment(request: &ApiRequest, name: &str) -> Result<Option<Timestamp>> {
    match request.query.get(name) {
        Some(text) if text.parse::<f64>() == Ok(0.0) => Ok(Some(Timestamp::UNIX_EPOCH)),
        _ => super::streams::time(request, name),
    }
}

fn fits(filters: &Filters, event: &Event) -> bool {
    let of = |kind: &str, wanted: &str| {
        event.kind == kind
            && (event.actor.id.starts_with(wanted)
                || event.actor.attributes.get("name").is_some_and(|n| n == wanted))
    };
    filters.any("type", |kind| event.kind == kind)
        && filters
            .any("event", |action| event.action == action || event.action.starts_with(&format!("{action}:")))
        && ["container", "image", "network", "volume"].iter().all(|kind| {
            // events of a container tell its image; those of networks and volumes tell a container, which is not asked for
            let attribute = if event.kind == "image" { "name" } else { "image" };
            let image = event.actor.attributes.get(attribute).filter(|_| *kind == "image");
            filters.any(kind, |wanted| {
                of(kind, wanted) || image.is_some_and(|n| n == wanted || without_version(n) == wanted)
            })
        })
        && filters.any("scope", |scope| scope == "local")
        && filters.labels(&event.actor.attributes)
}

/// What can be measured; to walk through volumes takes its time, and not everybody asks for it.
const MEASURED: [&str; 4] = ["container", "image", "volume", "build-cache"];

pub(super) async fn df(request: ApiRequest) -> ApiResponse {
    let engine = request.engine.clone();
    let mut asked: Vec<String> = Vec::new();
    if request.version >= (1, 42) {
        asked.extend(request.query.all("type").map(str::to_owned));
    }
    if let Some(unknown) = asked.iter().find(|kind| !MEASURED.contains(&kind.as_str())) {
        return Err(ApiError::bad(format_args!("unknown object type: {unknown}")));
    }
    let measured = blocking_while_wanted(move |client| {
        let is_asked = |kind: &str| asked.is_empty() || asked.iter().any(|asked| asked == kind);
        let usage = is_asked("image").then(|| engine.images.disk_usage());
        value!({
            "LayersSize": usage.as_ref().map_or(0, |usage| usage.layers),
            "Images": usage.map(|usage| super::images::usages(&engine, &usage.images)),
            "Containers": is_asked("container").then(|| measured_containers(&engine, client)),
            "Volumes": is_asked("volume").then(|| measured_volumes(&engine, client)),
            "BuildCache": is_asked("build-cache").then(|| measured_steps(&engine)),
        })
    });
    json(&measured.await.map_err(|e| ApiError::failed("measure disk usage", e))?)
}

fn measured_containers(engine: &Engine, client: &Asker) -> Vec<Value> {
    let now = Timestamp::now();
    let measured = |c: &Arc<Container>| {
        let mut shown = super::containers::around(engine, c, |around| c.see(|r| summary(r, around, now)));
        let written = files::size(&c.upper(), client);
        let image = engine.images.image(&c.see(|r| r.image.clone())).ok().flatten();
        shown["SizeRw"] = value!(written);
        shown["SizeRootFs"] = value!(written + image.map_or(0, |image| image.size));
        shown
    };
    engine.containers().iter().map(measured).collect()
}

fn measured_volumes(engine: &Engine, client: &Asker) -> Vec<Value> {
    engine.volumes.all().iter().map(|volume| super::volumes::shown(engine, volume, Some(client))).collect()
}

fn measured_steps(engine: &Engine) -> Vec<Value> {
    let shown = |step: buildkit::CachedStep| {
        value!({
            "ID": step.id, "Type": "regular", "Description": step.description, "InUse": false, "Shared": step.is_shared,
            "Size": step.size, "CreatedAt": time(Some(step.made_at)), "LastUsedAt": null, "UsageCount": 1,
        })
    };
    let cache = |cache: image::CacheMount| {
        value!({
            "ID": cache.id, "Type": "exec.cachemount", "Description": "cached mount", "InUse": cache.is_used, "Shared": false,
            "Size": cache.size, "CreatedAt": time(Some(cache.made_at)), "LastUsedAt": null, "UsageCount": 1,
        })
    };
    let steps = buildkit::cached_steps(&engine.images).into_iter().map(shown);
    steps.chain(engine.images.cache_mounts().into_iter().map(cache)).collect()
}
