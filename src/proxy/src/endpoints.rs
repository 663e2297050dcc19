//! Which endpoints of a service take its traffic. Pure. The rules are upstream's (KEP-1669): those that are ready; where
//! there are none, those that are on their way out and still serve.

use k8s_openapi::api::core::v1::ServicePort;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use kinds::endpoints::{Condition, condition};
use net::SharedSet;
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The endpoints behind one port of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Backends {
    /// Those that take traffic, wherever they are.
    pub(crate) all: SharedSet<SocketAddrV4>,
    /// Those on this node that take traffic for this node only.
    pub(crate) local: SharedSet<SocketAddrV4>,
}

/// All slices of a service, read once: a service and its slices may have thousands of ports, and looking through those of
/// the slices for each of the service's would be the product of both.
pub(crate) struct Endpoints {
    /// The addresses of each slice.
    slices: Vec<Vec<(Ipv4Addr, State)>>,
    /// By name and protocol of the service's port: in which slice it has which number.
    numbers: HashMap<(String, String), Vec<Place>>,
    /// Ports that have the same places lead to the same endpoints, which are told once.
    known: HashMap<Vec<Place>, Backends>,
    /// How many addresses that took.
    looked_at: usize,
}

/// A slice, and a number that a port has in it.
type Place = (usize, u16);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    ready: bool,
    serving_while_terminating: bool,
    local: bool,
}

impl Endpoints {
    /// The slices name the number behind a named target port, which may differ from pod to pod.
    pub(crate) fn of<S: Borrow<EndpointSlice>>(slices: &[S], ports: &[ServicePort], node: &str) -> Self {
        let mut numbers: HashMap<(String, String), Vec<Place>> =
            ports.iter().map(|port| (name(&port.name, &port.protocol), Vec::new())).collect();
        let slices = slices.iter().map(Borrow::borrow).filter(|slice| slice.address_type == "IPv4");
        let slices: Vec<&EndpointSlice> = slices.collect();
        for (index, slice) in slices.iter().enumerate() {
            for port in slice.ports.iter().flatten() {
                let places = numbers.get_mut(&name(&port.name, &port.protocol));
                if let (Some(places), Some(number)) = (places, number(port)) {
                    places.push((index, number));
                }
            }
        }
        let addresses = |slice: &EndpointSlice| -> Vec<(Ipv4Addr, State)> {
            let endpoints = slice.endpoints.iter().flatten();
            // any of an endpoint's addresses leads to it: upstream takes the first
            let at = |endpoint: &Endpoint| -> Option<Ipv4Addr> { endpoint.addresses.first()?.parse().ok() };
            endpoints.filter_map(|endpoint| Some((at(endpoint)?, state(endpoint, node)))).collect()
        };
        Endpoints {
            slices: slices.into_iter().map(addresses).collect(),
            numbers,
            known: HashMap::new(),
            looked_at: 0,
        }
    }

    /// Those behind this port, which is one of those that it was made for.
    pub(crate) fn of_port(&mut self, port: &ServicePort) -> Backends {
        let places = self.numbers.get(&name(&port.name, &port.protocol)).cloned().unwrap_or_default();
        let (slices, looked_at) = (&self.slices, &mut self.looked_at);
        let made = self.known.entry(places).or_insert_with_key(|places| {
            *looked_at += places.iter().map(|(slice, _)| slices[*slice].len()).sum::<usize>();
            backends(slices, places)
        });
        made.clone()
    }

    /// How many addresses were looked at so far, whether they take traffic or not.
    pub(crate) fn looked_at(&self) -> usize {
        self.looked_at
    }
}

fn backends(slices: &[Vec<(Ipv4Addr, State)>], places: &[Place]) -> Backends {
    let mut states = BTreeMap::new();
    for (slice, number) in places {
        for (ip, state) in slices.get(*slice).into_iter().flatten() {
            let known = states.entry(SocketAddrV4::new(*ip, *number)).or_insert(*state);
            known.ready |= state.ready; // a pod may be in two slices while the controller moves it
        }
    }
    Backends { all: takes_traffic(&states, |_| true), local: takes_traffic(&states, |state| state.local) }
}

fn name(name: &Option<String>, protocol: &Option<String>) -> (String, String) {
    (name.clone().unwrap_or_default(), protocol.as_deref().unwrap_or("TCP").to_owned())
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
) -> SharedSet<SocketAddrV4> {
    let those = |is: fn(&State) -> bool| -> SharedSet<SocketAddrV4> {
        states.iter().filter(|(_, state)| counts(state) && is(state)).map(|(at, _)| *at).collect()
    };
    let ready = those(|state| state.ready);
    if ready.is_empty() { those(|state| state.serving_while_terminating) } else { ready }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_that_lead_to_the_same_have_it_in_common() {
        let named = |n: u32| json!({"name": format!("p{n}"), "port": 8080});
        let ports: Vec<ServicePort> = (0..2000)
            .map(|n| serde_json::from_value(json!({"name": format!("p{n}"), "port": n + 1})).unwrap())
            .collect();
        let slice = json!({"metadata": {}, "addressType": "IPv4", "ports": (0..2000).map(named).collect::<Vec<_>>(),
            "endpoints": [{"addresses": ["10.244.0.5"]}, {"addresses": ["10.244.0.6"]}]});
        let slices: [EndpointSlice; 1] = [serde_json::from_value(slice).unwrap()];
        let mut endpoints = Endpoints::of(&slices, &ports, "here");
        let first = endpoints.of_port(&ports[0]);
        assert_eq!((first.all.len(), first.local.len()), (2, 0));
        for port in &ports {
            assert!(std::ptr::eq(&*endpoints.of_port(port).all, &*first.all));
        }
        assert_eq!(endpoints.known.len(), 1);
    }
}
