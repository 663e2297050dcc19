//! [`Networks`]: what a runtime and Docker's networks need of the host's network, as CNI is for others.

use crate::{
    AddressSpace, Attachment, HostPort, Membership, NameServer, NetworkConfig, NetworkCounters,
    NetworkGarbage, Result, SandboxId,
};
use async_trait::async_trait;
use std::net::Ipv4Addr;
use std::path::Path;

/// Connects the network namespaces of sandboxes, and has the networks that they may be in. `netns` is a path to open the
/// namespace by, `/proc/7/ns/net`. Where a call fails, the text says what the kernel refused.
#[async_trait]
pub trait Networks: Send + Sync + 'static {
    /// Gives a sandbox an address of the pods' range, and leads these ports of the host to it: CNI's ADD. A failure leaves
    /// nothing behind. `owner` is the uid of the pod, by which policies know it; empty where it is nobody's.
    async fn attach(
        &self,
        sandbox: &SandboxId,
        owner: &str,
        netns: &Path,
        ports: &[HostPort],
    ) -> Result<Attachment>;

    /// After a restart of the caller: the address stays the sandbox's, and what is missing of its network is put back. Where
    /// CNI's CHECK only tells of it, this mends it.
    async fn adopt(
        &self,
        sandbox: &SandboxId,
        netns: &Path,
        attachment: &Attachment,
        ports: &[HostPort],
    ) -> Result<()>;

    /// Connects a sandbox to networks beside the pods', or changes how it is: it has these endpoints and host ports afterwards,
    /// and none of the addresses that it `left`. Idempotent.
    async fn join(
        &self,
        sandbox: &SandboxId,
        netns: &Path,
        membership: &Membership,
        left: &[Ipv4Addr],
    ) -> Result<()>;

    /// Takes everything of the sandbox away, and gives its addresses and ports back: CNI's DEL. Idempotent, also where the
    /// namespace is gone.
    async fn detach(&self, sandbox: &SandboxId) -> Result<()>;

    /// After all calls of [`Networks::adopt`] and [`Networks::join`] that follow a restart: removes what nobody has, as CNI's
    /// GC does.
    async fn collect_garbage(&self) -> NetworkGarbage;

    /// What has passed a sandbox's link, as the sandbox sees it.
    async fn counters(&self, sandbox: &SandboxId) -> Result<NetworkCounters>;

    /// Whoever keeps the sockets keeps the namespace.
    async fn name_server(&self, netns: &Path) -> Result<NameServer>;

    /// Makes these networks be there, and no others. Who is in one that goes is to be taken out before.
    async fn set_networks(&self, networks: Vec<NetworkConfig>) -> Result<()>;

    async fn address_space(&self) -> Result<AddressSpace>;
}
