//! Killing everything in a cgroup, forks and all.

use super::Hierarchies;
use crate::process::{PidFd, wait_all};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5); // of one round: a process in the kernel's hands may take its time
const ROUNDS: usize = 10;

impl Hierarchies {
    /// Kills all processes in the cgroup and below, and returns when they are dead. We ourselves are spared.
    ///
    /// # Errors
    /// Processes were left after several rounds.
    pub fn kill(&self, path: &str) -> io::Result<()> {
        // who moved itself in one hierarchy only is found in another
        let trees: Vec<PathBuf> = self.dirs(path).into_iter().filter(|d| d.exists()).collect();
        let listed = || trees.iter().flat_map(|d| members(d)).collect::<HashSet<i32>>();
        for _ in 0..ROUNDS {
            if listed().is_empty() {
                return Ok(());
            }
            let frozen = self.freeze(path);
            let held: Vec<(i32, PidFd)> =
                listed().into_iter().filter_map(|pid| Some((pid, PidFd::open(pid).ok()?))).collect();
            // a pid that is still listed after we hold it is the one that was listed
            let still = listed();
            let victims: Vec<PidFd> =
                held.into_iter().filter(|(pid, _)| still.contains(pid)).map(|(_, fd)| fd).collect();
            for victim in &victims {
                let _ = victim.kill();
            }
            frozen.iter().for_each(|freezer| thaw(freezer));
            wait_all(&victims, PATIENCE);
        }
        Err(io::Error::other(format!("processes in cgroup {path} do not die")))
    }

    /// Kills all that is in the cgroup and below, and removes it. Who moves there meanwhile (a shim that begins, a process that a
    /// container is made of) is killed too: nobody can move to a cgroup that is gone.
    ///
    /// # Errors
    /// What is left, and why.
    pub fn end(&self, path: &str) -> Result<(), Vec<String>> {
        let mut left = Vec::new();
        for _ in 0..ROUNDS {
            let killed = self.kill(path);
            match self.remove(path) {
                Ok(()) => return Ok(()),
                Err(failures) => left = failures,
            }
            if let Err(e) = killed {
                left.insert(0, e.to_string());
                break;
            }
        }
        Err(left)
    }

    /// So that nothing forks between being listed and being killed. On v2 the kernel kills the whole tree itself.
    fn freeze(&self, path: &str) -> Vec<PathBuf> {
        if let Hierarchies::V2(mount) = self {
            let _ = std::fs::write(mount.join(path).join("cgroup.kill"), "1");
            return Vec::new();
        }
        let freezer = self.of("freezer").map(|m| m.join(path)).filter(|d| d.exists());
        let frozen = freezer.filter(|dir| std::fs::write(dir.join("freezer.state"), "FROZEN").is_ok());
        frozen.into_iter().collect()
    }
}

impl Hierarchies {
    /// Stops every process of the cgroup where it is, or lets them go on.
    ///
    /// # Errors
    /// There is no freezer, or the kernel refuses.
    pub fn set_frozen(&self, path: &str, frozen: bool) -> io::Result<()> {
        let (controller, file, words) = match self {
            Hierarchies::V1(_) => ("freezer", "freezer.state", ["THAWED", "FROZEN"]),
            Hierarchies::V2(_) => ("", "cgroup.freeze", ["0", "1"]),
        };
        let mount = self.of(controller).ok_or_else(|| io::Error::other("the machine has no freezer"))?;
        std::fs::write(mount.join(path).join(file), words[usize::from(frozen)])
    }
}

impl Hierarchies {
    /// Who was killed where he is frozen dies when he goes on. On v2 the kernel lets him.
    pub fn let_die(&self, path: &str) {
        if let (Hierarchies::V1(_), Some(freezer)) = (self, self.of("freezer")) {
            thaw(&freezer.join(path));
        }
    }
}

/// With everything below: a cgroup that was frozen by itself stays so when its parent is thawed, and nobody dies in it.
fn thaw(freezer: &Path) {
    for entry in std::fs::read_dir(freezer).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            thaw(&entry.path());
        }
    }
    let _ = std::fs::write(freezer.join("freezer.state"), "THAWED");
}

/// Pids in the cgroup's directory and those below.
fn members(dir: &Path) -> Vec<i32> {
    let own = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let me = std::process::id() as i32;
    let mut all: Vec<i32> =
        own.lines().filter_map(|l| l.parse().ok()).filter(|p| *p > 0 && *p != me).collect();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            all.extend(members(&entry.path()));
        }
    }
    all
}
