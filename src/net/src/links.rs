//! The machine's side of rtnetlink: links, addresses and routes of the network namespace that we were started in.

use crate::error::{Doing, errno};
use crate::{NetConfig, NetError, Result};
use cri::NetworkCounters;
use futures::{TryStream, TryStreamExt};
use ipnet::Ipv4Net;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::net::Ipv4Addr;
use std::os::fd::RawFd;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Says in `ip route` whose a route is.
pub(crate) const OURS: RouteProtocol = RouteProtocol::Other(109);
/// What the link is called in the pod.
pub(crate) const POD_LINK: &str = "eth0";
pub(crate) const LOOPBACK: u32 = 1; // in every network namespace
const ETHERNET_MTU: u32 = 1500;

/// One host-side link of the profile.
pub(crate) struct PodLink {
    pub(crate) index: u32,
    pub(crate) name: String,
}

impl PodLink {
    fn is_of(&self, config: &NetConfig) -> bool {
        self.name.starts_with(&config.link_prefix())
    }
}

/// With a turn for lists: see [`Links::list`].
#[derive(Clone)]
pub(crate) struct Links(pub(crate) Handle, Arc<Mutex<()>>);

impl Links {
    /// Must run inside a tokio runtime.
    pub(crate) fn open() -> Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection().doing(|| "open a route netlink socket")?;
        tokio::spawn(connection);
        Ok(Links::over(handle))
    }

    pub(crate) fn over(handle: Handle) -> Self {
        Links(handle, Arc::default())
    }

    /// All that the kernel has to tell. A netlink socket carries one such list at a time, and a second one that is asked for
    /// meanwhile is refused with EBUSY (`__netlink_dump_start`); asking is what makes the stream begin.
    pub(crate) async fn list<S, T>(&self, ask: impl FnOnce(&Handle) -> S) -> Result<Vec<T>, rtnetlink::Error>
    where
        S: TryStream<Ok = T, Error = rtnetlink::Error>,
    {
        let _turn = self.1.lock().await;
        ask(&self.0).try_collect().await
    }

    /// The pair in one message, the peer inside the sandbox's namespace at once. Gives the host side's index.
    pub(crate) async fn add_pair(
        &self,
        config: &NetConfig,
        name: &str,
        netns: RawFd,
        mtu: u32,
        mac: Option<[u8; 6]>,
    ) -> Result<u32> {
        let mut peer = LinkMessageBuilder::<LinkUnspec>::new().name(POD_LINK).mtu(mtu).setns_by_fd(netns);
        if let Some(mac) = mac {
            peer = peer.address(mac.to_vec());
        }
        let peer = peer.build();
        let pair = LinkMessageBuilder::<LinkVeth>::new(name, POD_LINK)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .link_group(config.link_group())
            .mtu(mtu)
            .build();
        self.0.link().add(pair).execute().await.doing(|| format!("make link {name}"))?;
        self.index(name)
            .await?
            .ok_or_else(|| NetError::failed(format!("make link {name}"), "it is gone again"))
    }

    pub(crate) async fn set_up(&self, index: u32) -> Result<()> {
        let up = LinkUnspec::new_with_index(index).up().build();
        self.0.link().change(up).execute().await.doing(|| format!("set link {index} up"))
    }

    /// A link whose peer has just come up drops packets until the kernel's link watch has seen it. Asking for its carrier
    /// makes the kernel catch up first (since 6.8).
    pub(crate) async fn wait_until_up(&self, index: u32) -> Result<()> {
        let asked = self.0.link().get().match_index(index).execute().try_next().await;
        asked.map(drop).doing(|| format!("look up link {index}"))
    }

    pub(crate) async fn delete(&self, index: u32) -> Result<()> {
        match self.0.link().del(index).execute().await {
            // it went away with its namespace
            Err(error) if errno(&error) == libc::ENODEV => Ok(()),
            other => other.doing(|| format!("delete link {index}")),
        }
    }

    async fn find(&self, name: &str) -> Result<Option<LinkMessage>> {
        match self.0.link().get().match_name(name).execute().try_next().await {
            Err(error) if errno(&error) == libc::ENODEV => Ok(None),
            other => other.doing(|| format!("look up link {name}")),
        }
    }

    pub(crate) async fn index(&self, name: &str) -> Result<Option<u32>> {
        Ok(self.find(name).await?.map(|link| link.header.index))
    }

    /// `None` where there is no such link.
    pub(crate) async fn counters(&self, name: &str) -> Result<Option<NetworkCounters>> {
        let link = self.find(name).await?;
        let stats = link.map(|link| {
            let stats = link.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::Stats64(stats) => Some(stats),
                _ => None,
            });
            // what the host side sends is what the pod receives
            stats.map(|s| NetworkCounters { rx_bytes: s.tx_bytes, tx_bytes: s.rx_bytes }).unwrap_or_default()
        });
        Ok(stats)
    }

    /// Every host-side link of the profile: its group says so, and its name as well.
    pub(crate) async fn of_profile(&self, config: &NetConfig) -> Result<Vec<PodLink>> {
        let mut links = self.in_group(config).await?;
        links.retain(|link| link.is_of(config));
        Ok(links)
    }

    async fn in_group(&self, config: &NetConfig) -> Result<Vec<PodLink>> {
        let all: Vec<LinkMessage> =
            self.list(|handle| handle.link().get().execute()).await.doing(|| "list the links")?;
        let group = LinkAttribute::Group(config.link_group());
        let members = all.into_iter().filter(|link| link.attributes.contains(&group));
        Ok(members
            .filter_map(|link| Some(PodLink { index: link.header.index, name: name_of(&link)?.to_owned() }))
            .collect())
    }

    /// All links of the profile. One deletion costs the kernel some 20 ms, and a whole group no more than that; but a
    /// stranger whom somebody put into our group stays.
    pub(crate) async fn delete_profile(&self, config: &NetConfig) -> Result<()> {
        let members = self.in_group(config).await?;
        if members.iter().all(|link| link.is_of(config)) && !members.is_empty() {
            let group = LinkMessageBuilder::<LinkUnspec>::new().link_group(config.link_group()).build();
            return match self.0.link().del_with_message(group).execute().await {
                // the last of them has gone with its pod meanwhile
                Err(error) if errno(&error) == libc::ENODEV => Ok(()),
                other => other.doing(|| "delete the links of the pods"),
            };
        }
        for link in members.iter().filter(|link| link.is_of(config)) {
            self.delete(link.index).await?;
        }
        Ok(())
    }

    /// Of the device that has the node's address.
    pub(crate) async fn uplink_mtu(&self, node_ip: Ipv4Addr) -> Result<u32> {
        let ask = |handle: &Handle| handle.address().get().set_address_filter(node_ip.into()).execute();
        let addresses = self.list(ask).await.doing(|| format!("look up address {node_ip}"))?;
        let index = addresses.first().map(|address| address.header.index);
        let why = "no device of this machine has it";
        let index = index.ok_or_else(|| NetError::failed(format!("use node address {node_ip}"), why))?;
        if index == LOOPBACK {
            return Ok(ETHERNET_MTU);
        }
        let link = self.0.link().get().match_index(index).execute().try_next().await;
        let link = link.doing(|| format!("look up link {index}"))?;
        let mtu = link.iter().flat_map(|link| &link.attributes).find_map(|attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(*mtu),
            _ => None,
        });
        Ok(mtu.unwrap_or(ETHERNET_MTU))
    }

    /// Succeeds where it is there already.
    pub(crate) async fn add_address(&self, index: u32, address: Ipv4Addr) -> Result<()> {
        match self.0.address().add(index, address.into(), 32).execute().await {
            Err(error) if errno(&error) == libc::EEXIST => Ok(()),
            other => other.doing(|| format!("give link {index} the address {address}")),
        }
    }

    pub(crate) async fn add_gateway(&self, config: &NetConfig) -> Result<()> {
        self.add_address(LOOPBACK, config.gateway()).await
    }

    pub(crate) async fn delete_gateway(&self, config: &NetConfig) -> Result<()> {
        let found = self.list(|handle| handle.address().get().set_link_index_filter(LOOPBACK).execute());
        let gateway = AddressAttribute::Local(config.gateway().into());
        let doing = || format!("take the address {} from the loopback", config.gateway());
        for address in found.await.doing(doing)? {
            if address.header.prefix_len == 32 && address.attributes.contains(&gateway) {
                self.0.address().del(address).execute().await.doing(doing)?;
            }
        }
        Ok(())
    }

    pub(crate) async fn route_to_pod(&self, index: u32, pod: Ipv4Addr, gateway: Ipv4Addr) -> Result<()> {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(pod, 32)
            .output_interface(index)
            .pref_source(gateway)
            .scope(RouteScope::Link)
            .protocol(OURS)
            .build();
        self.0.route().add(route).replace().execute().await.doing(|| format!("route {pod} to link {index}"))
    }

    pub(crate) async fn delete_pod_route(&self, index: u32, pod: Ipv4Addr) -> Result<()> {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(pod, 32)
            .output_interface(index)
            .scope(RouteScope::Link)
            .protocol(OURS)
            .build();
        match self.0.route().del(route).execute().await {
            Err(error) if errno(&error) == libc::ESRCH => Ok(()),
            other => other.doing(|| format!("delete the route for {pod}")),
        }
    }

    /// Routes for whole ranges: see [`range_routes`].
    pub(crate) async fn add_ranges(&self, config: &NetConfig) -> Result<()> {
        for (range, route) in range_routes(config) {
            self.0
                .route()
                .add(route)
                .replace()
                .execute()
                .await
                .doing(|| format!("add the route for {range}"))?;
        }
        Ok(())
    }

    /// What could not be removed, and why.
    pub(crate) async fn delete_ranges(&self, config: &NetConfig) -> Vec<String> {
        let mut left = Vec::new();
        for (range, route) in range_routes(config) {
            match self.0.route().del(route).execute().await {
                Err(error) if errno(&error) == libc::ESRCH => {}
                other => left.extend(
                    other.doing(|| format!("delete the route for {range}")).err().map(|e| e.to_string()),
                ),
            }
        }
        left
    }

    pub(crate) async fn routes(&self) -> Result<Vec<RouteMessage>> {
        let every = RouteMessageBuilder::<Ipv4Addr>::new().build();
        self.list(|handle| handle.route().get(every).execute()).await.doing(|| "list the routes")
    }

    /// Link index and address of each pod that has a route.
    pub(crate) async fn pod_routes(&self) -> Result<Vec<(u32, Ipv4Addr)>> {
        Ok(self
            .routes()
            .await?
            .iter()
            .filter(|route| route.header.protocol == OURS)
            .filter_map(link_and_address)
            .collect())
    }
}

/// A packet for an address that nobody has must never leave the machine. For pods the kernel says so itself. A service's
/// address needs a route that leads somewhere, or the machine's own packet fails before it is translated; what is still
/// untranslated after that is refused by the table.
fn range_routes(config: &NetConfig) -> [(Ipv4Net, RouteMessage); 3] {
    let to = |range: Ipv4Net| {
        RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(range.network(), range.prefix_len())
            .protocol(OURS)
    };
    let local = |range| {
        to(range).output_interface(LOOPBACK).pref_source(config.node_ip).scope(RouteScope::Link).build()
    };
    let (services, balancers) = (config.service_cidr, config.load_balancer_cidr);
    [
        (config.pod_cidr, to(config.pod_cidr).kind(RouteType::Unreachable).build()),
        (services, local(services)),
        (balancers, local(balancers)),
    ]
}

pub(crate) fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

fn link_and_address(route: &RouteMessage) -> Option<(u32, Ipv4Addr)> {
    let mut found = (None, None);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) if *index != LOOPBACK => found.0 = Some(*index),
            RouteAttribute::Destination(RouteAddress::Inet(address)) => found.1 = Some(*address),
            _ => {}
        }
    }
    (route.header.destination_prefix_length == 32).then_some(found.0.zip(found.1)).flatten()
}
