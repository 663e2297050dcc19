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

/// An overlay without layers is refused as invalid by a kernel that knows overlays; asking makes it load the module, and it
/// complains in the kernel's log. So it is asked only where the module is not there yet.
fn has_overlay() -> bool {
    let loaded = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if knows_overlay(&loaded) {
        return true;
    }
    use nix::errno::Errno;
    use nix::mount::{MsFlags, mount};
    let asked = mount(Some("overlay"), "/proc", Some("overlay"), MsFlags::MS_RDONLY, None::<&str>);
    asked != Err(Errno::ENODEV)
}

/// proc(5): `nodev`, where it needs no device, and the name.
fn knows_overlay(filesystems: &str) -> bool {
    filesystems.lines().any(|line| line.split_whitespace().next_back() == Some("overlay"))
}

pub(crate) fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_that_the_kernel_knows() {
        for (text, want) in [
            ("nodev\tsysfs\n\text4\nnodev\toverlay\n", true),
            ("nodev\toverlayfs\n\text4\n", false),
            ("\text4\n", false),
            ("", false),
        ] {
            assert_eq!(knows_overlay(text), want, "{text:?}");
        }
    }
}
