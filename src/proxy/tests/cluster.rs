//! The proxy between a real control plane (in memory) and a real kernel. Needs root, iproute2 and nft.

#[path = "../../net/tests/world/mod.rs"]
#[allow(dead_code)]
mod world;

use api::ObjectKey;
use cluster::{Actor, Client, Cluster, ClusterConfig, DeleteOptions};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use net::Network;
use proxy::ProxyConfig;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use world::{CLIENT, NODE, alone, config, lan, pod, sh, tcp, udp, udp_socket};

const PATIENCE: Duration = Duration::from_secs(20); // a loaded machine's; nothing waits for it to pass

struct World {
    cluster: Cluster,
    network: Network,
    stop: CancellationToken,
    proxy: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start() -> Self {
        // seen only where the test fails
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).init();
        lan();
        let network = Network::start(config()).await.unwrap();
        let settings = ClusterConfig {
            service_cidr: config().service_cidr,
            pod_cidr: config().pod_cidr,
            node_ports: 30000..=32767,
            advertise_address: NODE,
            secure_port: 8443,
        };
        let cluster = testkit::cluster(settings).await;
        cluster.bootstrap_components([proxy::role()]).await.unwrap();
        let stop = CancellationToken::new();
        let proxy = start_proxy(&cluster, &network, &stop);
        World { cluster, network, stop, proxy }
    }

    /// Does `meanwhile` while there is no proxy.
    async fn restart_proxy(&mut self, meanwhile: impl Future<Output = ()>) {
        self.stop.cancel();
        (&mut self.proxy).await.unwrap();
        meanwhile.await;
        self.stop = CancellationToken::new();
        self.proxy = start_proxy(&self.cluster, &self.network, &self.stop);
    }

    fn client(&self) -> Client {
        self.cluster.acting_as(Actor::root())
    }

    async fn service(&self, name: &str, spec: Value) -> Service {
        let service = json!({ "metadata": { "name": name, "namespace": "default" }, "spec": spec });
        self.client().api::<Service>().create(serde_json::from_value(service).unwrap()).await.unwrap()
    }

    async fn slice(&self, service: &str, endpoints: &[Ipv4Addr]) {
        let endpoints: Vec<Value> =
            endpoints.iter().map(|ip| json!({ "addresses": [ip], "nodeName": "here" })).collect();
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": { "name": service, "namespace": "default", "labels": { "kubernetes.io/service-name": service } },
            "addressType": "IPv4",
            "ports": [{ "name": "t", "port": 8080, "protocol": "TCP" }, { "name": "u", "port": 8080, "protocol": "UDP" }],
            "endpoints": endpoints,
        }))
        .unwrap();
        let slices = self.client().api::<EndpointSlice>();
        match slices.find(&key(service)).unwrap() {
            None => drop(slices.create(slice).await.unwrap()),
            Some(_) => drop(
                slices
                    .modify(&key(service), |known| {
                        known.endpoints.clone_from(&slice.endpoints);
                        Ok(())
                    })
                    .await
                    .unwrap(),
            ),
        }
    }

    /// The address that the service was given.
    async fn balancer(&self, name: &str) -> Ipv4Addr {
        let seen = std::sync::Mutex::new(Vec::new());
        let api = self.client().api::<Service>();
        let mut changes = self.cluster.informer::<Service>().subscribe();
        let given = async {
            loop {
                let service = api.get(&key(name)).unwrap();
                seen.lock().unwrap().push(service.clone());
                let status = service.status.unwrap_or_default();
                let ingress = status.load_balancer.and_then(|b| b.ingress).unwrap_or_default();
                if let [one] = &ingress[..] {
                    assert_eq!(one.ip_mode.as_deref(), Some("VIP"));
                    return one.ip.as_ref().unwrap().parse().unwrap();
                }
                changes.next().await;
            }
        };
        let given = tokio::time::timeout(PATIENCE, given).await;
        given.unwrap_or_else(|_| panic!("no address for {name}: {:?}", seen.lock().unwrap().last()))
    }
}

fn start_proxy(
    cluster: &Cluster,
    network: &Network,
    stop: &CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let config = ProxyConfig { node_name: "here".into(), load_balancer_cidr: config().load_balancer_cidr };
    tokio::spawn(proxy::run(cluster.clone(), network.clone(), config, stop.clone()))
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

fn ports() -> Value {
    json!([{ "name": "t", "port": 80, "protocol": "TCP" }, { "name": "u", "port": 80, "protocol": "UDP" }])
}

fn cluster_ip(service: &Service) -> SocketAddrV4 {
    SocketAddrV4::new(service.spec.as_ref().unwrap().cluster_ip.as_ref().unwrap().parse().unwrap(), 80)
}

fn node_port(service: &Service) -> u16 {
    service.spec.as_ref().unwrap().ports.as_ref().unwrap()[0].node_port.unwrap() as u16
}

/// The kernel follows the objects in milliseconds, but not within the call that changed them.
async fn comes<T: PartialEq + std::fmt::Debug>(what: &str, want: T, mut look: impl FnMut() -> T) {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let got = tokio::task::block_in_place(&mut look);
        if got == want {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{what}: {got:?}, not {want:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn services_work_as_their_objects_say() {
    alone("services_work_as_their_objects_say", || async {
        let world = World::start().await;
        let (a, b) = (pod(&world.network, "a").await, pod(&world.network, "b").await);
        let gateway = world.network.gateway();
        let web = world.service("web", json!({ "type": "LoadBalancer", "ports": ports() })).await;
        let balancer = world.balancer("web").await;
        assert_eq!(balancer, Ipv4Addr::new(10, 98, 0, 1));
        let (cluster, balanced) = (cluster_ip(&web), SocketAddrV4::new(balancer, 80));
        let node_port = SocketAddrV4::new(NODE, node_port(&web));

        let refused = Err(std::io::ErrorKind::ConnectionRefused);
        comes("no endpoints", refused.clone(), || tcp(Some("b"), balanced)).await;
        world.slice("web", &[a.ip]).await;
        comes("pod to ClusterIP", Ok(format!("a {}", b.ip)), || tcp(Some("b"), cluster)).await;
        for (name, from, to, seen) in [
            ("machine to ClusterIP", None, cluster, NODE),
            ("pod to itself", Some("a"), cluster, gateway),
            ("localhost", None, SocketAddrV4::new(Ipv4Addr::LOCALHOST, node_port.port()), gateway),
            ("LAN client to nodePort", Some("client"), node_port, gateway),
            ("LAN client to balancer", Some("client"), balanced, gateway),
            ("machine to balancer", None, balanced, gateway),
        ] {
            assert_eq!(tcp(from, to), Ok(format!("a {seen}")), "{name}");
        }
        assert_eq!(
            udp(&udp_socket(Some("client")), balanced),
            Ok(format!("a {gateway}")),
            "its UDP port too"
        );

        let services = world.client().api::<Service>();
        let local = |service: &mut Service| {
            service.spec.as_mut().unwrap().external_traffic_policy = Some("Local".into());
            Ok(())
        };
        services.modify(&key("web"), local).await.unwrap();
        comes("the client's address is kept", Ok(format!("a {CLIENT}")), || tcp(Some("client"), balanced))
            .await;

        // a UDP client that keeps its socket follows the service to its new pod
        let socket = udp_socket(Some("client"));
        assert_eq!(udp(&socket, balanced), Ok(format!("a {CLIENT}")));
        world.slice("web", &[b.ip]).await;
        comes("UDP follows", Ok(format!("b {CLIENT}")), || udp(&socket, balanced)).await;
        assert_eq!(tcp(Some("client"), balanced), Ok(format!("b {CLIENT}")));

        services.delete(&key("web"), DeleteOptions::default()).await.unwrap();
        comes("deleted", refused, || tcp(Some("client"), balanced)).await;
    });
}

#[test]
fn balancer_addresses_are_given_kept_and_taken_back() {
    alone("balancer_addresses_are_given_kept_and_taken_back", || async {
        let mut world = World::start().await;
        let ip = |last| Ipv4Addr::new(10, 98, 0, last);
        let spec = || json!({ "type": "LoadBalancer", "ports": ports() });
        let asking = |ip: &str| json!({ "type": "LoadBalancer", "ports": ports(), "loadBalancerIP": ip });
        world.service("first", spec()).await;
        assert_eq!(world.balancer("first").await, ip(1));
        world.service("asks", asking("10.98.0.9")).await;
        assert_eq!(world.balancer("asks").await, ip(9));
        world.service("waits", asking("10.98.0.9")).await;
        world
            .service(
                "classed",
                json!({ "type": "LoadBalancer", "ports": ports(), "loadBalancerClass": "x.y/z" }),
            )
            .await;
        world.service("second", spec()).await;
        assert_eq!(world.balancer("second").await, ip(2));

        // after a restart everybody has what it had
        let services = world.client().api::<Service>();
        world
            .restart_proxy(async { services.delete(&key("first"), DeleteOptions::default()).await.unwrap() })
            .await;
        world.service("third", spec()).await;
        assert_eq!(world.balancer("third").await, ip(1), "the smallest that nobody has");
        assert_eq!(world.balancer("second").await, ip(2));

        // one that is no balancer any more gives its address to the one that waits for it
        let plain = |service: &mut Service| {
            service.spec.as_mut().unwrap().type_ = Some("NodePort".into());
            service.spec.as_mut().unwrap().load_balancer_ip = None;
            service.spec.as_mut().unwrap().allocate_load_balancer_node_ports = None;
            Ok(())
        };
        services.modify(&key("asks"), plain).await.unwrap();
        assert_eq!(world.balancer("waits").await, ip(9));
        let ingress = |name: &str| {
            let balancer = services.get(&key(name)).unwrap().status.and_then(|s| s.load_balancer);
            balancer.and_then(|b| b.ingress).unwrap_or_default().len()
        };
        comes("its status is empty", 0, || ingress("asks")).await;
        assert_eq!(ingress("classed"), 0, "it has its own controller");

        // one that goes over to another controller, at once, takes no address along that is given to others
        let classed = |service: &mut Service| {
            let spec = service.spec.as_mut().unwrap();
            (spec.type_, spec.load_balancer_class) = (Some("LoadBalancer".into()), Some("x.y/z".into()));
            Ok(())
        };
        services.modify(&key("second"), plain).await.unwrap();
        services.modify(&key("second"), classed).await.unwrap();
        comes("its address has gone", 0, || ingress("second")).await;
        world.service("fourth", spec()).await;
        assert_eq!(world.balancer("fourth").await, ip(2));
        // what that controller gives is none of ours
        let give = |service: &mut Service| {
            let given = json!({ "loadBalancer": { "ingress": [{ "ip": "192.0.2.7" }] } });
            service.status = serde_json::from_value(given).unwrap();
            Ok(())
        };
        services.modify_status(&key("second"), give).await.unwrap();
        world.service("fifth", spec()).await;
        world.balancer("fifth").await;
        assert_eq!(ingress("second"), 1);
    });
}

#[test]
fn the_api_service_is_reached_from_pods_and_machine() {
    alone("the_api_service_is_reached_from_pods_and_machine", || async {
        let world = World::start().await;
        let a = pod(&world.network, "a").await;
        world::serve(None, "api", NODE, 8443);
        let api = SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 1), 443);
        comes("pod", Ok(format!("api {}", a.ip)), || tcp(Some("a"), api)).await;
        assert_eq!(tcp(None, api), Ok(format!("api {NODE}")));
    });
}

#[test]
fn what_the_kernel_refuses_is_tried_again() {
    alone("what_the_kernel_refuses_is_tried_again", || async {
        let world = World::start().await;
        let a = pod(&world.network, "a").await;
        let web = world.service("web", json!({ "ports": ports() })).await;
        world.slice("web", &[a.ip]).await;
        comes("before", Ok(format!("a {NODE}")), || tcp(None, cluster_ip(&web))).await;
        sh("nft flush ruleset");
        let more = world.service("more", json!({ "ports": ports() })).await;
        world.slice("more", &[a.ip]).await;
        comes("the new one", Ok(format!("a {NODE}")), || tcp(None, cluster_ip(&more))).await;
        assert_eq!(tcp(None, cluster_ip(&web)), Ok(format!("a {NODE}")), "and the old one again");
    });
}
