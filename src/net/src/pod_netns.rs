//! The pod's side: a netlink socket that was opened inside the sandbox's network namespace.

use crate::error::{Doing, errno};
use crate::links::{LOOPBACK, Links, POD_LINK};
use crate::{NetError, Result};
use cri::Endpoint;
use futures::TryStreamExt;
use nix::sched::{CloneFlags, setns};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use std::fs::File;
use std::net::Ipv4Addr;

pub(crate) struct PodNetns(Handle);

impl PodNetns {
    /// A thread of its own enters the namespace, opens the socket and ends: a socket stays where it was opened, and no
    /// thread of the runtime is left in a foreign namespace.
    pub(crate) async fn open(netns: File) -> Result<Self> {
        let (sender, opened) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        let enter = move || {
            let _context = runtime.enter();
            setns(&netns, CloneFlags::CLONE_NEWNET).doing(|| "enter the sandbox's network namespace")?;
            rtnetlink::new_connection().doing(|| "open a route netlink socket in the sandbox")
        };
        std::thread::Builder::new()
            .name("netns".into())
            .spawn(move || drop(sender.send(enter())))
            .doing(|| "start a thread for the sandbox's network namespace")?;
        let died = |_| NetError::failed("enter the sandbox's network namespace", "its thread died");
        let (connection, handle, _) = opened.await.map_err(died)??;
        tokio::spawn(connection);
        Ok(PodNetns(handle))
    }

    /// Loopback up (the kernel gives it 127.0.0.1 and ::1), the address, and everything else by the gateway, which is
    /// on the link although no prefix says so. Succeeds where it is so already.
    pub(crate) async fn configure(&self, address: Ipv4Addr, gateway: Ipv4Addr) -> Result<()> {
        let ((), index) = tokio::try_join!(self.set_up(LOOPBACK), self.index())?;
        self.add_address(index, address, 32).await?;
        self.set_up(index).await?;
        let route =
            RouteMessageBuilder::<Ipv4Addr>::new().output_interface(index).gateway(gateway).onlink().build();
        self.add_route(route, gateway).await
    }

    /// The same in networks: an address in each, its range by its gateway, and everything else by the outlet's. Who sends
    /// to a network does so with the address that it has there.
    pub(crate) async fn join(&self, endpoints: &[Endpoint], outlet: Option<&Endpoint>) -> Result<()> {
        self.set_up(LOOPBACK).await?;
        let index = self.index().await?;
        for endpoint in endpoints {
            self.add_address(index, endpoint.address, endpoint.subnet.prefix_len()).await?;
        }
        self.set_up(index).await?;
        let by = |endpoint: &Endpoint| {
            RouteMessageBuilder::<Ipv4Addr>::new()
                .output_interface(index)
                .gateway(endpoint.gateway)
                .pref_source(endpoint.address)
                .onlink()
        };
        for endpoint in endpoints {
            let range = endpoint.subnet;
            let route = by(endpoint).destination_prefix(range.network(), range.prefix_len()).build();
            self.add_route(route, endpoint.gateway).await?;
        }
        match outlet {
            Some(endpoint) => self.add_route(by(endpoint).build(), endpoint.gateway).await,
            None => Ok(()),
        }
    }

    /// Gives up addresses; the kernel takes the routes that begin with them as well. Others may be the user's own.
    pub(crate) async fn leave(&self, left: &[Ipv4Addr]) -> Result<()> {
        let links = Links::over(self.0.clone());
        for (address, message) in links.addresses(self.index().await?).await? {
            if left.contains(&address) {
                links.delete_address(address, message).await?;
            }
        }
        Ok(())
    }

    async fn index(&self) -> Result<u32> {
        let link = self.0.link().get().match_name(POD_LINK).execute().try_next().await;
        let link = link.doing(|| format!("look up {POD_LINK} in the sandbox"))?;
        let index = link.map(|link| link.header.index);
        index.ok_or_else(|| NetError::failed(format!("look up {POD_LINK} in the sandbox"), "it is gone"))
    }

    /// With its network's prefix, for programs that look there; but the range is not on the link, and has no route to it.
    async fn add_address(&self, index: u32, address: Ipv4Addr, prefix: u8) -> Result<()> {
        let mut request = self.0.address().add(index, address.into(), prefix);
        request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Noprefixroute));
        match request.execute().await {
            Err(error) if errno(&error) == libc::EEXIST => Ok(()),
            other => other.doing(|| format!("give the sandbox the address {address}")),
        }
    }

    async fn add_route(&self, route: RouteMessage, gateway: Ipv4Addr) -> Result<()> {
        let added = self.0.route().add(route).replace().execute().await;
        added.doing(|| format!("route the sandbox by {gateway}"))
    }

    async fn set_up(&self, index: u32) -> Result<()> {
        let up = LinkUnspec::new_with_index(index).up().build();
        self.0.link().change(up).execute().await.doing(|| format!("set link {index} of the sandbox up"))
    }
}
