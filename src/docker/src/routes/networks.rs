//! Networks: who may reach whom, and by which name.

use crate::endpoints::mac_address;
use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::filters::{Filters, contains};
use crate::inspect_network::mac_text;
use crate::ipam::{self, Wanted};
use crate::model::EndpointConfig;
use crate::network_mode::{check_endpoint, check_together, shared_with};
use crate::networks::{BRIDGE, Network, check_driver, check_options, is_built_in};
use crate::record::{Container, Record};
use crate::request::{ApiRequest, ApiResponse, empty, json, with_status};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json as value};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Engine {
    /// The networks of a new container: the mode's, under the names that the record keeps, and those said beside.
    pub(crate) fn networks_of(
        &self,
        mode: &str,
        endpoints: BTreeMap<String, Option<EndpointConfig>>,
    ) -> Result<BTreeMap<String, EndpointConfig>> {
        let mut all = BTreeMap::new();
        if shared_with(mode).is_some() {
            return Ok(all);
        }
        // one that is not there is looked for again when the container starts, as Docker does
        let found = |name: &str| self.networks.find(name).ok();
        let name_of = |name: &str| found(name).map_or_else(|| name.to_owned(), |network| network.name);
        all.insert(name_of(mode), EndpointConfig::default());
        for (name, endpoint) in endpoints {
            let endpoint = endpoint.unwrap_or_default();
            if let Some(network) = found(&name) {
                check_endpoint(&network, &endpoint)?;
            }
            all.insert(name_of(&name), endpoint);
        }
        check_together(&all)?;
        Ok(all)
    }

    /// Who runs in it.
    fn members(&self, network: &str) -> Vec<Arc<Container>> {
        let is_in = |r: &Record| r.running().is_some() && r.networks.contains_key(network);
        self.containers().into_iter().filter(|c| c.see(is_in)).collect()
    }
}

fn shown(engine: &Engine, network: &Network, with_members: bool) -> Value {
    let subnet = network.subnet.iter().map(|subnet| {
        let mut shown = value!({"Subnet": subnet.range.to_string(), "Gateway": subnet.gateway.to_string()});
        if let Some(range) = subnet.given_from {
            shown["IPRange"] = value!(range.to_string());
        }
        if !subnet.auxiliary.is_empty() {
            shown["AuxiliaryAddresses"] = value!(subnet.auxiliary);
        }
        shown
    });
    let ipam_options = Some(&network.ipam_options).filter(|options| !options.is_empty());
    let members = engine.members(&network.name).into_iter().filter(|_| with_members);
    let members: Map<String, Value> =
        members.map(|c| c.see(|r| (r.id.clone(), member(r, &network.name)))).collect();
    value!({
        "Name": network.name, "Id": network.id, "Created": format!("{:.9}", network.created), "Scope": "local",
        "Driver": network.driver, "EnableIPv4": true, "EnableIPv6": false, "Internal": network.internal,
        "IPAM": {"Driver": "default", "Options": ipam_options, "Config": subnet.collect::<Vec<_>>()},
        "Attachable": network.attachable, "Ingress": false, "ConfigFrom": {"Network": ""}, "ConfigOnly": false,
        "Containers": members, "Options": network.options, "Labels": network.labels,
    })
}

fn member(record: &Record, network: &str) -> Value {
    let endpoint = record.running().and_then(|running| running.endpoints.get(network));
    let address = endpoint.map(|endpoint| format!("{}/{}", endpoint.address, endpoint.range.prefix_len()));
    let mac = endpoint.and_then(|_| mac_address(record, &record.endpoints()));
    value!({
        "Name": record.name, "EndpointID": endpoint.map_or("", |endpoint| endpoint.id.as_str()),
        "MacAddress": mac_text(mac), "IPv4Address": address.unwrap_or_default(), "IPv6Address": "",
    })
}

pub(super) async fn list(request: ApiRequest) -> ApiResponse {
    let filters: Filters = request.query.json("filters")?;
    filters.check(&["dangling", "driver", "id", "label", "label!", "name", "scope", "type"])?;
    if let Some(kind) = filters.values("type").iter().find(|k| !["builtin", "custom"].contains(&k.as_str())) {
        return Err(ApiError::bad(format_args!("invalid filter: 'type'='{kind}'")));
    }
    let dangling = filters.truth("dangling")?;
    let engine = &request.engine;
    // who is in them is told with each one since 1.28
    let with_members = request.version < (1, 28);
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
    json(&all.iter().filter(|n| wanted(n)).map(|n| shown(engine, n, with_members)).collect::<Vec<_>>())
}

pub(super) async fn inspect(request: ApiRequest) -> ApiResponse {
    json(&shown(&request.engine, &request.engine.networks.find(request.name())?, true))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Asked {
    name: String,
    driver: String,
    internal: bool,
    attachable: bool,
    ingress: bool,
    scope: String,
    config_only: bool,
    config_from: Option<Value>,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: Option<bool>,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: Option<bool>,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
    #[serde(rename = "IPAM")]
    ipam: Option<Ipam>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Ipam {
    driver: String,
    options: Option<BTreeMap<String, String>>,
    config: Option<Vec<Wanted>>,
}

/// What is not offered is refused, but for IPv6: a network without it serves nearly all who ask for both.
fn check(asked: &Asked) -> Result<()> {
    if asked.name.trim().is_empty() {
        return Err(ApiError::bad("network name cannot be empty"));
    }
    if is_built_in(&asked.name) || asked.name == "default" {
        return Err(ApiError::forbidden(format_args!(
            "operation is not permitted on predefined {} network ",
            asked.name
        )));
    }
    check_driver(&asked.driver)?;
    if asked.enable_ipv4 == Some(false) {
        return Err(ApiError::bad("IPv4 can not be disabled: networks have no IPv6"));
    }
    if asked.config_only
        || asked.config_from.as_ref().is_some_and(|from| from["Network"] != "" && !from.is_null())
    {
        return Err(ApiError::not_implemented("configuration-only networks are not offered"));
    }
    match asked.scope.as_str() {
        "" | "local" => {}
        "swarm" => check_driver("overlay")?,
        scope => return Err(ApiError::bad(format_args!("invalid network scope: {scope}"))),
    }
    if asked.ingress {
        return Err(ApiError::forbidden("Ingress network can only be used with a swarm"));
    }
    match asked.ipam.as_ref().map_or("", |ipam| ipam.driver.as_str()) {
        "" | "default" => Ok(()),
        other => Err(ApiError::not_found(format_args!(
            "could not find plugin {other} in v1 plugin registry: plugin not found"
        ))),
    }
}

pub(super) async fn create(mut request: ApiRequest) -> ApiResponse {
    let asked: Asked = request.json().await?;
    check(&asked)?;
    let ipam = asked.ipam.unwrap_or_default();
    let options = asked.options.unwrap_or_default();
    let mut warnings = check_options(&options)?;
    if asked.enable_ipv6 == Some(true) {
        warnings.push("IPv6 is not offered: the network has IPv4 alone".to_owned());
    }
    let network = Network {
        internal: asked.internal,
        attachable: asked.attachable,
        labels: asked.labels.unwrap_or_default(),
        options,
        ipam_options: ipam.options.unwrap_or_default(),
        subnet: ipam::parse(&ipam.config.unwrap_or_default())?,
        ..Network::new(&asked.name, BRIDGE)
    };
    let engine = request.engine.clone();
    let made = tokio::spawn(async move { engine.add_network(network).await }).await;
    let network = made.map_err(|e| ApiError::failed("make the network", e))??;
    with_status(StatusCode::CREATED, &value!({"Id": network.id, "Warning": warnings.join("\n")}))
}

impl Engine {
    async fn add_network(&self, network: Network) -> Result<Network> {
        let _alone = self.networks.gate.lock().await;
        let space = self.host_networks.address_space().await?;
        let network = self.networks.add(network, &space)?;
        if let Err(error) = self.host_networks.set_networks(self.networks.configs()).await {
            self.networks.remove(&network.id)?;
            return Err(error.into());
        }
        self.tell_network("create", &network, None);
        Ok(network)
    }

    /// One that nobody is in.
    async fn remove_network(&self, network: &Network) -> Result<()> {
        let _alone = self.networks.gate.lock().await;
        let members = self.members(&network.name);
        if !members.is_empty() {
            let named = |c: &Arc<Container>| c.see(|r| format!("name:\"{}\" id:\"{}\"", r.name, &r.id[..12]));
            return Err(ApiError::forbidden(format_args!(
                "error while removing network: network {} has active endpoints ({})",
                network.name,
                members.iter().map(named).collect::<Vec<_>>().join(", ")
            )));
        }
        self.networks.remove(&network.id)?;
        self.host_networks.set_networks(self.networks.configs()).await?;
        self.tell_network("destroy", network, None);
        Ok(())
    }

    /// At the start: every network has its addresses, and the kernel knows of it.
    pub(crate) async fn restore_networks(&self) -> Result<()> {
        let _alone = self.networks.gate.lock().await;
        let space = self.host_networks.address_space().await?;
        self.networks.allocate_missing(&space)?;
        Ok(self.host_networks.set_networks(self.networks.configs()).await?)
    }
}

pub(super) async fn remove(request: ApiRequest) -> ApiResponse {
    let network = request.engine.networks.find(request.name())?;
    if network.is_built_in() {
        return Err(ApiError::forbidden(format_args!(
            "{} is a pre-defined network and cannot be removed",
            network.name
        )));
    }
    let engine = request.engine.clone();
    let removed = tokio::spawn(async move { engine.remove_network(&network).await }).await;
    removed.map_err(|e| ApiError::failed("remove the network", e))??;
    empty(StatusCode::NO_CONTENT)
}

pub(super) async fn prune(request: ApiRequest) -> ApiResponse {
    let filters: Filters = request.query.json("filters")?;
    filters.check(&["label", "label!", "until"])?;
    let until = filters.until()?;
    let mut removed = Vec::new();
    for network in request.engine.networks.all() {
        if !network.is_built_in()
            && filters.labels(&network.labels)
            && until.is_none_or(|until| network.created < until)
            && request.engine.remove_network(&network).await.is_ok()
        {
            removed.push(network.name);
        }
    }
    request.engine.events.pruned("network", 0);
    json(&value!({"NetworksDeleted": (!removed.is_empty()).then_some(removed)}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Connection {
    container: String,
    endpoint_config: Option<EndpointConfig>,
    force: bool,
}

pub(super) async fn connect(mut request: ApiRequest) -> ApiResponse {
    let asked: Connection = request.json().await?;
    let (engine, container) = (request.engine.clone(), request.engine.container(&asked.container)?);
    let network = engine.networks.find(request.name())?;
    let wanted = asked.endpoint_config.unwrap_or_default();
    let done = tokio::spawn(async move { engine.connect(&container, &network, wanted).await }).await;
    done.map_err(|e| ApiError::failed("connect", e))??;
    empty(StatusCode::OK)
}

pub(super) async fn disconnect(mut request: ApiRequest) -> ApiResponse {
    let asked: Connection = request.json().await?;
    let engine = request.engine.clone();
    let network = engine.networks.find(request.name())?;
    let container = match engine.container(&asked.container) {
        // it is gone, and so is its place
        Err(_) if asked.force => return empty(StatusCode::OK),
        found => found?,
    };
    let done = tokio::spawn(async move { engine.disconnect(&container, &network).await }).await;
    done.map_err(|e| ApiError::failed("disconnect", e))??;
    empty(StatusCode::OK)
}
