//! Which endpoints of a service take its traffic. Pure. The rules are upstream's (KEP-1669): those that are ready; where
//! there are none, those that are on their way out and still serve.

use k8s_openapi::api::core::v1::ServicePort;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use kinds::endpoints::{Condition, condition};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;

/// The endpoints behind one port of a service.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Backends {
    /// Those that take traffic, wherever they are.
    pub(crate) all: BTreeSet<SocketAddrV4>,
    /// Those on this node that take traffic for this node only.
    pub(crate) local: BTreeSet<SocketAddrV4>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    ready: bool,
    serving_while_terminating: bool,
    local: bool,
}

/// The slices name the number behind a named target port, which may differ from pod to pod.
pub(crate) fn of_port<S: Borrow<EndpointSlice>>(slices: &[S], port: &ServicePort, node: &str) -> Backends {
    let mut states = BTreeMap::new();
    for slice in slices.iter().map(Borrow::borrow).filter(|slice| slice.address_type == "IPv4") {
        for number in slice.ports.iter().flatten().filter(|named| is_named(named, port)).filter_map(number) {
            for endpoint in slice.endpoints.iter().flatten() {
                let state = state(endpoint, node);
                // any of an endpoint's addresses leads to it: upstream takes the first
                if let Some(ip) = endpoint.addresses.first().and_then(|address| address.parse().ok()) {
                    let known = states.entry(SocketAddrV4::new(ip, number)).or_insert(state);
                    known.ready |= state.ready; // a pod may be in two slices while the controller moves it
                }
            }
        }
    }
    Backends { all: takes_traffic(&states, |_| true), local: takes_traffic(&states, |state| state.local) }
}

fn is_named(named: &EndpointPort, port: &ServicePort) -> bool {
    let same_name = named.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default();
    let protocol = |protocol: &Option<String>| protocol.as_deref().unwrap_or("TCP").to_owned();
    same_name && protocol(&named.protocol) == protocol(&port.protocol)
}

fn number(named: &EndpointPort) -> Option<u16> {
    named.port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

fn state(endpoint: &Endpoint, node: &str) -> State {
    let Condition { ready, serving, terminating } = condition(endpoint);
    let local = endpoint.node_name.as_deref() == Some(node);
    State { ready, serving_while_terminating: serving && terminating, local }
}

fn takes_traffic(
    states: &BTreeMap<SocketAddrV4, State>,
    counts: impl Fn(&State) -> bool,
) -> BTreeSet<SocketAddrV4> {
    let those = |is: fn(&State) -> bool| -> BTreeSet<SocketAddrV4> {
        states.iter().filter(|(_, state)| counts(state) && is(state)).map(|(at, _)| *at).collect()
    };
    let ready = those(|state| state.ready);
    if ready.is_empty() { those(|state| state.serving_while_terminating) } else { ready }
}
