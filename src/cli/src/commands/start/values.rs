//! What is typed behind the flags.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where the docker command looks when nobody tells it.
const STANDARD_SOCKET: &str = "/var/run/docker.sock";

pub(super) fn server_name(text: &str) -> Result<String, String> {
    match appliance::is_server_name(text) {
        true => Ok(text.to_owned()),
        false => Err("it is neither an address nor a DNS name".to_owned()),
    }
}

/// Where the Docker socket is beside the profile's own place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DockerSocket(pub(super) Option<PathBuf>);

pub(super) fn docker_socket(text: &str) -> Result<DockerSocket, String> {
    match text {
        "standard" => Ok(DockerSocket(Some(STANDARD_SOCKET.into()))),
        "own" => Ok(DockerSocket(None)),
        path if path.starts_with('/') => Ok(DockerSocket(Some(path.into()))),
        _ => Err("give an absolute path, \"standard\" or \"own\"".to_owned()),
    }
}

/// A file of the user that later starts ask for again, from wherever they are typed; `None` for "none".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptFile(pub(super) Option<PathBuf>);

pub(super) fn kept_file(text: &str) -> Result<KeptFile, String> {
    match text {
        "none" => Ok(KeptFile(None)),
        path => std::path::absolute(path).map(|path| KeptFile(Some(path))).map_err(|e| e.to_string()),
    }
}

impl KeptFile {
    /// As it was typed.
    pub(super) fn word(&self) -> &OsStr {
        self.0.as_deref().unwrap_or(Path::new("none")).as_os_str()
    }
}

/// What others need to make a machine with. Accepted, so that scripts go on working, and said to be without effect.
#[derive(clap::Args)]
pub(super) struct MachineFlags {
    #[arg(long, hide = true)]
    driver: Option<String>,
    #[arg(long, hide = true)]
    container_runtime: Option<String>,
    #[arg(long, hide = true)]
    cpus: Option<String>,
    #[arg(long, hide = true)]
    memory: Option<String>,
    #[arg(long, hide = true)]
    disk_size: Option<String>,
}

impl MachineFlags {
    pub(super) fn given(&self) -> Vec<&'static str> {
        let flags = [
            ("--driver", &self.driver),
            ("--container-runtime", &self.container_runtime),
            ("--cpus", &self.cpus),
            ("--memory", &self.memory),
            ("--disk-size", &self.disk_size),
        ];
        flags.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_docker_socket() {
        for (text, want) in [
            ("standard", Some(DockerSocket(Some(STANDARD_SOCKET.into())))),
            ("own", Some(DockerSocket(None))),
            ("/run/x.sock", Some(DockerSocket(Some("/run/x.sock".into())))),
            ("x.sock", None),
            ("", None),
        ] {
            assert_eq!(docker_socket(text).ok(), want, "{text}");
        }
    }
}
