//! The node's half of the appliance: the components that run containers and lead packets to them.

use crate::claim;
use crate::error::{StartError, failed};
use crate::service_network::ServiceNetwork;
use crate::settings::CLUSTER_DOMAIN;
use crate::{Paths, Settings};
use cluster::Cluster;
use cri::{PodAccess, Protocol, Runtime};
use dns::DnsConfig;
use docker::{AddressPool, DockerConfig};
use image::{BuildRunner, ImageStore};
use ingress::IngressConfig;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kubelet::{Kubelet, KubeletConfig, OwnPort, Pauser};
use net::{Action, Frontend, NetConfig, Network};
use netpol::NetpolConfig;
use provisioner::ProvisionerConfig;
use proxy::ProxyConfig;
use runtime::{RuntimeConfig, ShimRuntime};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A node that is not ready by then is said to be so, and the start goes on.
const READY_PATIENCE: Duration = Duration::from_secs(20);

/// For the containers of pods that nobody looks after any more: Docker's own.
const POD_GRACE: Duration = Duration::from_secs(10);

/// Where ingresses are reached; bound while there is one.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// What must be there before the first pod: made beside the control plane, which needs none of it.
pub(crate) struct NodeServices {
    network: Network,
    pub(crate) images: Arc<ImageStore>,
    runtime: Arc<ShimRuntime>,
}

/// The node's name is the profile's, as minikube has it.
pub(crate) fn name(paths: &Paths) -> String {
    paths.profile.to_string()
}

pub(crate) fn net_config(paths: &Paths, settings: &Settings, node_ip: Ipv4Addr) -> NetConfig {
    NetConfig {
        profile: paths.profile.to_string(),
        node_ip,
        pod_cidr: settings.pod_cidr,
        service_cidr: settings.service_cidr,
        load_balancer_cidr: settings.load_balancer_cidr,
    }
}

pub(crate) fn runtime_config(paths: &Paths, program: PathBuf) -> RuntimeConfig {
    RuntimeConfig {
        state_dir: paths.runtime(),
        run_dir: paths.sandboxes(),
        cgroup: paths.cgroup.clone(),
        program,
    }
}

fn docker_config(paths: &Paths, settings: &Settings) -> DockerConfig {
    DockerConfig {
        state_dir: paths.docker(),
        socket: paths.docker_socket(),
        name: name(paths),
        cgroup_parent: "docker".to_owned(),
        gateway: settings.gateway(),
        pod_cidr: settings.pod_cidr,
        pools: settings.docker_pools().map(|(base, size)| AddressPool { base, size }).collect(),
        dns: settings.dns_service_ip().into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        unread: runtime::unread,
    }
}

fn dns_config(settings: &Settings) -> DnsConfig {
    DnsConfig {
        listen: (settings.gateway(), 53).into(),
        domain: CLUSTER_DOMAIN.to_owned(),
        pod_cidr: settings.pod_cidr,
        service_cidr: settings.service_cidr,
        upstream: dns::Upstream::ResolvConf("/etc/resolv.conf".into()),
        service_ip: settings.dns_service_ip(),
    }
}

impl NodeServices {
    pub(crate) async fn start(
        paths: &Paths,
        settings: &Settings,
        node_ip: Ipv4Addr,
    ) -> Result<Self, StartError> {
        share_volumes(&paths.kubelet()).map_err(|e| failed("share the volumes' directory", &e))?;
        let proxies = image::Proxies::of_the_environment();
        let registries = image::Registries { proxies, ..settings.registries.clone() };
        let images =
            ImageStore::open(&paths.images(), registries).map_err(|e| failed("open the image store", &e))?;
        images.embed(sample::IMAGE, sample::archive).map_err(|e| failed("embed the sample image", &e))?;
        let network = Network::start(net_config(paths, settings, node_ip))
            .await
            .map_err(|e| failed("set up the network", &e))?;
        // a disk that is full keeps nobody from starting
        let resumed = network.resume_addresses(&paths.last_address());
        let _ = resumed
            .inspect_err(|why| tracing::warn!("addresses of pods that are gone may return soon: {why}"));
        let program = std::env::current_exe().map_err(|e| failed("find the program itself", &e))?;
        let runtime =
            ShimRuntime::start(runtime_config(paths, program), images.clone(), Arc::new(network.clone()))
                .await
                .map_err(|e| failed("start the container runtime", &e))?;
        Ok(NodeServices { network, images, runtime })
    }

    /// What leads packets for the addresses of Services.
    pub(crate) fn service_network(&self) -> Arc<dyn controllers::ServiceNetwork> {
        Arc::new(ServiceNetwork(self.network.clone()))
    }

    /// What runs the steps of builds that the command line asks for.
    pub(crate) fn build_runner(&self, paths: &Paths, settings: &Settings) -> Arc<dyn BuildRunner> {
        Arc::new(docker::Runner::new(docker_config(paths, settings), self.runtime.clone()))
    }

    /// What the user should know of the machine's network. It is looked up from now on, and takes its time.
    pub(crate) fn notes(&self) -> impl Future<Output = Vec<String>> + use<> {
        let network = self.network.clone();
        let looked_up = tokio::spawn(async move { network.notes().await });
        async { looked_up.await.unwrap_or_default() }
    }

    /// Starts DNS, the Docker socket, proxy, provisioner, ingress and kubelet; they end with `stop`.
    pub(crate) async fn build(
        &self,
        cluster: &Cluster,
        paths: &Paths,
        settings: &Settings,
        (node_ip, kubelet_port): (Ipv4Addr, Option<u16>),
        running: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(Arc<dyn PodAccess>, Pauser), StartError> {
        let dns = dns_config(settings);
        let sockets = dns::bind(dns.listen).await.map_err(|e| failed("start DNS", &e))?;
        running.spawn(named("DNS", dns::serve_on(sockets, cluster.clone(), dns, stop.clone())));
        self.serve_docker(paths, settings, running, stop)?;
        let proxy = ProxyConfig { node_name: name(paths), load_balancer_cidr: settings.load_balancer_cidr };
        running.spawn(proxy::run(cluster.clone(), self.network.clone(), proxy, stop.clone()));
        self.heal_network(running, stop);
        // before the kubelet: its pods wait for the gate
        let netpol = NetpolConfig { dns: settings.gateway() };
        running.spawn(netpol::start(cluster.clone(), self.network.clone(), netpol, stop.clone()));
        let volumes = ProvisionerConfig { directory: paths.volumes(), snapshots: paths.snapshots() };
        running.spawn(provisioner::run(cluster.clone(), volumes, stop.clone()));
        let ingress = IngressConfig {
            node_ip: node_ip.into(),
            http_port: HTTP,
            https_port: HTTPS,
            mark: Some(net::ON_BEHALF),
        };
        running.spawn(ingress::run(cluster.clone(), ingress, stop.clone()));
        let dns = settings.dns_service_ip().into();
        let config = KubeletConfig {
            port: kubelet_port,
            max_pods: settings.max_pods.get(),
            pod_cidr: Some(settings.pod_cidr.to_string()),
            own_ports: own_ports(settings, kubelet_port.map(|port| (node_ip, port))),
            ..KubeletConfig::new(&name(paths), node_ip.into(), paths.kubelet(), dns)
        };
        let Kubelet { access, pauser, task } =
            kubelet::start(cluster.clone(), config, self.runtime.clone(), self.images.clone(), stop.clone())
                .await
                .map_err(|e| failed("start the kubelet", &e))?;
        running.spawn(named("kubelet", task));
        Ok((access, pauser))
    }

    /// What somebody else takes away of the network is put back, until `stop`.
    fn heal_network(&self, running: &mut JoinSet<()>, stop: &CancellationToken) {
        let (network, stopped) = (self.network.clone(), stop.clone());
        running.spawn(named("network", async move {
            tokio::select! {
                () = stopped.cancelled() => Ok(()),
                healed = network.heal() => healed.map(|never| match never {}),
            }
        }));
    }

    fn serve_docker(
        &self,
        paths: &Paths,
        settings: &Settings,
        running: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), StartError> {
        let docker = docker_config(paths, settings);
        let own = docker::Socket::own(&docker.socket);
        let also = settings.docker_socket.iter().map(|path| docker::Socket::shared(path));
        let sockets: Result<Vec<_>, _> = std::iter::once(own).chain(also).collect();
        let sockets = sockets.map_err(|e| failed("start the Docker socket", &e))?;
        claim::link_docker_socket(paths).map_err(|e| failed("link the Docker socket", &e))?;
        let (runtime, images) = (self.runtime.clone(), self.images.clone());
        let networks = Arc::new(self.network.clone());
        let docker = docker::serve_on(sockets, docker, runtime, networks, images, stop.clone());
        running.spawn(named("docker", docker));
        Ok(())
    }

    /// Starts the name server and the Docker socket; they end with `stop`.
    pub(crate) async fn serve_docker_alone(
        &self,
        paths: &Paths,
        settings: &Settings,
        running: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), StartError> {
        let dns = dns_config(settings);
        let sockets = dns::bind(dns.listen).await.map_err(|e| failed("start DNS", &e))?;
        running.spawn(named("DNS", dns::serve_alone(sockets, dns, stop.clone())));
        // containers ask the address that is a service's otherwise
        let gateway = SocketAddrV4::new(settings.gateway(), 53);
        let frontends = [Protocol::Udp, Protocol::Tcp].map(|protocol| {
            let way = Action::Forward { backends: [gateway].into(), affinity: None, masquerade: false };
            (Frontend { address: Some(settings.dns_service_ip()), protocol, port: gateway.port() }, way)
        });
        self.network.set_frontends(frontends.into()).await.map_err(|e| failed("lead to DNS", &e))?;
        // ranges of a start with Kubernetes: nobody has an address of theirs
        self.network.set_service_ranges(&[]).await.map_err(|e| failed("set up the network", &e))?;
        self.heal_network(running, stop);
        self.serve_docker(paths, settings, running, stop)
    }

    /// Ends what is left of the pods of a start with Kubernetes, all at once, and lets the devices go that they had.
    pub(crate) async fn end_pods(&self, paths: &Paths) -> cri::Result<()> {
        let mut ending = JoinSet::new();
        for sandbox in self.runtime.list().await? {
            if sandbox.config.labels.get(kubelet::labels::POD_UID).is_none_or(String::is_empty) {
                continue;
            }
            let runtime = self.runtime.clone();
            ending.spawn(async move {
                for container in &sandbox.containers {
                    // one that is paused would not hear the signal; one that has ended is neither thawed nor stopped
                    let _ = runtime.freeze_container(&container.id, false).await;
                    let _ = runtime.stop_container(&container.id, POD_GRACE, None).await;
                }
                runtime.stop_sandbox(&sandbox.id).await
            });
        }
        while let Some(ended) = ending.join_next().await {
            ended.map_err(|e| cri::CriError::failed("end a pod", e))??;
        }
        let volumes = paths.volumes();
        let left = tokio::task::spawn_blocking(move || loopdev::detach_below(&volumes)).await;
        for why in left.unwrap_or_else(|e| vec![e.to_string()]) {
            tracing::warn!(why, "a device of a volume stays");
        }
        Ok(())
    }
}

/// Where this process itself listens whatever the pods do; ingresses' ports are only taken while there is one, so that pods
/// may serve them instead.
fn own_ports(settings: &Settings, kubelet: Option<(Ipv4Addr, u16)>) -> Vec<OwnPort> {
    let tcp = |address: Option<Ipv4Addr>, port, of| OwnPort {
        protocol: Protocol::Tcp,
        address: address.map(Into::into),
        port,
        of,
    };
    let kubelet = kubelet.map(|(address, port)| tcp(Some(address), port, "the kubelet"));
    let others = [
        tcp(None, settings.api_port, "the API server"),
        tcp(Some(Ipv4Addr::LOCALHOST), settings.dashboard_port, "the dashboard"),
    ];
    others.into_iter().chain(kubelet).collect()
}

/// Makes the directory a mount of its own whose mounts spread: a volume that is mounted on the machine later on appears in the
/// pods that run already, whatever the machine does with its root.
fn share_volumes(directory: &Path) -> std::io::Result<()> {
    use nix::mount::{MsFlags, mount};
    std::fs::create_dir_all(directory)?;
    if !kubelet::volumes::is_mount(directory)? {
        mount(Some(directory), directory, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    }
    mount(None::<&str>, directory, None::<&str>, MsFlags::MS_SHARED, None::<&str>)?;
    Ok(())
}

/// Waits until the node says that it is ready; what it says instead, where it does not in time.
pub(crate) async fn is_ready(cluster: &Cluster, name: &str) -> Result<(), String> {
    let key = api::ObjectKey::new(None, name);
    let informer = cluster.informer::<NodeObject>();
    let mut changes = informer.subscribe();
    let said = || {
        let node = informer.get(&key)?;
        let conditions = node.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|c| c.type_ == "Ready").cloned()
    };
    let becomes_ready = async {
        while said().is_none_or(|condition| condition.status != "True") {
            if changes.next().await.is_none() {
                return;
            }
        }
    };
    match tokio::time::timeout(READY_PATIENCE, becomes_ready).await {
        Ok(()) => Ok(()),
        Err(_) => {
            Err(said().and_then(|c| c.message).unwrap_or_else(|| "the kubelet said nothing".to_owned()))
        }
    }
}

/// A component that ends by itself before it is told to says so in the log.
async fn named<E: std::fmt::Display>(component: &'static str, work: impl Future<Output = Result<(), E>>) {
    if let Err(error) = work.await {
        tracing::error!(component, %error, "a component stopped");
    }
}
