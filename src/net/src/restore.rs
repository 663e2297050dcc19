//! A sandbox' link as it was: what somebody took of it, or all of it, which takes its other end along.

use crate::Result;
use crate::kept::{KeptLink, Place};
use crate::network::Network;
use std::fs::File;
use tokio::time::Instant;

impl Network {
    /// Whether it was put back. It is to be called by one who has the network's turn alone.
    ///
    /// # Errors
    /// The kernel refuses to put back what belongs to a link that is there; try again.
    pub(crate) async fn restore(&self, name: &str, link: &KeptLink) -> Result<bool> {
        let links = &self.0.links;
        let Some(index) = links.index(name).await? else { return Ok(self.remake(name, link).await) };
        for lead in &link.leads {
            links.add_address(index, lead.gateway).await?;
        }
        links.set_up(index).await?;
        for lead in &link.leads {
            links.route_to_pod(index, lead.address, lead.gateway).await?;
        }
        links.wait_until_up(index).await?;
        Ok(true)
    }

    /// A link that is gone, in a sandbox that is not: the sandbox has the same address as before. What keeps it from that may be
    /// what a container has done inside, so that it is not tried again and again.
    async fn remake(&self, name: &str, link: &KeptLink) -> bool {
        let Some(netns) = link.netns.reopen() else { return false };
        let may = self.kept().links.get_mut(name).is_some_and(|kept| kept.remake(Instant::now()));
        if !may {
            tracing::warn!(
                link = name,
                "a pod's link was deleted again and again: it stays away until the next start"
            );
            return false;
        }
        match self.make(name, link, netns).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(link = name, %error, "a pod's link that was deleted is not put back");
                false
            }
        }
    }

    /// Host ports stay as they are: they lead to the address.
    async fn make(&self, name: &str, link: &KeptLink, netns: File) -> Result<()> {
        match &link.place {
            Place::Pod(lead) => self.link_pod(name, *lead, netns).await,
            Place::Member(membership) => {
                let member = self.link_member(name, membership, netns).await?;
                self.0.links.wait_until_up(member.index).await
            }
        }
    }
}
