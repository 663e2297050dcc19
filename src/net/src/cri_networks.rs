//! [`Network`] as `cri::Networks`: what the runtime and Docker's half see of it. Proxy and policies use [`Network`] itself.

use crate::{NetError, Network};
use async_trait::async_trait;
use cri::{
    AddressSpace, Attachment, CriError, HostPort, Membership, NameServer, NetworkConfig, NetworkCounters,
    NetworkGarbage, Networks, Result, SandboxId,
};
use std::net::Ipv4Addr;
use std::path::Path;

impl From<NetError> for CriError {
    fn from(error: NetError) -> Self {
        CriError::Failed(error.to_string())
    }
}

#[async_trait]
impl Networks for Network {
    async fn attach(
        &self,
        sandbox: &SandboxId,
        owner: &str,
        netns: &Path,
        ports: &[HostPort],
    ) -> Result<Attachment> {
        Ok(Network::attach(self, &sandbox.0, owner, netns, ports).await?)
    }

    async fn adopt(
        &self,
        sandbox: &SandboxId,
        netns: &Path,
        attachment: &Attachment,
        ports: &[HostPort],
    ) -> Result<()> {
        Ok(Network::adopt(self, &sandbox.0, netns, attachment, ports).await?)
    }

    async fn join(
        &self,
        sandbox: &SandboxId,
        netns: &Path,
        membership: &Membership,
        left: &[Ipv4Addr],
    ) -> Result<()> {
        Ok(Network::join(self, &sandbox.0, netns, membership, left).await?)
    }

    async fn detach(&self, sandbox: &SandboxId) -> Result<()> {
        Ok(Network::detach(self, &sandbox.0).await?)
    }

    async fn collect_garbage(&self) -> NetworkGarbage {
        Network::collect_garbage(self).await
    }

    async fn counters(&self, sandbox: &SandboxId) -> Result<NetworkCounters> {
        Ok(Network::counters(self, &sandbox.0).await?)
    }

    async fn name_server(&self, netns: &Path) -> Result<NameServer> {
        Ok(Network::name_server(self, netns).await?)
    }

    async fn set_networks(&self, networks: Vec<NetworkConfig>) -> Result<()> {
        Ok(Network::set_networks(self, networks).await?)
    }

    async fn address_space(&self) -> Result<AddressSpace> {
        Ok(Network::address_space(self).await?)
    }
}
