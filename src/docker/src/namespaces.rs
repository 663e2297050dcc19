//! `--pid container:NAME` and `--ipc container:NAME`: namespaces of a container that runs.

use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::model::HostConfig;
use crate::record::Running;
use cri::SandboxConfig;

impl Engine {
    /// Puts into the sandbox's configuration whose namespaces it shares.
    pub(crate) fn join_namespaces(&self, host: &HostConfig, config: &mut SandboxConfig) -> Result<()> {
        if let Some(name) = host.pid_mode.strip_prefix("container:") {
            config.pid_of = Some(self.donor(name, "PID")?.container);
        }
        if let Some(name) = host.ipc_mode.strip_prefix("container:") {
            self.is_shareable(name)?;
            config.ipc_of = Some(self.donor(name, "IPC")?.sandbox);
        }
        Ok(())
    }

    fn donor(&self, name: &str, what: &str) -> Result<Running> {
        let donor = self.container(name)?;
        donor.see(|r| {
            r.running().cloned().ok_or_else(|| {
                ApiError::internal(format_args!(
                    "failed to join {what} namespace: cannot join {what} namespace of a non running container: container {} is not running",
                    r.id
                ))
            })
        })
    }

    fn is_shareable(&self, name: &str) -> Result<()> {
        self.container(name)?.see(|r| match r.host.ipc_mode.as_str() {
            "shareable" | "host" => Ok(()),
            mode if mode.starts_with("container:") => Ok(()),
            _ => Err(ApiError::bad(format_args!(
                "failed to join IPC namespace: container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor \
                 container)",
                r.id
            ))),
        })
    }
}
