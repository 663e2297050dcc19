//! Whose the directories of a profile are: what another made is neither adopted nor removed, nobody but root looks into ours,
//! and what an older version left in the places of its time is taken along.

mod common;

use common::{Appliance, appliance};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What the test puts where another program's would be, and takes away again.
struct Another {
    directories: Vec<PathBuf>,
    cgroups: Vec<PathBuf>,
    process: std::process::Child,
}

impl Another {
    /// State, a run directory and a cgroup with a process, all with the profile's name.
    fn named(profile: &str) -> Another {
        let directories: Vec<PathBuf> =
            ["/var/lib", "/run"].iter().map(|parent| Path::new(parent).join(profile)).collect();
        for directory in &directories {
            std::fs::create_dir_all(directory.join("volumes")).unwrap();
            std::fs::write(directory.join("volumes/precious"), "data").unwrap();
        }
        let process = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let root = Path::new("/sys/fs/cgroup");
        let hierarchies = std::fs::read_dir(root).unwrap().flatten().map(|entry| entry.path());
        let cgroups: Vec<PathBuf> = hierarchies
            .chain([root.to_owned()])
            .filter(|hierarchy| ["freezer", "pids", "cgroup"].iter().any(|name| hierarchy.ends_with(name)))
            .filter(|hierarchy| hierarchy.join("cgroup.procs").exists())
            .map(|hierarchy| hierarchy.join(profile))
            .collect();
        for cgroup in &cgroups {
            std::fs::create_dir(cgroup).unwrap();
            std::fs::write(cgroup.join("cgroup.procs"), process.id().to_string()).unwrap();
        }
        Another { directories, cgroups, process }
    }

    fn is_untouched(&mut self) {
        for directory in &self.directories {
            assert_eq!(std::fs::read(directory.join("volumes/precious")).unwrap(), b"data");
            assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1, "{}", directory.display());
        }
        assert!(self.process.try_wait().unwrap().is_none(), "its process was ended");
        assert!(!self.cgroups.is_empty() && self.cgroups.iter().all(|cgroup| cgroup.exists()));
    }
}

impl Drop for Another {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for cgroup in &self.cgroups {
            let _ = std::fs::remove_dir(cgroup);
        }
        for directory in &self.directories {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

#[test]
fn a_profile_with_the_name_of_another_s_directory_takes_nothing_from_it() {
    let Some(at) = appliance("namesake") else { return };
    at.monopod(&["delete"]).ok("delete");
    let mut another = Another::named("e2e-namesake");
    at.monopod(&["start"]).ok("start beside it");
    another.is_untouched();
    at.monopod(&["delete"]).ok("delete beside it");
    another.is_untouched();
    at.monopod(&["delete"]).ok("delete what is not there");
    another.is_untouched();
}

#[test]
fn what_has_no_mark_is_neither_adopted_nor_removed() {
    let Some(at) = appliance("unmarked") else { return };
    at.monopod(&["delete"]).ok("delete");
    for place in at.places() {
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("precious"), "data").unwrap();
        let refused = at.monopod(&["start"]);
        assert_eq!(refused.0.status.code(), Some(25), "{}", refused.err());
        let why = refused.refused("start");
        assert!(why.contains(place.to_str().unwrap()) && why.contains("is not monopod's"), "{why}");
        let why = at.monopod(&["delete"]).refused("delete");
        assert!(why.contains("has no mark of monopod, and stays"), "{why}");
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
        std::fs::remove_dir_all(&place).unwrap();
    }
}

#[test]
fn nobody_else_can_look_into_the_state() {
    let Some(at) = appliance("modes") else { return };
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let [state, run] = at.places();
    for place in [&state, &run] {
        assert_eq!(mode(place), 0o700, "{}", place.display());
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    at.monopod(&["stop"]).ok("stop");
    let said = at.monopod(&["start"]);
    assert!(said.0.status.success(), "{}", said.err());
    for place in [&state, &run] {
        assert_eq!(mode(place), 0o700, "{}", place.display());
        let told = format!("{} could be entered by others", place.display());
        assert!(said.err().contains(&told), "{}", said.err());
    }
    at.monopod(&["delete"]).ok("delete");
    // a disk of its own, as mount(8) makes it
    let directory = state.display();
    at.shell(&format!("mkdir -p {directory} && mount -t tmpfs -o size=100m,mode=0755 none {directory}"))
        .ok("a disk");
    at.monopod(&["start"]).ok("start on a disk of its own");
    assert_eq!(mode(&state), 0o700);
    at.monopod(&["stop"]).ok("stop");
    at.shell(&format!("chown 1000 {directory}")).ok("give it away");
    let refused = at.monopod(&["start"]);
    assert_eq!(refused.0.status.code(), Some(25), "{}", refused.err());
    at.shell(&format!("chown 0 {directory}")).ok("take it back");
    at.monopod(&["delete"]).ok("delete");
    at.shell(&format!("umount {directory} && rmdir {directory}")).ok("take the disk away");
}

/// As a version had it that kept profiles in `/var/lib/NAME` and `/run/NAME`, on a machine that was switched off since.
fn to_the_old_layout(at: &Appliance, profile: &str) {
    at.monopod(&["stop"]).ok("stop");
    let [state, run] = at.places();
    let (old, new) = (format!("/var/lib/{profile}"), state.display());
    let lines = [
        format!(
            "for c in /sys/fs/cgroup/*/monopod/{profile} /sys/fs/cgroup/monopod/{profile}; do find $c -name cgroup.procs -exec cat {{}} + 2>/dev/null; done | xargs -r kill -9 2>/dev/null; true"
        ),
        // who was killed leaves its cgroup a moment later
        format!(
            "for i in $(seq 600); do found=$(find /sys/fs/cgroup -depth -type d -path '*/monopod/{profile}*'); \
             [ -z \"$found\" ] && exit 0; rmdir $found 2>/dev/null; sleep 0.1; done; exit 1"
        ),
        format!(
            "umount -R {new}/kubelet; rm {new}/.monopod-profile; mv {new} {old}; rm -r {}",
            run.display()
        ),
        format!(
            "find {old}/runtime {old}/docker -name '*.json' -exec sed -i 's|{new}/|{old}/|g; s|\"monopod/{profile}/|\"{profile}/|g' {{}} +"
        ),
        format!("mkdir /run/{profile}; echo 7 >/run/{profile}/lock"),
    ];
    for line in lines {
        at.shell(&line).ok(&line);
    }
}

#[test]
fn the_state_of_an_older_version_is_taken_along() {
    let Some(at) = appliance("older") else { return };
    at.load_busybox();
    at.kubectl(&["create", "deployment", "web", "--image=monopod/kubia", "--replicas=2"]).ok("create");
    at.kubectl(&["rollout", "status", "deploy/web", "--timeout=60s"]).ok("rollout");
    let store = [
        "run",
        "--name",
        "keeper",
        "-v",
        "kept:/data",
        "busybox:1",
        "sh",
        "-c",
        "cat /data/file; date >>/data/file",
    ];
    at.docker(&store).ok("docker run");
    to_the_old_layout(&at, "e2e-older");

    at.monopod(&["start"]).ok("start with the newer version");
    at.until_processes(2);
    at.kubectl(&["rollout", "status", "deploy/web", "--timeout=60s"]).ok("the pods are back");
    let again = at.docker(&["start", "-a", "keeper"]).ok("a container with its volume");
    assert_eq!(again.lines().count(), 1, "what it wrote before: {again}");
    let volume = at.docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", "kept"]).ok("inspect");
    assert!(volume.starts_with(at.places()[0].to_str().unwrap()), "{volume}");
    for old in ["/var/lib/e2e-older", "/run/e2e-older"] {
        assert!(!Path::new(old).exists(), "{old} is left");
    }
}

#[test]
fn delete_removes_the_state_of_an_older_version() {
    let Some(at) = appliance("oldest") else { return };
    to_the_old_layout(&at, "e2e-oldest");
    std::fs::write("/var/lib/e2e-oldest/somebody's", "").unwrap();
    at.monopod(&["delete"]).ok("delete");
    let left: Vec<_> =
        std::fs::read_dir("/var/lib/e2e-oldest").unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["somebody's"]);
    std::fs::remove_dir_all("/var/lib/e2e-oldest").unwrap();
    assert!(!Path::new("/run/e2e-oldest").exists());
}
