//! Where the records and the live things of sandboxes and containers are.

use crate::RuntimeConfig;
use crate::records::new_id;
use cri::{ContainerId, SandboxId};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A unix socket's path has 107 bytes at most; 128 bits of an id tell sandboxes apart as well.
const RUN_NAME: usize = 32;

#[derive(Debug, Clone)]
pub struct Paths {
    state: PathBuf,
    run: PathBuf,
}

impl Paths {
    pub fn new(config: &RuntimeConfig) -> Self {
        Paths { state: config.state_dir.clone(), run: config.run_dir.clone() }
    }

    pub fn sandboxes(&self) -> PathBuf {
        self.state.join("sandboxes")
    }

    /// What was removed but not yet deleted. Emptied at every start.
    pub fn trash(&self) -> PathBuf {
        self.state.join("trash")
    }

    /// Out of sight at once; deleting what a container has written may take its time.
    pub fn move_to_trash(&self, dir: &Path) {
        let trash = self.trash();
        match private_dir(&trash).and_then(|()| std::fs::rename(dir, trash.join(new_id()))) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => remove_dir(dir),
            _ => {}
        }
    }

    pub fn run_root(&self) -> PathBuf {
        self.run.clone()
    }

    pub fn sandbox_state(&self, id: &SandboxId) -> PathBuf {
        self.sandboxes().join(&id.0)
    }

    pub fn sandbox_record(&self, id: &SandboxId) -> PathBuf {
        self.sandbox_state(id).join("sandbox.json")
    }

    pub fn sandbox_run(&self, id: &SandboxId) -> PathBuf {
        self.run.join(id.0.get(..RUN_NAME).unwrap_or(&id.0))
    }

    /// Files that its containers see below /etc. On the disk: containers may write to them without end, and the run directory is
    /// memory that the whole machine shares.
    pub fn sandbox_etc(&self, id: &SandboxId) -> PathBuf {
        self.sandbox_state(id).join("etc")
    }

    pub fn containers(&self, sandbox: &SandboxId) -> PathBuf {
        self.sandbox_state(sandbox).join("containers")
    }

    pub fn container(&self, sandbox: &SandboxId, id: &ContainerId) -> ContainerPaths {
        let state = self.containers(sandbox).join(&id.0);
        let bundle = self.sandbox_run(sandbox).join("containers").join(&id.0);
        ContainerPaths { state, bundle }
    }
}

/// One container's directories: what it wrote is on the disk, its bundle in the run directory.
#[derive(Debug, Clone)]
pub struct ContainerPaths {
    pub state: PathBuf,
    pub bundle: PathBuf,
}

impl ContainerPaths {
    pub fn record(&self) -> PathBuf {
        self.state.join("container.json")
    }

    /// The shim's `status.json`, kept over a reboot of the machine.
    pub fn exit(&self) -> PathBuf {
        self.state.join("exit.json")
    }

    pub fn upper(&self) -> PathBuf {
        self.state.join("upper")
    }

    pub fn work(&self) -> PathBuf {
        self.state.join("work")
    }

    pub fn volume(&self, number: usize) -> PathBuf {
        self.state.join("volumes").join(number.to_string())
    }

    pub fn spec(&self) -> PathBuf {
        self.bundle.join("config.json")
    }

    pub fn rootfs(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }

    /// Where an image that is a volume is mounted, in the shim's mount namespace.
    pub fn image(&self, number: usize) -> PathBuf {
        self.bundle.join("images").join(number.to_string())
    }

    /// Nothing is ever in it.
    pub fn empty(&self, number: usize) -> PathBuf {
        self.bundle.join("empty").join(number.to_string())
    }

    /// Where mounts that must reach the machine again are brought to in the shim's mount namespace.
    pub fn shared(&self, number: usize) -> PathBuf {
        self.bundle.join("shared").join(number.to_string())
    }

    pub fn status(&self) -> PathBuf {
        self.bundle.join("status.json")
    }
}

/// Makes a directory and its parents, readable by us alone.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

pub fn remove_dir(dir: &Path) {
    match trees::remove(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => tracing::warn!("remove {}: {e}", dir.display()),
        _ => {}
    }
}
