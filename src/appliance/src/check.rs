//! `monopod check`: looks at the machine without changing it, and says of each thing whether it is there, what is missing and how
//! to get it. What `start` refuses for is the same table (`preflight.rs`); the rest is what one would otherwise find out later.

use crate::Paths;
use crate::preflight::{Missing, preflight};
use serde::Serialize;
use std::path::Path;
use std::process::{Command, Stdio};

/// pidfd_open(2), openat2(2) and clone3(2) together: 5.6.
const OLDEST_KERNEL: (u32, u32) = (5, 6);
/// What limits and statistics of pods are made of, by the names of cgroup v2.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
const FEW_BYTES_FREE: u64 = 2 << 30;
const LITTLE_MEMORY: u64 = 512 << 20;

/// How one thing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    Good {
        what: String,
    },
    /// The cluster starts, and something will not be as wished.
    Poor {
        what: String,
        cure: String,
    },
    /// It does not start. The command line has a sentence of cure.
    Missing {
        #[serde(skip)]
        what: Missing,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: &'static str,
    #[serde(flatten)]
    pub state: State,
}

/// What is seen of the machine.
#[derive(Debug, Clone)]
struct Facts {
    missing: Vec<Missing>,
    kernel: String,
    /// v2 alone, and the controllers.
    cgroups: Option<(bool, Vec<String>)>,
    /// What `nft` says of its own tables, where it says anything wrong.
    nft: Result<(), String>,
    kubectl: bool,
    /// On the disk that holds the state, bytes.
    free: Option<u64>,
    memory: Option<u64>,
    seccomp: bool,
}

/// Everything that matters, in the order in which it should be mended.
pub fn check(paths: &Paths) -> Vec<Finding> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    judge(&Facts {
        missing: preflight(),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        cgroups: runtime::cgroup_controllers(),
        nft: nft(),
        kubectl: crate::preflight::is_on_path("kubectl"),
        free: free_below(&paths.state),
        memory: crate::daemon_memory::total(&meminfo),
        seccomp: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
    })
}

fn judge(facts: &Facts) -> Vec<Finding> {
    let needs = |name: &'static str, missing: Missing, good: String| {
        let state = match facts.missing.contains(&missing) {
            true => State::Missing { what: missing },
            false => State::Good { what: good },
        };
        Finding { name, state }
    };
    let mut found = vec![
        needs("root", Missing::Root, "this is root".to_owned()),
        kernel(&facts.kernel),
        needs("cgroups", Missing::Cgroups, cgroups_in_words(facts)),
    ];
    found.extend(controllers(facts));
    found.push(needs("overlay", Missing::Overlay, "the kernel has overlayfs".to_owned()));
    found.push(needs("nft", Missing::Nft, "the program is there".to_owned()));
    if !facts.missing.contains(&Missing::Nft) && !facts.missing.contains(&Missing::Root) {
        let poor = |why: &String| State::Poor {
            what: format!("the kernel's packet filter can not be used: {why}"),
            cure: "load it with `modprobe nf_tables`, or run on the machine itself instead of in a container"
                .to_owned(),
        };
        let good = State::Good { what: "the kernel's packet filter answers".to_owned() };
        found.push(Finding { name: "nf_tables", state: facts.nft.as_ref().err().map_or(good, poor) });
    }
    found.push(wish(
        "seccomp",
        facts.seccomp.then(|| "system calls can be filtered".to_owned()),
        "the kernel does not filter system calls: containers that ask for a seccomp profile are refused",
        "use a kernel with CONFIG_SECCOMP_FILTER",
    ));
    found.push(amount("memory", facts.memory, LITTLE_MEMORY, "end other programs, or give the machine more"));
    found.push(amount(
        "disk",
        facts.free,
        FEW_BYTES_FREE,
        "free some space on the disk that holds /var/lib/monopod, or mount another one there",
    ));
    found.push(wish(
        "kubectl",
        facts.kubectl.then(|| "it is on the path".to_owned()),
        "there is none on the path",
        "install it as https://kubernetes.io/docs/tasks/tools says; the cluster does not need it",
    ));
    found
}

fn wish(name: &'static str, good: Option<String>, poor: &str, cure: &str) -> Finding {
    let poor = || State::Poor { what: poor.to_owned(), cure: cure.to_owned() };
    Finding { name, state: good.map_or_else(poor, |what| State::Good { what }) }
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let version = numbers.next().and_then(Result::ok).zip(numbers.next().and_then(Result::ok));
    let good = version.is_none_or(|version| version >= OLDEST_KERNEL).then(|| release.to_owned());
    let (major, minor) = OLDEST_KERNEL;
    let old = format!("{release} is older than {major}.{minor}: containers can not be held and ended safely");
    wish("kernel", good, &old, &format!("use {major}.{minor} or newer"))
}

fn cgroups_in_words(facts: &Facts) -> String {
    match &facts.cgroups {
        Some((true, _)) => "version 2".to_owned(),
        Some((false, _)) => "version 1".to_owned(),
        None => String::new(),
    }
}

fn controllers(facts: &Facts) -> Option<Finding> {
    let (_, there) = facts.cgroups.as_ref()?;
    let lack: Vec<&str> =
        CONTROLLERS.into_iter().filter(|wanted| !there.iter().any(|has| has == wanted)).collect();
    let good = lack.is_empty().then(|| CONTROLLERS.join(", "));
    let what = format!("the machine has no {}: such limits are not kept", lack.join(", "));
    Some(wish(
        "controllers",
        good,
        &what,
        "boot with `cgroup_enable=memory`, or let whoever made this container delegate them",
    ))
}

fn amount(name: &'static str, bytes: Option<u64>, few: u64, cure: &str) -> Finding {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let Some(bytes) = bytes else { return wish(name, None, "it can not be told", cure) };
    let poor = format!("{} are few: {} are better", mib(bytes), mib(few));
    wish(name, (bytes >= few).then(|| mib(bytes)), &poor, cure)
}

/// Of the disk where the directory is, or will be.
fn free_below(place: &Path) -> Option<u64> {
    let there = place.ancestors().find(|above| above.exists())?;
    let facts = nix::sys::statvfs::statvfs(there).ok()?;
    Some(facts.blocks_available() * facts.fragment_size())
}

fn nft() -> Result<(), String> {
    let asked = Command::new("nft").args(["list", "tables"]).stdin(Stdio::null()).output();
    let said = asked.map_err(|e| e.to_string())?;
    let first = String::from_utf8_lossy(&said.stderr).lines().next().unwrap_or_default().to_owned();
    if said.status.success() { Ok(()) } else { Err(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            missing: Vec::new(),
            kernel: "6.1.0-40-amd64".to_owned(),
            cgroups: Some((true, CONTROLLERS.map(str::to_owned).to_vec())),
            nft: Ok(()),
            kubectl: true,
            free: Some(20 << 30),
            memory: Some(4 << 30),
            seccomp: true,
        }
    }

    /// The names of what is not good.
    fn bad(facts: &Facts) -> Vec<String> {
        let word = |finding: &Finding| match &finding.state {
            State::Good { .. } => None,
            State::Poor { .. } => Some(format!("poor {}", finding.name)),
            State::Missing { .. } => Some(format!("missing {}", finding.name)),
        };
        judge(facts).iter().filter_map(word).collect()
    }

    #[test]
    fn what_is_said_of_machines() {
        let fails = || Err("Operation not permitted".to_owned());
        let cases: [(&str, Facts, &[&str]); 8] = [
            ("all is well", good(), &[]),
            ("no root", Facts { missing: vec![Missing::Root], nft: fails(), ..good() }, &["missing root"]),
            ("no nft", Facts { missing: vec![Missing::Nft], nft: fails(), ..good() }, &["missing nft"]),
            ("a kernel without a filter", Facts { nft: fails(), ..good() }, &["poor nf_tables"]),
            ("an old kernel", Facts { kernel: "5.4.0-1".into(), ..good() }, &["poor kernel"]),
            (
                "no memory controller",
                Facts {
                    cgroups: Some((false, vec!["cpu".into(), "cpuset".into(), "pids".into()])),
                    ..good()
                },
                &["poor controllers"],
            ),
            (
                "no cgroups",
                Facts { missing: vec![Missing::Cgroups, Missing::Overlay], cgroups: None, ..good() },
                &["missing cgroups", "missing overlay"],
            ),
            (
                "a small machine",
                Facts {
                    free: Some(1 << 20),
                    memory: Some(1 << 20),
                    kubectl: false,
                    seccomp: false,
                    ..good()
                },
                &["poor seccomp", "poor memory", "poor disk", "poor kubectl"],
            ),
        ];
        for (name, facts, want) in cases {
            assert_eq!(bad(&facts), want, "{name}");
        }
    }

    #[test]
    fn a_cure_is_said_of_whatever_is_poor() {
        let facts = Facts { memory: None, free: Some(0), kernel: "4.19".into(), kubectl: false, ..good() };
        for finding in judge(&facts) {
            if let State::Poor { what, cure } = finding.state {
                assert!(!what.is_empty() && !cure.is_empty(), "{}", finding.name);
            }
        }
    }
}
