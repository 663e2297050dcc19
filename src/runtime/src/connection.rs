//! How a sandbox is connected: to the pods' network, to networks beside it, or by another sandbox's namespace.

use crate::records::SandboxRecord;
use cri::{Attachment, Connection, CriError, Membership, Networks, Result, SandboxConfig};
use std::net::Ipv4Addr;
use std::path::Path;

/// Connects a new sandbox, whose network namespace is at `netns`. What the pods' network gave it is to be kept.
pub async fn connect(
    networks: &dyn Networks,
    record: &SandboxRecord,
    netns: &Path,
) -> Result<Option<Attachment>> {
    let (id, config) = (&record.id, &record.config);
    if config.host_network || config.no_network {
        return Ok(None);
    }
    let connected = match &config.connection {
        Connection::Pods => networks.attach(id, owner(config), netns, &config.host_ports).await.map(Some),
        Connection::Networks { .. } => {
            networks.join(id, netns, &membership(config), &[]).await.map(|()| None)
        }
        Connection::Shared(_) => Ok(None),
    };
    connected.map_err(|e| CriError::failed(format_args!("attach network of sandbox {}", config.name), e))
}

/// Of one that lived on while the daemon did not.
pub async fn reconnect(networks: &dyn Networks, record: &SandboxRecord) -> Result<()> {
    let Some(made) = &record.made else { return Ok(()) };
    let (id, netns, config) = (&record.id, made.shim.network_namespace(), &record.config);
    match (&made.attachment, &config.connection) {
        (Some(attachment), _) => networks.adopt(id, &netns, attachment, &config.host_ports).await,
        (None, Connection::Networks { .. }) => networks.join(id, &netns, &membership(config), &[]).await,
        (None, _) => Ok(()),
    }
}

/// Pods are known by their uid; what is in no namespace is nobody's pod.
fn owner(config: &SandboxConfig) -> &str {
    if config.namespace.is_empty() { "" } else { &config.uid }
}

pub fn membership(config: &SandboxConfig) -> Membership {
    let (endpoints, mac_address) = match &config.connection {
        Connection::Networks { endpoints, mac_address } => (endpoints.clone(), *mac_address),
        Connection::Pods | Connection::Shared(_) => (Vec::new(), None),
    };
    Membership { endpoints, mac_address, host_ports: config.host_ports.clone() }
}

/// The address at which the host reaches it first of all.
pub fn address(record: &SandboxRecord) -> Option<Ipv4Addr> {
    let of_pod = record.made.as_ref().and_then(|made| made.attachment.as_ref()).map(|a| a.ip);
    let member = || {
        let member = membership(&record.config);
        member.outlet().or(member.endpoints.first()).map(|endpoint| endpoint.address)
    };
    of_pod.or_else(member)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ProcessId;
    use crate::records::{Made, new_id};
    use cri::{Endpoint, HostPort, Protocol, SandboxId};
    use testkit::networks::{Asked, FakeNetworks};

    const NETNS: &str = "/proc/7/ns/net";

    fn port() -> HostPort {
        HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 8080, container_port: 80 }
    }

    fn endpoint(address: &str, internal: bool) -> Endpoint {
        Endpoint {
            address: address.parse().unwrap(),
            subnet: "172.18.0.0/16".parse().unwrap(),
            gateway: "172.18.0.1".parse().unwrap(),
            internal,
            mtu: None,
        }
    }

    fn in_networks() -> Connection {
        Connection::Networks {
            endpoints: vec![endpoint("172.18.0.2", true), endpoint("172.18.0.3", false)],
            mac_address: Some([2, 0, 0, 0, 0, 1]),
        }
    }

    fn config(connection: Connection) -> SandboxConfig {
        SandboxConfig {
            name: "web".into(),
            namespace: "default".into(),
            uid: "u1".into(),
            connection,
            host_ports: vec![port()],
            ..Default::default()
        }
    }

    fn record(config: SandboxConfig) -> SandboxRecord {
        let (id, created_at) = (SandboxId(new_id()), jiff::Timestamp::UNIX_EPOCH);
        SandboxRecord { id, config, created_at, made: None, stopped: false }
    }

    fn joins(record: &SandboxRecord) -> Asked {
        let membership = membership(&record.config);
        assert_eq!((membership.endpoints.len(), membership.host_ports.len()), (2, 1));
        Asked::Join { sandbox: record.id.clone(), netns: NETNS.into(), membership, left: vec![] }
    }

    #[tokio::test]
    async fn a_new_sandbox_is_connected_as_its_configuration_says() {
        let nobodys = SandboxConfig { namespace: String::new(), ..config(Connection::Pods) };
        let host = SandboxConfig { host_network: true, ..config(Connection::Pods) };
        let none = SandboxConfig { no_network: true, ..config(in_networks()) };
        let shares = config(Connection::Shared(SandboxId(new_id())));
        for (name, config, owner) in [
            ("a pod, known by its uid", config(Connection::Pods), Some("u1")),
            ("nobody's pod", nobodys, Some("")),
            ("another's namespace", shares, None),
            ("the host's network", host, None),
            ("no network", none, None),
        ] {
            let (networks, record) = (FakeNetworks::default(), record(config));
            let attachment = connect(&networks, &record, Path::new(NETNS)).await.unwrap();
            assert_eq!(attachment.is_some(), owner.is_some(), "{name}");
            let attaches = |owner: &str| Asked::Attach {
                sandbox: record.id.clone(),
                owner: owner.to_owned(),
                netns: NETNS.into(),
                ports: vec![port()],
            };
            assert_eq!(networks.asked(), Vec::from_iter(owner.map(attaches)), "{name}");
        }
        let (networks, member) = (FakeNetworks::default(), record(config(in_networks())));
        assert_eq!(connect(&networks, &member, Path::new(NETNS)).await.unwrap(), None);
        assert_eq!(networks.asked(), [joins(&member)]);
    }

    #[tokio::test]
    async fn a_refusal_says_whose_network_was_refused() {
        let networks = FakeNetworks::default();
        networks.refuse(Some("every address of 10.244.0.0/24 is taken"));
        for connection in [Connection::Pods, in_networks()] {
            let refused = connect(&networks, &record(config(connection)), Path::new(NETNS)).await;
            assert_eq!(
                refused.unwrap_err().to_string(),
                "attach network of sandbox web: every address of 10.244.0.0/24 is taken"
            );
        }
    }

    #[tokio::test]
    async fn a_sandbox_that_lived_on_keeps_what_it_has() {
        let networks = FakeNetworks::default();
        let attachment = Attachment { ip: "10.244.0.9".parse().unwrap(), link: "mp09".into() };
        let shim = ProcessId { pid: 7, start_time: 1 };
        let made = |attachment| Some(Made { shim, attachment, shows_cgroups: true });
        let pod = SandboxRecord { made: made(Some(attachment.clone())), ..record(config(Connection::Pods)) };
        let member = SandboxRecord { made: made(None), ..record(config(in_networks())) };
        let host = SandboxConfig { host_network: true, ..config(Connection::Pods) };
        let host = SandboxRecord { made: made(None), ..record(host) };
        for record in [&pod, &member, &host, &record(config(Connection::Pods))] {
            reconnect(&networks, record).await.unwrap();
        }
        let adopts = Asked::Adopt {
            sandbox: pod.id.clone(),
            netns: NETNS.into(),
            attachment: attachment.clone(),
            ports: vec![port()],
        };
        assert_eq!(networks.asked(), [adopts, joins(&member)]);
        assert_eq!(address(&pod), Some(attachment.ip));
        assert_eq!(address(&member), "172.18.0.3".parse().ok(), "the way to everywhere else comes first");
        assert_eq!(address(&host), None);
    }
}
