//! Taking away what a profile has, whoever made it, without a daemon: all of it, or only what runs.

use crate::RuntimeConfig;
use crate::cgroups::Hierarchies;
use crate::paths::Paths;
use crate::process::{ProcessId, wait_all};
use crate::records::{self, ContainerRecord, SandboxRecord, is_id};
use cri::SandboxId;
use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path};
use std::time::Duration;

/// Kills every shim and container of the profile, unmounts, and removes cgroups and both directories. Returns what
/// could not be removed, and why. It needs no running daemon, and none may be running.
pub fn purge(config: &RuntimeConfig) -> Vec<String> {
    let mut failures = switch_off(config, Duration::ZERO);
    unmount_below(&config.state_dir, &mut failures);
    remove_dir(&config.state_dir, &mut failures);
    failures
}

/// Ends every shim and container of the profile, and removes its cgroups and its run directory; what could not be ended or
/// removed, and why. Containers are asked to end, and killed when the time is over. Records and what containers wrote stay, as
/// after the machine was switched off.
pub fn switch_off(config: &RuntimeConfig, patience: Duration) -> Vec<String> {
    let mut failures = Vec::new();
    // one that is in none of our cgroups, because it was ended while it moved there, is found by its record
    let shims = recorded_shims(config);
    if !patience.is_zero() {
        let asked: Vec<_> = shims.iter().filter_map(|shim| shim.terminate()).collect();
        wait_all(&asked, patience);
    }
    shims.into_iter().for_each(ProcessId::kill);
    match Hierarchies::find() {
        Ok(cgroups) => purge_cgroups(&cgroups, &config.cgroup, &mut failures),
        Err(e) => failures.push(format!("remove cgroups: {e}")),
    }
    unmount_below(&config.run_dir, &mut failures);
    remove_dir(&config.run_dir, &mut failures);
    failures
}

/// What was running, and what could not be ended or removed.
#[derive(Debug, Default)]
pub struct Ended {
    pub sandboxes: usize,
    pub failures: Vec<String>,
}

/// Ends the shims and containers that are on record, and removes the run directory and the cgroups that they had. Records and
/// what containers wrote stay, as after a machine was switched off. Nothing is touched that no record names, for the cgroup
/// may have the name of somebody else's: that is how profiles were laid out once.
pub fn end_recorded(config: &RuntimeConfig) -> Ended {
    let mut ended = Ended::default();
    for shim in recorded_shims(config) {
        ended.sandboxes += usize::from(shim.is_alive());
        shim.kill();
    }
    match Hierarchies::find() {
        Ok(cgroups) => {
            for cgroup in recorded_cgroups(config) {
                purge_cgroups(&cgroups, &format!("{}/{cgroup}", config.cgroup), &mut ended.failures);
            }
            // the directories above them, where nobody else is in them
            ["kubepods/burstable", "kubepods/besteffort", "kubepods", "docker", "shims"]
                .iter()
                .for_each(|part| cgroups.remove_empty(&format!("{}/{part}", config.cgroup)));
            cgroups.remove_empty(&config.cgroup);
        }
        Err(e) => ended.failures.push(format!("remove cgroups: {e}")),
    }
    unmount_below(&config.run_dir, &mut ended.failures);
    remove_dir(&config.run_dir, &mut ended.failures);
    ended
}

fn recorded_sandboxes(config: &RuntimeConfig) -> Vec<SandboxRecord> {
    let paths = Paths::new(config);
    let read = |id| records::read::<SandboxRecord>(&paths.sandbox_record(&SandboxId(id))).ok().flatten();
    ids_in(&paths.sandboxes()).into_iter().filter_map(read).collect()
}

fn recorded_shims(config: &RuntimeConfig) -> Vec<ProcessId> {
    recorded_sandboxes(config).into_iter().filter_map(|record| Some(record.made?.shim)).collect()
}

/// Below the profile's: of shims, pods and containers.
fn recorded_cgroups(config: &RuntimeConfig) -> BTreeSet<String> {
    let paths = Paths::new(config);
    let mut found = BTreeSet::new();
    for sandbox in recorded_sandboxes(config) {
        found.insert(format!("shims/{}", sandbox.id));
        // a pod has its parent for itself, containers of Docker share theirs
        let parent = sandbox.config.cgroup_parent.trim_matches('/');
        if Path::new(parent).components().count() > 1 {
            found.insert(parent.to_owned());
        }
        let directory = paths.containers(&sandbox.id);
        let records = ids_in(&directory).into_iter().filter_map(|id| {
            records::read::<ContainerRecord>(&directory.join(id).join("container.json")).ok().flatten()
        });
        let below = |record: ContainerRecord| {
            Some(record.cgroup.strip_prefix(&config.cgroup)?.trim_start_matches('/').to_owned())
        };
        found.extend(records.filter_map(below).filter(|cgroup| !cgroup.is_empty()));
    }
    found.retain(|cgroup| Path::new(cgroup).components().all(|part| matches!(part, Component::Normal(_))));
    found
}

fn ids_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|name| is_id(name)).collect()
}

fn remove_dir(dir: &Path, failures: &mut Vec<String>) {
    match trees::remove(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            failures.push(format!("remove {}: {e}", dir.display()));
        }
        _ => {}
    }
}

fn purge_cgroups(cgroups: &Hierarchies, path: &str, failures: &mut Vec<String>) {
    if let Err(left) = cgroups.end(path) {
        failures.extend(left);
    }
    // the one that profiles share goes with the last of them
    if let Some(parent) = Path::new(path).parent().and_then(Path::to_str).filter(|parent| !parent.is_empty())
    {
        cgroups.remove_empty(parent);
    }
}

/// Shims mount in their own namespaces only; what is found here belongs to volumes, or was mounted by something that went wrong.
fn unmount_below(dir: &Path, failures: &mut Vec<String>) {
    failures.extend(trees::unmount_each(|target| target.starts_with(dir)).err().map(|e| e.to_string()));
}
