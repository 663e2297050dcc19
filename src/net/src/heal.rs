//! Puts back what somebody else takes away while we run: a firewall's reload that deletes our table, a flush of it or of a
//! chain, a link that is taken down, a route or an address that goes. What we take away ourselves is none of it: it is not
//! kept any more before it goes.

use crate::kept::{Kept, KeptLink};
use crate::link_watch::LinkWatch;
use crate::links::{LOOPBACK, OURS, name_of};
use crate::network::Network;
use crate::networks::local;
use crate::nft::Watch;
use crate::routes::destination;
use crate::ruleset::Ruleset;
use crate::{NetConfig, Result};
use futures::FutureExt;
use futures::future::try_join;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkFlags, LinkMessage};
use rtnetlink::packet_route::route::RouteMessage;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// What is to be put back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    /// What one sandbox' link has.
    Link(String),
    /// The machine's own addresses and the routes for whole ranges.
    Ranges,
    /// Not known.
    Everything,
}

/// Who takes the same away again and again gets his way for a while: each time longer, up to a minute.
#[derive(Debug, Default)]
struct Patience {
    times: u32,
    last: Option<Instant>,
}

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(60);
/// What goes so long after it was put back is no fight: a firewall that is reloaded each minute has not won.
const CALM: Duration = Duration::from_secs(10);

impl Patience {
    fn has_calmed(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.duration_since(last) >= CALM)
    }

    /// How long what is lost now is to wait.
    fn wait(&self, now: Instant) -> Duration {
        if self.has_calmed(now) {
            return Duration::ZERO;
        }
        FIRST_WAIT.saturating_mul(1 << self.times.saturating_sub(1).min(16)).min(LAST_WAIT)
    }

    /// It was a loss, and waited so long.
    fn count(&mut self, heard: Instant, wait: Duration) {
        self.times = if self.has_calmed(heard) { 1 } else { self.times.saturating_add(1) };
        self.last = Some(heard + wait);
    }
}

/// What could not be put back is tried again by itself: each time later, up to a minute.
#[derive(Debug, Default)]
struct Retry {
    failures: u32,
}

impl Retry {
    /// How long whoever failed waits; `None` where nothing is left to do.
    fn wait(&self) -> Option<Duration> {
        let doublings = self.failures.checked_sub(1)?.min(16);
        Some(FIRST_WAIT.saturating_mul(1 << doublings).min(LAST_WAIT))
    }

    fn count(&mut self, is_done: bool) {
        self.failures = if is_done { 0 } else { self.failures.saturating_add(1) };
    }
}

impl Network {
    /// Puts back whatever somebody else takes away of the table, the links, the addresses and the routes, and says so in the
    /// log. Ends only by an error.
    ///
    /// # Errors
    /// The kernel does not tell what becomes of them.
    pub async fn heal(&self) -> Result<Infallible> {
        try_join(self.heal_table(), self.heal_links()).await.map(|(never, _)| never)
    }

    async fn heal_table(&self) -> Result<Infallible> {
        let (watch, table) = (Watch::open()?, self.0.config.table());
        let own = self.with_ruleset(|ruleset| Ok(ruleset.own_ports())).await?;
        let mut patience = Patience::default();
        loop {
            watch.deleted(&table, &own).await?;
            // what is heard meanwhile waits in the socket
            while !self.mend_table(&table, &mut patience).await {}
        }
    }

    /// Whether all is there now.
    async fn mend_table(&self, table: &str, patience: &mut Patience) -> bool {
        let heard = Instant::now();
        let wait = patience.wait(heard);
        sleep(wait).await;
        let healed = self.with_ruleset(Ruleset::heal).await;
        if !matches!(&healed, Ok(missing) if missing.is_empty()) {
            patience.count(heard, wait);
        }
        match healed {
            Ok(missing) if missing.is_empty() => true,
            Ok(missing) => {
                let missing = missing.join(", ");
                tracing::warn!(
                    table,
                    missing,
                    "somebody else changed the nft table; what was missing is put back"
                );
                true
            }
            Err(error) => {
                tracing::warn!(table, %error, "somebody else changed the nft table; trying to put it back");
                false
            }
        }
    }

    async fn heal_links(&self) -> Result<Infallible> {
        let watch = LinkWatch::open()?;
        let (mut patience, mut retry) = (Patience::default(), Retry::default());
        let mut lost: BTreeSet<(Loss, String)> = BTreeSet::new();
        loop {
            // an address of the host may have to come back first, which is heard; what else keeps it from it may not be
            let heard_more = match retry.wait() {
                None => Some(watch.next().await?),
                Some(wait) => timeout(wait, watch.next()).await.ok().transpose()?,
            };
            let is_retry = heard_more.is_none();
            if let Some(messages) = heard_more {
                self.hear(messages, &mut lost);
            }
            if lost.is_empty() {
                continue;
            }
            let heard = Instant::now();
            let wait = if is_retry { Duration::ZERO } else { patience.wait(heard) };
            sleep(wait).await;
            // what has come meanwhile is put back in the same turn, and is no further loss
            while let Some(more) = watch.next().now_or_never() {
                self.hear(more?, &mut lost);
            }
            let losses = lost.iter().map(|(loss, _)| loss.clone()).collect();
            let done = self.put_back(losses).await;
            let lost_what = lost.iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>().join(", ");
            let unheard = lost.iter().any(|(loss, _)| *loss == Loss::Everything);
            if !is_retry && (unheard || !matches!(done, Ok(false))) {
                patience.count(heard, wait);
            }
            retry.count(done.is_ok());
            match done {
                Ok(false) => lost.clear(),
                Ok(true) => {
                    tracing::warn!(
                        lost = lost_what,
                        "somebody else changed the network; what was lost is put back"
                    );
                    lost.clear();
                }
                Err(error) => {
                    tracing::warn!(lost = lost_what, %error, "somebody else changed the network; trying to put it back");
                }
            }
        }
    }

    /// `None`: more than the kernel kept for us.
    fn hear(&self, messages: Option<Vec<RouteNetlinkMessage>>, lost: &mut BTreeSet<(Loss, String)>) {
        match messages {
            Some(messages) => {
                let (kept, config) = (self.kept(), &self.0.config);
                lost.extend(messages.iter().filter_map(|message| loss(message, &kept, config)));
            }
            None => {
                lost.insert((Loss::Everything, "more than could be heard".to_owned()));
            }
        }
    }

    /// Whether it was a loss: a sandbox that ends takes its link along before anybody says so, and where not all was heard nobody
    /// knows. What can not be put back keeps nothing else from it; the first error is given.
    async fn put_back(&self, losses: BTreeSet<Loss>) -> Result<bool> {
        let _alone = self.0.turn.write().await;
        let (mut was_lost, mut failed) = (false, None);
        for loss in losses {
            if loss != Loss::Ranges {
                let meant = links(&self.kept(), &loss);
                for (name, link) in meant {
                    match self.restore(&name, &link).await {
                        Ok(is_there) => was_lost |= is_there && loss != Loss::Everything,
                        Err(error) => {
                            failed.get_or_insert(error);
                        }
                    }
                }
            }
            if !matches!(loss, Loss::Link(_)) {
                was_lost |= loss == Loss::Ranges;
                if let Err(error) = self.put_ranges_back().await {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(was_lost), Err)
    }

    async fn put_ranges_back(&self) -> Result<()> {
        let (links, config) = (&self.0.links, &self.0.config);
        let (networks, ranges) = self.kept().ranges();
        links.add_gateway(config).await?;
        if let Some(networks) = networks {
            links.set_networks(config, &networks).await?;
        }
        // last: there are none of these while the node has lost its address
        links.add_ranges(config).await?;
        if let Some(ranges) = ranges {
            links.set_service_ranges(config, &ranges).await?;
        }
        Ok(())
    }
}

/// Those that are meant.
fn links(kept: &Kept, loss: &Loss) -> Vec<(String, KeptLink)> {
    let is_meant = |name: &String| !matches!(loss, Loss::Link(lost) if lost != name);
    let meant = kept.links.iter().filter(|(name, _)| is_meant(name));
    meant.map(|(name, link)| (name.clone(), link.clone())).collect()
}

/// What this takes away of what is kept, and how to say it.
fn loss(message: &RouteNetlinkMessage, kept: &Kept, config: &NetConfig) -> Option<(Loss, String)> {
    match message {
        RouteNetlinkMessage::NewLink(link) => changed_link(link, kept),
        RouteNetlinkMessage::DelLink(link) => deleted_link(link, kept),
        RouteNetlinkMessage::DelAddress(message) => lost_address(message, kept, config),
        RouteNetlinkMessage::DelRoute(route) => lost_route(route, kept, config),
        _ => None,
    }
}

/// A link that goes down takes its routes along without a word; the loopback's are put back when it is up again. Of a link that
/// is just made, and down as yet, the kernel says that all has changed.
fn changed_link(link: &LinkMessage, kept: &Kept) -> Option<(Loss, String)> {
    let (header, name) = (&link.header, name_of(link)?);
    let is_new = header.change_mask.bits() == u32::MAX;
    if is_new || !header.change_mask.contains(LinkFlags::Up) {
        return None;
    }
    if header.flags.contains(LinkFlags::Up) {
        return (header.index == LOOPBACK).then(|| (Loss::Ranges, "the loopback was down".to_owned()));
    }
    let lost = kept.links.contains_key(name);
    lost.then(|| (Loss::Link(name.to_owned()), format!("link {name} was down")))
}

/// Also one that goes with its sandbox, of which nobody has said yet that it has ended.
fn deleted_link(link: &LinkMessage, kept: &Kept) -> Option<(Loss, String)> {
    let name = name_of(link).filter(|name| kept.links.contains_key(*name))?;
    Some((Loss::Link(name.to_owned()), format!("link {name} was deleted")))
}

fn lost_address(message: &AddressMessage, kept: &Kept, config: &NetConfig) -> Option<(Loss, String)> {
    let address = local(message)?;
    // kernels before 6.6 do not say that the routes from it go with it; a machine in no network has the gateway's
    if address == config.node_ip && address != config.gateway() {
        return Some((Loss::Ranges, format!("the node's address {address}")));
    }
    if message.header.index == LOOPBACK {
        let lost = kept.has_address(address, config);
        return lost.then(|| (Loss::Ranges, format!("address {address} of the loopback")));
    }
    let link = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Label(name) => kept.links.get_key_value(name),
        _ => None,
    });
    let (name, _) = link.filter(|(_, link)| link.leads.iter().any(|lead| lead.gateway == address))?;
    Some((Loss::Link(name.clone()), format!("address {address} of link {name}")))
}

fn lost_route(route: &RouteMessage, kept: &Kept, config: &NetConfig) -> Option<(Loss, String)> {
    let to = destination(route).filter(|_| route.header.protocol == OURS)?;
    let said = format!("the route to {to}");
    match kept.link_to(to.addr()).filter(|_| to.prefix_len() == 32) {
        Some(name) => Some((Loss::Link(name.clone()), said)),
        None => kept.has_range(to, config).then_some((Loss::Ranges, said)),
    }
}

#[cfg(test)]
mod tests;
