//! From the doors that there are to those that there should be. Pure.

use crate::doors::{Chain, Door, Way, number, render};
use crate::nft::{Batch, Data, Element, Flow, Set};
use cri::Protocol;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The sets that doors are made of.
pub(crate) const DOOR_SETS: [Set; 8] = [
    Set::Services,
    Set::Endpoints,
    Set::NodePorts,
    Set::NodePortEndpoints,
    Set::Closed,
    Set::ClosedPorts,
    Set::Sticky,
    Set::StickyPorts,
];

pub(crate) type Doors = BTreeMap<Door, Way>;

/// What one transaction changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) delete: BTreeSet<Element>,
    pub(crate) add: BTreeSet<Element>,
    pub(crate) chains: BTreeSet<Chain>,
}

impl Plan {
    /// From what is applied, by changes to some doors.
    pub(crate) fn change(applied: &Doors, changes: &[(Door, Option<Way>)]) -> Self {
        let (mut before, mut after, mut chains) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        // the last word about a door counts
        let changes: BTreeMap<&Door, &Option<Way>> = changes.iter().map(|(door, way)| (door, way)).collect();
        for (door, way) in changes {
            before.extend(applied.get(door).into_iter().flat_map(|way| render(door, way).0));
            if let Some(way) = way {
                let (elements, needed) = render(door, way);
                after.extend(elements);
                chains.extend(needed);
            }
        }
        Plan::between(before, after, chains)
    }

    /// From what the kernel says that it has, to all that should be.
    pub(crate) fn replace(found: BTreeSet<Element>, wanted: &Doors) -> Self {
        let (mut after, mut chains) = (BTreeSet::new(), BTreeSet::new());
        for (door, way) in wanted {
            let (elements, needed) = render(door, way);
            after.extend(elements);
            chains.extend(needed);
        }
        Plan::between(found, after, chains)
    }

    fn between(before: BTreeSet<Element>, after: BTreeSet<Element>, chains: BTreeSet<Chain>) -> Self {
        Plan {
            delete: before.difference(&after).cloned().collect(),
            add: after.difference(&before).cloned().collect(),
            chains,
        }
    }

    /// The transaction, and the chains that it makes because the table does not have them yet.
    pub(crate) fn batch(&self, table: &str, known: &HashSet<String>) -> (Batch, Vec<String>) {
        let mut batch = Batch::new(table);
        let mut made = Vec::new();
        for chain in self.chains.iter().filter(|chain| !known.contains(&chain.name())) {
            let name = chain.name();
            batch.add_chain(&name);
            for rule in chain.rules() {
                batch.add_rule(&name, &rule);
            }
            made.push(name);
        }
        batch.delete(&self.delete);
        batch.add(&self.add);
        (batch, made)
    }
}

/// Which traces of clients' earlier choices a change may have made wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stale {
    pub(crate) affinity: bool,
    /// Doors of connectionless protocols whose clients would stay where they were led.
    pub(crate) udp: BTreeSet<Door>,
}

impl Stale {
    pub(crate) fn after(applied: &Doors, changes: &[(Door, Option<Way>)]) -> Self {
        let mut stale = Stale::default();
        for (door, new) in changes {
            let old = applied.get(door);
            let lost = old.is_some_and(|old| loses(old, new.as_ref()));
            let opened = !matches!(old, Some(Way::To { .. })) && matches!(new, Some(Way::To { .. }));
            stale.affinity |= lost && matches!(old, Some(Way::To { affinity: Some(_), .. }));
            if door.protocol == Protocol::Udp && (lost || opened) {
                stale.udp.insert(*door);
            }
        }
        stale
    }

    /// After a restart nothing is known of what was before.
    pub(crate) fn all(doors: &Doors) -> Self {
        let udp = doors.keys().filter(|door| door.protocol == Protocol::Udp).copied().collect();
        Stale { affinity: true, udp }
    }

    /// Whether this conversation goes where its door no longer leads. `node` is the machine's own address: other
    /// addresses' untranslated flows to the same port are none of a node port's business.
    pub(crate) fn is_flow(&self, flow: &Flow, doors: &Doors, node: Ipv4Addr) -> bool {
        if flow.protocol != number(Protocol::Udp) {
            return false;
        }
        let exact = Door { address: Some(flow.to.0), protocol: Protocol::Udp, port: flow.to.1 };
        let any = Door { address: None, ..exact };
        let translated = flow.to != flow.led_to;
        let door = match self.udp.contains(&exact) {
            true => exact,
            false if self.udp.contains(&any) && !doors.contains_key(&exact) => any,
            false => return false,
        };
        match doors.get(&door) {
            Some(Way::To { backends, .. }) => {
                let led_well = backends.contains(&SocketAddrV4::new(flow.led_to.0, flow.led_to.1));
                !led_well && (translated || door.address.is_some() || flow.to.0 == node)
            }
            _ => translated,
        }
    }
}

fn loses(old: &Way, new: Option<&Way>) -> bool {
    match (old, new) {
        (Way::To { backends: old, .. }, Some(Way::To { backends: new, .. })) => !old.is_subset(new),
        (Way::To { .. }, _) => true,
        _ => false,
    }
}

/// Whether a remembered client is remembered for a back end that its door no longer has.
pub(crate) fn forgets_client(element: &Element, doors: &Doors) -> bool {
    let Some(exact) = door_of(element) else { return false };
    let way = doors.get(&exact).or_else(|| doors.get(&Door { address: None, ..exact }));
    let Some(Way::To { backends, affinity: Some(_), .. }) = way else { return true };
    !backends.iter().any(|backend| element.data == Data::Value(crate::doors::socket(*backend)))
}

/// The affinity map's key has the client's address in front of the door.
fn door_of(element: &Element) -> Option<Door> {
    let mut words = element.key.chunks_exact(4).skip(1).map(|word| [word[0], word[1], word[2], word[3]]);
    let address = Some(Ipv4Addr::from(words.next()?));
    let protocol = match words.next()?[0] {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return None,
    };
    let [high, low, ..] = words.next()?;
    Some(Door { address, protocol, port: u16::from_be_bytes([high, low]) })
}
