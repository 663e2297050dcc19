//! How sandboxes are connected: to the pods' network, to networks beside it, or by another sandbox's namespace.

use crate::process::ProcessId;
use crate::records::SandboxRecord;
use crate::runtime::{Inner, blocking};
use crate::sandboxes::netns;
use cri::{
    AddressSpace, Connection, CriError, Endpoint, Membership, NameServer, NetworkConfig, Result,
    SandboxConfig, SandboxId,
};
use std::net::Ipv4Addr;
use std::path::PathBuf;

impl Inner {
    /// Of a new sandbox. What the pods' network gave it is to be kept.
    pub async fn attach_network(
        &self,
        record: &SandboxRecord,
        shim: ProcessId,
    ) -> Result<Option<net::Attachment>> {
        let config = &record.config;
        let failed = |e| CriError::failed(format_args!("attach network of sandbox {}", config.name), e);
        if config.host_network || config.no_network {
            return Ok(None);
        }
        let (id, namespace) = (&record.id.0, netns(shim));
        match &config.connection {
            Connection::Pods => {
                let attached = self.network.attach(id, owner(config), &namespace, &config.host_ports).await;
                attached.map(Some).map_err(failed)
            }
            Connection::Networks { .. } => {
                let joined = self.network.join(id, &namespace, &membership(config), &[]).await;
                joined.map(|()| None).map_err(failed)
            }
            Connection::Shared(_) => Ok(None),
        }
    }

    /// Of one that lived on while the daemon did not.
    pub async fn take_up_network(&self, record: &SandboxRecord) -> Result<(), net::NetError> {
        let Some(made) = &record.made else { return Ok(()) };
        let (id, namespace, config) = (&record.id.0, netns(made.shim), &record.config);
        match (&made.attachment, &config.connection) {
            (Some(attachment), _) => self.network.adopt(id, &namespace, attachment, &config.host_ports).await,
            (None, Connection::Networks { .. }) => {
                self.network.join(id, &namespace, &membership(config), &[]).await
            }
            (None, _) => Ok(()),
        }
    }

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
        let shim = sandbox.made().map(|made| made.shim);
        shim.map(netns).ok_or_else(|| CriError::Failed(format!("sandbox {id} has no shim")))
    }

    pub async fn set_networks(&self, networks: Vec<NetworkConfig>) -> Result<()> {
        self.network.set_networks(networks).await.map_err(|e| CriError::failed("set up the networks", e))
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
        let joined = self.network.join(&id.0, &namespace, &member, &left).await;
        joined.map_err(|e| failed(e.to_string()))?;
        let record = sandbox.set_connection(config.connection.clone());
        self.write_record(&record).await.map_err(|e| failed(e.to_string()))
    }

    pub async fn address_space(&self) -> Result<AddressSpace> {
        self.network.address_space().await.map_err(|e| CriError::failed("list the machine's routes", e))
    }

    pub async fn name_server(&self, id: &SandboxId) -> Result<NameServer> {
        let namespace = self.namespace_of(id)?;
        let served = self.network.name_server(&namespace).await;
        served.map_err(|e| CriError::failed(format_args!("answer names in sandbox {id}"), e))
    }

    pub async fn write_record(&self, record: &SandboxRecord) -> std::io::Result<()> {
        let (path, record) = (self.places.sandbox_record(&record.id), record.clone());
        blocking(move || crate::records::write(&path, &record)).await
    }
}

/// Pods are known by their uid; what is in no namespace is nobody's pod.
fn owner(config: &SandboxConfig) -> &str {
    if config.namespace.is_empty() { "" } else { &config.uid }
}

fn membership(config: &SandboxConfig) -> Membership {
    let (endpoints, mac_address) = match &config.connection {
        Connection::Networks { endpoints, mac_address } => (endpoints.clone(), *mac_address),
        Connection::Pods | Connection::Shared(_) => (Vec::new(), None),
    };
    Membership { endpoints, mac_address, host_ports: config.host_ports.clone() }
}

/// The address at which the machine reaches it first of all.
pub fn address(record: &SandboxRecord) -> Option<Ipv4Addr> {
    let of_pod = record.made.as_ref().and_then(|made| made.attachment.as_ref()).map(|a| a.ip);
    let member = || {
        let member = membership(&record.config);
        member.outlet().or(member.endpoints.first()).map(|endpoint| endpoint.address)
    };
    of_pod.or_else(member)
}
