//! What `delete` and `stop --pods` do without a daemon: everything of the profile goes from the kernel, and with `delete`
//! from the disk. No directory without the profile's mark is removed.

use crate::claim::{self, Owner};
use crate::legacy::{self, Legacy};
use crate::paths::LOCK;
use crate::run_directory::{self, Hold};
use crate::{Paths, Settings, datastore, node, node_address};
use std::io;
use std::path::Path;
use std::time::Duration;

/// More than a shim gives its containers.
const END_PATIENCE: Duration = Duration::from_secs(15);

/// Removes what the profile has in the kernel and on disk; what could not be removed, and why. Needs no daemon, and goes on
/// where a part fails: the next call takes up what is left. A directory that has no mark of ours stays as it is. `None`, and
/// nothing is removed, where a daemon has begun meanwhile, or somebody else removes the profile.
pub fn purge(paths: &Paths) -> Option<Vec<String>> {
    // before it is made to be locked
    let run_before = claim::owner_of(&paths.run);
    let hold = run_directory::hold_to_remove(paths);
    if matches!(hold, Hold::Taken) {
        return None;
    }
    let mut left = Vec::new();
    if let Some(Err(error)) = Legacy::find(paths).map(|legacy| legacy.remove()) {
        left.push(error.to_string());
    }
    let own = [(&paths.state, claim::owner_of(&paths.state)), (&paths.run, run_before)];
    // the cgroup has no mark of its own: it is ours where anything else is
    if own.iter().any(|(_, owner)| matches!(owner, Ok(Owner::Ours))) {
        left.extend(runtime::purge(&node::runtime_config(paths, "/proc/self/exe".into())));
        // no container is left that has one
        left.extend(loopdev::detach_below(&paths.volumes()));
    }
    left.extend(purge_network(paths));
    let settings = Settings::load(paths).ok().flatten();
    if let Some(path) = settings.as_ref().and_then(|settings| settings.docker_socket.as_ref()) {
        docker::sweep(path);
    }
    // as long as the directory says that what is in etcd is ours
    if let (Some(settings), [(_, Ok(Owner::Ours)), _]) = (&settings, &own) {
        left.extend(datastore::purge(paths, settings.datastores()));
    }
    left.extend(
        claim::unlink_docker_socket(paths).err().map(|e| format!("remove the link to Docker's socket: {e}")),
    );
    // the run directory last, and its lock with it: until then nobody begins who would have his state removed
    for (place, owner) in own {
        let failed = |e: io::Error| format!("{}: {e}", place.display());
        match owner {
            Ok(Owner::Nobody | Owner::Free) if place == &paths.run && matches!(hold, Hold::Held { .. }) => {
                left.extend(remove(place).err().map(failed));
            }
            Ok(Owner::Ours) => left.extend(remove(place).err().map(failed)),
            Ok(Owner::Another) => left.push(format!("{} has no mark of monopod, and stays", place.display())),
            Ok(Owner::Nobody | Owner::Free) => {}
            Err(e) => left.push(failed(e)),
        }
    }
    for parent in paths.parents() {
        // of the last profile
        let _ = std::fs::remove_dir(parent);
    }
    Some(left)
}

/// Ends what the profile has in the kernel, as the machine's own end would: its containers are asked to end and killed when the
/// time is over, and processes, mounts, network and run directory go. What is on disk stays, and the next start takes it up.
/// What could not be ended or removed, and why. `None`, and nothing is ended, where a daemon has begun meanwhile, or somebody
/// removes the profile.
pub fn switch_off(paths: &Paths) -> Option<Vec<String>> {
    // before it is made to be locked
    let run_before = claim::owner_of(&paths.run);
    let hold = run_directory::hold_to_remove(paths);
    if matches!(hold, Hold::Taken) {
        return None;
    }
    let mut left = Vec::new();
    let own = [run_before, claim::owner_of(&paths.state)];
    if own.iter().any(|owner| matches!(owner, Ok(Owner::Ours))) {
        left.extend(runtime::switch_off(&node::runtime_config(paths, "/proc/self/exe".into()), END_PATIENCE));
        left.extend(loopdev::detach_below(&paths.volumes()));
        left.extend(legacy::unmount(&paths.kubelet()).err().map(|e| e.to_string()));
        left.extend(legacy::unmount(&paths.docker()).err().map(|e| e.to_string()));
    }
    left.extend(purge_network(paths));
    left.extend(
        claim::unlink_docker_socket(paths).err().map(|e| format!("remove the link to Docker's socket: {e}")),
    );
    if matches!(hold, Hold::Held { .. }) {
        left.extend(remove(&paths.run).err().map(|e| format!("{}: {e}", paths.run.display())));
    }
    let [_, parent] = paths.parents();
    // of the last profile
    let _ = std::fs::remove_dir(parent);
    Some(left)
}

fn purge_network(paths: &Paths) -> Vec<String> {
    // settings that can not be read do not keep its network alive: it has the subnets that its name leads to, and never another's
    let settings = Settings::load(paths).ok().flatten();
    let settings = settings.unwrap_or_else(|| Settings::fresh(paths));
    let node_ip = node_address::find().unwrap_or(settings.gateway());
    let config = node::net_config(paths, &settings, node_ip);
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(net::Network::purge(&config)),
        Err(e) => vec![format!("remove the network: {e}")],
    }
}

/// The mark late, so that what is left of a delete that was cut short is still known to be ours; after it only the lock, which keeps
/// daemons from beginning in what goes.
pub(crate) fn remove(place: &Path) -> io::Result<()> {
    // volumes may be mounts, and what lies behind one that stays is somebody's data
    kubelet::volumes::unmount_below(place)?;
    for name in claim::entries(place)? {
        let path = place.join(&name);
        if name == LOCK {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            trees::remove(&path)?;
        } else {
            std::fs::remove_file(&path)?;
        }
    }
    claim::unmark(place)?;
    match std::fs::remove_file(place.join(LOCK)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    // somebody gave it a disk of its own, and takes that away again
    if kubelet::volumes::is_mount(place)? { Ok(()) } else { std::fs::remove_dir(place) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_removed_with_its_mark_and_its_lock() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &Default::default());
        claim::claim(&paths.state, &paths).unwrap();
        std::fs::create_dir_all(paths.images().join("blobs")).unwrap();
        std::fs::write(paths.settings(), "").unwrap();
        std::fs::write(paths.state.join(LOCK), "").unwrap();
        std::os::unix::fs::symlink("/etc", paths.state.join("link")).unwrap();
        remove(&paths.state).unwrap();
        assert!(!paths.state.exists() && Path::new("/etc/passwd").exists());
    }
}
