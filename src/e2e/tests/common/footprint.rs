//! What a cluster has on the machine: looked at before it starts and after it is deleted, and both must be the same.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Links, addresses, routes, nft tables, and the profile's mounts, cgroups, loop devices, files and processes, a line each.
pub fn footprint(profile: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for command in ["ip -o link", "ip -o address", "ip route show table all", "nft list ruleset"] {
        let mut words = command.split(' ');
        let said = Command::new(words.next().unwrap()).args(words).output().unwrap();
        assert!(said.status.success(), "{command}");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        lines.extend(said.lines().map(|line| format!("{command}: {}", without_numbers(line))));
    }
    // the test's thread has its own; those of the process are the machine's, which come and go as it likes
    let mounts = std::fs::read_to_string("/proc/thread-self/mounts").unwrap();
    let is_its = |line: &&str| {
        let target = line.split(' ').nth(1).unwrap_or_default();
        places(profile).iter().any(|place| Path::new(target).starts_with(place))
    };
    lines.extend(mounts.lines().filter(is_its).map(|line| format!("mount: {line}")));
    lines.extend(cgroups(profile).into_iter().map(|path| format!("cgroup: {path}")));
    lines.extend(loop_devices(profile).into_iter().map(|file| format!("loop device: {file}")));
    // the directories above them are those of other tests as well
    let files = places(profile).into_iter().filter(|path| path.exists());
    lines.extend(files.map(|path| format!("file: {}", path.display())));
    lines.extend(processes(profile).into_iter().map(|process| format!("process: {process}")));
    lines.sort();
    lines
}

/// Where its state is, and where what does not survive a reboot.
pub fn places(profile: &str) -> [PathBuf; 2] {
    ["/var/lib/monopod", "/run/monopod"].map(|parent| Path::new(parent).join(profile))
}

/// What changes by itself: lifetimes and the like.
fn without_numbers(line: &str) -> String {
    line.split_whitespace().filter(|word| !word.ends_with("sec")).collect::<Vec<_>>().join(" ")
}

fn cgroups(profile: &str) -> Vec<String> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).unwrap().flatten().map(|entry| entry.path());
    let places =
        hierarchies.chain([root.to_owned()]).map(|hierarchy| hierarchy.join("monopod").join(profile));
    places.filter(|place| place.exists()).map(|place| place.display().to_string()).collect()
}

/// The profile's files that are loop devices: those of the whole machine are seen from here.
pub fn loop_devices(profile: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/sys/block").unwrap().flatten();
    let files = entries.filter_map(|entry| {
        let file = std::fs::read_to_string(entry.path().join("loop/backing_file")).ok()?;
        places(profile)
            .iter()
            .any(|place| Path::new(&file).starts_with(place))
            .then(|| file.trim().to_owned())
    });
    files.collect()
}

/// Those that have the profile in their command line, but for the test itself. Another test's profile may begin like this one.
fn processes(profile: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (pid != std::process::id() && names(&line, profile)).then(|| format!("{pid} {line}"))
    });
    lines.collect()
}

fn names(line: &str, profile: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
    line.match_indices(profile).any(|(at, _)| !goes_on(&line[at + profile.len()..]))
}
