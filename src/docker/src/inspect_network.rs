//! Where a container is, as `docker inspect` shows it. Pure.

use crate::endpoints::mac_address;
use crate::name_server::dns_names;
use crate::network_mode::shared_with;
use crate::networks::{BRIDGE, HOST, NONE, Network, is_built_in};
use crate::record::Record;
use serde_json::{Map, Value, json};

pub(crate) fn network_settings(record: &Record, networks: &[Network]) -> Value {
    // the fields from before there were other networks
    let bridge = endpoint(record, networks, BRIDGE);
    json!({
        "Bridge": "", "SandboxID": record.running().map_or("", |r| r.sandbox.0.as_str()), "SandboxKey": namespace(record),
        "Ports": ports(record), "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null, "SecondaryIPv6Addresses": null, "EndpointID": bridge["EndpointID"],
        "Gateway": bridge["Gateway"], "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
        "IPAddress": bridge["IPAddress"], "IPPrefixLen": bridge["IPPrefixLen"], "IPv6Gateway": "",
        "MacAddress": bridge["MacAddress"], "Networks": endpoints(record, networks),
    })
}

/// The file of its network namespace, which `nsenter --net=` enters; empty where the namespace is another container's, as in Docker.
fn namespace(record: &Record) -> String {
    let own = record.running().filter(|_| shared_with(&record.host.network_mode).is_none());
    own.filter(|running| running.pid > 0).map_or_else(String::new, |r| format!("/proc/{}/ns/net", r.pid))
}

pub(crate) fn endpoints(record: &Record, networks: &[Network]) -> Map<String, Value> {
    record.networks.keys().map(|name| (name.clone(), endpoint(record, networks, name))).collect()
}

fn endpoint(record: &Record, networks: &[Network], name: &str) -> Value {
    let wanted = record.networks.get(name).cloned().unwrap_or_default();
    let endpoint = record.running().and_then(|running| running.endpoints.get(name));
    let id = networks.iter().find(|n| n.name == name).map_or("", |n| n.id.as_str());
    let mac = endpoint.and_then(|_| mac_address(record, &record.endpoints()));
    // who does not run has the one that was asked for
    let mac = if mac.is_some() { mac_text(mac) } else { wanted.mac_address };
    let filled = |list: Vec<String>| (!list.is_empty()).then_some(list);
    json!({
        "IPAMConfig": wanted.ipam_config, "Links": filled(wanted.links), "Aliases": filled(wanted.aliases),
        "MacAddress": mac, "GwPriority": wanted.gw_priority,
        "DriverOpts": (!wanted.driver_opts.is_empty()).then_some(wanted.driver_opts),
        "NetworkID": id, "EndpointID": endpoint.map_or("", |endpoint| endpoint.id.as_str()),
        "Gateway": endpoint.map(|endpoint| endpoint.gateway.to_string()).unwrap_or_default(),
        "IPAddress": endpoint.map(|endpoint| endpoint.address.to_string()).unwrap_or_default(),
        "IPPrefixLen": endpoint.map_or(0, |endpoint| endpoint.range.prefix_len()), "IPv6Gateway": "",
        "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
        "DNSNames": (!is_built_in(name)).then(|| dns_names(record, name)),
    })
}

pub(crate) fn mac_text(mac: Option<[u8; 6]>) -> String {
    let parts: Vec<String> = mac.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}

/// `{"80/tcp": [{"HostIp": …, "HostPort": …}]}`; what is exposed only is null.
pub(crate) fn ports(record: &Record) -> Value {
    let mut all = Map::new();
    if record.running().is_none() || [HOST, NONE].contains(&record.host.network_mode.as_str()) {
        return Value::Object(all);
    }
    // no port of an internal network's is published
    let is_published = record.is_reached_from_outside();
    for port in record.config.exposed_ports.keys() {
        all.insert(port.clone(), Value::Null);
    }
    for (port, bindings) in record.host.port_bindings.iter().filter(|_| is_published) {
        let shown = bindings.iter().flatten().map(|b| {
            let ip = if b.host_ip.is_empty() { "0.0.0.0" } else { &b.host_ip };
            json!({"HostIp": ip, "HostPort": b.host_port})
        });
        all.insert(port.clone(), shown.collect());
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint_settings::EndpointSettings;
    use crate::record::State;
    use crate::record::tests::{end, record, run};

    #[test]
    fn each_network_shows_the_containers_place_in_it() {
        let mut web = record("web");
        run(&mut web, None);
        let endpoint = |second: u8| EndpointSettings {
            id: format!("e{second}"),
            address: [172, second, 0, 2].into(),
            range: format!("172.{second}.0.0/16").parse().unwrap(),
            gateway: [172, second, 0, 1].into(),
            internal: false,
            mtu: None,
        };
        web.networks = [(BRIDGE.into(), Default::default()), ("shop".into(), Default::default())].into();
        if let State::Running(running) = &mut web.state {
            running.endpoints = [(BRIDGE.into(), endpoint(17)), ("shop".into(), endpoint(18))].into();
        }
        let shown = network_settings(&web, &[]);
        let shop = &shown["Networks"]["shop"];
        assert_eq!((&shown["IPAddress"], &shown["Gateway"]), (&json!("172.17.0.2"), &json!("172.17.0.1")));
        assert_eq!((&shop["IPAddress"], &shop["IPPrefixLen"]), (&json!("172.18.0.2"), &json!(16)));
        assert_eq!((&shop["MacAddress"], &shop["EndpointID"]), (&json!("02:42:ac:11:00:02"), &json!("e18")));
        assert_eq!(shop["DNSNames"], json!(["web", "web000000000"]));
        assert!(shown["Networks"][BRIDGE]["DNSNames"].is_null(), "the default bridge has no names");
        web.host.port_bindings = [("80/tcp".into(), Some(vec![Default::default()]))].into();
        assert!(network_settings(&web, &[])["Ports"]["80/tcp"].is_array());
        if let State::Running(running) = &mut web.state {
            running.endpoints.values_mut().for_each(|endpoint| endpoint.internal = true);
        }
        assert!(network_settings(&web, &[])["Ports"]["80/tcp"].is_null(), "no way in");
        assert_eq!(network_settings(&web, &[])["SandboxKey"], "/proc/1/ns/net");
        web.host.network_mode = "container:other".into();
        assert_eq!(network_settings(&web, &[])["SandboxKey"], "", "it is the other's");
        end(&mut web, 0);
        let ended = network_settings(&web, &[]);
        assert_eq!((&ended["Networks"]["shop"]["IPAddress"], &ended["SandboxKey"]), (&json!(""), &json!("")));
    }
}
