//! What this machine offers and forbids: found out once, at the start.

use crate::capabilities::CapabilitySet;
use nix::sys::resource::{Resource, getrlimit};
use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What containerd's unit file asks for.
const WANTED_FILES: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub struct Host {
    /// Our own bounding set: nobody can be given more.
    pub capabilities: CapabilitySet,
    /// Open files of a container's process, soft and hard.
    pub open_files: u64,
    /// Of the other limits the most that we can give, by their names; what is not there has none.
    pub hard_limits: BTreeMap<String, u64>,
    /// The lowest oom_score_adj that can be given; without CAP_SYS_RESOURCE our own.
    pub least_oom_score: i32,
    /// Whether the kernel accounts swap.
    pub swap: bool,
    /// cgroup v2 alone.
    pub unified: bool,
    pub machine: &'static str,
    /// Whether the kernel takes x86_64's calls with 32-bit pointers: distributions switch them off.
    pub x32: bool,
    /// Whether overlayfs takes its layers one by one.
    pub stacks: bool,
    /// Of each processor the directory that counts how often it was too hot: who sees it learns of the work of others
    /// (GHSA-6fw5-f8r9-fgfm).
    pub thermal_throttle: Vec<String>,
}

/// A device node of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDevice {
    pub path: PathBuf,
    pub block: bool,
    pub major: i64,
    pub minor: i64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Host {
    pub fn inspect(unified: bool, swap: bool) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let capabilities = CapabilitySet(bounding_set(&status).unwrap_or(CapabilitySet::ALL.0));
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        let free = capabilities.has("SYS_RESOURCE");
        let own_score =
            std::fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|s| s.trim().parse().ok());
        Host {
            capabilities,
            open_files: if free { WANTED_FILES } else { WANTED_FILES.min(hard) },
            hard_limits: if free { BTreeMap::new() } else { hard_limits() },
            least_oom_score: if free { -1000 } else { own_score.unwrap_or(0) },
            swap,
            unified,
            machine: std::env::consts::ARCH,
            x32: has_x32(),
            stacks: stacks_layers(),
            thermal_throttle: thermal_throttle(Path::new("/sys/devices/system/cpu")),
        }
    }
}

fn hard_limits() -> BTreeMap<String, u64> {
    const ALL: [(&str, Resource); 16] = [
        ("as", Resource::RLIMIT_AS),
        ("core", Resource::RLIMIT_CORE),
        ("cpu", Resource::RLIMIT_CPU),
        ("data", Resource::RLIMIT_DATA),
        ("fsize", Resource::RLIMIT_FSIZE),
        ("locks", Resource::RLIMIT_LOCKS),
        ("memlock", Resource::RLIMIT_MEMLOCK),
        ("msgqueue", Resource::RLIMIT_MSGQUEUE),
        ("nice", Resource::RLIMIT_NICE),
        ("nofile", Resource::RLIMIT_NOFILE),
        ("nproc", Resource::RLIMIT_NPROC),
        ("rss", Resource::RLIMIT_RSS),
        ("rtprio", Resource::RLIMIT_RTPRIO),
        ("rttime", Resource::RLIMIT_RTTIME),
        ("sigpending", Resource::RLIMIT_SIGPENDING),
        ("stack", Resource::RLIMIT_STACK),
    ];
    let hard = |(name, resource): (&str, Resource)| Some((name.to_owned(), getrlimit(resource).ok()?.1));
    ALL.into_iter().filter_map(hard).collect()
}

fn thermal_throttle(processors: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(processors).into_iter().flatten().flatten();
    let directories = entries.map(|entry| entry.path().join("thermal_throttle")).filter(|at| at.is_dir());
    let mut found: Vec<String> = directories.filter_map(|at| at.to_str().map(str::to_owned)).collect();
    found.sort();
    found
}

/// overlayfs' option `lowerdir+`, of 6.8. Before 6.5 it takes any word without a look, and complains in the kernel's log when
/// it mounts: there it is not asked. Nothing is mounted here.
fn stacks_layers() -> bool {
    use rustix::mount::{FsOpenFlags, fsconfig_set_string, fsopen};
    let release = rustix::system::uname();
    let knows_its_options = release.release().to_str().is_ok_and(|release| version(release) >= (6, 5));
    knows_its_options
        && fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)
            .and_then(|context| fsconfig_set_string(&context, c"lowerdir+", c"/"))
            .is_ok()
}

/// `6.1.0-18-amd64`
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn has_x32() -> bool {
    const X32_CALL: libc::c_long = 0x4000_0000; // asm/unistd.h: __X32_SYSCALL_BIT
    // SAFETY: getpid takes nothing; a kernel that does not know the bit says ENOSYS.
    cfg!(target_arch = "x86_64") && unsafe { libc::syscall(X32_CALL | libc::SYS_getpid) } > 0
}

fn bounding_set(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// All devices below /dev, for a privileged container. Terminals and shared memory are the container's own.
pub fn devices() -> Vec<HostDevice> {
    let mut found = Vec::new();
    below(Path::new("/dev"), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn below(dir: &Path, found: &mut Vec<HostDevice>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        let own = ["pts", "shm", "mqueue", "fd", "console", "ptmx"]
            .iter()
            .any(|n| path == Path::new("/dev").join(n));
        if own {
            continue;
        }
        if kind.is_dir() {
            below(&path, found);
        } else if kind.is_char_device() || kind.is_block_device() {
            found.extend(device(&path).ok());
        }
    }
}

/// The device that `path` is, or leads to.
pub fn device(path: &Path) -> std::io::Result<HostDevice> {
    let meta = std::fs::metadata(path)?;
    let kind = meta.file_type();
    if !kind.is_char_device() && !kind.is_block_device() {
        return Err(std::io::Error::other("not a device node"));
    }
    Ok(HostDevice {
        path: path.to_owned(),
        block: kind.is_block_device(),
        major: libc::major(meta.rdev()).into(),
        minor: libc::minor(meta.rdev()).into(),
        mode: meta.mode() & 0o777,
        uid: meta.uid(),
        gid: meta.gid(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_us() {
        assert_eq!(bounding_set("Name:\tx\nCapBnd:\t000001fffeffffff\nCapAmb:\t0"), Some(0x1ff_feff_ffff));
        assert_eq!(bounding_set("nothing"), None);
    }

    #[test]
    fn releases_are_compared_by_their_numbers() {
        for (release, want) in [
            ("6.1.0-18-amd64", (6, 1)),
            ("6.18.44-fc-v769", (6, 18)),
            ("7.0", (7, 0)),
            ("6.5-rc1", (6, 5)),
            ("5", (5, 0)),
            ("", (0, 0)),
        ] {
            assert_eq!(version(release), want, "{release}");
        }
        assert!(version("6.18.1") > (6, 5) && version("6.1.99") < (6, 5));
    }

    #[test]
    fn each_processor_that_counts_its_heat_is_found() {
        let dir = tempfile::tempdir().unwrap();
        for made in ["cpu1/thermal_throttle", "cpu0/thermal_throttle", "cpu2/topology"] {
            std::fs::create_dir_all(dir.path().join(made)).unwrap();
        }
        std::fs::write(dir.path().join("online"), "0-2").unwrap();
        let want = ["cpu0/thermal_throttle", "cpu1/thermal_throttle"]
            .map(|at| dir.path().join(at).display().to_string());
        assert_eq!(thermal_throttle(dir.path()), want);
        assert_eq!(thermal_throttle(&dir.path().join("none")), [""; 0]);
    }

    #[test]
    fn devices_are_told_from_files() {
        let null = device(Path::new("/dev/null")).unwrap();
        assert_eq!((null.major, null.minor, null.block), (1, 3, false));
        assert!(device(Path::new("/etc/passwd")).is_err());
        assert!(devices().iter().any(|d| d.path == Path::new("/dev/null")));
    }
}
