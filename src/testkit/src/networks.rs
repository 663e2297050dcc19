//! The host's network as a list of what was asked of it: tests of the runtime and of Docker's networks need no root with it.

use async_trait::async_trait;
use cri::{
    AddressSpace, Attachment, CriError, HostPort, Membership, NameServer, NetworkConfig, NetworkCounters,
    NetworkGarbage, Networks, Result, SandboxId,
};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// A call that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Attach { sandbox: SandboxId, owner: String, netns: PathBuf, ports: Vec<HostPort> },
    Adopt { sandbox: SandboxId, netns: PathBuf, attachment: Attachment, ports: Vec<HostPort> },
    Join { sandbox: SandboxId, netns: PathBuf, membership: Membership, left: Vec<Ipv4Addr> },
    Detach(SandboxId),
    SetNetworks(Vec<NetworkConfig>),
}

/// Gives addresses from 10.244.0.2 on, and takes note.
#[derive(Default)]
pub struct FakeNetworks(Mutex<State>);

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    addresses: HashMap<SandboxId, Ipv4Addr>,
    address_space: AddressSpace,
    refusal: Option<String>,
}

impl FakeNetworks {
    /// What was granted, in its order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// From now on whatever is to change is refused, and this is why; `None`: it is granted again.
    pub fn refuse(&self, why: Option<&str>) {
        self.state().refusal = why.map(str::to_owned);
    }

    /// Who has which addresses from now on.
    pub fn set_address_space(&self, space: AddressSpace) {
        self.state().address_space = space;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn ask(&self, what: Asked) -> Result<()> {
        let mut state = self.state();
        if let Some(why) = &state.refusal {
            return Err(CriError::Failed(why.clone()));
        }
        state.asked.push(what);
        Ok(())
    }

    fn has_no(what: &str) -> CriError {
        CriError::Failed(format!("a network that is not there has no {what}"))
    }
}

#[async_trait]
impl Networks for FakeNetworks {
    async fn attach(
        &self,
        sandbox: &SandboxId,
        owner: &str,
        netns: &Path,
        ports: &[HostPort],
    ) -> Result<Attachment> {
        self.ask(Asked::Attach {
            sandbox: sandbox.clone(),
            owner: owner.to_owned(),
            netns: netns.to_owned(),
            ports: ports.to_vec(),
        })?;
        let mut state = self.state();
        let next = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 244, 0, 2)) + state.addresses.len() as u32);
        let ip = *state.addresses.entry(sandbox.clone()).or_insert(next);
        Ok(Attachment { ip, link: format!("mp{}", sandbox.0) })
    }

    async fn adopt(
        &self,
        sandbox: &SandboxId,
        netns: &Path,
        attachment: &Attachment,
        ports: &[HostPort],
    ) -> Result<()> {
        self.ask(Asked::Adopt {
            sandbox: sandbox.clone(),
            netns: netns.to_owned(),
            attachment: attachment.clone(),
            ports: ports.to_vec(),
        })
    }

    async fn join(
        &self,
        sandbox: &SandboxId,
        netns: &Path,
        membership: &Membership,
        left: &[Ipv4Addr],
    ) -> Result<()> {
        self.ask(Asked::Join {
            sandbox: sandbox.clone(),
            netns: netns.to_owned(),
            membership: membership.clone(),
            left: left.to_vec(),
        })
    }

    async fn detach(&self, sandbox: &SandboxId) -> Result<()> {
        self.state().addresses.remove(sandbox);
        self.ask(Asked::Detach(sandbox.clone()))
    }

    async fn collect_garbage(&self) -> NetworkGarbage {
        NetworkGarbage::default()
    }

    async fn counters(&self, _: &SandboxId) -> Result<NetworkCounters> {
        Err(Self::has_no("counters"))
    }

    async fn name_server(&self, _: &Path) -> Result<NameServer> {
        Err(Self::has_no("name server"))
    }

    async fn set_networks(&self, networks: Vec<NetworkConfig>) -> Result<()> {
        self.ask(Asked::SetNetworks(networks))
    }

    async fn address_space(&self) -> Result<AddressSpace> {
        Ok(self.state().address_space.clone())
    }
}
