//! The pod's side: a netlink socket that was opened inside the sandbox's network namespace.

use crate::error::{Doing, errno};
use crate::{NetError, Result};
use futures::TryStreamExt;
use nix::sched::{CloneFlags, setns};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use std::fs::File;
use std::net::Ipv4Addr;

/// What the link is called in the pod.
pub(crate) const LINK: &str = "eth0";
const LOOPBACK: u32 = 1;

pub(crate) struct Inside(Handle);

impl Inside {
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
        Ok(Inside(handle))
    }

    /// Loopback up (the kernel gives it 127.0.0.1 and ::1), the address, and everything else by the gateway, which is
    /// on the link although no prefix says so. Succeeds where it is so already.
    pub(crate) async fn configure(&self, address: Ipv4Addr, gateway: Ipv4Addr) -> Result<()> {
        self.set_up(LOOPBACK).await?;
        let link = self.0.link().get().match_name(LINK).execute().try_next().await;
        let link = link.doing(|| format!("look up {LINK} in the sandbox"))?;
        let index = link.map(|link| link.header.index);
        let index =
            index.ok_or_else(|| NetError::failed(format!("look up {LINK} in the sandbox"), "it is gone"))?;
        match self.0.address().add(index, address.into(), 32).execute().await {
            Err(error) if errno(&error) == libc::EEXIST => {}
            other => other.doing(|| format!("give the sandbox the address {address}"))?,
        }
        self.set_up(index).await?;
        let route =
            RouteMessageBuilder::<Ipv4Addr>::new().output_interface(index).gateway(gateway).onlink().build();
        let added = self.0.route().add(route).replace().execute().await;
        added.doing(|| format!("route the sandbox by {gateway}"))
    }

    async fn set_up(&self, index: u32) -> Result<()> {
        let up = LinkUnspec::new_with_index(index).up().build();
        self.0.link().change(up).execute().await.doing(|| format!("set link {index} of the sandbox up"))
    }
}
