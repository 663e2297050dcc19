//! The network of a profile as others see it: sandboxes are attached, adopted after a restart and detached, frontends and
//! groups of pods are put into the kernel.

use crate::error::Doing;
use crate::ipam::Ipam;
use crate::isolation::Layout;
use crate::kept::{Kept, KeptLink, Lead};
use crate::links::Links;
use crate::netns_id::NetnsId;
use crate::pod_netns::PodNetns;
use crate::ruleset::Ruleset;
use crate::{Action, Frontend, Isolation, NetConfig, NetError, Result, nft_cli, ports, structure, sysctl};
use cri::{Attachment, HostPort, NetworkCounters, NetworkGarbage, Protocol, blocking};
use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::RwLock;

/// Asked before a sandbox can send or receive its first packet: it answers when what its owner may send and receive at this
/// address is in the kernel.
pub type Gate = Arc<dyn Fn(String, Ipv4Addr) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The network of one profile. Cloning is cheap.
#[derive(Clone)]
pub struct Network(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: NetConfig,
    pub(crate) links: Links,
    pub(crate) mtu: u32,
    ipam: Mutex<Ipam>,
    ruleset: Arc<Mutex<Ruleset>>,
    gate: Mutex<Option<Gate>>,
    kept: Mutex<Kept>,
    /// Shared by those who connect and disconnect; whoever puts back what is lost has it alone, so that he takes nothing half
    /// made for a loss.
    pub(crate) turn: RwLock<()>,
}

impl Network {
    /// Switches forwarding on and puts the gateway address, the routes for the ranges and the table in place. Idempotent;
    /// pods and services that are connected stay so, and a pod's address is not given to others before
    /// [`Network::collect_garbage`].
    ///
    /// # Errors
    /// Where the kernel refuses (no root, no `nft`, a node address that the machine does not have).
    pub async fn start(config: NetConfig) -> Result<Network> {
        let links = Links::open()?;
        sysctl::forward()?;
        links.add_gateway(&config).await?;
        // after the gateway: a machine that is in no network has it as its address
        let mtu = links.uplink_mtu(config.node_ip).await?;
        links.add_ranges(&config).await?;
        let ipam = Ipam::load(&config, &links).await?;
        let ours = config.clone();
        let ruleset = blocking(move || Ruleset::open(&ours)).await?;
        let (ipam, ruleset) = (Mutex::new(ipam), Arc::new(Mutex::new(ruleset)));
        Ok(Network(Arc::new(Inner {
            config,
            links,
            mtu,
            ipam,
            ruleset,
            gate: Mutex::default(),
            kept: Mutex::default(),
            turn: RwLock::default(),
        })))
    }

    /// Keeps in this file which address was given last, so that those of pods that are gone return as late after a restart as
    /// without one. To be called before anything is attached.
    ///
    /// # Errors
    /// The file can not be opened or read.
    pub fn resume_addresses(&self, path: &Path) -> Result<()> {
        self.ipam().resume(path).doing(|| format!("read {}", path.display()))
    }

    /// The address at which pods reach the machine.
    pub fn gateway(&self) -> Ipv4Addr {
        self.0.config.gateway()
    }

    /// Whoever judges connections: no sandbox's link comes up from now on before he has answered.
    pub fn set_gate(&self, gate: Gate) {
        *self.0.gate.lock() = Some(gate);
    }

    /// Connects a sandbox. A failure leaves nothing. `owner` is who the gate knows it by; empty where nobody does.
    ///
    /// # Errors
    /// No address is left, the gate or the kernel refuses.
    pub async fn attach(
        &self,
        id: &str,
        owner: &str,
        netns: &Path,
        ports: &[HostPort],
    ) -> Result<Attachment> {
        let attachment = self.ipam().take(id, &self.0.config)?;
        let connected = match self.pass_gate(owner, attachment.ip).await {
            Ok(()) => self.connect(id, netns, &attachment, ports).await,
            refused => refused,
        };
        if let Err(error) = connected {
            if let Err(left) = self.detach(id).await {
                tracing::warn!(id, %left, "clean up after a sandbox that could not be connected");
            }
            return Err(error);
        }
        Ok(attachment)
    }

    async fn pass_gate(&self, owner: &str, address: Ipv4Addr) -> Result<()> {
        let gate = self.0.gate.lock().clone();
        match gate {
            Some(gate) => gate(owner.to_owned(), address).await,
            None => Ok(()),
        }
    }

    /// After a restart of the daemon: reserves the address, puts back what is missing.
    ///
    /// # Errors
    /// As [`Network::attach`].
    pub async fn adopt(
        &self,
        id: &str,
        netns: &Path,
        attachment: &Attachment,
        ports: &[HostPort],
    ) -> Result<()> {
        self.ipam().adopt(id, attachment);
        self.connect(id, netns, attachment, ports).await
    }

    /// Takes everything of the sandbox away. Idempotent, also where the link died with its namespace.
    ///
    /// # Errors
    /// The kernel refuses; call again.
    pub async fn detach(&self, id: &str) -> Result<()> {
        let name = self.0.config.link_name(id);
        let _shared = self.0.turn.read().await;
        self.kept().links.remove(&name);
        if let Some(index) = self.0.links.index(&name).await? {
            self.0.links.delete(index).await?;
        }
        let owner = id.to_owned();
        let leads_udp = self.ipam().leads_udp(id);
        self.with_ruleset(move |ruleset| {
            ruleset.forget_sandbox(&owner)?;
            leads_udp.map_or(Ok(()), |pod| ruleset.forget_flows_to(pod))
        })
        .await?;
        self.ipam().forget(id);
        Ok(())
    }

    /// Makes these frontends, and no others, lead where they should, in one transaction. It compares with what the kernel
    /// has, so that it mends whatever went wrong before.
    ///
    /// # Errors
    /// The kernel refuses; nothing was changed then.
    pub async fn set_frontends(&self, frontends: BTreeMap<Frontend, Action>) -> Result<()> {
        self.with_ruleset(move |ruleset| ruleset.set_frontends(frontends)).await
    }

    /// Changes some frontends, in one transaction; `None` takes one away. Costs what the change costs, however many there are.
    ///
    /// # Errors
    /// The kernel refuses; call [`Network::set_frontends`] then.
    pub async fn change_frontends(&self, changes: Vec<(Frontend, Option<Action>)>) -> Result<()> {
        self.with_ruleset(move |ruleset| ruleset.change_frontends(changes)).await
    }

    /// Lets sandboxes have these connections, and no others, in one transaction. What was let through before goes on. Gives
    /// the classes that allow more than there is room for, by name: to their members nothing is allowed.
    ///
    /// # Errors
    /// The kernel refuses; nothing was changed then. Call again: it compares with what the kernel has then.
    pub async fn set_isolation(&self, isolation: Isolation) -> Result<BTreeSet<String>> {
        // before the ruleset is taken: sandboxes are connected meanwhile
        let (layout, too_large) = blocking(move || Ok::<_, NetError>(Layout::of(&isolation))).await?;
        self.with_ruleset(move |ruleset| ruleset.set_isolation(layout)).await?;
        Ok(too_large)
    }

    /// What a user should know of this machine's other tables: they are not ours to edit.
    pub async fn notes(&self) -> Vec<String> {
        let table = self.0.config.table();
        let noted = blocking(move || nft_cli::chains().map(|chains| nft_cli::notes(&chains, &table))).await;
        noted.unwrap_or_else(|error| vec![error.to_string()])
    }

    /// # Errors
    /// The sandbox has no link.
    pub async fn counters(&self, id: &str) -> Result<NetworkCounters> {
        let counters = self.0.links.counters(&self.0.config.link_name(id)).await?;
        counters.ok_or_else(|| NetError::NotAttached(id.to_owned()))
    }

    /// After all [`Network::adopt`] calls: removes links that nobody adopted.
    pub async fn collect_garbage(&self) -> NetworkGarbage {
        let mut garbage = NetworkGarbage::default();
        let links = match self.0.links.of_profile(&self.0.config).await {
            Ok(links) => links,
            Err(error) => {
                garbage.failed.push(error.to_string());
                return garbage;
            }
        };
        for link in links.into_iter().filter(|link| !self.ipam().knows(&link.name)) {
            match self.0.links.delete(link.index).await {
                Ok(()) => garbage.removed.push(link.name),
                Err(error) => garbage.failed.push(error.to_string()),
            }
        }
        let swept = self.with_ruleset(|ruleset| ruleset.collect_garbage()).await;
        garbage.failed.extend(swept.err().map(|error| error.to_string()));
        self.ipam().forget_found();
        garbage
    }

    /// Removes all of the profile in the kernel; no daemon needed. Gives what could not be removed, and why.
    pub async fn purge(config: &NetConfig) -> Vec<String> {
        let links = match Links::open() {
            Ok(links) => links,
            Err(error) => return vec![error.to_string()],
        };
        let mut left = Vec::new();
        left.extend(links.delete_profile(config).await.err().map(|error| error.to_string()));
        let ours = config.clone();
        left.extend(blocking(move || structure::remove(&ours)).await.err().map(|error| error.to_string()));
        left.extend(links.set_networks(config, &[]).await.err().map(|error| error.to_string()));
        left.extend(links.set_service_ranges(config, &[]).await.err().map(|error| error.to_string()));
        left.extend(links.delete_ranges(config).await);
        left.extend(links.delete_gateway(config).await.err().map(|error| error.to_string()));
        left
    }

    async fn connect(
        &self,
        id: &str,
        netns: &Path,
        attachment: &Attachment,
        ports: &[HostPort],
    ) -> Result<()> {
        let (namespace, netns) = NetnsId::open(netns)?;
        let _shared = self.0.turn.read().await;
        let lead = Lead { gateway: self.gateway(), address: attachment.ip };
        self.kept().links.insert(attachment.link.clone(), KeptLink::of_pod(lead, namespace));
        self.link_pod(&attachment.link, lead, netns).await?;
        self.open_ports(id, Some(attachment.ip), ports).await
    }

    /// The pair, both of its ends, and the way to it. What is there already is kept.
    pub(crate) async fn link_pod(&self, name: &str, lead: Lead, netns: File) -> Result<()> {
        let Inner { config, links, mtu, .. } = &*self.0;
        let inside = netns.try_clone().doing(|| "open the sandbox's network namespace once more")?;
        let pair = async {
            match links.index(name).await? {
                Some(index) => Ok(index),
                None => links.add_pair(config, name, netns.as_raw_fd(), *mtu, None).await,
            }
        };
        // each answer of the kernel's is a turn of the scheduler's: neither side waits for the other's
        let (index, pod) = tokio::try_join!(pair, PodNetns::open(inside))?;
        let our_end = async {
            sysctl::pod_link(name)?;
            links.add_address(index, lead.gateway).await?;
            links.set_up(index).await?;
            links.route_to_pod(index, lead.address, lead.gateway).await
        };
        tokio::try_join!(our_end, pod.configure(lead.address, lead.gateway))?;
        links.wait_until_up(index).await
    }

    /// To this address, in place of where they led before; to nobody where there is none.
    pub(crate) async fn open_ports(&self, id: &str, to: Option<Ipv4Addr>, ports: &[HostPort]) -> Result<()> {
        let Some(pod) = to else {
            let id = id.to_owned();
            return self.with_ruleset(move |ruleset| ruleset.set_sandbox(&id, BTreeSet::new())).await;
        };
        let taken = |port: &HostPort, by: &str| {
            let port = format!("{}/{:?}", port.host_port, port.protocol).to_lowercase();
            NetError::PortTaken(port, by.to_owned())
        };
        if let Some(port) = ports::doubled(ports) {
            return Err(taken(port, id));
        }
        let elements = ports::elements(pod, ports);
        if ports.iter().any(|port| port.protocol == Protocol::Udp) {
            self.ipam().udp.insert(id.to_owned());
        }
        let (id, ports) = (id.to_owned(), ports.to_vec());
        self.with_ruleset(move |ruleset| {
            if let Some((port, other)) = ruleset.taken_port(&id, pod, &ports) {
                return Err(taken(port, other));
            }
            ruleset.set_sandbox(&id, elements)?;
            let leads: Vec<_> = ports.iter().filter_map(|port| ports::lead(pod, port)).collect();
            ruleset.forget_strays(&leads);
            Ok(())
        })
        .await
    }

    /// Netfilter's answers take from a fraction of a millisecond to some hundred: never on a thread that others wait for.
    pub(crate) async fn with_ruleset<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Ruleset) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ruleset = self.0.ruleset.clone();
        blocking(move || act(&mut ruleset.lock())).await
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock()
    }

    pub(crate) fn ipam(&self) -> MutexGuard<'_, Ipam> {
        self.0.ipam.lock()
    }
}
