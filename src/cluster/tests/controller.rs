//! What every controller stands on: which keys are woken, and that nothing stops the others.

use ::api::{ObjectKey, Status};
use cluster::{Actor, Change, Controller};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kinds::{TypedKind, key_of};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn named<K: TypedKind + Default>(name: &str) -> K {
    let mut object = K::default();
    object.metadata_mut().name = Some(name.to_owned());
    object.metadata_mut().namespace = Some("default".to_owned());
    object
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

#[tokio::test]
async fn an_object_and_what_it_controls_wake_its_key() {
    let cluster = testkit::cluster(testkit::config()).await;
    let client = cluster.acting_as(Actor::root());
    let map = client.api::<ConfigMap>().create(named("owner")).await.unwrap();
    let (heard, mut hears) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let controller = Controller::new("test", &cluster)
        .reconciles::<ConfigMap>()
        .owns::<ConfigMap, Secret>()
        .watches::<Secret>(|queue, change| {
        if let Change::Deleted(secret) = change {
            queue.add(key_of(&secret.metadata));
        }
    });
    let running = tokio::spawn(controller.run(stop.clone(), heard, |heard, key| async move {
        heard.send(key.name.to_string()).unwrap();
        Ok::<(), Status>(())
    }));
    // what was there before it ran
    while hears.recv().await.unwrap() != "owner" {}
    let mut owned: Secret = named("owned");
    owned.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "owner".to_owned(),
        uid: map.metadata.uid.clone().unwrap(),
        controller: Some(true),
        ..OwnerReference::default()
    }]);
    client.api::<Secret>().create(owned).await.unwrap();
    while hears.recv().await.unwrap() != "owner" {}
    client.api::<Secret>().create(named("foreign")).await.unwrap();
    client.api::<Secret>().delete(&key("foreign"), Default::default()).await.unwrap();
    while hears.recv().await.unwrap() != "foreign" {}
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_key_whose_work_panics_comes_again_and_the_others_go_on() {
    let cluster = testkit::cluster(testkit::config()).await;
    let (heard, mut hears) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    // with one worker, whatever panics takes all there is
    let controller = Controller::<String>::new("test", &cluster).one_at_a_time();
    let queue = controller.queue();
    let broken = Arc::new(Mutex::new(HashSet::new()));
    let running =
        tokio::spawn(controller.run(stop.clone(), (broken, heard), |(broken, heard), key| async move {
            if key == "bad" && broken.lock().unwrap().insert(key.clone()) {
                panic!("the first time");
            }
            heard.send(key).unwrap();
            Ok::<(), Status>(())
        }));
    queue.add("bad".to_owned());
    queue.add("good".to_owned());
    let both: HashSet<String> = [hears.recv().await.unwrap(), hears.recv().await.unwrap()].into();
    assert_eq!(both, HashSet::from(["bad".to_owned(), "good".to_owned()]));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn one_whose_ears_panic_ends_with_its_panic() {
    let cluster = testkit::cluster(testkit::config()).await;
    let controller = Controller::<String>::new("test", &cluster)
        .listens(|_| Box::pin(async { panic!("it heard something odd") }));
    let running =
        tokio::spawn(controller.run(CancellationToken::new(), (), |(), _| async { Ok::<(), Status>(()) }));
    assert!(running.await.unwrap_err().is_panic(), "whoever started it hears of it");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_time_of_day_is_looked_at_when_the_clock_was_set() {
    let cluster = testkit::cluster(testkit::config()).await;
    let (heard, mut hears) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let controller = Controller::<String>::new("test", &cluster).heeds_clock();
    let queue = controller.queue();
    let running = tokio::spawn(controller.run(stop.clone(), heard, |heard, key| async move {
        heard.send(key).unwrap();
        Ok::<(), Status>(())
    }));
    let began = tokio::time::Instant::now();
    for name in ["a", "b"] {
        queue.add_after(name.to_owned(), std::time::Duration::from_secs(3600));
    }
    cluster.clock_was_set();
    let mut looked_at = [hears.recv().await.unwrap(), hears.recv().await.unwrap()];
    looked_at.sort();
    assert_eq!(looked_at, ["a", "b"]);
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "they waited for their timers");
    stop.cancel();
    running.await.unwrap();
}
