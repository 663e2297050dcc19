//! Networks: who may call whom by name.

use crate::call::{Answer, Call, empty, json, with_status};
use crate::engine::Engine;
use crate::filters::{Filters, contains};
use crate::model::EndpointConfig;
use crate::networks::{HOST, NONE, Network};
use crate::refusal::{Refusal, Result};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json as value};
use std::collections::BTreeMap;

impl Engine {
    /// The networks of a new container: the mode's, under the names that the record keeps, and those said beside.
    pub(crate) fn networks_of(
        &self,
        mode: &str,
        endpoints: BTreeMap<String, Option<EndpointConfig>>,
    ) -> Result<BTreeMap<String, EndpointConfig>> {
        if mode.starts_with("container:") {
            return Err(Refusal::not_implemented("sharing another container's network is not offered"));
        }
        let mut all = BTreeMap::new();
        all.insert(self.networks.find(mode)?.name, EndpointConfig::default());
        for (name, endpoint) in endpoints {
            let name = self.networks.find(&name)?.name;
            all.insert(name, endpoint.unwrap_or_default());
        }
        Ok(all)
    }

    fn members(&self, network: &str) -> Vec<std::sync::Arc<crate::record::Container>> {
        self.containers().into_iter().filter(|c| c.see(|r| r.networks.contains_key(network))).collect()
    }
}

fn shown(engine: &Engine, network: &Network, with_members: bool) -> Value {
    let config = &engine.config;
    let subnet = match network.name.as_str() {
        HOST | NONE => value!([]),
        _ => value!([{"Subnet": config.pod_cidr.to_string(), "Gateway": config.gateway.to_string()}]),
    };
    let mut members = Map::new();
    for container in engine.members(&network.name).iter().filter(|_| with_members) {
        let running = container.see(|r| r.running().cloned());
        if let Some(running) = running {
            let address =
                running.ip.map(|ip| format!("{ip}/{}", config.pod_cidr.prefix_len())).unwrap_or_default();
            let (id, name) = container.see(|r| (r.id.clone(), r.name.clone()));
            members.insert(id.clone(), value!({
                "Name": name, "EndpointID": id, "MacAddress": "", "IPv4Address": address, "IPv6Address": "",
            }));
        }
    }
    value!({
        "Name": network.name, "Id": network.id, "Created": network.created.to_string(), "Scope": "local",
        "Driver": network.driver, "EnableIPv4": true, "EnableIPv6": false, "Internal": network.internal,
        "IPAM": {"Driver": "default", "Options": null, "Config": subnet}, "Attachable": network.attachable,
        "Ingress": false, "ConfigFrom": {"Network": ""}, "ConfigOnly": false, "Containers": members,
        "Options": network.options, "Labels": network.labels,
    })
}

pub(super) async fn list(call: Call) -> Answer {
    let filters: Filters = call.query.json("filters")?;
    filters.check(&["dangling", "driver", "id", "label", "label!", "name", "scope", "type"])?;
    let dangling = filters.truth("dangling")?;
    let engine = &call.engine;
    let wanted = |n: &Network| {
        filters.any("name", |name| contains(&n.name, name))
            && filters.any("id", |id| n.id.starts_with(id))
            && filters.any("driver", |driver| n.driver == driver)
            && filters.any("scope", |scope| scope == "local")
            && filters.any("type", |kind| (kind == "builtin") == n.is_built_in())
            && filters.labels(&n.labels)
            && dangling.is_none_or(|d| d == (!n.is_built_in() && engine.members(&n.name).is_empty()))
    };
    let all = engine.networks.all();
    json(&all.iter().filter(|n| wanted(n)).map(|n| shown(engine, n, false)).collect::<Vec<_>>())
}

pub(super) async fn inspect(call: Call) -> Answer {
    json(&shown(&call.engine, &call.engine.networks.find(call.name())?, true))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wanted {
    name: String,
    driver: String,
    internal: bool,
    attachable: bool,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
    #[serde(rename = "IPAM")]
    ipam: Value,
}

pub(super) async fn create(mut call: Call) -> Answer {
    let wanted: Wanted = call.json().await?;
    if wanted.name.is_empty() {
        return Err(Refusal::bad("network name cannot be empty"));
    }
    if !matches!(wanted.driver.as_str(), "" | "bridge") {
        return Err(Refusal::not_found(format_args!(
            "could not find plugin {} in v1 plugin registry",
            wanted.driver
        )));
    }
    let network = Network {
        internal: wanted.internal,
        attachable: wanted.attachable,
        labels: wanted.labels.unwrap_or_default(),
        options: wanted.options.unwrap_or_default(),
        ipam: wanted.ipam,
        ..Network::new(&wanted.name, "bridge")
    };
    call.engine.networks.add(network.clone())?;
    tell(&call.engine, "create", &network, None);
    with_status(StatusCode::CREATED, &value!({"Id": network.id, "Warning": ""}))
}

fn tell(engine: &Engine, action: &str, network: &Network, container: Option<&str>) {
    let mut attributes = BTreeMap::from([
        ("name".to_owned(), network.name.clone()),
        ("type".to_owned(), network.driver.clone()),
    ]);
    attributes.extend(container.map(|id| ("container".to_owned(), id.to_owned())));
    engine.events.tell("network", action, &network.id, attributes);
}

pub(super) async fn remove(call: Call) -> Answer {
    let network = call.engine.networks.find(call.name())?;
    if network.is_built_in() {
        return Err(Refusal::forbidden(format_args!(
            "{} is a pre-defined network and cannot be removed",
            network.name
        )));
    }
    let active = call.engine.members(&network.name).iter().any(|c| c.see(|r| r.running().is_some()));
    if active {
        return Err(Refusal::forbidden(format_args!(
            "error while removing network: network {} has active endpoints",
            network.name
        )));
    }
    call.engine.networks.remove(&network.id)?;
    tell(&call.engine, "destroy", &network, None);
    empty(StatusCode::NO_CONTENT)
}

pub(super) async fn prune(call: Call) -> Answer {
    let filters: Filters = call.query.json("filters")?;
    filters.check(&["label", "label!", "until"])?;
    let mut removed = Vec::new();
    for network in call.engine.networks.all() {
        if !network.is_built_in()
            && filters.labels(&network.labels)
            && call.engine.members(&network.name).is_empty()
        {
            call.engine.networks.remove(&network.id)?;
            tell(&call.engine, "destroy", &network, None);
            removed.push(network.name);
        }
    }
    json(&value!({"NetworksDeleted": removed}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Connection {
    container: String,
    endpoint_config: Option<EndpointConfig>,
    force: bool,
}

pub(super) async fn connect(mut call: Call) -> Answer {
    let asked: Connection = call.json().await?;
    let network = call.engine.networks.find(call.name())?;
    let container = call.engine.container(&asked.container)?;
    let mode = container.see(|r| r.host.network_mode.clone());
    if [HOST, NONE].contains(&mode.as_str()) || [HOST, NONE].contains(&network.name.as_str()) {
        return Err(Refusal::forbidden(
            "container cannot be connected to host network - container must be created in host mode",
        ));
    }
    let (id, name) = container.see(|r| (r.id.clone(), r.name.clone()));
    let added = container.change(|r| {
        let is_new = !r.networks.contains_key(&network.name);
        r.networks.entry(network.name.clone()).or_insert(asked.endpoint_config.unwrap_or_default());
        is_new
    });
    if !added {
        return Err(Refusal::forbidden(format_args!(
            "endpoint with name {name} already exists in network {}",
            network.name
        )));
    }
    call.engine.refresh_hosts();
    tell(&call.engine, "connect", &network, Some(&id));
    empty(StatusCode::OK)
}

pub(super) async fn disconnect(mut call: Call) -> Answer {
    let asked: Connection = call.json().await?;
    let network = call.engine.networks.find(call.name())?;
    let container = call.engine.container(&asked.container)?;
    let id = container.see(|r| r.id.clone());
    if !container.change(|r| r.networks.remove(&network.name).is_some()) && !asked.force {
        return Err(Refusal::forbidden(format_args!(
            "container {id} is not connected to network {}",
            network.name
        )));
    }
    call.engine.refresh_hosts();
    tell(&call.engine, "disconnect", &network, Some(&id));
    empty(StatusCode::OK)
}
