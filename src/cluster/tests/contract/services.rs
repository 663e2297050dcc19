//! Addresses and ports of Services.

use crate::objects::{cluster, key, reason, root, service, target};
use api::Reason;
use cluster::{Actor, DeleteOptions, Target, WriteOptions};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::networking::v1::IPAddress;
use kinds::TypedKind;

#[tokio::test]
async fn who_saw_a_service_go_may_have_its_address_at_once() {
    let cluster = cluster().await;
    let services = root(&cluster).api::<Service>();
    let first = services.create(service("a", Some(30001))).await.unwrap();
    let address = first.spec.unwrap().cluster_ip;
    let deletion = |there: Target| {
        let stored = cluster.get(&Actor::root(), &there).unwrap();
        let last = there.version.decode_stored(&stored).unwrap().encode().unwrap();
        store::Write {
            resource: store::Resource::from(&there.version.info().storage),
            key: stored.key(),
            precondition: store::Precondition::At(stored.revision()),
            change: store::Change::Delete { last },
            durability: store::Durability::Sync,
        }
    };
    // gone from the store, with its address, and whoever deleted it has not gone on yet
    let ip_address = cluster.registry().by_gvr(&IPAddress::info().gvr).unwrap();
    let gone = [
        target::<Service>(&cluster, Some("a")),
        Target::object(&ip_address, None, address.as_deref().unwrap()),
    ];
    cluster.store().commit(gone.map(deletion).into()).await.unwrap();
    let mut second = service("b", Some(30001));
    second.spec.as_mut().unwrap().cluster_ip = address.clone();
    services.create(second).await.unwrap();
    // the late deletion gives back what is not its own any more
    services.create(service("other", None)).await.unwrap();
    let mut third = service("c", None);
    third.spec.as_mut().unwrap().cluster_ip = address;
    assert_eq!(reason(services.create(third).await), Reason::Invalid);
}

#[tokio::test]
async fn ports_and_addresses_come_back_when_a_write_fails_or_a_service_goes() {
    let cluster = cluster().await;
    let services = root(&cluster).api::<Service>();
    for n in 0..4 {
        services.create(service(&format!("s{n}"), None)).await.unwrap();
    }
    let full = services.create(service("more", None)).await.unwrap_err();
    assert!(full.message.contains("range is full"), "{full}");
    let mut many = service("many", None);
    let ports = many.spec.as_mut().unwrap().ports.as_mut().unwrap();
    let one = ports[0].clone();
    let port = |n: i32| ServicePort { name: Some(format!("p{n}")), port: n, ..one.clone() };
    *ports = (1..100).map(port).collect();
    let full = services.create(many).await.unwrap_err();
    assert_eq!(full.causes.len(), 1, "it is full for all of them: {full}");
    let old = services.get(&key("s0")).unwrap().spec.unwrap().ports.unwrap()[0].node_port;
    services.delete(&key("s0"), DeleteOptions::default()).await.unwrap();
    let mut invalid = service("bad", old);
    invalid.spec.as_mut().unwrap().ports.as_mut().unwrap()[0].port = 0;
    assert_eq!(reason(services.create(invalid).await), Reason::Invalid);
    let pretend = WriteOptions { dry_run: true, ..WriteOptions::default() };
    let all = target::<Service>(&cluster, None);
    cluster.create(&Actor::root(), &all, Box::new(service("dry", old)), &pretend).await.unwrap();
    services.create(service("again", old)).await.unwrap();
}
