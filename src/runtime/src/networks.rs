//! What a sandbox's network namespace is asked for while the sandbox lives: to be shared, other endpoints, a name server.

use crate::connection::membership;
use crate::runtime::Inner;
use cri::{Connection, CriError, Endpoint, NameServer, Result, SandboxConfig, SandboxId};
use std::net::Ipv4Addr;
use std::path::PathBuf;

impl Inner {
    /// Where the namespace is that the sandbox is to share.
    pub fn shared_network(&self, config: &SandboxConfig) -> Result<Option<PathBuf>> {
        match &config.connection {
            Connection::Shared(other) if !config.host_network => self.namespace_of(other).map(Some),
            _ => Ok(None),
        }
    }

    fn namespace_of(&self, id: &SandboxId) -> Result<PathBuf> {
        let sandbox = self.sandbox(id)?;
        sandbox.client()?;
        let made = sandbox.made().ok_or_else(|| CriError::Failed(format!("sandbox {id} has no shim")))?;
        Ok(made.shim.network_namespace())
    }

    pub async fn set_endpoints(&self, id: &SandboxId, endpoints: Vec<Endpoint>) -> Result<()> {
        let sandbox = self.sandbox(id)?;
        let _stays = sandbox.gate.read().await;
        let namespace = self.namespace_of(id)?;
        let mut config = sandbox.record().config;
        let Connection::Networks { endpoints: had, .. } = &mut config.connection else {
            return Err(CriError::Invalid(format!("sandbox {id} is in no networks")));
        };
        let had = std::mem::replace(had, endpoints);
        let member = membership(&config);
        let stays = |address: &Ipv4Addr| member.endpoints.iter().any(|e| e.address == *address);
        let left: Vec<_> = had.iter().map(|e| e.address).filter(|address| !stays(address)).collect();
        let failed =
            |why: String| CriError::failed(format_args!("connect sandbox {} to networks", config.name), why);
        let joined = self.networks.join(id, &namespace, &member, &left).await;
        joined.map_err(|e| failed(e.to_string()))?;
        let record = sandbox.set_connection(config.connection.clone());
        self.write_record(&record).await.map_err(|e| failed(e.to_string()))
    }

    pub async fn name_server(&self, id: &SandboxId) -> Result<NameServer> {
        let namespace = self.namespace_of(id)?;
        let served = self.networks.name_server(&namespace).await;
        served.map_err(|e| CriError::failed(format_args!("answer names in sandbox {id}"), e))
    }
}
