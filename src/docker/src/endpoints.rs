//! A container's endpoints in networks: taken when it starts, changed while it runs, given back when it ends.

use crate::endpoint_settings::{EndpointSettings, Endpoints, in_order};
use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::model::EndpointConfig;
use crate::network_mode::{self, mac, shared_with};
use crate::networks::{HOST, NONE, Network};
use crate::publish;
use crate::record::{Container, Record, State, new_id};
use cri::{Connection, Endpoint, SandboxConfig, SandboxStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A container that fails again and again is not waited for much longer than it takes to start.
const DONOR_PATIENCE: Duration = Duration::from_secs(10);

/// A container has one link, and so one MAC address: the one that was asked for, or Docker's for its first address.
pub(crate) fn mac_address(record: &Record, endpoints: &[Endpoint]) -> Option<[u8; 6]> {
    let of_networks = record.networks.values().find_map(|wanted| mac(&wanted.mac_address));
    let of_address = || {
        let [a, b, c, d] = endpoints.first()?.address.octets();
        Some([0x02, 0x42, a, b, c, d])
    };
    mac(&record.config.mac_address).or(of_networks).or_else(of_address)
}

fn no_networking(refusal: ApiError) -> ApiError {
    ApiError { message: format!("failed to set up container networking: {}", refusal.message), ..refusal }
}

impl Engine {
    /// An address in each of the container's networks, or in none.
    pub(crate) fn allocate_endpoints(&self, record: &Record) -> Result<Endpoints> {
        if [HOST, NONE].contains(&record.host.network_mode.as_str())
            || !network_mode::is_private(&record.host.network_mode)
        {
            return Ok(Endpoints::new());
        }
        self.link_targets_run(record)?;
        let take = |(name, wanted): (&String, &EndpointConfig)| {
            let network = self.networks.of_record(name)?;
            Ok((network.name.clone(), self.allocate_endpoint(&record.id, &network, wanted)?))
        };
        let taken: Result<Endpoints> = record.networks.iter().map(take).collect();
        taken.map_err(|refusal| {
            self.networks.release(&record.id, None);
            no_networking(refusal)
        })
    }

    fn allocate_endpoint(
        &self,
        container: &str,
        network: &Network,
        wanted: &EndpointConfig,
    ) -> Result<EndpointSettings> {
        let no_addresses = || ApiError::bad(format_args!("network {} has no addresses", network.name));
        let subnet = network.subnet.as_ref().ok_or_else(no_addresses)?;
        let address = self.networks.lease(network, container, wanted.address())?;
        Ok(EndpointSettings {
            id: new_id(),
            address,
            range: subnet.range,
            gateway: subnet.gateway,
            internal: network.internal,
            mtu: network.mtu(),
        })
    }

    /// A sandbox that is connected as the container is to be.
    pub(crate) async fn run_connected(
        &self,
        record: &Record,
        endpoints: &Endpoints,
        mut config: SandboxConfig,
    ) -> Result<SandboxStatus> {
        config.connection = self.connection(record, endpoints)?;
        let ports = config.host_ports.clone();
        publish::check_free(record, &ports)?;
        let run = self.runtime.run_sandbox(config).await;
        run.map_err(|error| publish::in_dockers_words(error.into(), record, &ports))
    }

    fn connection(&self, record: &Record, endpoints: &Endpoints) -> Result<Connection> {
        if let Some(other) = shared_with(&record.host.network_mode) {
            let other = self.networked(&record.id, other)?;
            let sandbox = other.see(|r| r.running().map(|running| running.sandbox.clone()));
            return sandbox.map(Connection::Shared).ok_or_else(|| not_running(&other));
        }
        let endpoints = in_order(&record.networks, endpoints);
        let mac_address = mac_address(record, &endpoints);
        Ok(Connection::Networks { endpoints, mac_address })
    }

    /// The container whose network another one has.
    pub(crate) fn networked(&self, id: &str, other: &str) -> Result<Arc<Container>> {
        let joining =
            |why: &str| ApiError::internal(format_args!("joining network namespace of container: {why}"));
        let found = self.container(other).map_err(|refusal| joining(&refusal.message))?;
        if found.see(|r| r.id == id) {
            return Err(ApiError::bad("cannot join own network namespace"));
        }
        match found.see(|r| r.running().is_some()) {
            true => Ok(found),
            false => Err(not_running(&found)),
        }
    }

    /// Who shares another one's network has its name as well.
    pub(crate) fn share_name(&self, container: &Container) -> Result<()> {
        let (id, mode) = container.see(|r| (r.id.clone(), r.host.network_mode.clone()));
        let Some(other) = shared_with(&mode) else { return Ok(()) };
        let names = |r: &Record| (r.config.hostname.clone(), r.config.domainname.clone());
        let theirs = self.networked(&id, other)?.see(names);
        container.change(|r| {
            let changes = names(r) != theirs;
            (r.config.hostname, r.config.domainname) = theirs;
            changes
        });
        Ok(())
    }

    /// After a start of the machine both are due: whose network it shares comes first.
    pub(crate) async fn until_donor_runs(&self, container: &Container) {
        let mode = container.see(|r| r.host.network_mode.clone());
        let Some(donor) = shared_with(&mode).and_then(|other| self.container(other).ok()) else { return };
        let mut watch = donor.watch();
        let is_due = |r: &Record| matches!(r.state, State::Restarting(_));
        let _ = tokio::time::timeout(DONOR_PATIENCE, watch.wait_for(|r| !is_due(r))).await;
    }

    pub(crate) fn tell_network(&self, action: &str, network: &Network, container: Option<&str>) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.clone()),
        ]);
        attributes.extend(container.map(|id| ("container".to_owned(), id.to_owned())));
        self.events.tell("network", action, &network.id, attributes);
    }

    /// Of a container that starts or ends: in all its networks, `host` and `none` too.
    pub(crate) fn tell_networks(&self, action: &str, record: &Record) {
        for network in record.networks.keys().filter_map(|name| self.networks.of_record(name).ok()) {
            self.tell_network(action, &network, Some(&record.id));
        }
    }

    /// When its sandbox is gone.
    pub(crate) fn give_places_back(&self, record: &Record) {
        self.networks.release(&record.id, None);
        self.tell_networks("disconnect", record);
    }

    pub(crate) async fn connect(
        self: &Arc<Self>,
        container: &Arc<Container>,
        network: &Network,
        wanted: EndpointConfig,
    ) -> Result<()> {
        let _alone = container.gate.lock().await;
        let record = container.record();
        check_connect(&record, network)?;
        network_mode::check_endpoint(network, &wanted)?;
        let name = network.name.clone();
        let Some(running) = record.running() else {
            container.change(|r| r.networks.insert(name, wanted.clone()) != Some(wanted));
            return Ok(());
        };
        if record.networks.contains_key(&name) {
            return Err(ApiError::forbidden(format_args!(
                "endpoint with name {} already exists in network {name}",
                record.name
            )));
        }
        let endpoint = self.allocate_endpoint(&record.id, network, &wanted)?;
        let mut networks = record.networks.clone();
        networks.insert(name.clone(), wanted);
        let mut endpoints = running.endpoints.clone();
        endpoints.insert(name.clone(), endpoint);
        if let Err(refusal) = self.move_to(container, networks, endpoints).await {
            self.networks.release(&record.id, Some(&name));
            return Err(refusal);
        }
        self.tell_network("connect", network, Some(&record.id));
        Ok(())
    }

    pub(crate) async fn disconnect(
        self: &Arc<Self>,
        container: &Arc<Container>,
        network: &Network,
    ) -> Result<()> {
        let _alone = container.gate.lock().await;
        let (record, name) = (container.record(), network.name.as_str());
        if record.host.network_mode == HOST && name == HOST {
            return Err(ApiError::bad(
                "cannot disconnect container from host network - container was created in host network mode",
            ));
        }
        if !record.networks.contains_key(name) {
            let how = if record.running().is_some() { "" } else { "the " };
            return Err(ApiError::forbidden(format_args!(
                "container {} is not connected to {how}network {name}",
                record.id
            )));
        }
        let mut networks = record.networks.clone();
        networks.remove(name);
        let Some(running) = record.running() else {
            container.change(|r| {
                r.networks = networks;
                true
            });
            return Ok(());
        };
        let mut endpoints = running.endpoints.clone();
        if endpoints.remove(name).is_some() {
            self.move_to(container, networks, endpoints).await?;
            self.networks.release(&record.id, Some(name));
        } else {
            container.change(|r| {
                r.networks = networks;
                true
            });
        }
        self.tell_network("disconnect", network, Some(&record.id));
        Ok(())
    }

    /// Of a running container, at once.
    async fn move_to(
        self: &Arc<Self>,
        container: &Arc<Container>,
        networks: BTreeMap<String, EndpointConfig>,
        endpoints: Endpoints,
    ) -> Result<()> {
        let Some(sandbox) = container.see(|r| r.running().map(|running| running.sandbox.clone())) else {
            return Err(ApiError::conflict("the container has ended meanwhile"));
        };
        self.runtime.set_endpoints(&sandbox, in_order(&networks, &endpoints)).await?;
        container.change(|r| {
            r.networks = networks;
            if let Some(running) = r.running_mut() {
                running.endpoints = endpoints;
            }
            true
        });
        self.serve_names(container).await;
        self.rewrite_files(container);
        self.refresh_hosts();
        Ok(())
    }
}

fn check_connect(record: &Record, network: &Network) -> Result<()> {
    let mode = record.host.network_mode.as_str();
    if !network_mode::is_private(mode) {
        return Err(ApiError::bad(network_mode::SHARED));
    }
    if network.name == HOST {
        return Err(ApiError::bad(
            "cannot connect container to host network - container must be created in host network mode",
        ));
    }
    if network.name == NONE || record.networks.contains_key(NONE) {
        return Err(ApiError::bad(network_mode::ALONE));
    }
    Ok(())
}

fn not_running(container: &Container) -> ApiError {
    let (name, status) = container.see(|r| (r.name.clone(), r.status()));
    ApiError::conflict(format_args!(
        "cannot join network namespace of a non running container: container {name} is {status}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use std::net::Ipv4Addr;

    fn endpoint(last: u8, internal: bool) -> EndpointSettings {
        let address = Ipv4Addr::new(10, 0, 0, last);
        let range = "10.0.0.0/24".parse().unwrap();
        EndpointSettings {
            id: String::new(),
            address,
            range,
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            internal,
            mtu: None,
        }
    }

    #[test]
    fn the_way_out_is_by_priority_and_name() {
        let endpoints: Endpoints = [
            ("b".into(), endpoint(2, false)),
            ("c".into(), endpoint(3, false)),
            ("a".into(), endpoint(4, true)),
        ]
        .into();
        let lasts = |wanted: &BTreeMap<String, EndpointConfig>| {
            in_order(wanted, &endpoints).iter().map(|e| e.address.octets()[3]).collect::<Vec<_>>()
        };
        assert_eq!(lasts(&BTreeMap::new()), [2, 3, 4]);
        let first = EndpointConfig { gw_priority: 1, ..Default::default() };
        assert_eq!(lasts(&[("c".to_owned(), first.clone())].into()), [3, 2, 4]);
        assert_eq!(lasts(&[("a".to_owned(), first)].into()), [2, 3, 4], "an internal one is no way out");
    }

    #[test]
    fn the_mac_address_is_the_one_asked_for_or_follows_from_the_first_address() {
        let mut web = record("web");
        let endpoints = [endpoint(7, false).for_runtime()];
        assert_eq!(mac_address(&web, &endpoints), Some([0x02, 0x42, 10, 0, 0, 7]));
        assert_eq!(mac_address(&web, &[]), None);
        let wanted = EndpointConfig { mac_address: "02:00:00:00:00:09".into(), ..Default::default() };
        web.networks.insert("shop".into(), wanted);
        assert_eq!(mac_address(&web, &endpoints), Some([2, 0, 0, 0, 0, 9]));
    }
}
