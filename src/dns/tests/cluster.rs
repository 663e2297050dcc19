//! With a real cluster in memory: its objects become names as they come, change and go.

mod common;

use api::ObjectKey;
use cluster::{Actor, Client, Cluster, ClusterConfig, DeleteOptions};
use common::server::{Server, sockets};
use common::{config, external, line, question, service, slice};
use dns::{DnsError, Upstream, publish, serve_on};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType::{self, A, PTR, SRV};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

async fn cluster() -> Cluster {
    let config = ClusterConfig {
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        node_ports: 30000..=32767,
        advertise_address: [192, 0, 2, 1].into(),
        secure_port: 8443,
    };
    let cluster = testkit::cluster(config).await;
    cluster.bootstrap_components([dns::role()]).await.unwrap();
    cluster
}

fn nobody() -> dns::DnsConfig {
    config("10.244.0.1:53".parse().unwrap(), Upstream::Servers(Vec::new()))
}

fn root(cluster: &Cluster) -> Client {
    cluster.acting_as(Actor::root())
}

fn ours() -> ObjectKey {
    ObjectKey::namespaced("kube-system", "kube-dns")
}

async fn start(cluster: &Cluster) -> Server {
    let sockets = sockets().await;
    let address = sockets.address().unwrap();
    let stop = CancellationToken::new();
    let (cluster, stopped) = (cluster.clone(), stop.clone());
    tokio::spawn(async move { serve_on(sockets, cluster, nobody(), stopped).await.unwrap() });
    Server { address, stop: stop.drop_guard() }
}

/// Asks until the answer is as wanted: a change needs its moment to arrive.
async fn until(server: &Server, asked: &str, kind: RecordType, wanted: impl Fn(&Message) -> bool) -> Message {
    loop {
        let answer = server.udp(&question(asked, kind)).await;
        if wanted(&answer) {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

fn has(text: &str) -> impl Fn(&Message) -> bool {
    move |answer| answer.answers.iter().any(|record| line(record).ends_with(text))
}

fn is_nothing(answer: &Message) -> bool {
    answer.metadata.response_code == ResponseCode::NXDomain
}

fn slice_of(service: &str, ready: bool) -> EndpointSlice {
    let mut slice = slice(&[("http", "TCP", 8080)], &[("10.244.0.5", Some("web-0"), Some(ready))]);
    slice.metadata.labels =
        Some(BTreeMap::from([("kubernetes.io/service-name".to_owned(), service.to_owned())]));
    slice
}

#[tokio::test]
async fn the_service_is_published_and_found_by_its_own_name() {
    let cluster = cluster().await;
    let server = start(&cluster).await;
    until(&server, "kube-dns.kube-system.svc.cluster.local.", A, has("A 10.96.0.10")).await;
    until(&server, "10.0.96.10.in-addr.arpa.", PTR, has("kube-dns.kube-system.svc.cluster.local.")).await;
    until(
        &server,
        "_dns._udp.kube-dns.kube-system.svc.cluster.local.",
        SRV,
        has(" 53 kube-dns.kube-system.svc.cluster.local."),
    )
    .await;
    until(&server, "kubernetes.default.svc.cluster.local.", A, has("A 10.96.0.1")).await;
    let made = root(&cluster).api::<Service>().get(&ours()).unwrap();
    let labels = made.metadata.labels.unwrap();
    assert_eq!(labels["k8s-app"], "kube-dns");
    assert_eq!(labels["kubernetes.io/cluster-service"], "true");
    assert_eq!(labels["kubernetes.io/name"], "CoreDNS");
    let slice = root(&cluster).api::<EndpointSlice>().get(&ours()).unwrap();
    assert_eq!(slice.endpoints.unwrap()[0].addresses, ["10.244.0.1"]);
}

#[tokio::test]
async fn publishing_twice_changes_nothing_and_damage_is_mended() {
    let cluster = cluster().await;
    publish(&cluster, &nobody()).await.unwrap();
    let services = root(&cluster).api::<Service>();
    let slices = root(&cluster).api::<EndpointSlice>();
    let versions = || {
        let service = services.get(&ours()).unwrap().metadata.resource_version;
        (service, slices.get(&ours()).unwrap().metadata.resource_version)
    };
    let first = versions();
    publish(&cluster, &nobody()).await.unwrap();
    assert_eq!(versions(), first);
    let damage = |service: &mut Service| {
        service.spec.as_mut().unwrap().ports.as_mut().unwrap().truncate(1);
        service.metadata.labels = Some(BTreeMap::from([("mine".to_owned(), "yes".to_owned())]));
        Ok(())
    };
    services.modify(&ours(), damage).await.unwrap();
    publish(&cluster, &nobody()).await.unwrap();
    let mended = services.get(&ours()).unwrap();
    assert_eq!(mended.spec.unwrap().ports.unwrap().len(), 2);
    let labels = mended.metadata.labels.unwrap();
    assert_eq!((labels["mine"].as_str(), labels["k8s-app"].as_str()), ("yes", "kube-dns"));
}

#[tokio::test]
async fn somebody_elses_dns_is_left_alone_and_a_taken_address_is_said() {
    let cluster = cluster().await;
    let services = root(&cluster).api::<Service>();
    let mut other = service("other", &["10.96.0.10"], &[("http", "TCP", 80)]);
    other.spec.as_mut().unwrap().cluster_ips = None;
    services.create(other).await.unwrap();
    let refused = publish(&cluster, &nobody()).await.unwrap_err();
    assert!(matches!(refused, DnsError::Publish { .. }));
    assert!(refused.to_string().contains("10.96.0.10"), "{refused}");
    let mut theirs = service("kube-dns", &[], &[("dns", "UDP", 53)]);
    theirs.metadata.namespace = Some("kube-system".into());
    theirs.spec.as_mut().unwrap().cluster_ips = None;
    theirs.spec.as_mut().unwrap().selector = Some([("k8s-app".to_owned(), "kube-dns".to_owned())].into());
    let before = services.create(theirs).await.unwrap();
    publish(&cluster, &nobody()).await.unwrap();
    assert_eq!(services.get(&ours()).unwrap(), before);
    assert!(root(&cluster).api::<EndpointSlice>().find(&ours()).unwrap().is_none());
}

#[tokio::test]
async fn names_follow_the_objects() {
    let cluster = cluster().await;
    let server = start(&cluster).await;
    let root = root(&cluster);
    let (services, slices) = (root.api::<Service>(), root.api::<EndpointSlice>());
    let key = ObjectKey::namespaced("default", "web");
    let mut headless = service("web", &["None"], &[("http", "TCP", 80)]);
    headless.spec.as_mut().unwrap().cluster_ips = None;

    // the endpoints may be there before the service
    slices.create(slice_of("web", true)).await.unwrap();
    services.create(headless).await.unwrap();
    until(&server, "web-0.web.default.svc.cluster.local.", A, has("A 10.244.0.5")).await;
    until(&server, "5.0.244.10.in-addr.arpa.", PTR, has("web-0.web.default.svc.cluster.local.")).await;

    slices.update(slice_of("web", false)).await.unwrap();
    until(&server, "web.default.svc.cluster.local.", A, is_nothing).await;
    until(&server, "5.0.244.10.in-addr.arpa.", PTR, is_nothing).await;

    services.delete(&key, DeleteOptions::default()).await.unwrap();
    services.create(external("web", "kubernetes.default.svc.cluster.local")).await.unwrap();
    until(&server, "web.default.svc.cluster.local.", A, has("A 10.96.0.1")).await;

    until(&server, "fresh.svc.cluster.local.", A, is_nothing).await;
    let mut fresh = Namespace::default();
    fresh.metadata.name = Some("fresh".into());
    root.api::<Namespace>().create(fresh).await.unwrap();
    let answer = until(&server, "fresh.svc.cluster.local.", A, |answer| !is_nothing(answer)).await;
    assert!(answer.answers.is_empty());

    let further: [ipnet::Ipv4Net; 1] = ["10.250.0.0/24".parse().unwrap()];
    cluster.set_further_service_ranges(&further);
    cluster.give_service_addresses_from(&further);
    services.create(service("more", &["10.250.0.9"], &[("http", "TCP", 80)])).await.unwrap();
    until(&server, "9.0.250.10.in-addr.arpa.", PTR, has("more.default.svc.cluster.local.")).await;
    until(&server, "8.0.250.10.in-addr.arpa.", PTR, is_nothing).await;
}

#[tokio::test]
async fn what_is_ours_comes_back_when_it_is_deleted() {
    let cluster = cluster().await;
    let server = start(&cluster).await;
    let name = "kube-dns.kube-system.svc.cluster.local.";
    until(&server, name, A, has("A 10.96.0.10")).await;
    let root = root(&cluster);
    let before = root.api::<Service>().get(&ours()).unwrap().metadata.uid;
    root.api::<Service>().delete(&ours(), DeleteOptions::default()).await.unwrap();
    let mut changes = cluster.informer::<Service>().subscribe();
    loop {
        let change = changes.next().await.unwrap();
        let again = matches!(change, cluster::Change::Added(_))
            && change.object().metadata.name.as_deref() == Some("kube-dns");
        if again && change.object().metadata.uid != before {
            break;
        }
    }
    until(&server, name, A, has("A 10.96.0.10")).await;
}

#[tokio::test]
async fn it_ends_when_told_also_with_a_client_on_the_line_and_frees_its_address() {
    let cluster = cluster().await;
    let sockets = sockets().await;
    let address = sockets.address().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_on(sockets, cluster, nobody(), stop.clone()));
    let server = Server { address, stop: stop.clone().drop_guard() };
    until(&server, "kubernetes.default.svc.cluster.local.", A, has("A 10.96.0.1")).await;
    let client = tokio::net::TcpStream::connect(address).await.unwrap();
    stop.cancel();
    serving.await.unwrap().unwrap();
    drop(client);
    dns::bind(address).await.unwrap();
}

#[tokio::test]
async fn a_service_that_gets_a_selector_no_longer_leads_here() {
    let cluster = cluster().await;
    let server = start(&cluster).await;
    until(&server, "kube-dns.kube-system.svc.cluster.local.", A, has("A 10.96.0.10")).await;
    let mut changes = cluster.informer::<EndpointSlice>().subscribe();
    let select = |service: &mut Service| {
        let selector = [("k8s-app".to_owned(), "coredns".to_owned())];
        service.spec.as_mut().unwrap().selector = Some(selector.into());
        Ok(())
    };
    root(&cluster).api::<Service>().modify(&ours(), select).await.unwrap();
    while !matches!(changes.next().await.unwrap(), cluster::Change::Deleted(slice) if slice.metadata.name.as_deref() == Some("kube-dns"))
    {
    }
    // the name is still answered: whoever is selected may have asked us
    until(&server, "kube-dns.kube-system.svc.cluster.local.", A, has("A 10.96.0.10")).await;
}
