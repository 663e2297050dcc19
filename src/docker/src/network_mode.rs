//! What `--network` says, and what it can not be said together with. Pure.

use crate::error::{ApiError, Result};
use crate::model::{Config, EndpointConfig, HostConfig};
use crate::networks::{HOST, NONE, Network, is_built_in};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `container:NAME`
pub(crate) fn shared_with(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

/// Whether the container has a network namespace of its own that can be connected to networks.
pub(crate) fn is_private(mode: &str) -> bool {
    mode != HOST && shared_with(mode).is_none()
}

/// Before the image's own words come in.
pub(crate) fn check(config: &Config, host: &HostConfig) -> Result<()> {
    let publishes = host.publish_all_ports || !host.port_bindings.is_empty();
    let conflicts: &[(bool, &str)] = match shared_with(&host.network_mode) {
        Some("") => &[(true, "invalid container format container:<name|id>")],
        Some(_) => &[
            (!config.hostname.is_empty(), "conflicting options: hostname and the network mode"),
            (
                !host.links.is_empty(),
                "conflicting options: container type network can't be used with links. This would result in undefined behavior",
            ),
            (!host.dns.is_empty(), "conflicting options: dns and the network mode"),
            (
                !host.extra_hosts.is_empty(),
                "conflicting options: custom host-to-IP mapping and the network mode",
            ),
            (!config.mac_address.is_empty(), "conflicting options: mac-address and the network mode"),
            (publishes, "conflicting options: port publishing and the container type network mode"),
            (
                !config.exposed_ports.is_empty(),
                "conflicting options: port exposing and the container type network mode",
            ),
        ],
        None if host.network_mode == HOST => &[
            (
                !host.links.is_empty(),
                "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
            ),
            (!config.mac_address.is_empty(), "conflicting options: mac-address and the network mode"),
        ],
        None => &[],
    };
    match conflicts.iter().find(|(conflicting, _)| *conflicting) {
        Some((_, why)) => Err(ApiError::bad(why)),
        None => Ok(()),
    }
}

/// Networks that one container can not be in at once.
pub(crate) fn check_together(networks: &BTreeMap<String, EndpointConfig>) -> Result<()> {
    let is_in = |name: &str| networks.contains_key(name);
    if networks.len() < 2 {
        return Ok(());
    }
    if is_in(HOST) {
        return Err(ApiError::bad(SHARED));
    }
    if is_in(NONE) {
        return Err(ApiError::bad(ALONE));
    }
    Ok(())
}

pub(crate) const SHARED: &str = "container sharing network namespace with another container or host cannot be connected to any other network";
pub(crate) const ALONE: &str =
    "container cannot be connected to multiple networks with one of the networks in private (none) mode";

/// What a container wants to be in a network.
pub(crate) fn check_endpoint(network: &Network, wanted: &EndpointConfig) -> Result<()> {
    let mut wrong: Vec<String> = Vec::new();
    let ipam = wanted.ipam_config.clone().unwrap_or_default();
    let says_address = !ipam.ipv4_address.is_empty() || !ipam.ipv6_address.is_empty();
    if is_built_in(&network.name) {
        if says_address {
            wrong.push("user specified IP address is supported on user defined networks only".into());
        }
        if !wanted.aliases.is_empty() {
            let why = "network-scoped alias is supported only for containers in user defined networks";
            wrong.push(why.into());
        }
    }
    if !ipam.ipv6_address.is_empty() && ipam.ipv6_address.parse::<Ipv6Addr>().is_err() {
        wrong.push(format!("invalid IPv6 address: {}", ipam.ipv6_address));
    } else if !ipam.ipv6_address.is_empty() {
        // no network has any
        wrong.push(format!("no configured subnet contains IP address {}", ipam.ipv6_address));
    }
    if let Some(address) = ipam.link_local_ips.first() {
        wrong.push(format!("link-local address {address} is not supported"));
    }
    for option in wanted.driver_opts.keys().filter(|name| name.starts_with("com.docker.network.endpoint.")) {
        wrong.push(format!("driver option {option} is not supported"));
    }
    if let Err(why) = address_in(network, &ipam.ipv4_address) {
        wrong.push(why);
    }
    if !wanted.mac_address.is_empty() && mac(&wanted.mac_address).is_none() {
        wrong.push(format!("invalid MAC address: {}", wanted.mac_address));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let name = &network.name;
    Err(ApiError::bad(format_args!(
        "invalid config for network {name}: invalid endpoint settings:\n{}",
        wrong.join("\n")
    )))
}

fn address_in(network: &Network, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let address: Ipv4Addr = text.parse().map_err(|_| format!("invalid IPv4 address: {text}"))?;
    match &network.subnet {
        Some(subnet) if !subnet.is_users && !network.is_built_in() => {
            Err("user specified IP address is supported only when connecting to networks with user configured subnets"
                .to_owned())
        }
        Some(subnet) if !subnet.range.contains(&address) => {
            Err(format!("no configured subnet contains IP address {text}"))
        }
        _ => Ok(()),
    }
}

/// `02:42:ac:11:00:02`, or with hyphens; none that is a group's.
pub(crate) fn mac(text: &str) -> Option<[u8; 6]> {
    let parts: Vec<u8> =
        text.split([':', '-']).map(|part| u8::from_str_radix(part, 16).ok()).collect::<Option<_>>()?;
    let mac: [u8; 6] = parts.try_into().ok()?;
    (mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipam::{self, Wanted};
    use crate::model::EndpointIpam;

    #[test]
    fn what_can_not_be_said_together() {
        let container = HostConfig { network_mode: "container:web".into(), ..Default::default() };
        let ports = HostConfig { publish_all_ports: true, ..container.clone() };
        let links = HostConfig { network_mode: HOST.into(), links: vec!["a".into()], ..Default::default() };
        let named = Config { hostname: "x".into(), ..Default::default() };
        let exposed =
            Config { exposed_ports: [("80/tcp".into(), serde_json::json!({}))].into(), ..Default::default() };
        for (config, host, why) in [
            (Config::default(), container.clone(), ""),
            (Config::default(), ports, "port publishing and the container type network mode"),
            (named, container.clone(), "hostname and the network mode"),
            (exposed, container, "port exposing and the container type network mode"),
            (Config::default(), links, "host type networking can't be used with links"),
        ] {
            let said = check(&config, &host).err().map(|e| e.message).unwrap_or_default();
            assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{why}: {said}");
        }
        let both =
            |other: &str| [(other.to_owned(), Default::default()), ("shop".to_owned(), Default::default())];
        assert!(check_together(&both(HOST).into()).is_err() && check_together(&both(NONE).into()).is_err());
        assert!(check_together(&both("other").into()).is_ok());
    }

    #[test]
    fn what_an_endpoint_can_not_be() {
        let wanted = Wanted { subnet: "10.1.0.0/24".into(), ..Default::default() };
        let users = Network { subnet: ipam::parse(&[wanted]).unwrap(), ..Network::new("shop", "bridge") };
        let chosen = Network {
            subnet: users.subnet.clone().map(|s| ipam::Subnet { is_users: false, ..s }),
            ..users.clone()
        };
        let bridge = Network { name: "bridge".into(), ..chosen.clone() };
        let at = |ip: &str| EndpointConfig {
            ipam_config: Some(EndpointIpam { ipv4_address: ip.into(), ..Default::default() }),
            ..Default::default()
        };
        let alias = EndpointConfig { aliases: vec!["db".into()], ..Default::default() };
        let bad_mac = EndpointConfig { mac_address: "01:00:00:00:00:00".into(), ..Default::default() };
        for (network, endpoint, why) in [
            (&users, at("10.1.0.7"), ""),
            (&users, alias.clone(), ""),
            (&users, at("10.2.0.7"), "no configured subnet contains IP address 10.2.0.7"),
            (&users, at("seven"), "invalid IPv4 address: seven"),
            (&users, bad_mac, "invalid MAC address"),
            (&chosen, at("10.1.0.7"), "only when connecting to networks with user configured subnets"),
            (&bridge, at("10.1.0.7"), "supported on user defined networks only"),
            (&bridge, alias, "network-scoped alias is supported only"),
        ] {
            let said = check_endpoint(network, &endpoint).err().map(|e| e.message).unwrap_or_default();
            assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{why}: {said}");
        }
        assert_eq!(mac("02:42:ac:11:00:02"), Some([2, 0x42, 0xac, 0x11, 0, 2]));
    }
}
