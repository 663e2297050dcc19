//! Where the kubelet's directory is, for us and for a driver.
//!
//! Manifests of drivers mount `/var/lib/kubelet/plugins` and its neighbours from the host: they mean their node's kubelet. Ours has
//! a directory for each profile, so such paths are looked for there; and a driver is told paths as it knows them. One whose
//! manifests were given our directory (charts have a value for it) says so by its endpoint, and is told ours. Pure.

use std::path::{Path, PathBuf};

/// Where upstream's kubelet has its directory.
const WELL_KNOWN: &str = "/var/lib/kubelet";

/// What a path of the host means: below upstream's directory, the same below ours.
pub fn on_machine(root: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(WELL_KNOWN) {
        // joining nothing would leave a slash at the end
        Ok(rest) if rest.as_os_str().is_empty() => root.to_owned(),
        Ok(rest) => root.join(rest),
        Err(_) => path.to_owned(),
    }
}

/// Under which name a driver has the kubelet's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    WellKnown,
    Ours,
}

impl Sees {
    /// By where the driver says that it listens.
    pub fn of_endpoint(root: &Path, endpoint: &Path) -> Self {
        if endpoint.starts_with(root) { Sees::Ours } else { Sees::WellKnown }
    }

    /// A path of ours as the driver has it.
    pub fn name_of(self, root: &Path, path: &Path) -> String {
        let shown = match (self, path.strip_prefix(root)) {
            (Sees::WellKnown, Ok(rest)) => Path::new(WELL_KNOWN).join(rest),
            _ => path.to_owned(),
        };
        shown.to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/state/kubelet";

    #[test]
    fn upstreams_directory_is_ours() {
        let cases = [
            ("/var/lib/kubelet", "/state/kubelet"),
            ("/var/lib/kubelet/", "/state/kubelet"),
            ("/var/lib/kubelet/plugins/d/csi.sock", "/state/kubelet/plugins/d/csi.sock"),
            ("/var/lib/kubelet-other/x", "/var/lib/kubelet-other/x"),
            ("/state/kubelet/pods", "/state/kubelet/pods"),
            ("/dev", "/dev"),
        ];
        for (path, want) in cases {
            assert_eq!(on_machine(Path::new(ROOT), Path::new(path)), Path::new(want), "{path}");
        }
    }

    #[test]
    fn a_driver_is_told_what_it_knows() {
        let path = Path::new("/state/kubelet/pods/u/x");
        let cases = [
            ("/var/lib/kubelet/plugins/d/csi.sock", "/var/lib/kubelet/pods/u/x"),
            ("/state/kubelet/plugins/d/csi.sock", "/state/kubelet/pods/u/x"),
            ("/csi/csi.sock", "/var/lib/kubelet/pods/u/x"),
        ];
        for (endpoint, want) in cases {
            let sees = Sees::of_endpoint(Path::new(ROOT), Path::new(endpoint));
            assert_eq!(sees.name_of(Path::new(ROOT), path), want, "{endpoint}");
        }
    }
}
