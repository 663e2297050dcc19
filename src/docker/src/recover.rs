//! The start of the engine: what ran on is taken up, what ended meanwhile is noted, and policies are followed.

use crate::engine::Engine;
use crate::files;
use crate::record::{Container, Ended, LABEL, Record, State};
use crate::{health, root, supervise};
use cri::{ContainerState, SandboxStatus};
use nix::mount::{MntFlags, umount2};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Returns when all that runs is known; what is due to start is started beside.
pub(crate) async fn take_up(engine: &Arc<Engine>) {
    let reader = engine.clone();
    let unread = tokio::task::spawn_blocking(move || read_all(&reader)).await;
    let unread = unread.map_err(std::io::Error::other).flatten();
    if let Err(error) = &unread {
        tracing::error!(%error, "not all containers are known: what runs of others is left alone");
    }
    engine.take_up_volumes();
    if let Err(error) = engine.restore_networks().await {
        tracing::error!(%error, "networks are not as they should be");
    }
    // before anybody starts: what is taken is taken
    engine
        .containers()
        .iter()
        .for_each(|container| container.see(|record| reserve_addresses(engine, record)));
    let mut sandboxes = sandboxes(engine).await;
    for container in engine.containers() {
        let record = container.record();
        let mine = sandboxes.remove(&record.id).unwrap_or_default();
        let mut runs = false;
        for sandbox in mine {
            runs |= match record.running() {
                Some(running) if running.sandbox == sandbox.id => {
                    take_up_run(engine, &container, &sandbox).await
                }
                _ => {
                    engine.take_away(&sandbox.id).await;
                    false
                }
            };
        }
        if !runs {
            start_if_due(engine, &container, &record);
        }
    }
    // what runs of a container whose record another version can read, or the next start, runs on
    let is_strange = |container: &String| unread.as_ref().is_ok_and(|unread| !unread.contains(container));
    let strangers = sandboxes.into_iter().filter(|(container, _)| is_strange(container));
    for stranger in strangers.flat_map(|(_, sandboxes)| sandboxes) {
        engine.take_away(&stranger.id).await;
    }
    engine.refresh_hosts();
}

fn reserve_addresses(engine: &Engine, record: &Record) {
    for (network, endpoint) in record.running().iter().flat_map(|running| &running.endpoints) {
        engine.networks.reserve(network, &record.id, endpoint.address);
    }
}

/// Directories of builds that were cut off, with what is mounted there.
fn sweep_builds(builds: &Path) {
    let below = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    for mounted in below(builds).iter().flat_map(|build| below(build)) {
        let _ = umount2(&mounted, MntFlags::MNT_DETACH);
    }
    match trees::remove(builds) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::error!(%error, "directories of builds stay");
        }
        _ => {}
    }
}

/// In a directory that is being removed: the volumes that nobody named go as well.
const WITH_VOLUMES: &str = "with-volumes";

/// Takes a container's directory out of sight; gives where it is now. What is left of it is removed at the next start, and
/// its volumes with it where `volumes` says so.
pub(crate) fn begin_removal(dir: &Path, volumes: bool) -> std::io::Result<PathBuf> {
    // a disk that has no place for the mark gets it by the removal; the mark is for a crash in the middle of it
    if volumes && let Err(error) = std::fs::write(dir.join(WITH_VOLUMES), "") {
        tracing::warn!(dir = %dir.display(), %error, "volumes would stay if the removal were cut off");
    }
    let gone = dir.with_extension("removed");
    std::fs::rename(dir, &gone)?;
    Ok(gone)
}

/// What a crash cut off. When the other containers are known: a volume may be theirs as well.
fn end_removal(engine: &Engine, gone: &Path) {
    if gone.join(WITH_VOLUMES).exists()
        && let Ok(record) = files::read::<Record>(&gone.join("container.json"))
    {
        engine.remove_anonymous(&record);
    }
    if let Err(error) = trees::remove(gone) {
        tracing::error!(dir = %gone.display(), %error, "a removed container's directory could not be removed");
    }
}

/// A container's directory whose record was never written. What has a root has had one: only what has a record is started, and what a
/// container has written is not thrown away because its record is lost.
fn is_unfinished(dir: &Path, why: &std::io::Error) -> bool {
    why.kind() == std::io::ErrorKind::NotFound && !dir.join("root").exists()
}

/// Gives the ids of those that are left as they are.
///
/// # Errors
/// Not all could be found.
fn read_all(engine: &Arc<Engine>) -> std::io::Result<HashSet<String>> {
    sweep_builds(&engine.config.state_dir.join("builds"));
    let dir = engine.config.state_dir.join("containers");
    let (mut removed, mut unread, mut found) = (Vec::new(), HashSet::new(), Ok(()));
    for entry in std::fs::read_dir(&dir)? {
        let entry = match entry {
            Ok(entry) => entry,
            // it is the last one: those before are taken up all the same
            Err(error) => {
                found = Err(error);
                break;
            }
        };
        let path = entry.path();
        if path.extension().is_some() {
            removed.push(path);
            continue;
        }
        // an older engine that was killed in the middle of a cp
        let _ = umount2(&path.join("root/merged"), MntFlags::MNT_DETACH);
        root::sweep(&path);
        match files::read::<Record>(&path.join("container.json")) {
            Ok(record) => {
                let hold = engine.images.rootfs(&record.image).ok().map(|rootfs| rootfs.hold);
                let leases = engine.leases_of_mounted(&record);
                let container = Arc::new(Container::new(record, path, hold));
                container.holds.lock().extend(leases);
                // somebody has its name, who came while its record could not be read
                if let Err(error) = engine.add(container) {
                    tracing::error!(%error, "a container was not taken up");
                    unread.insert(entry.file_name().to_string_lossy().into_owned());
                }
            }
            Err(error) if is_unfinished(&path, &error) => {
                tracing::error!(dir = %path.display(), "a container without a record, whose creation was cut off, is removed");
                let _ = trees::remove(&path);
            }
            // a newer version's, or a disk that fails: what the container has written is not thrown away for that
            Err(error) => {
                tracing::error!(dir = %path.display(), %error, "a container's record can not be read: it is left as it is, and not shown");
                unread.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    removed.iter().for_each(|gone| end_removal(engine, gone));
    found.map(|()| unread)
}

/// Docker's own, by container.
async fn sandboxes(engine: &Engine) -> HashMap<String, Vec<SandboxStatus>> {
    let mut all: HashMap<String, Vec<SandboxStatus>> = HashMap::new();
    match engine.runtime.list().await {
        Ok(list) => {
            for sandbox in list {
                if let Some(id) = sandbox.config.labels.get(LABEL) {
                    all.entry(id.clone()).or_default().push(sandbox);
                }
            }
        }
        Err(error) => tracing::error!(%error, "the runtime does not say what runs"),
    }
    all
}

/// True where there was a run to be taken up, going on or ended.
async fn take_up_run(engine: &Arc<Engine>, container: &Arc<Container>, sandbox: &SandboxStatus) -> bool {
    let Some(running) = container.see(|r| r.running().cloned()) else { return false };
    let status = sandbox.containers.iter().find(|c| c.id == running.container);
    match status.map(|status| &status.state) {
        Some(ContainerState::Running { pid, started_at }) => {
            container.change(|r| r.has_begun(&running.container, *pid, *started_at));
            // as it is written down: a commit that was cut off has left it frozen
            if let Err(error) = engine.runtime.freeze_container(&running.container, running.paused).await {
                tracing::debug!(container = %running.container, %error, "neither frozen nor let go on");
            }
            engine.serve_names(container).await;
            health::watch(engine, container);
        }
        Some(ContainerState::Exited { .. }) => {
            supervise::ended(engine.clone(), container.clone(), running.container).await;
        }
        // a start that was cut off
        _ => {
            engine.take_away(&sandbox.id).await;
            return false;
        }
    }
    true
}

/// What ran or was to run when the engine ended, as its policy has it.
fn start_if_due(engine: &Arc<Engine>, container: &Arc<Container>, record: &Record) {
    let due = match &record.state {
        State::Running(running) | State::Starting(running, _) => {
            let run = running.container.clone();
            tokio::spawn(supervise::ended(engine.clone(), container.clone(), run));
            return;
        }
        State::Restarting(_) => true,
        // its end was noted, and then the engine ended before it was removed
        State::Exited(_) if record.host.auto_remove => {
            let (engine, container) = (engine.clone(), container.clone());
            tokio::spawn(async move {
                let _alone = container.gate.lock().await;
                engine.erase(&container, true).await;
            });
            return;
        }
        State::Exited(ended) => is_due(record, ended),
        State::Created | State::Removed(_) => false,
    };
    if !due {
        return;
    }
    container.change(|r| {
        if let State::Exited(ended) = &r.state {
            r.state = State::Restarting(ended.clone());
        }
        true
    });
    tokio::spawn(supervise::restart(engine.clone(), container.clone(), Duration::ZERO));
}

/// Whether who does not run is started with the engine: one whose policy is `always` whatever was done to it, others where nobody
/// stopped them, as after a restart that failed. Not who never ran: that start failed, and whoever asked for it was told so.
fn is_due(record: &Record, ended: &Ended) -> bool {
    let (policy, so_far) = (&record.host.restart_policy, (record.restart_count, record.short_runs));
    let is_wanted = policy.name == "always"
        || supervise::next_of(policy, ended.code, record.manually_stopped, so_far) != supervise::Next::Stay;
    is_wanted && ended.started_at.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{end, record};

    #[test]
    fn who_is_started_with_the_engine() {
        for (policy, code, stopped, restarts, want) in [
            ("no", 1, false, 0, false),
            ("always", 0, true, 0, true),
            ("unless-stopped", 0, true, 0, false),
            ("unless-stopped", 128, false, 4, true),
            ("on-failure", 1, false, 0, true),
            ("on-failure", 0, false, 0, false),
            ("on-failure", 1, false, 3, false),
            ("on-failure", 137, true, 0, false),
        ] {
            let mut web = record("web");
            end(&mut web, code);
            (web.manually_stopped, web.restart_count) = (stopped, restarts);
            web.host.restart_policy.name = policy.to_owned();
            web.host.restart_policy.maximum_retry_count = 3 * i64::from(policy == "on-failure");
            let ended = web.ended().cloned().unwrap();
            assert_eq!(is_due(&web, &ended), want, "{policy} after {code}");
            let never = Ended { started_at: None, ..ended };
            assert!(!is_due(&web, &never), "{policy}, and its only start failed");
        }
    }

    #[test]
    fn what_a_container_has_written_is_not_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let why = |kind: std::io::ErrorKind| std::io::Error::from(kind);
        assert!(is_unfinished(dir.path(), &why(std::io::ErrorKind::NotFound)));
        assert!(!is_unfinished(dir.path(), &why(std::io::ErrorKind::InvalidData)));
        std::fs::create_dir_all(dir.path().join("root/upper")).unwrap();
        assert!(!is_unfinished(dir.path(), &why(std::io::ErrorKind::NotFound)));
    }

    #[test]
    fn a_removal_begins_also_where_no_file_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let container = dir.path().join("c");
        // stands for a disk that is full
        std::fs::create_dir_all(container.join(WITH_VOLUMES)).unwrap();
        let gone = begin_removal(&container, true).unwrap();
        assert!(!container.exists() && gone.exists());
    }
}
