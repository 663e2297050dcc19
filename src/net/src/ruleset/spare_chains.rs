//! Chains that frontends needed and none needs any more. A few are kept, because the next frontend is like one that was; but how
//! many different ones there were is up to whoever writes Services: each number of back ends and each time-out of an affinity
//! has one.

use super::{DELETED_TOGETHER, Ruleset, SPARE_CHAINS};
use crate::frontends::Chain;
use crate::nft::Batch;
use crate::plan::{Frontends, Plan};
use std::collections::{BTreeSet, HashSet};

impl Ruleset {
    /// To be called when all frontends are applied. Where it fails the chains stay, as they did until now.
    pub(super) fn delete_spare_chains(&mut self) {
        if self.chains.len() < self.look_at_chains_from {
            return;
        }
        for some in spare(&self.chains, &self.frontends).chunks(DELETED_TOGETHER) {
            let mut batch = Batch::new(&self.table);
            for name in some {
                batch.flush_chain(name);
                batch.delete_chain(name);
            }
            match self.netfilter.commit(batch) {
                Ok(()) => self.chains.retain(|name| !some.contains(name)),
                Err(error) => tracing::warn!(%error, "chains that no service needs stay in the nft table"),
            }
        }
        // looking costs what all frontends cost: it is done again when there are twice as many
        self.look_at_chains_from = SPARE_CHAINS.max(2 * self.chains.len());
    }
}

/// In an order that is the same each time.
fn spare(known: &HashSet<String>, frontends: &Frontends) -> Vec<String> {
    let plan = Plan::replace(BTreeSet::new(), frontends);
    let needed: HashSet<String> = plan.chains.iter().map(Chain::name).collect();
    let is_spare = |name: &&String| Chain::may_be(name) && !needed.contains(*name);
    let spare: BTreeSet<String> = known.iter().filter(is_spare).cloned().collect();
    spare.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example;
    use crate::plan::tests::{frontend, sticky, to};
    use crate::structure;
    use cri::Protocol;

    #[test]
    fn what_a_frontend_needs_and_what_is_no_frontend_s_stays() {
        let frontends: Frontends = [(frontend(Some(1), Protocol::Tcp, 80), sticky(to(&[5, 6])))].into();
        let needed = Plan::replace(BTreeSet::new(), &frontends).chains;
        let mut known: HashSet<String> = structure::chains(&example()).into_keys().collect();
        known.extend(needed.iter().map(Chain::name));
        assert_eq!(spare(&known, &frontends), Vec::<String>::new());
        let gone = ["node-port-masked-of-3", "remember-61", "service-of-7"];
        known.extend(gone.map(str::to_owned));
        known.extend(["remember", "remember-me", "of-2", "somebody-of-2"].map(str::to_owned));
        assert_eq!(spare(&known, &frontends), gone);
    }
}
