//! What a sandbox's network namespace is asked for while the sandbox lives: to be shared, other endpoints, a name server.

use crate::connection::membership;
use crate::runtime::Inner;
use cri::{Connection, CriError, Endpoint, NameServer, Result, SandboxConfig, SandboxId};
use std::net::Ipv4Addr;
use std::path::PathBuf;

impl Inner {
    /// Where the namespace is that the sandbox is to share.
    pub fn shared_network(&self, config: &SandboxConfig) -> Result<Option<PathBuf>> {
        match &config.connection {
            Connection::Shared(other) if !config.host_network => self.namespace_of(other).map(Some),
            _ => Ok(None),
        }
    }

    fn namespace_of(&self, id: &SandboxId) -> Result<PathBuf> {
        let sandbox = self.sandbox(id)?;
        sandbox.client()?;
        let made = sandbox.made().ok_or_else(|| CriError::Failed(format!("sandbox {id} has no shim")))?;
        Ok(made.shim.network_namespace())
    }

    pub async fn set_endpoints(&self, id: &SandboxId, endpoints: Vec<Endpoint>) -> Result<()> {
        let sandbox = self.sandbox(id)?;
        let _stays = sandbox.gate.read().await;
        let namespace = self.namespace_of(id)?;
        let mut config = sandbox.record().config;
        let Connection::Networks { endpoints: had, .. } = &mut config.connection else {
            return Err(CriError::Invalid(format!("sandbox {id} is in no networks")));
        };
        let had = std::mem::replace(had, endpoints);
        let member = membership(&config);
        let stays = |address: &Ipv4Addr| member.endpoints.iter().any(|e| e.address == *address);
        let left: Vec<_> = had.iter().map(|e| e.address).filter(|address| !stays(address)).collect();
        let failed =
            |why: String| CriError::failed(format_args!("connect sandbox {} to networks", config.name), why);
        let joined = self.networks.join(id, &namespace, &member, &left).await;
        joined.map_err(|e| failed(e.to_string()))?;
        let record = sandbox.set_connection(config.connection.clone());
        self.write_record(&record).await.map_err(|e| failed(e.to_string()))
    }

    pub async fn name_server(&self, id: &SandboxId) -> Result<NameServer> {
        let namespace = self.namespace_of(id)?;
        let served = self.networks.name_server(&namespace).await;
        served.map_err(|e| CriError::failed(format_args!("answer names in sandbox {id}"), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RuntimeConfig;
    use crate::cgroups::Hierarchies;
    use crate::client::ShimClient;
    use crate::paths::private_dir;
    use crate::process::ProcessId;
    use crate::records::{self, Made, SandboxRecord, new_id};
    use crate::sandbox::Sandbox;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::sync::Arc;
    use testkit::networks::{Asked, FakeNetworks};
    use tokio::sync::mpsc;

    /// A runtime that has one sandbox, whose shim hears and says nothing.
    struct World {
        dir: tempfile::TempDir,
        networks: Arc<FakeNetworks>,
        inner: Arc<Inner>,
        _shim: UnixListener,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            let config = RuntimeConfig {
                state_dir: at("state"),
                run_dir: at("run"),
                cgroup: "test".to_owned(),
                program: std::env::current_exe().unwrap(),
            };
            let images = image::ImageStore::open(&at("images"), image::Registries::default()).unwrap();
            let networks = Arc::new(FakeNetworks::default());
            let cgroups = Hierarchies::V2(at("cgroup"));
            let inner = Arc::new(Inner::new(config, images, networks.clone(), cgroups));
            let shim = UnixListener::bind(at("shim.sock")).unwrap();
            World { dir, networks, inner, _shim: shim }
        }

        async fn add_sandbox(&self, connection: Connection) -> SandboxId {
            let record = SandboxRecord {
                id: SandboxId(new_id()),
                config: SandboxConfig { name: "web".into(), connection, ..Default::default() },
                created_at: jiff::Timestamp::UNIX_EPOCH,
                made: Some(Made {
                    shim: ProcessId { pid: 7, start_time: 1 },
                    attachment: None,
                    shows_cgroups: true,
                }),
                stopped: false,
            };
            let id = record.id.clone();
            private_dir(&self.inner.paths.sandbox_state(&id)).unwrap();
            let (tell, _) = mpsc::unbounded_channel();
            let client = ShimClient::connect(&self.dir.path().join("shim.sock"), tell).await.unwrap();
            self.inner.add_sandbox(Arc::new(Sandbox::ready(record, client)));
            id
        }

        /// What a later daemon would know.
        fn written(&self, id: &SandboxId) -> Option<Connection> {
            let record = records::read::<SandboxRecord>(&self.inner.paths.sandbox_record(id)).unwrap();
            record.map(|record| record.config.connection)
        }
    }

    fn endpoint(last: u8) -> Endpoint {
        Endpoint {
            address: Ipv4Addr::new(172, 18, 0, last),
            subnet: "172.18.0.0/16".parse().unwrap(),
            gateway: Ipv4Addr::new(172, 18, 0, 1),
            internal: false,
            mtu: None,
        }
    }

    fn in_networks(endpoints: Vec<Endpoint>) -> Connection {
        Connection::Networks { endpoints, mac_address: None }
    }

    #[tokio::test]
    async fn other_endpoints_take_the_place_of_those_that_are_left() {
        let world = World::new();
        let id = world.add_sandbox(in_networks(vec![endpoint(2), endpoint(3)])).await;
        let wanted = vec![endpoint(3), endpoint(4)];
        world.inner.set_endpoints(&id, wanted.clone()).await.unwrap();
        let joined = Asked::Join {
            sandbox: id.clone(),
            netns: "/proc/7/ns/net".into(),
            membership: cri::Membership {
                endpoints: wanted.clone(),
                mac_address: None,
                host_ports: Vec::new(),
            },
            left: vec![endpoint(2).address],
        };
        assert_eq!(world.networks.asked(), [joined]);
        assert_eq!(world.written(&id), Some(in_networks(wanted.clone())));

        // what the network refuses has not happened
        world.networks.refuse(Some("operation not permitted"));
        let refused = world.inner.set_endpoints(&id, Vec::new()).await.unwrap_err();
        assert_eq!(refused.to_string(), "connect sandbox web to networks: operation not permitted");
        assert_eq!(world.written(&id), Some(in_networks(wanted.clone())));
        let now = world.inner.sandbox(&id).unwrap().record().config.connection;
        assert_eq!(now, in_networks(wanted));
    }

    #[tokio::test]
    async fn only_a_sandbox_in_networks_gets_endpoints_and_only_one_that_runs_shares_its_namespace() {
        let world = World::new();
        let pod = world.add_sandbox(Connection::Pods).await;
        let refused = world.inner.set_endpoints(&pod, vec![endpoint(2)]).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("sandbox {pod} is in no networks"));
        assert!(world.networks.asked().is_empty());

        let shares = |of: &SandboxId| SandboxConfig {
            connection: Connection::Shared(of.clone()),
            ..Default::default()
        };
        let namespace = world.inner.shared_network(&shares(&pod)).unwrap();
        assert_eq!(namespace.as_deref(), Some(Path::new("/proc/7/ns/net")));
        world.inner.sandbox(&pod).unwrap().end();
        let refused = world.inner.shared_network(&shares(&pod)).unwrap_err();
        assert_eq!(refused.to_string(), format!("sandbox {pod} is not ready"));
        let gone = SandboxId(new_id());
        assert!(matches!(world.inner.shared_network(&shares(&gone)), Err(CriError::NotFound(_))));
    }
}
