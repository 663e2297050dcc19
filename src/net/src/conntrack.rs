//! What clients were led to before, and when that is wrong now. Pure.

use crate::frontends::{Action, Frontend, number};
use crate::nft::{Data, Element, Flow};
use crate::plan::Frontends;
use cri::Protocol;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Which traces of clients' earlier choices a change may have made wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stale {
    pub(crate) affinity: bool,
    /// Frontends of connectionless protocols whose clients would stay where they were led.
    pub(crate) udp: BTreeSet<Frontend>,
}

impl Stale {
    pub(crate) fn after(applied: &Frontends, changes: &[(Frontend, Option<Action>)]) -> Self {
        let mut stale = Stale::default();
        for (frontend, new) in changes {
            let (old, new) = (applied.get(frontend), new.as_ref());
            let (old, new) = (old.map(Action::for_allowed), new.map(Action::for_allowed));
            let lost = old.is_some_and(|old| loses(old, new));
            let opened =
                !matches!(old, Some(Action::Forward { .. })) && matches!(new, Some(Action::Forward { .. }));
            stale.affinity |= lost && matches!(old, Some(Action::Forward { affinity: Some(_), .. }));
            if frontend.protocol == Protocol::Udp && (lost || opened) {
                stale.udp.insert(*frontend);
            }
        }
        stale
    }

    /// After a restart nothing is known of what was before.
    pub(crate) fn all(frontends: &Frontends) -> Self {
        let udp = frontends.keys().filter(|frontend| frontend.protocol == Protocol::Udp).copied().collect();
        Stale { affinity: true, udp }
    }

    /// Whether this conversation goes where its frontend no longer leads.
    pub(crate) fn is_flow(&self, flow: &Flow, frontends: &Frontends, own: &Own) -> bool {
        if flow.protocol != number(Protocol::Udp) {
            return false;
        }
        let exact = Frontend { address: Some(flow.to.0), protocol: Protocol::Udp, port: flow.to.1 };
        let any = Frontend { address: None, ..exact };
        let frontend = match self.udp.contains(&exact) {
            true => exact,
            false if self.udp.contains(&any) && !frontends.contains_key(&exact) => any,
            false => return false,
        };
        match frontends.get(&frontend).map(Action::for_allowed) {
            Some(Action::Forward { backends, .. }) => strays(flow, &frontend, backends, own),
            _ => flow.is_translated(),
        }
    }
}

/// The machine's own addresses. Only at those does a port without an address lead somewhere: untranslated flows to the same
/// port of other hosts are none of its business.
pub(crate) struct Own(pub(crate) BTreeSet<Ipv4Addr>);

impl Own {
    fn has(&self, address: Ipv4Addr) -> bool {
        address.is_loopback() || self.0.contains(&address)
    }
}

/// Whether a conversation that came to this frontend was led to none of its back ends: as one is that began when nobody was
/// there.
fn strays(flow: &Flow, frontend: &Frontend, backends: &BTreeSet<SocketAddrV4>, own: &Own) -> bool {
    let led_well = backends.contains(&SocketAddrV4::new(flow.led_to.0, flow.led_to.1));
    !led_well && (flow.is_translated() || frontend.address.is_some() || own.has(flow.to.0))
}

/// The same for ports of the machine that lead to a sandbox.
pub(crate) fn strays_from_port(flow: &Flow, ports: &[(Frontend, SocketAddrV4)], own: &Own) -> bool {
    let comes_to = |frontend: &Frontend| {
        flow.protocol == number(frontend.protocol)
            && flow.to.1 == frontend.port
            && frontend.address.is_none_or(|address| address == flow.to.0)
    };
    let of_udp =
        ports.iter().filter(|(frontend, _)| frontend.protocol == Protocol::Udp && comes_to(frontend));
    let mut of_udp = of_udp.map(|(frontend, pod)| strays(flow, frontend, &BTreeSet::from([*pod]), own));
    of_udp.any(|strays| strays)
}

fn loses(old: &Action, new: Option<&Action>) -> bool {
    match (old, new) {
        (Action::Forward { backends: old, .. }, Some(Action::Forward { backends: new, .. })) => {
            !old.is_subset(new)
        }
        (Action::Forward { .. }, _) => true,
        _ => false,
    }
}

/// Whether a remembered client is remembered for a back end that its frontend no longer has.
pub(crate) fn forgets_client(element: &Element, frontends: &Frontends) -> bool {
    let Some(exact) = door_of(element) else { return false };
    let action = frontends.get(&exact).or_else(|| frontends.get(&Frontend { address: None, ..exact }));
    let action = action.map(Action::for_allowed);
    let Some(Action::Forward { backends, affinity: Some(_), .. }) = action else { return true };
    remembered_backend(element).is_none_or(|backend| !backends.contains(&backend))
}

/// The affinity map's value: an address and a port, as `socket` in `frontends.rs` writes them.
fn remembered_backend(element: &Element) -> Option<SocketAddrV4> {
    let Data::Value(value) = &element.data else { return None };
    let [a, b, c, d, high, low, ..] = value[..] else { return None };
    Some(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
}

/// The affinity map's key has the client's address in front of the frontend.
fn door_of(element: &Element) -> Option<Frontend> {
    let mut words = element.key.chunks_exact(4).skip(1).map(|word| [word[0], word[1], word[2], word[3]]);
    let address = Some(Ipv4Addr::from(words.next()?));
    let protocol = match words.next()?[0] {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return None,
    };
    let [high, low, ..] = words.next()?;
    Some(Frontend { address, protocol, port: u16::from_be_bytes([high, low]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontends::socket;
    use crate::nft::Set;
    use crate::plan::tests::{at, frontend, sticky, to};

    #[test]
    fn only_what_a_change_makes_wrong_is_forgotten() {
        let udp = frontend(Some(1), Protocol::Udp, 53);
        let tcp = frontend(Some(1), Protocol::Tcp, 53);
        let none = Stale::default();
        let flows = Stale { affinity: false, udp: [udp].into() };
        let clients = Stale { affinity: true, udp: BTreeSet::new() };
        for (name, frontend, before, after, want) in [
            ("new", udp, None, Some(to(&[5])), &flows),
            ("new, TCP", tcp, None, Some(to(&[5])), &none),
            ("one more", udp, Some(to(&[5])), Some(to(&[5, 6])), &none),
            ("one less", udp, Some(to(&[5, 6])), Some(to(&[5])), &flows),
            ("one less, TCP", tcp, Some(to(&[5, 6])), Some(to(&[5])), &none),
            ("one less, with affinity", tcp, Some(sticky(to(&[5, 6]))), Some(sticky(to(&[5]))), &clients),
            ("one more, with affinity", tcp, Some(sticky(to(&[5]))), Some(sticky(to(&[5, 6]))), &none),
            ("gone", udp, Some(to(&[5])), None, &flows),
            ("closed", udp, Some(to(&[5])), Some(Action::Reject), &flows),
            ("opened", udp, Some(Action::Reject), Some(to(&[5])), &flows),
            ("never was", udp, None, None, &none),
            ("restricted", udp, Some(to(&[5])), Some(restricted(to(&[5]))), &none),
            ("restricted, one less", udp, Some(restricted(to(&[5, 6]))), Some(restricted(to(&[5]))), &flows),
            ("restricted, opened", udp, Some(restricted(Action::Reject)), Some(restricted(to(&[5]))), &flows),
        ] {
            let applied: Frontends = before.into_iter().map(|action| (frontend, action)).collect();
            assert_eq!(&Stale::after(&applied, &[(frontend, after)]), want, "{name}");
        }
    }

    fn restricted(then: Action) -> Action {
        let sources = ["192.0.2.0/24".parse().unwrap()].into();
        Action::Restrict { sources, then: Box::new(then) }
    }

    #[test]
    fn flows_are_stale_where_their_door_leads_elsewhere() {
        let node = Ipv4Addr::new(192, 0, 2, 2);
        let own = Own([node].into());
        let (exact, any) = (frontend(Some(1), Protocol::Udp, 53), frontend(None, Protocol::Udp, 53));
        let frontends: Frontends = [(exact, to(&[5])), (any, to(&[6]))].into();
        let stale = Stale { affinity: false, udp: [exact, any].into() };
        let (service, stranger) = (Ipv4Addr::new(10, 96, 0, 1), Ipv4Addr::new(203, 0, 113, 1));
        let to_pod = |last| (*at(last).ip(), 8080);
        for (name, to, led_to, want) in [
            ("to its back end", (service, 53), to_pod(5), false),
            ("to a former back end", (service, 53), to_pod(4), true),
            ("made before there was a service", (service, 53), (service, 53), true),
            ("another port", (service, 54), to_pod(4), false),
            ("by node port", (node, 53), to_pod(6), false),
            ("by node port, to a former back end", (node, 53), to_pod(4), true),
            ("to the machine, before there was a service", (node, 53), (node, 53), true),
            ("by node port of the loopback", (Ipv4Addr::LOCALHOST, 53), to_pod(6), false),
            (
                "to the loopback, before there was a service",
                (Ipv4Addr::LOCALHOST, 53),
                (Ipv4Addr::LOCALHOST, 53),
                true,
            ),
            ("to somebody else's port 53", (stranger, 53), (stranger, 53), false),
        ] {
            assert_eq!(stale.is_flow(&Flow { protocol: 17, to, led_to }, &frontends, &own), want, "{name}");
            assert!(!stale.is_flow(&Flow { protocol: 6, to, led_to }, &frontends, &own), "{name}, TCP");
        }
    }

    #[test]
    fn flows_to_a_port_that_got_its_owner_are_stale_where_they_are_not_led_to_it() {
        let (node, local) = (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::LOCALHOST);
        let own = Own([node].into());
        let udp = |address, port| Frontend { address, protocol: Protocol::Udp, port };
        let ports = [(udp(None, 53), at(5)), (udp(Some(local), 54), at(5))];
        let pod = |last| (*at(last).ip(), 8080);
        let stranger = Ipv4Addr::new(203, 0, 113, 1);
        for (name, to, led_to, want) in [
            ("led to it", (node, 53), pod(5), false),
            ("led to a former owner", (node, 53), pod(4), true),
            ("led to nobody", (node, 53), (node, 53), true),
            ("led to nobody, by loopback", (local, 53), (local, 53), true),
            ("to another host", (stranger, 53), (stranger, 53), false),
            ("another port", (node, 55), (node, 55), false),
            ("at an address", (local, 54), (local, 54), true),
            ("at another address", (node, 54), (node, 54), false),
        ] {
            let flow = |protocol| Flow { protocol, to, led_to };
            assert_eq!(strays_from_port(&flow(17), &ports, &own), want, "{name}");
            assert!(!strays_from_port(&flow(6), &ports, &own), "{name}, TCP");
        }
    }

    #[test]
    fn a_client_is_forgotten_with_its_back_end() {
        let remembered = |frontend: &[u8], last| Element {
            set: Set::Affinity,
            key: [&[10, 0, 0, 9], frontend].concat(),
            data: Data::Value(socket(at(last))),
        };
        let frontends: Frontends = [
            (frontend(Some(1), Protocol::Tcp, 80), sticky(to(&[5]))),
            (frontend(None, Protocol::Tcp, 30080), sticky(to(&[6]))),
            (frontend(Some(2), Protocol::Tcp, 80), to(&[5])),
        ]
        .into();
        let key = |address: [u8; 4], protocol, port: u16| {
            let [high, low] = port.to_be_bytes();
            [&address[..], &[protocol, 0, 0, 0, high, low, 0, 0]].concat()
        };
        for (name, key, last, want) in [
            ("its back end is there", key([10, 96, 0, 1], 6, 80), 5, false),
            ("its back end is gone", key([10, 96, 0, 1], 6, 80), 4, true),
            ("by node port", key([192, 0, 2, 2], 6, 30080), 6, false),
            ("by node port, gone", key([192, 0, 2, 2], 6, 30080), 5, true),
            ("no affinity any more", key([10, 96, 0, 2], 6, 80), 5, true),
            ("no such frontend any more", key([10, 96, 0, 3], 6, 80), 5, true),
        ] {
            assert_eq!(forgets_client(&remembered(&key, last), &frontends), want, "{name}");
        }
    }
}
