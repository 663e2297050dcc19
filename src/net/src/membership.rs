//! Sandboxes that are in networks beside the pods': one link, an address and a route for each network.

use crate::kept::KeptLink;
use crate::links::Links;
use crate::netns_id::NetnsId;
use crate::network::Network;
use crate::pod_netns::PodNetns;
use crate::{Result, name_server, networks, sysctl};
use cri::{AddressSpace, Endpoint, Membership, NameServer, NetworkConfig, blocking};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Both ends of a link that is there.
pub(crate) struct MemberLink {
    pub(crate) index: u32,
    /// Before it was asked for: it may have what its sandbox has left.
    was_there: bool,
    inside: PodNetns,
}

impl Network {
    /// Makes these networks be there, and no others. Who is in one that goes is to be taken out before.
    ///
    /// # Errors
    /// The kernel refuses; call again.
    pub async fn set_networks(&self, networks: Vec<NetworkConfig>) -> Result<()> {
        let elements = networks::elements(&networks, self.0.config.pod_cidr);
        let _shared = self.0.turn.read().await;
        self.kept().networks = Some(networks.clone());
        self.with_ruleset(move |ruleset| ruleset.set_networks(elements)).await?;
        self.0.links.set_networks(&self.0.config, &networks).await
    }

    /// # Errors
    /// The kernel does not list its routes.
    pub async fn address_space(&self) -> Result<AddressSpace> {
        self.0.links.address_space(&self.0.config).await
    }

    /// Connects a sandbox, or changes how it is connected: it has these endpoints and host ports afterwards, and none of the
    /// addresses that it `left`. Idempotent. Where the first call for a sandbox fails, it leaves nothing.
    ///
    /// # Errors
    /// The kernel refuses, or somebody else has one of the host ports.
    pub async fn join(
        &self,
        id: &str,
        netns: &Path,
        membership: &Membership,
        left: &[Ipv4Addr],
    ) -> Result<()> {
        let is_new = self.ipam().join(id, &self.0.config);
        let joined = self.connect_member(id, netns, membership, left).await;
        if joined.is_err()
            && is_new
            && let Err(left) = self.detach(id).await
        {
            tracing::warn!(id, %left, "clean up after a sandbox that could not be connected");
        }
        joined
    }

    async fn connect_member(
        &self,
        id: &str,
        netns: &Path,
        membership: &Membership,
        left: &[Ipv4Addr],
    ) -> Result<()> {
        let (inner, name) = (&*self.0, self.0.config.link_name(id));
        let (namespace, netns) = NetnsId::open(netns)?;
        let _shared = inner.turn.read().await;
        self.kept().links.insert(name.clone(), KeptLink::of_member(membership, namespace));
        let MemberLink { index, was_there, inside } = self.link_member(&name, membership, netns).await?;
        if was_there {
            inside.leave(left).await?;
            inner.links.lead_to_no_others(index, &membership.endpoints).await?;
        }
        inner.links.wait_until_up(index).await?;
        let outlet = membership.outlet().map(|endpoint| endpoint.address);
        self.ipam().leads_to(id, outlet);
        self.open_ports(id, outlet, &membership.host_ports).await
    }

    /// The pair, both of its ends, and the way to it. What is there already is kept.
    pub(crate) async fn link_member(
        &self,
        name: &str,
        membership: &Membership,
        netns: File,
    ) -> Result<MemberLink> {
        let inner = &*self.0;
        let known = inner.links.index(name).await?;
        let index = match known {
            Some(index) => index,
            None => {
                let (fd, mac) = (netns.as_raw_fd(), membership.mac_address);
                inner.links.add_pair(&inner.config, name, fd, membership.mtu(inner.mtu), mac).await?
            }
        };
        sysctl::pod_link(name)?;
        inner.links.lead_to(index, &membership.endpoints).await?;
        let inside = PodNetns::open(netns).await?;
        inside.join(&membership.endpoints, membership.outlet()).await?;
        Ok(MemberLink { index, was_there: known.is_some(), inside })
    }

    /// Sockets in a sandbox's namespace, to which its packets to Docker's name server come.
    ///
    /// # Errors
    /// The namespace is gone, or the kernel refuses.
    pub async fn name_server(&self, netns: &Path) -> Result<NameServer> {
        let netns = netns.to_owned();
        blocking(move || name_server::listen(&netns)).await
    }
}

impl Links {
    async fn lead_to(&self, index: u32, endpoints: &[Endpoint]) -> Result<()> {
        for endpoint in endpoints {
            self.add_address(index, endpoint.gateway).await?;
        }
        self.set_up(index).await?;
        for endpoint in endpoints {
            self.route_to_pod(index, endpoint.address, endpoint.gateway).await?;
        }
        Ok(())
    }

    async fn lead_to_no_others(&self, index: u32, endpoints: &[Endpoint]) -> Result<()> {
        for (to, address) in self.pod_routes().await? {
            if to == index && !endpoints.iter().any(|endpoint| endpoint.address == address) {
                self.delete_pod_route(index, address).await?;
            }
        }
        for (address, message) in self.addresses(index).await? {
            if !endpoints.iter().any(|endpoint| endpoint.gateway == address) {
                self.delete_address(address, message).await?;
            }
        }
        Ok(())
    }
}
