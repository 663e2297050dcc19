//! Who speaks for drivers, and where.

use super::driver::{Behaviour, speak_for_it};
use super::*;
use csi::server::serve;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;

fn drivers(rig: &Rig) -> Vec<String> {
    csi_node(rig).spec.drivers.into_iter().map(|driver| driver.name).collect()
}

#[tokio::test]
async fn a_socket_that_nobody_answers_at_keeps_no_driver_known() {
    let mut rig = rig().await;
    let driver = Driver::start(rig.dir.path());
    rig.eventually("the driver is registered", || drivers(&rig) == [NAME]).await;
    rig.stop().await;
    let own = driver.sockets[1].clone();
    let dead = own.with_file_name("dead-reg.sock");
    drop(driver);
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    rig.start().await;
    rig.eventually("the driver is forgotten", || drivers(&rig).is_empty()).await;
    assert!(dead.exists());
}

#[tokio::test]
async fn a_driver_may_have_a_directory_of_its_own() {
    let rig = rig().await;
    for at in ["below/it/reg.sock", "below/it/again.sock"] {
        let driver = Driver::with(rig.dir.path(), Behaviour { registers_at: at, ..Behaviour::default() });
        rig.eventually("the driver is registered", || drivers(&rig) == [NAME]).await;
        drop(driver);
        rig.eventually("the driver is gone", || drivers(&rig).is_empty()).await;
    }
}

#[tokio::test]
async fn a_second_driver_of_a_name_waits_until_the_first_is_gone() {
    let rig = rig().await;
    let first = Driver::start(rig.dir.path());
    rig.eventually("the driver is registered", || first.asked() == ["registered true "]).await;
    let second = Arc::new(Mutex::new(Vec::new()));
    let socket = first.sockets[1].with_file_name("second-reg.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = tokio::spawn(serve(listener, speak_for_it(second.clone())));
    let heard = || second.lock().unwrap().clone();
    rig.eventually("it is refused", || !heard().is_empty()).await;
    assert_eq!(
        heard()[0],
        "registered false RegisterPlugin error -- plugin validation failed with err: validation failed for CSI Driver d.example at endpoint /var/lib/kubelet/plugins/d.example/csi.sock: kubernetes.io/csi: ValidatePlugin for CSI driver \"d.example\" failed. Another driver with the same name is already registered with a higher supported version: \"1.0.0\""
    );
    // the node service goes on: only who speaks for it is another
    fs::remove_file(&first.sockets[1]).unwrap();
    rig.eventually("it is registered", || heard().last().is_some_and(|last| last == "registered true "))
        .await;
    rig.eventually("the node says so", || drivers(&rig) == [NAME]).await;
    server.abort();
}

#[tokio::test]
async fn what_an_older_node_had_is_the_nodes() {
    let mut rig = rig().await;
    rig.stop().await;
    let nodes: Api<CSINode> = rig.root().api();
    let old = |node: &mut CSINode| {
        let owner = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: "n1".to_owned(),
            uid: "before".to_owned(),
            ..OwnerReference::default()
        };
        node.metadata.owner_references = Some(vec![owner]);
        Ok(())
    };
    nodes.modify(&ObjectKey::cluster(super::super::rig::NODE), old).await.unwrap();
    rig.start().await;
    let uid = node_object(&rig).metadata.uid.unwrap();
    let owners = csi_node(&rig).metadata.owner_references.unwrap();
    assert_eq!(owners.iter().map(|owner| owner.uid.as_str()).collect::<Vec<_>>(), [uid]);
}

#[tokio::test]
async fn a_node_that_comes_back_knows_its_drivers() {
    let rig = rig().await;
    let driver = Driver::start(rig.dir.path());
    rig.eventually("the driver is registered", || driver.asked() == ["registered true "]).await;
    let before = node_object(&rig).metadata.uid;
    let key = ObjectKey::cluster(super::super::rig::NODE);
    let nodes: Api<Node> = rig.root().api();
    nodes.delete(&key, DeleteOptions::default()).await.unwrap();
    // until the kubelet says again how its node is
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
    let node = || nodes.find(&key).unwrap();
    let is_back = || {
        let labels = node().and_then(|node| node.metadata.labels).unwrap_or_default();
        labels.get("d.example/zone").is_some_and(|zone| zone == "z")
    };
    rig.eventually("it is where it was", is_back).await;
    let uid = node().unwrap().metadata.uid;
    assert_ne!(uid, before);
    assert_eq!(csi_node(&rig).metadata.owner_references.unwrap()[0].uid, uid.unwrap());
    assert_eq!(drivers(&rig), [NAME]);
}
