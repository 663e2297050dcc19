//! What the machine must offer, checked before anything is touched.

/// One thing that is not there. The command line has a sentence of cure for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Root,
    Cgroups,
    Overlay,
    Nft,
}

/// Everything that is missing, in the order in which it should be mended.
pub fn preflight() -> Vec<Missing> {
    let checks = [
        (Missing::Root, nix::unistd::geteuid().is_root()),
        (Missing::Cgroups, has_cgroups()),
        (Missing::Overlay, has_overlay()),
        (Missing::Nft, is_on_path("nft")),
    ];
    checks.into_iter().filter(|(_, there)| !there).map(|(missing, _)| missing).collect()
}

fn has_cgroups() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().filter_map(|line| line.split(' ').nth(2)).any(|kind| matches!(kind, "cgroup" | "cgroup2"))
}

/// An overlay without layers is refused as invalid by a kernel that knows overlays; asking makes it load the module.
fn has_overlay() -> bool {
    use nix::errno::Errno;
    use nix::mount::{MsFlags, mount};
    let asked = mount(Some("overlay"), "/proc", Some("overlay"), MsFlags::MS_RDONLY, None::<&str>);
    asked != Err(Errno::ENODEV)
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
