//! What a balancer asks each node, at the Service's `healthCheckNodePort`: whether it has endpoints of its own for a Service
//! whose clients' addresses are kept, and whether what the Services say is in the kernel. The answer, its status and header
//! are kube-proxy's.

use crate::NAME;
use crate::render::is_proxied;
use api::ObjectKey;
use bytes::Bytes;
use cluster::{Client, Recorder};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kinds::endpoints::condition;
use listener::{Seats, accept_all, serve_http};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Connections that wait for nothing, of all that may ask.
const MOST_IDLE: usize = 64;

/// Where a Service's health is asked for, and how many of its endpoints are on this node and ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheck {
    pub port: u16,
    pub local_endpoints: usize,
}

/// `None` for a Service that nobody asks about. Pure.
pub fn health_check<S: Borrow<EndpointSlice>>(
    service: &Service,
    slices: &[S],
    node: &str,
) -> Option<HealthCheck> {
    let spec = service.spec.as_ref().filter(|_| is_proxied(service))?;
    let is_asked = spec.type_.as_deref() == Some("LoadBalancer")
        && spec.external_traffic_policy.as_deref() == Some("Local");
    let port = spec.health_check_node_port.filter(|_| is_asked)?;
    let slices = slices.iter().map(Borrow::borrow).filter(|slice| slice.address_type == "IPv4");
    let endpoints = slices.flat_map(|slice| slice.endpoints.iter().flatten());
    let local = endpoints.filter(|endpoint| endpoint.node_name.as_deref() == Some(node));
    let ready = local.filter(|endpoint| condition(endpoint).ready);
    let addresses: BTreeSet<&String> = ready.filter_map(|endpoint| endpoint.addresses.first()).collect();
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    Some(HealthCheck { port, local_endpoints: addresses.len() })
}

/// The servers, one for each Service that is asked about. They end when this is dropped.
pub(crate) struct HealthChecks {
    events: Recorder,
    node: String,
    servers: BTreeMap<ObjectKey, Server>,
    /// What was applied last is in the kernel.
    is_healthy: Arc<AtomicBool>,
}

/// A Service, and where it is to be asked about, if anywhere.
pub(crate) type WantedCheck = (ObjectKey, Option<(HealthCheck, Arc<Service>)>);

struct Server {
    port: u16,
    local_endpoints: Arc<AtomicUsize>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl HealthChecks {
    pub(crate) fn new(client: &Client, node: &str) -> Self {
        HealthChecks {
            events: client.recorder(NAME, Some(node)),
            node: node.to_owned(),
            servers: BTreeMap::new(),
            is_healthy: Arc::default(),
        }
    }

    /// Whether the last changes came into the kernel: where they did not, a balancer had better send to another node.
    pub(crate) fn proxy_is(&self, is_healthy: bool) {
        self.is_healthy.store(is_healthy, Ordering::Relaxed);
    }

    /// Ports are given back before any is taken: another may have been given one of them, and one that moves may have moved
    /// to where one was that moves too.
    pub(crate) async fn set(&mut self, wanted: &[WantedCheck]) {
        for (key, wanted) in wanted {
            self.give_back(key, wanted.as_ref().map(|(check, _)| check.port)).await;
        }
        for (key, wanted) in wanted {
            if let Some((check, service)) = wanted {
                self.take(key, *check, service).await;
            }
        }
    }

    /// Unless it stays at this port.
    async fn give_back(&mut self, key: &ObjectKey, port: Option<u16>) {
        if self.servers.get(key).is_some_and(|server| Some(server.port) != port)
            && let Some(Server { stop, task, .. }) = self.servers.remove(key)
        {
            // another may want the port at once, however long those who are connected take to go
            drop(stop);
            task.abort();
            let _ = task.await;
        }
    }

    async fn take(&mut self, key: &ObjectKey, check: HealthCheck, service: &Service) {
        if let Some(server) = self.servers.get(key) {
            return server.local_endpoints.store(check.local_endpoints, Ordering::Relaxed);
        }
        match TcpListener::bind((Ipv4Addr::UNSPECIFIED, check.port)).await {
            Ok(listener) => {
                let server = serve(listener, key, check, self.is_healthy.clone());
                self.servers.insert(key.clone(), server);
            }
            Err(error) => {
                let (node, port) = (&self.node, check.port);
                let said =
                    format!("node {node} failed to start healthcheck \"{key}\" on port {port}: {error}");
                tracing::warn!(service = %key, port, %error, "nobody answers at its healthCheckNodePort");
                self.events.warning(service, "FailedToStartServiceHealthcheck", said);
            }
        }
    }
}

fn serve(listener: TcpListener, key: &ObjectKey, check: HealthCheck, is_healthy: Arc<AtomicBool>) -> Server {
    let (stop, local_endpoints) =
        (CancellationToken::new(), Arc::new(AtomicUsize::new(check.local_endpoints)));
    let (ends, count, key) = (stop.clone(), local_endpoints.clone(), key.clone());
    let task = tokio::spawn(async move {
        let seats = Seats::new(MOST_IDLE);
        let handle = |socket, client: SocketAddr| {
            let (ends, count, key) = (ends.clone(), count.clone(), key.clone());
            let is_healthy = is_healthy.clone();
            let seat = Arc::new(seats.take(client.ip()));
            async move {
                let service = service_fn(|_: Request<Incoming>| {
                    let is_healthy = is_healthy.load(Ordering::Relaxed);
                    let answer = answer(&key, count.load(Ordering::Relaxed), is_healthy);
                    async move { Ok::<_, Infallible>(answer) }
                });
                seat.clone().hold(serve_http(socket, service, Some(seat), &ends)).await;
            }
        };
        accept_all("a service's health check", &listener, &ends, handle).await;
    });
    Server { port: check.port, local_endpoints, stop: stop.drop_guard(), task }
}

/// kube-proxy's own, to the tabs.
fn answer(key: &ObjectKey, local_endpoints: usize, is_healthy: bool) -> Response<Full<Bytes>> {
    let (namespace, name) = (key.namespace.as_deref().unwrap_or_default(), &key.name);
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\
         \t\"localEndpoints\": {local_endpoints},\n\t\"serviceProxyHealthy\": {is_healthy}\n}}"
    );
    let mut response = Response::new(Full::new(Bytes::from(body)));
    if local_endpoints == 0 || !is_healthy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    headers.insert("x-content-type-options", hyper::header::HeaderValue::from_static("nosniff"));
    headers.insert("x-load-balancing-endpoint-weight", local_endpoints.into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::Actor;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use testkit::objects;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    fn slice(endpoints: Value) -> EndpointSlice {
        serde_json::from_value(
            json!({"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": endpoints}),
        )
        .unwrap()
    }

    #[test]
    fn ready_endpoints_of_this_node_are_counted() {
        let local = || json!({"type": "LoadBalancer", "clusterIP": "10.96.0.9", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30000});
        let without = |field: &str, value: Value| {
            let mut spec = local();
            spec[field] = value;
            spec
        };
        let at = |ip: &str, node: &str, ready: bool| json!({"addresses": [ip], "nodeName": node, "conditions": {"ready": ready}});
        let two = || vec![slice(json!([at("10.0.0.1", "n", true), at("10.0.0.2", "n", true)]))];
        let cases = [
            ("two", local(), two(), Some(2)),
            ("none", local(), vec![], Some(0)),
            ("one that is not ready", local(), vec![slice(json!([at("10.0.0.1", "n", false)]))], Some(0)),
            ("on another node", local(), vec![slice(json!([at("10.0.0.1", "m", true)]))], Some(0)),
            ("in two slices", local(), [two(), two()].concat(), Some(2)),
            ("any node will do", without("externalTrafficPolicy", json!("Cluster")), two(), None),
            ("no port", without("healthCheckNodePort", json!(null)), two(), None),
            ("headless", without("clusterIP", json!("None")), two(), None),
        ];
        for (name, spec, slices, want) in cases {
            let service = objects::service("web").spec(&spec).build();
            let found = health_check(&service, &slices, "n");
            assert_eq!(found.map(|check| check.local_endpoints), want, "{name}");
        }
    }

    #[tokio::test]
    async fn the_answer_is_kube_proxys() {
        for (count, is_healthy, status) in [(0, true, 503), (2, true, 200), (2, false, 503), (0, false, 503)]
        {
            let answer = answer(&ObjectKey::namespaced("shop", "web"), count, is_healthy);
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["x-load-balancing-endpoint-weight"], count.to_string());
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let said: Value = serde_json::from_slice(&body).unwrap();
            let want = json!({"service": {"namespace": "shop", "name": "web"}, "localEndpoints": count, "serviceProxyHealthy": is_healthy});
            assert_eq!(said, want);
        }
    }

    /// Two ports that nobody listens at.
    async fn free_ports() -> [u16; 2] {
        let listen = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0));
        let listeners = [listen().await.unwrap(), listen().await.unwrap()];
        listeners.map(|listener| listener.local_addr().unwrap().port())
    }

    /// The first line of what is answered there.
    async fn asked(port: u16) -> String {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut said = String::new();
        socket.read_to_string(&mut said).await.unwrap();
        said.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn checks_change_their_ports_and_say_whether_the_kernel_follows() {
        let client = testkit::cluster(testkit::config()).await.acting_as(Actor::root());
        let mut checks = HealthChecks::new(&client, "n");
        let service = Arc::new(objects::service("web").build());
        let [one, two] = free_ports().await;
        let at = |name: &str, port: Option<u16>| -> WantedCheck {
            let check = port.map(|port| (HealthCheck { port, local_endpoints: 1 }, service.clone()));
            (ObjectKey::namespaced("default", name), check)
        };
        let cases = [
            ("at first", vec![at("a", Some(one)), at("b", Some(two))], vec![one, two]),
            ("nothing changes", vec![at("a", Some(one))], vec![one, two]),
            ("they change places", vec![at("a", Some(two)), at("b", Some(one))], vec![two, one]),
            ("one goes, another takes its port", vec![at("b", Some(two)), at("a", None)], vec![two]),
        ];
        for (name, wanted, want) in cases {
            checks.set(&wanted).await;
            let ports: Vec<u16> = checks.servers.values().map(|server| server.port).collect();
            assert_eq!(ports, want, "{name}");
        }
        assert_eq!(asked(two).await, "HTTP/1.1 503 Service Unavailable", "nothing was applied yet");
        checks.proxy_is(true);
        assert_eq!(asked(two).await, "HTTP/1.1 200 OK");
        checks.proxy_is(false);
        assert_eq!(asked(two).await, "HTTP/1.1 503 Service Unavailable");
    }
}
