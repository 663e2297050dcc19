//! Where a profile keeps what it has: everything is below parents of ours, `/var/lib/monopod/NAME`, `/run/monopod/NAME` and the
//! cgroup `monopod/NAME`, so that no profile can have the name of somebody else's directory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub const DEFAULT_PROFILE: &str = "monopod";
/// Interfaces are named by the profile and have 15 characters in all (IFNAMSIZ).
const LONGEST_NAME: usize = 24;

/// Names everything of one cluster on disk and in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "profile name {0:?}: must be at most {LONGEST_NAME} lower-case letters, digits or '-', and start with a letter"
)]
pub struct ProfileNameError(String);

impl ProfileName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ProfileName {
    fn default() -> Self {
        ProfileName(DEFAULT_PROFILE.to_owned())
    }
}

impl FromStr for ProfileName {
    type Err = ProfileNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        let rest_is_good = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if starts_well && rest_is_good && text.len() <= LONGEST_NAME {
            Ok(ProfileName(text.to_owned()))
        } else {
            Err(ProfileNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In the run directory.
pub(crate) const LOCK: &str = "lock";
/// Below it are the profiles: on disk, in the run directory, among the cgroups.
const PARENT: &str = "monopod";

/// Where the profile keeps what: `state` survives a reboot, `run` does not.
#[derive(Debug, Clone)]
pub struct Paths {
    pub profile: ProfileName,
    pub state: PathBuf,
    pub run: PathBuf,
    /// Below the mount point of every hierarchy.
    pub cgroup: String,
}

impl Paths {
    pub fn of(profile: &ProfileName) -> Self {
        Paths::below(Path::new("/"), profile)
    }

    /// On a machine whose root is that directory.
    pub(crate) fn below(root: &Path, profile: &ProfileName) -> Self {
        let name = profile.as_str();
        Paths {
            profile: profile.clone(),
            state: root.join("var/lib").join(PARENT).join(name),
            run: root.join("run").join(PARENT).join(name),
            cgroup: format!("{PARENT}/{name}"),
        }
    }

    /// The directories that all profiles share, of state and of run.
    pub(crate) fn parents(&self) -> [&Path; 2] {
        [&self.state, &self.run].map(|place| place.parent().unwrap_or(Path::new("/")))
    }

    pub fn settings(&self) -> PathBuf {
        self.state.join("settings.json")
    }
    /// When the daemon ends by itself.
    pub fn scheduled_stop(&self) -> PathBuf {
        self.state.join("stop-at")
    }
    /// Those that were enabled from manifests.
    pub fn addons(&self) -> PathBuf {
        self.state.join("addons.json")
    }
    /// Where requests are told of, unless the user wants it elsewhere.
    pub fn audit_log(&self) -> PathBuf {
        self.state.join("audit.log")
    }
    pub fn store(&self) -> PathBuf {
        self.state.join("store")
    }
    pub fn certificates(&self) -> PathBuf {
        self.state.join("pki")
    }
    pub fn images(&self) -> PathBuf {
        self.state.join("images")
    }
    pub fn runtime(&self) -> PathBuf {
        self.state.join("runtime")
    }
    /// What claims were given: the data of pods that outlives them.
    pub fn volumes(&self) -> PathBuf {
        self.state.join("volumes")
    }
    /// Copies of those, by VolumeSnapshots; beside them, so that both are of one file system.
    pub fn snapshots(&self) -> PathBuf {
        self.state.join("snapshots")
    }
    pub fn kubelet(&self) -> PathBuf {
        self.state.join("kubelet")
    }
    /// What each pod's shim has while it lives.
    pub fn sandboxes(&self) -> PathBuf {
        self.run.join("sandboxes")
    }
    /// Which address a sandbox was given last.
    pub fn last_address(&self) -> PathBuf {
        self.state.join("last-address")
    }
    /// Docker's containers, volumes and networks.
    pub fn docker(&self) -> PathBuf {
        self.state.join("docker")
    }
    pub fn docker_socket(&self) -> PathBuf {
        self.run.join("docker.sock")
    }
    /// What the daemon itself says.
    pub fn log(&self) -> PathBuf {
        self.state.join("monopod.log")
    }
    /// That, and what was set aside of it: the oldest first.
    pub fn log_files(&self) -> Vec<PathBuf> {
        crate::log::files(&self.log())
    }
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }
    /// Held (flock) by the daemon as long as it lives; holds its pid.
    pub fn lock(&self) -> PathBuf {
        self.run.join(LOCK)
    }

    /// Where README says that Docker's socket is: a link to that of the default profile.
    pub(crate) fn docker_socket_link(&self) -> Option<PathBuf> {
        let [_, run] = self.parents();
        (self.profile == ProfileName::default()).then(|| run.join("docker.sock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_profile_has_the_place_of_another_program() {
        for name in ["monopod", "docker", "systemd", "minikube"] {
            let paths = Paths::of(&name.parse().unwrap());
            assert_eq!(paths.state, Path::new("/var/lib/monopod").join(name));
            assert_eq!(paths.run, Path::new("/run/monopod").join(name));
            assert_eq!(paths.cgroup, format!("monopod/{name}"));
        }
    }

    #[test]
    fn sockets_have_paths_that_the_kernel_takes() {
        const LONGEST: usize = 107; // unix(7): sun_path with its end
        let paths = Paths::of(&"a".repeat(LONGEST_NAME).parse().unwrap());
        for socket in [
            paths.docker_socket(),
            paths.control_socket(),
            paths.sandboxes().join("0".repeat(32)).join("shim.sock"),
        ] {
            assert!(socket.as_os_str().len() <= LONGEST, "{}", socket.display());
        }
    }

    #[test]
    fn a_profile_name_can_name_a_file_a_link_and_a_table() {
        let cases = [
            ("monopod", true),
            ("e2e-1", true),
            ("", false),
            ("1a", false),
            ("a/b", false),
            ("A", false),
            ("..", false),
        ];
        for (name, good) in cases {
            assert_eq!(name.parse::<ProfileName>().is_ok(), good, "{name:?}");
        }
    }
}
