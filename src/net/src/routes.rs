//! What a route says of itself: where it leads, and whether it is one of this profile's. Pure.

use crate::NetConfig;
use crate::links::OURS;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

/// Profiles share the protocol's number, and differ in the metric.
pub(crate) fn is_of(route: &RouteMessage, config: &NetConfig) -> bool {
    let metric = RouteAttribute::Priority(config.link_group());
    route.header.protocol == OURS && route.attributes.contains(&metric)
}

pub(crate) fn destination(route: &RouteMessage) -> Option<Ipv4Net> {
    let address = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    });
    Ipv4Net::new(address?, route.header.destination_prefix_length).ok()
}

/// The ranges of services that have a route, beside the profile's own.
pub(crate) fn of_services(routes: &[RouteMessage], config: &NetConfig) -> impl Iterator<Item = Ipv4Net> {
    let ours = routes.iter().filter(move |route| is_of(route, config));
    ours.filter(|route| route.header.kind == RouteType::Unicast).filter_map(destination)
}
