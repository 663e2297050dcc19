//! What the kernel tells, and what is put back after it.

use super::*;
use crate::config::example;
use crate::kept::Lead;
use crate::netns_id::NetnsId;
use cri::NetworkConfig;
use ipnet::Ipv4Net;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{RouteProtocol, RouteType};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 5);

fn kept() -> Kept {
    let network = NetworkConfig {
        subnet: "172.18.0.0/16".parse().unwrap(),
        gateway: "172.18.0.1".parse().unwrap(),
        internal: false,
        members_meet: true,
        masquerade: true,
    };
    let (netns, _file) = NetnsId::open(Path::new("/proc/self/ns/net")).unwrap();
    let pod = KeptLink::of_pod(Lead { gateway: example().gateway(), address: POD }, netns);
    Kept {
        links: [("pod".to_owned(), pod)].into(),
        networks: Some(vec![network]),
        service_ranges: Some(vec!["10.250.0.0/24".parse().unwrap()]),
    }
}

fn link(name: &str, index: u32, flags: LinkFlags, changed: LinkFlags) -> RouteNetlinkMessage {
    let mut link = LinkMessage::default();
    (link.header.index, link.header.flags, link.header.change_mask) = (index, flags, changed);
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    RouteNetlinkMessage::NewLink(link)
}

fn deleted(name: &str) -> RouteNetlinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    RouteNetlinkMessage::DelLink(link)
}

fn address(index: u32, label: &str, address: [u8; 4]) -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(IpAddr::from(address)));
    message.attributes.push(AddressAttribute::Label(label.to_owned()));
    RouteNetlinkMessage::DelAddress(message)
}

fn route(to: &str, protocol: RouteProtocol) -> RouteNetlinkMessage {
    let to: Ipv4Net = to.parse().unwrap();
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.addr(), to.prefix_len())
        .kind(RouteType::Unicast)
        .protocol(protocol);
    RouteNetlinkMessage::DelRoute(route.build())
}

#[test]
fn what_is_ours_and_goes_is_a_loss() {
    let (up, none) = (LinkFlags::Up, LinkFlags::empty());
    let pod = || Some(Loss::Link("pod".to_owned()));
    for (name, message, want) in [
        ("taken down", link("pod", 7, none, up), pod()),
        ("being made", link("pod", 7, none, LinkFlags::from_bits_retain(u32::MAX)), None),
        ("brought up", link("pod", 7, up, up), None),
        ("its carrier", link("pod", 7, none, none), None),
        ("a link that we let go", link("another", 8, none, up), None),
        ("deleted", deleted("pod"), pod()),
        ("another is deleted", deleted("another"), None),
        ("the loopback goes", link("lo", LOOPBACK, none, up), None),
        ("the loopback comes", link("lo", LOOPBACK, up, up), Some(Loss::Ranges)),
        ("the gateway's address", address(LOOPBACK, "lo", [10, 244, 0, 1]), Some(Loss::Ranges)),
        ("a network's address", address(LOOPBACK, "lo:n3dg3", [172, 18, 0, 1]), Some(Loss::Ranges)),
        ("another address of the loopback", address(LOOPBACK, "lo", [127, 0, 0, 1]), None),
        ("a link's address", address(7, "pod", [10, 244, 0, 1]), pod()),
        ("a link's other address", address(7, "pod", [10, 244, 0, 9]), None),
        ("the node's address", address(2, "eth0", example().node_ip.octets()), Some(Loss::Ranges)),
        ("another link's address", address(8, "eth0", [10, 244, 0, 1]), None),
        ("a pod's route", route("10.244.0.5/32", OURS), pod()),
        ("a route for a pod that went", route("10.244.0.6/32", OURS), None),
        ("somebody's route", route("10.244.0.5/32", RouteProtocol::Static), None),
        ("the services' range", route("10.96.0.0/16", OURS), Some(Loss::Ranges)),
        ("a further range", route("10.250.0.0/24", OURS), Some(Loss::Ranges)),
        ("a network's range", route("172.18.0.0/16", OURS), Some(Loss::Ranges)),
        ("another profile's range", route("10.97.0.0/16", OURS), None),
    ] {
        let found = loss(&message, &kept(), &example()).map(|(loss, _)| loss);
        assert_eq!(found, want, "{name}");
    }
    let nothing = loss(&link("pod", 7, none, up), &Kept::default(), &example());
    assert_eq!(nothing, None, "nobody has said yet what there should be");
}

#[test]
fn who_does_it_again_and_again_waits_longer() {
    let mut patience = Patience::default();
    let mut now = Instant::now();
    let mut waited = Vec::new();
    for _ in 0..13 {
        let wait = patience.wait(now);
        waited.push(wait.as_millis());
        patience.count(now, wait);
        now += wait + Duration::from_secs(1);
    }
    assert_eq!(waited[..4], [0, 100, 200, 400]);
    assert_eq!(waited[10..], [51_200, 60_000, 60_000]);
    let later = now + CALM;
    assert_eq!(patience.wait(later), Duration::ZERO);
    patience.count(later, Duration::ZERO);
    assert_eq!(patience.wait(later), FIRST_WAIT, "from the beginning");
}

#[test]
fn what_failed_is_tried_again_without_a_word_of_the_kernel_and_what_is_done_is_not() {
    let mut retry = Retry::default();
    assert_eq!(retry.wait(), None, "nothing has failed yet");
    let mut waited = Vec::new();
    for _ in 0..12 {
        retry.count(false);
        waited.push(retry.wait().unwrap().as_millis());
    }
    assert_eq!(waited[..4], [100, 200, 400, 800]);
    assert_eq!(waited[9..], [51_200, 60_000, 60_000]);
    retry.count(true);
    assert_eq!(retry.wait(), None);
    retry.count(false);
    assert_eq!(retry.wait(), Some(FIRST_WAIT), "from the beginning");
}
