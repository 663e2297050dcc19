//! Taking away everything of a profile, whoever made it, without a daemon.

use crate::RuntimeConfig;
use crate::cgroups::Hierarchies;
use crate::places::Places;
use crate::records::{self, SandboxRecord, is_id};
use cri::SandboxId;
use nix::mount::{MntFlags, umount2};
use std::io;
use std::path::{Path, PathBuf};

/// Kills every shim and container of the profile, unmounts, and removes cgroups and both directories. Returns what
/// could not be removed, and why. It needs no running daemon, and none may be running.
pub fn purge(config: &RuntimeConfig) -> Vec<String> {
    let mut failures = Vec::new();
    for shim in recorded_shims(config) {
        shim.kill();
    }
    match Hierarchies::find() {
        Ok(cgroups) => purge_cgroups(&cgroups, &config.cgroup, &mut failures),
        Err(e) => failures.push(format!("remove cgroups: {e}")),
    }
    for dir in [&config.run_dir, &config.state_dir] {
        unmount_below(dir, &mut failures);
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                failures.push(format!("remove {}: {e}", dir.display()))
            }
            _ => {}
        }
    }
    failures
}

/// One that is in none of our cgroups, because it was ended while it moved there, is found by its record.
fn recorded_shims(config: &RuntimeConfig) -> Vec<crate::process::ProcessId> {
    let places = Places::new(config);
    let entries = std::fs::read_dir(places.sandboxes()).into_iter().flatten().flatten();
    entries
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| is_id(name))
        .filter_map(|name| {
            records::read::<SandboxRecord>(&places.sandbox_record(&SandboxId(name))).ok().flatten()
        })
        .filter_map(|record| record.made.map(|made| made.shim))
        .collect()
}

fn purge_cgroups(cgroups: &Hierarchies, path: &str, failures: &mut Vec<String>) {
    if let Err(e) = cgroups.kill(path) {
        failures.push(e.to_string());
    }
    if let Err(left) = cgroups.remove(path) {
        failures.extend(left);
    }
}

/// Shims mount in their own namespaces only; what is found here was mounted by something that went wrong.
fn unmount_below(dir: &Path, failures: &mut Vec<String>) {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for mount in mounts_below(&text, dir).into_iter().rev() {
        if let Err(e) = umount2(&mount, MntFlags::MNT_DETACH) {
            failures.push(format!("unmount {}: {e}", mount.display()));
        }
    }
}

/// In the order in which they were made.
fn mounts_below(mountinfo: &str, dir: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|l| l.split(' ').nth(4)).map(unescape);
    points.filter(|p| p.starts_with(dir)).collect()
}

/// The kernel writes a blank as `\040`.
fn unescape(text: &str) -> PathBuf {
    let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    codes.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_is_found() {
        let info = "1 1 0:1 / / rw - ext4 a rw\n2 1 0:2 / /run/m/a rw - tmpfs b rw\n3 1 0:3 / /run/mm rw - tmpfs c rw\n\
            4 2 0:4 / /run/m/a/x\\040y rw - tmpfs d rw\n";
        let want = ["/run/m/a", "/run/m/a/x y"].map(PathBuf::from);
        assert_eq!(mounts_below(info, Path::new("/run/m")), want);
    }
}
