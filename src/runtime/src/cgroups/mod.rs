//! The kernel's cgroups: where the hierarchies are mounted, and the profile's directories in them.
//!
//! Both layouts are served: every v1 controller mounted by itself (a v2 hierarchy beside them holds nothing of use), and
//! v2 alone. A cgroup is named by its path below every mount point, `monopod/dev/kubepods/pod1`. All of it is blocking.

mod devices;
mod kill;
mod limits;
mod memory;
mod pids;
mod stats;

pub use limits::limits;
pub use stats::TICK_NS;

use cri::wire::CgroupFiles;
use std::io;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchies {
    V1(Vec<Controller>),
    V2(PathBuf),
}

/// One v1 hierarchy; `cpu,cpuacct` may be one together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    pub names: Vec<String>,
    pub mount: PathBuf,
}

impl Hierarchies {
    /// # Errors
    /// No cgroup hierarchy is mounted where everybody expects it.
    pub fn find() -> io::Result<Self> {
        parse(&std::fs::read_to_string("/proc/self/mountinfo")?)
            .ok_or_else(|| io::Error::other(format!("no cgroup hierarchy is mounted below {ROOT}")))
    }

    pub fn unified(&self) -> bool {
        matches!(self, Hierarchies::V2(_))
    }

    pub fn mounts(&self) -> Vec<&Path> {
        match self {
            Hierarchies::V1(all) => all.iter().map(|c| c.mount.as_path()).collect(),
            Hierarchies::V2(mount) => vec![mount],
        }
    }

    /// By their names.
    pub fn controllers(&self) -> Vec<String> {
        match self {
            Hierarchies::V1(all) => all.iter().flat_map(|c| c.names.clone()).collect(),
            Hierarchies::V2(mount) => {
                let there = std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
                there.split_whitespace().map(str::to_owned).collect()
            }
        }
    }

    /// The hierarchy of a controller: v2 has one for all.
    fn of(&self, controller: &str) -> Option<&Path> {
        match self {
            Hierarchies::V1(all) => {
                all.iter().find(|c| c.names.iter().any(|n| n == controller)).map(|c| c.mount.as_path())
            }
            Hierarchies::V2(mount) => Some(mount),
        }
    }

    /// Whether the controller has the cgroup `path`.
    pub fn exists(&self, controller: &str, path: &str) -> bool {
        self.of(controller).is_some_and(|mount| mount.join(path).is_dir())
    }

    /// The directories of the cgroup `path`, one a hierarchy.
    pub fn dirs(&self, path: &str) -> Vec<PathBuf> {
        self.mounts().iter().map(|m| m.join(path)).collect()
    }

    /// Where its members are listed. The freezer's hierarchy, where there is one: a member that it misses could not be
    /// stopped from forking.
    pub fn members_dir(&self, path: &str) -> Option<PathBuf> {
        self.members_mount().map(|m| m.join(path))
    }

    fn members_mount(&self) -> Option<&Path> {
        self.of("freezer").or_else(|| self.mounts().first().copied())
    }

    pub fn files(&self, path: &str) -> CgroupFiles {
        CgroupFiles {
            dirs: self.dirs(path),
            members: self.members_dir(path),
            memory: self.of("memory").map(|m| m.join(path)),
            unified: self.unified(),
        }
    }

    /// Whether the kernel accounts swap, as the files of the cgroup `path` tell: a root has none on v2.
    pub fn accounts_swap(&self, path: &str) -> bool {
        let file = if self.unified() { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" };
        self.of("memory").is_some_and(|mount| mount.join(path).join(file).exists())
    }

    /// Makes the cgroup in every hierarchy, with its parents, ready to take processes.
    pub fn make(&self, path: &str) -> io::Result<()> {
        self.mounts().into_iter().try_for_each(|mount| self.make_in(mount, path))
    }

    /// Where all shims are counted together, each of which has a cgroup of its own only where members are listed: they would stay with
    /// the daemon's memory, under its limit, and each would have as much of the processors as the daemon, whatever its pod may have: a shim
    /// writes what its containers say. v2 has one hierarchy for all.
    pub fn of_all_shims(&self, path: &str) -> Vec<PathBuf> {
        self.mounts_for_shims().into_iter().map(|mount| mount.join(path)).collect()
    }

    /// Makes them.
    pub fn make_for_all_shims(&self, path: &str) -> io::Result<()> {
        self.mounts_for_shims().into_iter().try_for_each(|mount| self.make_in(mount, path))
    }

    fn mounts_for_shims(&self) -> Vec<&Path> {
        if self.unified() {
            return Vec::new();
        }
        let apart = ["memory", "cpu"].into_iter().filter_map(|controller| self.of(controller));
        apart.filter(|mount| Some(*mount) != self.members_mount()).collect()
    }

    /// Makes it only where members are listed: enough to find processes again.
    pub fn make_for_members(&self, path: &str) -> io::Result<()> {
        self.members_mount().map_or(Ok(()), |mount| self.make_in(mount, path))
    }

    /// A profile that is being deleted takes the parent that all profiles share away where it is the last, perhaps just
    /// before we make ours in it.
    fn make_in(&self, mount: &Path, path: &str) -> io::Result<()> {
        const TRIES: usize = 10;
        let tried = (1..TRIES).map(|_| self.try_make_in(mount, path));
        let mut settled =
            tried.skip_while(|made| made.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound));
        settled.next().unwrap_or_else(|| self.try_make_in(mount, path))
    }

    fn try_make_in(&self, mount: &Path, path: &str) -> io::Result<()> {
        let mut at = mount.to_owned();
        for part in Path::new(path) {
            if self.unified() {
                delegate(&at);
            }
            let parent = at.clone();
            at.push(part);
            match std::fs::create_dir(&at) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(named(&at, e)),
                _ => {}
            }
            inherit_cpuset(&parent, &at).map_err(|e| named(&at, e))?;
        }
        Ok(())
    }

    /// The first move of a process between cgroups after a pause waits for an RCU grace period, 13 ms measured; those
    /// that follow within another one do not. This is one that changes nothing, for whoever knows that moves are about to
    /// come; while it waits nobody can make a cgroup. On v1 nobody moves but by himself, which waits for nothing.
    pub fn expect_moves(&self) {
        let Hierarchies::V2(mount) = self else { return };
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        if let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) {
            let _ = std::fs::write(mount.join(path).join("cgroup.procs"), "0");
        }
    }

    /// The controller that a limit needs and the machine has not.
    pub fn missing(&self, resources: &cri::Resources) -> Option<&'static str> {
        let all = limits(resources, self.unified()).into_iter().filter(|setting| !setting.optional);
        all.map(|setting| setting.controller).find(|controller| self.of(controller).is_none())
    }

    pub fn limit(&self, path: &str, resources: &cri::Resources) -> io::Result<()> {
        let mut refused = Vec::new();
        for setting in limits(resources, self.unified()) {
            let Some(mount) = self.of(setting.controller) else { continue };
            let file = mount.join(path).join(setting.file);
            if setting.optional && !file.exists() {
                continue;
            }
            match std::fs::write(&file, &setting.value) {
                // of memory alone, and memory with swap, the one that grows has to be first
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => refused.push((file, setting.value)),
                done => done.map_err(|e| named(&file, e))?,
            }
        }
        refused.iter().try_for_each(|(file, value)| std::fs::write(file, value).map_err(|e| named(file, e)))
    }

    /// Removes the cgroup and all below it from every hierarchy. One that is not there is removed already.
    ///
    /// # Errors
    /// Each directory that stays, and why.
    pub fn remove(&self, path: &str) -> Result<(), Vec<String>> {
        let mut failures = Vec::new();
        for dir in self.dirs(path) {
            remove_tree(&dir, &mut failures);
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// Removes the cgroup itself, wherever it has neither processes nor cgroups below it.
    pub fn remove_empty(&self, path: &str) {
        for dir in self.dirs(path) {
            let _ = std::fs::remove_dir(dir);
        }
    }
}

fn named(path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("cgroup {}: {e}", path.display()))
}

/// Gives the children of a v2 cgroup every controller that it has. A controller that can not be given (the root of a
/// container, threads) is missed by those limits alone.
fn delegate(dir: &Path) {
    let have = std::fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    let given = std::fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap_or_default();
    for controller in have.split_whitespace().filter(|c| !given.split_whitespace().any(|g| g == *c)) {
        let _ = std::fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

/// A v1 cpuset takes no process while it has no processors and no memory nodes.
fn inherit_cpuset(parent: &Path, child: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let Ok(own) = std::fs::read_to_string(child.join(file)) else { continue };
        if own.trim().is_empty() && parent.join("cgroup.clone_children").exists() {
            std::fs::write(child.join(file), std::fs::read(parent.join(file))?)?;
        }
    }
    Ok(())
}

fn remove_tree(dir: &Path, failures: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_tree(&entry.path(), failures);
        }
    }
    if let Err(e) = remove_dir(dir) {
        failures.push(format!("remove cgroup {}: {e}", dir.display()));
    }
}

/// A process that has just died leaves its cgroup only when the kernel has taken it off its processor, and nothing
/// tells when: a few short waits, then it is a failure.
fn remove_dir(dir: &Path) -> io::Result<()> {
    const PAUSES: [u64; 6] = [1, 2, 5, 10, 50, 200]; // milliseconds
    let mut pauses = PAUSES.iter();
    loop {
        match std::fs::remove_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => match pauses.next() {
                Some(pause) => std::thread::sleep(std::time::Duration::from_millis(*pause)),
                None => return Err(e),
            },
            done => return done,
        }
    }
}

/// Out of /proc/self/mountinfo. Where both kinds are there side by side, the controllers are v1's.
fn parse(mountinfo: &str) -> Option<Hierarchies> {
    let mounts: Vec<(&str, PathBuf, &str)> = mountinfo.lines().filter_map(cgroup_mount).collect();
    // mounted there itself, v2 hides whatever else there is
    if mounts.iter().any(|(kind, mount, _)| *kind == "cgroup2" && mount == Path::new(ROOT)) {
        return Some(Hierarchies::V2(ROOT.into()));
    }
    let v1: Vec<Controller> = mounts
        .iter()
        .filter(|(kind, _, options)| *kind == "cgroup" && !options.contains("name="))
        .map(|(_, mount, options)| Controller {
            names: options.split(',').filter(|o| !matches!(*o, "rw" | "ro")).map(str::to_owned).collect(),
            mount: mount.clone(),
        })
        .collect();
    if v1.is_empty() { None } else { Some(Hierarchies::V1(v1)) }
}

/// File system, mount point and super-block options of a line of mountinfo; proc_pid_mountinfo(5).
fn cgroup_mount(line: &str) -> Option<(&str, PathBuf, &str)> {
    let (place, kind) = line.split_once(" - ")?;
    let mount = place.split(' ').nth(4)?;
    let mut kind = kind.split(' ');
    let (name, options) = (kind.next()?, kind.nth(1)?);
    let ours = matches!(name, "cgroup" | "cgroup2") && Path::new(mount).starts_with(ROOT);
    ours.then(|| (name, PathBuf::from(mount), options))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 1 0:22 / /proc rw - proc proc rw
30 29 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
31 29 0:27 / /sys/fs/cgroup/freezer rw,relatime shared:9 - cgroup cgroup rw,freezer
32 29 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
33 29 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 29 0:30 / /mnt/elsewhere rw - cgroup cgroup rw,memory
";

    #[test]
    fn layouts() {
        let Some(Hierarchies::V1(found)) = parse(HYBRID) else { panic!("not v1") };
        let names: Vec<_> = found.iter().map(|c| c.names.join("+")).collect();
        assert_eq!(names, ["cpu+cpuacct", "freezer"]);
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(parse(v2), Some(Hierarchies::V2("/sys/fs/cgroup".into())));
        assert_eq!(parse(&format!("{HYBRID}{v2}")), Some(Hierarchies::V2("/sys/fs/cgroup".into())));
        assert_eq!(parse("25 1 0:22 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn directories_of_a_cgroup() {
        let v1 = parse(HYBRID).unwrap();
        let files = v1.files("monopod/pod1/c");
        assert_eq!(files.dirs.len(), 2);
        assert_eq!(files.members, Some("/sys/fs/cgroup/freezer/monopod/pod1/c".into()));
        assert_eq!((files.memory, files.unified), (None, false));
        let v2 = Hierarchies::V2(ROOT.into());
        let limited = cri::Resources { cpu_shares: Some(2), ..Default::default() };
        let counted = cri::Resources { memory_limit: Some(1 << 20), ..limited.clone() };
        assert_eq!([&limited, &counted].map(|r| v1.missing(r)), [None, Some("memory")]);
        assert_eq!(v2.missing(&counted), None);
        assert_eq!(v2.files("a").memory, Some("/sys/fs/cgroup/a".into()));
        assert!(v2.files("a").unified);
    }
}
