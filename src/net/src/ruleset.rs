//! The profile's table as it is in the kernel: what was applied, and the way to what should be.

mod spare_chains;

use crate::conntrack::{Own, Stale, forgets_client, strays_from_port};
use crate::isolation::{HOOKS, Layout, change, inventory, replace};
use crate::nft::{Batch, Element, Flow, Netfilter, OwnPorts, Set};
use crate::nft_cli::{self, ForeignChain};
use crate::plan::{FRONTEND_SETS, Frontends, Plan};
use crate::{Action, Frontend, NetConfig, NetError, Result, ports, structure};
use cri::{HostPort, Protocol};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Blocking; callers put it on a thread that may wait.
pub(crate) struct Ruleset {
    config: NetConfig,
    netfilter: Netfilter,
    table: String,
    chains: HashSet<String>,
    /// How many chains there may be before those that nobody needs are looked for.
    look_at_chains_from: usize,
    frontends: Frontends,
    /// Elements of sandboxes, by the owner's id; put back when somebody flushed the table.
    sandboxes: HashMap<String, BTreeSet<Element>>,
    /// Of the networks beside the pods', and of ranges of services beside the profile's own; put back as well.
    networks: BTreeSet<Element>,
    service_ranges: BTreeSet<Element>,
    isolation: Applied,
    /// Somebody is isolated, or was before the start.
    isolates: bool,
}

/// What is known of the isolation in the kernel.
#[derive(Default)]
enum Applied {
    /// After the start, and after a refusal: what there is stays in force until it is replaced.
    #[default]
    Unknown,
    Known(Layout),
}

/// Elements in one transaction; where one of them is gone, each of them gets one.
const DELETED_TOGETHER: usize = 400;
/// Chains that are kept without a look whether a frontend needs them: more than clusters have kinds of Services.
const SPARE_CHAINS: usize = 512;
const NETWORK_SETS: [Set; 4] = [Set::Neighbours, Set::Confined, Set::Barred, Set::Leaving];

impl Ruleset {
    /// Keeps a table that has the right structure, with all its elements: what runs stays reachable while we restart.
    pub(crate) fn open(config: &NetConfig) -> Result<Self> {
        let mut ruleset = Ruleset {
            config: config.clone(),
            netfilter: Netfilter::default(),
            table: config.table(),
            chains: HashSet::new(),
            look_at_chains_from: SPARE_CHAINS,
            frontends: Frontends::new(),
            sandboxes: Default::default(),
            networks: BTreeSet::new(),
            service_ranges: BTreeSet::new(),
            isolation: Applied::Unknown,
            isolates: false,
        };
        // some versions of nft die of what others have in their tables; then ours is built anew
        let unknown =
            |error: NetError| tracing::warn!(%error, "whether the table is as it should be is not known");
        ruleset.chains = ruleset.own_chains(nft_cli::chains().map_err(unknown).unwrap_or_default());
        if !ruleset.chains.contains(&structure::fingerprint(config)) {
            let found = ruleset.netfilter.names(&ruleset.table)?;
            ruleset.isolates = HOOKS.iter().any(|(name, _)| found.chains.contains(*name));
            ruleset.build()?;
        }
        Ok(ruleset)
    }

    fn own_chains(&self, all: Vec<ForeignChain>) -> HashSet<String> {
        let ours = |chain: &ForeignChain| chain.family == "ip" && chain.table == self.table;
        all.into_iter().filter(ours).map(|chain| chain.name).collect()
    }

    fn build(&mut self) -> Result<()> {
        structure::apply(&self.config, &self.netfilter, self.isolates)?;
        self.chains.clear();
        let plan = Plan::replace(BTreeSet::new(), &self.frontends);
        let (mut batch, made) = plan.batch(&self.table, &self.chains);
        batch.add(self.sandboxes.values().flatten().chain(&self.networks).chain(&self.service_ranges));
        if let Applied::Known(layout) = &self.isolation {
            // what holds everybody back goes in the same moment
            replace(&mut batch, &self.netfilter.names(&self.table)?, layout);
        }
        self.netfilter.commit(batch)?;
        self.chains.extend(made);
        Ok(())
    }

    pub(crate) fn own_ports(&self) -> OwnPorts {
        self.netfilter.ports()
    }

    /// Puts back what is missing of the table and of what was made in it: elements alone as they are, anything else with the
    /// table, which is built anew. Gives what was missing, in words.
    pub(crate) fn heal(&mut self) -> Result<Vec<String>> {
        let missing = self.missing_structure()?;
        if !missing.is_empty() {
            self.build()?;
            return Ok(missing);
        }
        let elements = self.missing_elements()?;
        if elements.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = Batch::new(&self.table);
        batch.add(&elements);
        // somebody may have put others in their place
        if self.netfilter.commit(batch).is_err() {
            self.build()?;
        }
        let sets: BTreeSet<&str> = elements.iter().map(|element| element.set.name()).collect();
        Ok(sets.into_iter().map(|set| format!("elements of {set}")).collect())
    }

    /// Chains, their rules by number, and sets. What is there beside them is not ours to judge.
    fn missing_structure(&mut self) -> Result<Vec<String>> {
        let names = self.netfilter.names(&self.table)?;
        if names.chains.is_empty() {
            return Ok(vec![format!("table {}", self.table)]);
        }
        let mut chains = structure::chains(&self.config);
        let frontends = Plan::replace(BTreeSet::new(), &self.frontends);
        chains.extend(frontends.chains.iter().map(|chain| (chain.name(), chain.rules().len())));
        let mut sets: BTreeMap<String, usize> =
            Set::ALL.into_iter().map(|set| (set.name().to_owned(), 0)).collect();
        if let Applied::Known(layout) = &self.isolation {
            let (more_chains, more_sets) = inventory(layout);
            chains.extend(more_chains);
            sets.extend(more_sets);
        }
        let rules = self.netfilter.rules(&self.table)?;
        // one that no frontend needs now is made again by the first that does
        self.chains.retain(|chain| rules.contains_key(chain));
        let mut missing = Vec::new();
        for (chain, count) in chains {
            if !names.chains.contains(&chain) {
                missing.push(format!("chain {chain}"));
            } else if rules.get(&chain).copied().unwrap_or(0) < count {
                missing.push(format!("rules of chain {chain}"));
            }
        }
        for (set, count) in sets {
            if !names.sets.contains(&set) {
                missing.push(format!("set {set}"));
            } else if count > 0 && self.netfilter.count(&self.table, &set)? < count {
                missing.push(format!("elements of set {set}"));
            }
        }
        Ok(missing)
    }

    fn missing_elements(&self) -> Result<BTreeSet<Element>> {
        let mut wanted = Plan::replace(BTreeSet::new(), &self.frontends).add;
        let others = self.sandboxes.values().flatten().chain(&self.networks).chain(&self.service_ranges);
        wanted.extend(others.cloned());
        if let Applied::Known(layout) = &self.isolation {
            wanted.extend(layout.members().iter().cloned());
        }
        let sets: BTreeSet<Set> = wanted.iter().map(|element| element.set).collect();
        let found = self.found(&sets.into_iter().collect::<Vec<_>>())?;
        Ok(wanted.difference(&found).cloned().collect())
    }

    /// Makes these frontends, and no others, lead where they should. Reads what the kernel has, so it also mends.
    pub(crate) fn set_frontends(&mut self, frontends: Frontends) -> Result<()> {
        let frontends: Frontends =
            frontends.into_iter().map(|(frontend, action)| (frontend, action.without_forbidden())).collect();
        let found = match self.found(&FRONTEND_SETS) {
            // somebody flushed the whole ruleset
            Err(NetError::Refused { errno: libc::ENOENT, .. }) => {
                self.build()?;
                self.found(&FRONTEND_SETS)?
            }
            found => found?,
        };
        let plan = Plan::replace(found, &frontends);
        self.commit(&plan)?;
        self.frontends = frontends;
        self.delete_spare_chains();
        self.forget(&Stale::all(&self.frontends))
    }

    /// Changes some frontends; `None` closes one without a word.
    pub(crate) fn change_frontends(&mut self, mut changes: Vec<(Frontend, Option<Action>)>) -> Result<()> {
        for (_, action) in &mut changes {
            *action = action.take().map(Action::without_forbidden);
        }
        let plan = Plan::change(&self.frontends, &changes);
        let stale = Stale::after(&self.frontends, &changes);
        self.commit(&plan)?;
        for (frontend, action) in changes {
            match action {
                Some(action) => self.frontends.insert(frontend, action),
                None => self.frontends.remove(&frontend),
            };
        }
        self.delete_spare_chains();
        self.forget(&stale)
    }

    fn commit(&mut self, plan: &Plan) -> Result<()> {
        let (batch, made) = plan.batch(&self.table, &self.chains);
        self.netfilter.commit(batch)?;
        self.chains.extend(made);
        Ok(())
    }

    fn found(&self, sets: &[Set]) -> Result<BTreeSet<Element>> {
        let mut found = BTreeSet::new();
        for set in sets {
            found.extend(self.netfilter.elements(&self.table, *set)?);
        }
        Ok(found)
    }

    /// What clients were led to before, where their frontends no longer lead there.
    fn forget(&self, stale: &Stale) -> Result<()> {
        if stale.affinity {
            let remembered = self.found(&[Set::Affinity])?;
            self.delete_each(remembered.iter().filter(|element| forgets_client(element, &self.frontends)))?;
        }
        if !stale.udp.is_empty() {
            // the frontends are as they should be: a kernel without this part of netfilter is no reason to begin anew
            let own = own_addresses();
            self.delete_flows(|flow| stale.is_flow(flow, &self.frontends, &own));
        }
        Ok(())
    }

    /// What came to these ports before they led there.
    pub(crate) fn forget_strays(&self, ports: &[(Frontend, SocketAddrV4)]) {
        // there may be tens of thousands of both, ports and flows
        let mut by_port: HashMap<u16, Vec<(Frontend, SocketAddrV4)>> = HashMap::new();
        for port in ports.iter().filter(|(frontend, _)| frontend.protocol == Protocol::Udp) {
            by_port.entry(port.0.port).or_default().push(*port);
        }
        if !by_port.is_empty() {
            let own = own_addresses();
            let ports = |flow: &Flow| by_port.get(&flow.to.1).map(Vec::as_slice).unwrap_or_default();
            self.delete_flows(|flow| strays_from_port(flow, ports(flow), &own));
        }
    }

    fn delete_flows(&self, stale: impl Fn(&Flow) -> bool) {
        self.netfilter
            .delete_flows(stale)
            .unwrap_or_else(|error| tracing::warn!(%error, "UDP clients stay where they were led"));
    }

    /// Together, and one by one where one of them has gone by itself.
    fn delete_each<'a>(&self, elements: impl IntoIterator<Item = &'a Element>) -> Result<()> {
        let elements: Vec<&Element> = elements.into_iter().collect();
        for some in elements.chunks(DELETED_TOGETHER) {
            if !self.delete(some)? {
                some.iter().try_for_each(|element| self.delete(&[*element]).map(drop))?;
            }
        }
        Ok(())
    }

    /// All of them or none; whether all were there.
    fn delete(&self, elements: &[&Element]) -> Result<bool> {
        let mut batch = Batch::new(&self.table);
        batch.delete(elements.iter().copied());
        match self.netfilter.commit(batch) {
            Err(NetError::Refused { errno: libc::ENOENT, .. }) => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Host ports and hairpin of one sandbox, in place of what it had.
    pub(crate) fn set_sandbox(&mut self, id: &str, elements: BTreeSet<Element>) -> Result<()> {
        let none = BTreeSet::new();
        let before = self.sandboxes.get(id).unwrap_or(&none);
        let mut batch = Batch::new(&self.table);
        batch.delete(before.difference(&elements));
        batch.add(&elements);
        self.netfilter.commit(batch)?;
        self.sandboxes.insert(id.to_owned(), elements);
        Ok(())
    }

    /// Makes these be there, and no others. Reads what the kernel has, so it also mends.
    pub(crate) fn set_networks(&mut self, wanted: BTreeSet<Element>) -> Result<()> {
        self.set_ranges(&NETWORK_SETS, |ruleset| &mut ruleset.networks, wanted)
    }

    /// The same.
    pub(crate) fn set_service_ranges(&mut self, wanted: BTreeSet<Element>) -> Result<()> {
        self.set_ranges(&[Set::ServiceRanges], |ruleset| &mut ruleset.service_ranges, wanted)
    }

    fn set_ranges(
        &mut self,
        sets: &[Set],
        known: fn(&mut Self) -> &mut BTreeSet<Element>,
        wanted: BTreeSet<Element>,
    ) -> Result<()> {
        let found = match self.found(sets) {
            Err(NetError::Refused { errno: libc::ENOENT, .. }) => {
                self.build()?;
                known(self).clone()
            }
            found => found?,
        };
        let mut batch = Batch::new(&self.table);
        batch.delete(found.difference(&wanted));
        batch.add(wanted.difference(&found));
        self.netfilter.commit(batch)?;
        *known(self) = wanted;
        Ok(())
    }

    pub(crate) fn forget_sandbox(&mut self, id: &str) -> Result<()> {
        if let Some(elements) = self.sandboxes.get(id) {
            self.delete_each(elements)?;
        }
        self.sandboxes.remove(id);
        Ok(())
    }

    /// Makes these connections possible, and no others, in one transaction.
    pub(crate) fn set_isolation(&mut self, wanted: Layout) -> Result<()> {
        match self.apply_isolation(&wanted) {
            // somebody flushed the table, or a part of it
            Err(NetError::Refused { errno: libc::ENOENT, .. }) => {
                self.isolation = Applied::Unknown;
                self.heal()?;
                self.apply_isolation(&wanted)?;
            }
            Err(error) => {
                self.isolation = Applied::Unknown;
                return Err(error);
            }
            Ok(()) => {}
        }
        self.isolates = !wanted.is_empty();
        self.isolation = Applied::Known(wanted);
        Ok(())
    }

    fn apply_isolation(&self, wanted: &Layout) -> Result<()> {
        let mut batch = Batch::new(&self.table);
        match &self.isolation {
            Applied::Known(applied) => change(&mut batch, applied, wanted),
            Applied::Unknown => replace(&mut batch, &self.netfilter.names(&self.table)?, wanted),
        }
        self.netfilter.commit(batch)
    }

    /// The first of these host ports that another sandbox has, and which: two can not have the same. One look through what
    /// the others have, however many are asked for.
    pub(crate) fn taken_port<'p>(
        &self,
        id: &str,
        pod: Ipv4Addr,
        ports: &'p [HostPort],
    ) -> Option<(&'p HostPort, &str)> {
        if ports.is_empty() {
            return None;
        }
        let others = self.sandboxes.iter().filter(|(other, _)| *other != id);
        let taken: HashMap<(Set, &[u8]), &str> = others
            .flat_map(|(other, elements)| elements.iter().map(move |element| (element, other.as_str())))
            .map(|(element, other)| ((element.set, &element.key[..]), other))
            .collect();
        ports.iter().find_map(|port| {
            let elements = ports::elements(pod, std::slice::from_ref(port));
            let other = elements.iter().find_map(|element| taken.get(&(element.set, &element.key[..])))?;
            Some((port, *other))
        })
    }

    /// Elements of sandboxes that nobody adopted.
    pub(crate) fn collect_garbage(&self) -> Result<()> {
        let kept: BTreeSet<&Element> = self.sandboxes.values().flatten().collect();
        let found = self.found(&[Set::HostPorts, Set::AnyHostPorts, Set::Hairpin])?;
        self.delete_each(found.iter().filter(|element| !kept.contains(element)))
    }

    pub(crate) fn forget_flows_to(&self, pod: Ipv4Addr) -> Result<()> {
        self.netfilter.delete_flows(|flow| flow.led_to.0 == pod && flow.is_translated())
    }
}

/// Those of the loopback are known without asking.
fn own_addresses() -> Own {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    Own(all.filter_map(|one| Some(one.address?.as_sockaddr_in()?.ip())).collect())
}
