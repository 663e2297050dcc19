//! The machine as the node shows it: processors, memory, disk, huge pages, kernel.

use std::fs;
use std::path::Path;

/// What the machine has, read once at start: it does not grow while we run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    pub cpus: u64,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    pub hugepages: Vec<HugePages>,
    pub machine_id: String,
    pub system_uuid: String,
    pub boot_id: String,
    pub kernel: String,
    pub os_image: String,
    /// Go's name: `amd64`, `arm64`.
    pub architecture: String,
    /// The kernel enforces AppArmor profiles.
    pub apparmor: bool,
    /// Root of this program is not the host's.
    pub user_namespace: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugePages {
    /// `2Mi`, `1Gi`
    pub size: String,
    pub bytes: u64,
}

impl Machine {
    /// `state_dir` says which disk counts. What can not be read stays empty.
    pub fn read(state_dir: &Path) -> Self {
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            memory_bytes: memory_total(&text("/proc/meminfo")),
            disk_bytes: disk(state_dir).map_or(0, |d| d.capacity),
            hugepages: Vec::new(),
            machine_id: text("/etc/machine-id"),
            system_uuid: text("/sys/class/dmi/id/product_uuid"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            kernel: text("/proc/sys/kernel/osrelease"),
            os_image: pretty_name(&text("/etc/os-release")),
            architecture: api::architecture().to_owned(),
            apparmor: text("/sys/module/apparmor/parameters/enabled") == "Y",
            user_namespace: maps_users(&text("/proc/self/uid_map")),
        }
    }
}

/// Bytes of the file system that holds a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    pub capacity: u64,
    pub available: u64,
}

impl Disk {
    /// As `df` rounds it, and as the image garbage collector's threshold counts it.
    pub fn used_percent(self) -> u8 {
        match self.capacity {
            0 => 0,
            capacity => u8::try_from(100 - (self.available.min(capacity) * 100 / capacity)).unwrap_or(100),
        }
    }
}

pub fn disk(path: &Path) -> Option<Disk> {
    let existing = path.ancestors().find(|p| p.exists())?;
    let stat = nix::sys::statvfs::statvfs(existing).ok()?;
    let block = stat.fragment_size();
    Some(Disk { capacity: stat.blocks() * block, available: stat.blocks_available() * block })
}

fn text(path: &str) -> String {
    fs::read_to_string(path).map(|t| t.trim().to_owned()).unwrap_or_default()
}

fn memory_total(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Whether some user is not himself: the first namespace maps all that there can be onto themselves. Where the kernel knows no
/// namespaces of users there is no such file.
fn maps_users(uid_map: &str) -> bool {
    let ranges: Vec<&str> = uid_map.split_whitespace().collect();
    !ranges.is_empty() && ranges != ["0", "0", "4294967295"]
}

fn pretty_name(os_release: &str) -> String {
    let line = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_understood() {
        assert_eq!(memory_total("MemTotal:       16384 kB\nMemFree: 1 kB\n"), 16384 * 1024);
        assert_eq!(
            pretty_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        for (map, is_mapped) in
            [("         0          0 4294967295", false), ("", false), ("0 1000 1\n1 100000 65536", true)]
        {
            assert_eq!(maps_users(map), is_mapped, "{map}");
        }
        assert_eq!(Disk { capacity: 1000, available: 150 }.used_percent(), 85);
    }

    #[test]
    fn this_machine_has_processors_and_memory() {
        let machine = Machine::read(Path::new("/nonexistent/state"));
        assert!(machine.cpus > 0 && machine.memory_bytes > 0 && machine.disk_bytes > 0, "{machine:?}");
    }
}
