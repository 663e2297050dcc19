use crate::{Places, Settings, node, node_address};
use std::path::Path;

/// Removes what the profile has in the kernel and on disk; what could not be removed, and why. Needs no daemon, and goes on
/// where a part fails: the next call takes up what is left.
pub fn purge(places: &Places) -> Vec<String> {
    let mut left = runtime::purge(&node::runtime_config(places, "/proc/self/exe".into()));
    left.extend(purge_network(places));
    if let Some(path) = Settings::load(places).ok().flatten().and_then(|settings| settings.docker_socket) {
        docker::sweep(&path);
    }
    left.extend([&places.run, &places.state].into_iter().filter_map(|place| remove(place).err()));
    left
}

fn purge_network(places: &Places) -> Vec<String> {
    // a profile's subnets follow from its name: settings that can not be read do not keep its network alive
    let settings = Settings::load(places).ok().flatten();
    let settings = settings.unwrap_or_else(|| Settings::fresh(places.profile.as_str()));
    let node_ip = node_address::find().unwrap_or(settings.gateway());
    let config = node::net_config(places, &settings, node_ip);
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(net::Network::purge(&config)),
        Err(e) => vec![format!("remove the network: {e}")],
    }
}

fn remove(place: &Path) -> Result<(), String> {
    if !place.exists() {
        return Ok(());
    }
    let failed = |e: std::io::Error| format!("{}: {e}", place.display());
    // volumes may be mounts, and what lies behind one that stays is somebody's data
    kubelet::volumes::unmount_below(place).map_err(failed)?;
    if !kubelet::volumes::is_mount(place).map_err(failed)? {
        return std::fs::remove_dir_all(place).map_err(failed);
    }
    // somebody gave it a disk of its own, and takes that away again
    for entry in std::fs::read_dir(place).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() && !path.is_symlink() {
            std::fs::remove_dir_all(&path).map_err(failed)?;
        } else {
            std::fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}
