//! The PID namespace of a container, for another one that is to see its processes.

use cri::ContainerId;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Held open: by its process's number it would be another's as soon as that process has ended, the machine's own perhaps, and a
/// container can choose the moment.
#[derive(Debug)]
pub struct PidNamespace {
    path: PathBuf,
    _held: File,
}

impl PidNamespace {
    /// # Errors
    /// The process is none of the container's any more.
    pub fn of(pid: i32, container: &ContainerId) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let process = nix::fcntl::open(format!("/proc/{pid}").as_str(), flags, Mode::empty())?;
        let open = |name: &str| {
            openat(&process, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map(File::from)
        };
        let held = open("ns/pid")?;
        // whoever has the number by now is in no cgroup of the container
        if !io::read_to_string(open("cgroup")?)?.contains(&container.0) {
            return Err(io::Error::other("the container has ended meanwhile"));
        }
        let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), held.as_raw_fd()));
        Ok(PidNamespace { path, _held: held })
    }

    /// Leads to it as long as this is there; for whoever sees this process, as shims do.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    #[test]
    fn it_is_the_same_when_its_process_has_ended_and_nobody_elses() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // every cgroup has a slash in its path
        let of = |id: &str| PidNamespace::of(pid, &ContainerId(id.to_owned()));
        let found = of("/").unwrap();
        let refused = of("no such container").unwrap_err().to_string();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(refused, "the container has ended meanwhile");
        let number = |path: &Path| std::fs::metadata(path).unwrap().ino();
        assert_eq!(number(found.path()), number(Path::new("/proc/self/ns/pid")));
        assert!(of("/").is_err(), "it has ended");
    }
}
