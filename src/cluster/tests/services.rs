//! What the cluster allocates to Services, and takes back.

use api::{ObjectKey, Status};
use cluster::{Actor, Api, Cluster, RangeUse, Remarks, Target, WriteOptions};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::api::networking::v1::IPAddress;
use kinds::TypedKind;
use serde_json::{Value, json};

fn service(name: &str, spec: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec})).unwrap()
}

async fn services() -> (Cluster, Api<Service>) {
    // four node ports
    let cluster = testkit::cluster(testkit::config()).await;
    let api = cluster.acting_as(Actor::root()).api();
    (cluster, api)
}

fn numbers(service: &Service) -> Vec<i32> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.map(|port| port.node_port.unwrap_or(0)).collect()
}

fn dns(tcp: Option<i32>, udp: Option<i32>) -> Value {
    json!([{"name": "tcp", "port": 53, "protocol": "TCP", "nodePort": tcp}, {"name": "udp", "port": 53, "protocol": "UDP", "nodePort": udp}])
}

#[tokio::test]
async fn tcp_and_udp_of_one_port_get_one_node_port() {
    let (_cluster, services) = services().await;
    let cases = [
        ("none given", dns(None, None), None),
        ("the first given", dns(Some(30001), None), Some(30001)),
        ("the second given", dns(None, Some(30002)), Some(30002)),
    ];
    for (name, ports, want) in cases {
        let made =
            services.create(service("dns", json!({"type": "NodePort", "ports": ports}))).await.unwrap();
        let [tcp, udp] = numbers(&made)[..] else { panic!("{name}") };
        assert!(tcp == udp && tcp != 0 && want.is_none_or(|want| want == tcp), "{name}: {tcp} {udp}");
        services.delete(&ObjectKey::namespaced("default", "dns"), Default::default()).await.unwrap();
    }
    // what would be two of one protocol at one number are two numbers
    let ports = json!([{"name": "a", "port": 80, "nodePort": 30000}, {"name": "b", "port": 53, "protocol": "UDP", "nodePort": 30000},
        {"name": "c", "port": 53, "protocol": "TCP"}]);
    let made = services.create(service("odd", json!({"type": "NodePort", "ports": ports}))).await.unwrap();
    assert!(numbers(&made)[2] != 30000, "{:?}", numbers(&made));
}

#[tokio::test]
async fn a_change_of_type_gives_back_what_the_new_type_has_not() {
    let (cluster, services) = services().await;
    let key = ObjectKey::namespaced("default", "web");
    let ports = json!([{"name": "a", "port": 80}, {"name": "b", "port": 81}, {"name": "c", "port": 82}, {"name": "d", "port": 83}]);
    let made = services.create(service("web", json!({"type": "NodePort", "ports": ports}))).await.unwrap();
    let address = made.spec.clone().unwrap().cluster_ip.unwrap();
    // as a client sends it that has read it: all fields as they were, but for the type
    let change = |kind: &'static str| {
        let services = services.clone();
        let key = key.clone();
        async move {
            let mut service = services.get(&key).unwrap();
            let spec = service.spec.as_mut().unwrap();
            spec.type_ = Some(kind.to_owned());
            spec.external_name = (kind == "ExternalName").then(|| "a.b".to_owned());
            services.update(service).await.unwrap().spec.unwrap()
        }
    };
    let external: ServiceSpec = change("ExternalName").await;
    assert_eq!((external.cluster_ip, external.cluster_ips, external.ip_families), (None, None, None));
    assert!(external.ports.unwrap().iter().all(|port| port.node_port.is_none()));
    // they are free, to the last
    let other = services
        .create(service("other", json!({"type": "NodePort", "clusterIP": address, "ports": ports})))
        .await
        .unwrap();
    assert_eq!(numbers(&other).len(), 4);
    services.delete(&ObjectKey::namespaced("default", "other"), Default::default()).await.unwrap();

    let balanced = change("LoadBalancer").await;
    assert!(
        balanced.cluster_ip.is_some() && balanced.ports.unwrap().iter().all(|port| port.node_port.is_some())
    );
    let inside = change("ClusterIP").await;
    assert_eq!((inside.external_traffic_policy, inside.allocate_load_balancer_node_ports), (None, None));
    assert!(inside.ports.unwrap().iter().all(|port| port.node_port.is_none()));

    // a health check's port is one of them
    let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "allocateLoadBalancerNodePorts": false,
        "healthCheckNodePort": 30003, "ports": [{"port": 80}]});
    services.create(service("local", local.clone())).await.unwrap();
    let refused: Status = services.create(service("second", local)).await.unwrap_err();
    assert!(
        refused
            .message
            .contains("spec.healthCheckNodePort: Invalid value: 30003: provided port is already allocated"),
        "{refused}"
    );
    services
        .modify(&ObjectKey::namespaced("default", "local"), |service| {
            service.spec.as_mut().unwrap().external_traffic_policy = Some("Cluster".into());
            Ok(())
        })
        .await
        .unwrap();
    let taken = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30003}]});
    services.create(service("third", taken)).await.unwrap();
    drop(cluster);
}

#[tokio::test]
async fn who_is_asked_for_its_health_is_given_a_port_for_it() {
    let (_cluster, services) = services().await;
    // its own node port is none
    let twice = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001,
        "ports": [{"port": 80, "nodePort": 30001}]});
    let refused: Status = services.create(service("twice", twice)).await.unwrap_err();
    let why = "spec.healthCheckNodePort: Invalid value: 30001: provided port is already allocated";
    assert!(refused.message.contains(why), "{refused}");
    let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]});
    let made = services.create(service("local", local.clone())).await.unwrap().spec.unwrap();
    let (node_port, check) =
        (made.ports.unwrap()[0].node_port.unwrap(), made.health_check_node_port.unwrap());
    assert!((30000..=30003).contains(&check) && check != node_port, "{check}");
    // who does not know of it keeps it
    let key = ObjectKey::namespaced("default", "local");
    let mut again = services.get(&key).unwrap();
    again.spec.as_mut().unwrap().health_check_node_port = None;
    let again = services.update(again).await.unwrap();
    assert_eq!(again.spec.unwrap().health_check_node_port, Some(check));
    // the other two of the four ports go the same way, then there are none
    services.create(service("second", local.clone())).await.unwrap();
    let full: Status = services.create(service("third", local.clone())).await.unwrap_err();
    let why = "spec.healthCheckNodePort: Invalid value: 0: failed to allocate a HealthCheck NodePort: range is full";
    assert!(full.message.contains(why), "{full}");
    // who needs none any more gives it back
    let mut plain = services.get(&key).unwrap();
    plain.spec.as_mut().unwrap().external_traffic_policy = Some("Cluster".to_owned());
    assert_eq!(services.update(plain).await.unwrap().spec.unwrap().health_check_node_port, None);
    let taken = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": check}]});
    services.create(service("third", taken)).await.unwrap();
}

#[tokio::test]
async fn who_claims_an_address_of_the_cluster_hears_that_it_leads_nowhere() {
    let (cluster, _) = services().await;
    let options = WriteOptions { remarks: Remarks::collected(), ..WriteOptions::default() };
    let version = cluster.registry().by_gvr(&Service::info().gvr).unwrap();
    let spec = json!({"externalIPs": ["10.96.0.10", "198.51.100.7", "10.244.3.9"], "ports": [{"port": 53}]});
    let target = Target::collection(&version, Some("default"));
    cluster.create(&Actor::root(), &target, Box::new(service("thief", spec)), &options).await.unwrap();
    let want = [
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        "spec.externalIPs[0]: 10.96.0.10 is an address of the cluster itself and is ignored",
        "spec.externalIPs[2]: 10.244.3.9 is an address of the cluster itself and is ignored",
    ];
    assert_eq!(options.remarks.take_warnings(), want);
    // also one of a range that came later
    cluster.set_further_service_ranges(&["198.51.100.0/24".parse().unwrap()]);
    let spec = json!({"externalIPs": ["198.51.100.7"], "ports": [{"port": 53}]});
    cluster.create(&Actor::root(), &target, Box::new(service("late", spec)), &options).await.unwrap();
    let warnings = options.remarks.take_warnings();
    assert!(warnings[1].contains("198.51.100.7 is an address of the cluster itself"), "{warnings:?}");
}

#[tokio::test]
async fn an_address_of_a_service_is_an_object_as_long_as_the_service_holds_it() {
    let (cluster, services) = services().await;
    let addresses: Api<IPAddress> = cluster.acting_as(Actor::root()).api();
    let ports = json!([{"port": 80}]);
    let made = services.create(service("web", json!({"ports": ports}))).await.unwrap();
    let ip = made.spec.unwrap().cluster_ip.unwrap();
    let key = ObjectKey::cluster(&ip);
    let address = addresses.get(&key).unwrap();
    let parent = address.spec.parent_ref;
    assert_eq!((parent.resource.as_str(), parent.name.as_str()), ("services", "web"));
    assert_eq!(parent.namespace.as_deref(), Some("default"));
    assert_eq!(
        serde_json::to_value(address.metadata.labels).unwrap(),
        json!({"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"})
    );
    // what a user takes away comes back
    let web = ObjectKey::namespaced("default", "web");
    addresses.delete(&key, Default::default()).await.unwrap();
    cluster.reconcile_ip_address(&web, ip.parse().unwrap()).await.unwrap();
    assert!(addresses.find(&key).unwrap().is_some());
    // no headless Service has one, and no ExternalName
    services.create(service("none", json!({"clusterIP": "None", "ports": ports}))).await.unwrap();
    services
        .modify(&web, |web| {
            let spec = web.spec.get_or_insert_default();
            (spec.type_, spec.external_name) = (Some("ExternalName".into()), Some("a.b".into()));
            Ok(())
        })
        .await
        .unwrap();
    assert!(addresses.find(&key).unwrap().is_none());
    // what somebody else holds no Service gets
    let others: IPAddress = serde_json::from_value(json!({"metadata": {"name": "10.96.0.77"},
        "spec": {"parentRef": {"group": "example.com", "resource": "gateways", "name": "g"}}}))
    .unwrap();
    addresses.create(others).await.unwrap();
    let refused = services
        .create(service("late", json!({"clusterIP": "10.96.0.77", "ports": ports})))
        .await
        .unwrap_err();
    assert!(refused.message.contains("provided IP is already allocated"), "{refused}");
    // and one that says of a Service what is not so goes
    let wrong: IPAddress = serde_json::from_value(json!({"metadata": {"name": "10.96.0.78",
        "labels": {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "none"}}}))
    .unwrap();
    addresses.create(wrong).await.unwrap();
    let none = ObjectKey::namespaced("default", "none");
    cluster.reconcile_ip_address(&none, "10.96.0.78".parse().unwrap()).await.unwrap();
    assert!(addresses.find(&ObjectKey::cluster("10.96.0.78")).unwrap().is_none());

    let again = services.create(service("again", json!({"clusterIP": ip, "ports": ports}))).await.unwrap();
    assert!(addresses.find(&key).unwrap().is_some());
    services.delete(&kinds::key_of(&again.metadata), Default::default()).await.unwrap();
    assert!(addresses.find(&key).unwrap().is_none());
}

fn address(service: &Service) -> String {
    service.spec.clone().unwrap().cluster_ip.unwrap()
}

#[tokio::test]
async fn further_ranges_are_given_from_when_the_first_is_full() {
    let config =
        cluster::ClusterConfig { service_cidr: "10.96.0.0/29".parse().unwrap(), ..testkit::config() };
    let cluster = testkit::cluster(config).await;
    let services: Api<Service> = cluster.acting_as(Actor::root()).api();
    let addresses: Api<IPAddress> = cluster.acting_as(Actor::root()).api();
    let make = |name: &str, ip: Option<&str>| {
        let (services, spec) = (services.clone(), json!({"clusterIP": ip, "ports": [{"port": 80}]}));
        let service = service(name, spec);
        async move { services.create(service).await }
    };
    let (first, second): (ipnet::Ipv4Net, ipnet::Ipv4Net) =
        ("10.250.0.0/30".parse().unwrap(), "10.251.0.0/30".parse().unwrap());
    let not_ours = "failed to allocate IP 10.250.0.1: the provided network does not match the current range";
    assert!(make("early", Some("10.250.0.1")).await.unwrap_err().message.contains(not_ours));
    // `kubernetes` has one of the six
    for n in 0..5 {
        assert!(address(&make(&format!("own{n}"), None).await.unwrap()).starts_with("10.96.0."));
    }
    let full = make("full", None).await.unwrap_err();
    assert!(full.message.contains("failed to allocate a serviceIP: range is full"), "{full}");

    cluster.give_service_addresses_from(&[first, second]);
    assert_eq!(cluster.use_of_service_range(first, &[]), RangeUse::Free);
    // what was refused for want of room is not any more, by the order of the ranges
    let asked = make("asked", Some("10.250.0.2")).await.unwrap();
    assert_eq!(address(&asked), "10.250.0.2");
    let given = [make("full", None).await.unwrap(), make("more", None).await.unwrap()];
    assert_eq!(address(&given[0]), "10.250.0.1");
    assert!(address(&given[1]).starts_with("10.251.0."), "{}", address(&given[1]));
    assert_eq!(addresses.get(&ObjectKey::cluster("10.250.0.1")).unwrap().spec.parent_ref.name, "full");
    let broadcast = make("odd", Some("10.250.0.3")).await.unwrap_err();
    assert!(broadcast.message.contains("provided IP 10.250.0.3 is not in the valid range"), "{broadcast}");
    let taken = make("odd", Some("10.250.0.2")).await.unwrap_err();
    assert!(taken.message.contains("provided IP is already allocated"), "{taken}");

    // a range that goes gives none, and what it gave stays
    cluster.give_service_addresses_from(&[second]);
    assert_eq!(cluster.use_of_service_range(first, &[second]), RangeUse::Held);
    let wider: [ipnet::Ipv4Net; 1] = ["10.250.0.0/16".parse().unwrap()];
    assert_eq!(cluster.use_of_service_range(first, &wider), RangeUse::Free, "held in another as well");
    let key = kinds::key_of(&asked.metadata);
    let change = |service: &mut Service| {
        service.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
        Ok(())
    };
    assert_eq!(address(&services.modify(&key, change).await.unwrap()), "10.250.0.2");
    assert_eq!(address(&make("last", None).await.unwrap()).split_at(7).0, "10.251.");
    assert!(make("none", None).await.unwrap_err().message.contains("range is full"));
    services.delete(&key, Default::default()).await.unwrap();
    assert_eq!(cluster.use_of_service_range(first, &[]), RangeUse::Held, "by the other");
    let full = ObjectKey::namespaced("default", "full");
    // somebody took the IPAddress of a Service away: it comes back
    addresses.delete(&ObjectKey::cluster("10.250.0.1"), Default::default()).await.unwrap();
    assert_eq!(cluster.use_of_service_range(first, &[]), RangeUse::Pending);
    cluster.reconcile_ip_address(&full, "10.250.0.1".parse().unwrap()).await.unwrap();
    assert_eq!(cluster.use_of_service_range(first, &[]), RangeUse::Held);
    services.delete(&full, Default::default()).await.unwrap();
    assert_eq!(cluster.use_of_service_range(first, &[]), RangeUse::Free);
}
