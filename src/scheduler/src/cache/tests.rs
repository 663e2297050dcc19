use super::*;
use crate::place;
use serde_json::json;
use testkit::objects;

fn pod(name: &str, cpu: &str) -> objects::Builder<Pod> {
    objects::pod(name).uid(name).requests(&json!({"cpu": cpu}))
}

/// The next pod, and where it goes.
fn next(cache: &mut Cache, now: Instant) -> Option<(Arc<PodInfo>, Result<String, String>)> {
    let pod = cache.queue.pop(now)?;
    let placed = place(&pod, &cache.snapshot, &cache.context(&pod.pod, Storage::default(), None));
    match &placed {
        Ok(placement) => cache.assume(&pod, &placement.node, now),
        Err(why) => cache.queue.refused(&key_of(&pod.pod.metadata), why.plugins.clone(), now),
    }
    Some((pod, placed.map(|placement| placement.node).map_err(|why| why.to_string())))
}

#[test]
fn what_is_decided_counts_before_anybody_shows_it() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
    let one = Arc::new(pod("one", "2").build());
    cache.pod_is(&one, now);
    cache.pod_is(&Arc::new(pod("two", "2").build()), now);
    let (first, at) = next(&mut cache, now).unwrap();
    assert_eq!((first.pod.metadata.name.as_deref(), at), (Some("one"), Ok("n".to_owned())));
    let full = Err("0/1 nodes are available: 1 Insufficient cpu.".to_owned());
    assert_eq!(next(&mut cache, now).unwrap().1, full);
    // an informer that is behind changes nothing
    cache.pod_is(&Arc::new(pod("one", "2").label("late", "yes").build()), now);
    assert!(next(&mut cache, now).is_none());
    assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 2000);
    // it could not be bound, and gives back what it took
    cache.forget(&first, now);
    assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 0);
    let (second, at) = next(&mut cache, now).unwrap();
    assert_eq!((second.pod.metadata.name.as_deref(), at), (Some("two"), Ok("n".to_owned())));
    // an informer shows it, then it ends
    cache.pod_is(&Arc::new(pod("two", "2").on("n").build()), now);
    assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 2000);
    cache.queue.failed(&key_of(&one.metadata), "one", now);
    cache.pod_is(&Arc::new(pod("two", "2").on("n").status(&json!({"phase": "Succeeded"})).build()), now);
    assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 0);
}

#[test]
fn what_was_made_free_for_one_is_not_another_s() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
    let made_room = pod("high", "2").spec(&json!({"priority": 5}));
    let made_room = made_room.status(&json!({"nominatedNodeName": "n"})).build();
    cache.pod_is(&Arc::new(made_room), now);
    let high = cache.queue.pop(now).unwrap();
    cache.queue.refused(&key_of(&high.pod.metadata), [crate::Plugin::NodeResourcesFit].into(), now);
    for (name, priority, want) in [("lower", 1, false), ("same", 5, false), ("higher", 9, true)] {
        let other = PodInfo::of(Arc::new(pod(name, "1").spec(&json!({"priority": priority})).build()));
        let placed = place(&other, &cache.snapshot, &cache.context(&other.pod, Storage::default(), None));
        assert_eq!(placed.is_ok(), want, "{name}");
    }
    assert_eq!(
        place(&high, &cache.snapshot, &cache.context(&high.pod, Storage::default(), None)).unwrap().evaluated,
        1
    );
    cache.pod_is_gone(&high.pod.clone(), now);
    let other = PodInfo::of(Arc::new(pod("lower", "1").build()));
    assert!(place(&other, &cache.snapshot, &cache.context(&other.pod, Storage::default(), None)).is_ok());
}

#[test]
fn what_changes_on_the_way_to_a_node_is_known_when_it_is_not_reached() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
    let made = pod("one", "2").status(&json!({"nominatedNodeName": "n"}));
    cache.pod_is(&Arc::new(made.build()), now);
    let (one, at) = next(&mut cache, now).unwrap();
    assert_eq!((at, cache.nominated.len()), (Ok("n".to_owned()), 0));
    cache.pod_is(&Arc::new(made.clone().label("late", "yes").build()), now);
    cache.forget(&one, now);
    cache.queue.failed(&key_of(&one.pod.metadata), &one.id, now);
    assert_eq!(cache.nominated.len(), 1);
    let later = now + std::time::Duration::from_secs(1);
    let (again, at) = next(&mut cache, later).unwrap();
    assert_eq!((again.likeness.labels["late"].as_str(), at), ("yes", Ok("n".to_owned())));
    // somebody deletes it, and it has a finalizer
    let mut leaving = made.build();
    leaving.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
    cache.pod_is(&Arc::new(leaving), later);
    cache.forget(&again, later);
    cache.queue.failed(&key_of(&again.pod.metadata), &again.id, later);
    assert_eq!((cache.queue.due(), cache.nominated.len()), (None, 0));
    assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 0);
}

#[test]
fn what_was_decided_since_holds_against_a_status_that_is_behind() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
    cache.node_is(&Arc::new(objects::node("m").allocatable("2", "4Gi").build()), now);
    let (made, key) = (pod("one", "2"), ObjectKey::namespaced("default", "one"));
    let told = |node: &str| Arc::new(made.clone().status(&json!({"nominatedNodeName": node})).build());
    let (none, n, m) = (Arc::new(made.build()), told("n"), told("m"));
    // what was shown, what was decided then, what is shown then, and where its place is
    let cases = [
        ("somebody else writes it", &none, None, &n, Some("n")),
        ("it is cleared", &n, Some("n"), &none, None),
        ("nothing is shown yet", &none, Some("n"), &none, Some("n")),
        ("it is shown", &none, Some("n"), &n, Some("n")),
        ("another place, and the old one is shown", &n, Some("m"), &n, Some("m")),
        ("another place, and the old one is cleared", &n, Some("m"), &none, Some("m")),
        ("another place is shown", &n, Some("m"), &m, Some("m")),
        ("no place, and the old one is shown", &n, None, &n, None),
    ];
    for (name, before, decided, then, want) in cases {
        cache.pod_is(before, now);
        let info = cache.queue.pod(&key).unwrap().clone();
        cache.nominate(&info, decided, now);
        cache.pod_is(then, now);
        assert_eq!(cache.place_of(&key), want, "{name}");
        cache.pod_is_gone(then, now);
    }
    // it is the cache that says where it has made room: also while it is placed, and when it was not bound there
    cache.pod_is(&none, now);
    let one = cache.queue.pop(now).unwrap();
    cache.nominate(&one, Some("m"), now);
    let placed = place(&one, &cache.snapshot, &cache.context(&one.pod, Storage::default(), None)).unwrap();
    assert_eq!((placed.node.as_str(), placed.evaluated), ("m", 1));
    cache.assume(&one, "m", now);
    cache.forget(&one, now);
    assert_eq!(cache.place_of(&key), Some("m"));
    cache.lose_place(&key, "n", now);
    assert_eq!(cache.place_of(&key), Some("m"));
    cache.lose_place(&key, "m", now);
    assert_eq!(cache.place_of(&key), None);
}

#[test]
fn what_one_gives_up_another_takes() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
    // it is to come to the node, and may not yet
    let high =
        pod("high", "2").spec(&json!({"priority": 5, "schedulingGates": [{"name": "example.com/wait"}]}));
    cache.pod_is(&Arc::new(high.clone().status(&json!({"nominatedNodeName": "n"})).build()), now);
    cache.pod_is(&Arc::new(pod("low", "1").build()), now);
    assert!(next(&mut cache, now).unwrap().1.is_err());
    assert!(next(&mut cache, now).is_none());
    cache.pod_is(&Arc::new(high.build()), now);
    assert_eq!(next(&mut cache, now).unwrap().1, Ok("n".to_owned()));
}

#[test]
fn who_has_lost_what_it_made_free_looks_for_another() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
    cache.pod_is(&Arc::new(pod("there", "2").on("n").build()), now);
    let low = pod("low", "1");
    cache.pod_is(&Arc::new(low.clone().status(&json!({"nominatedNodeName": "n"})).build()), now);
    assert!(next(&mut cache, now).unwrap().1.is_err());
    assert!(next(&mut cache, now).is_none());
    cache.pod_is(&Arc::new(low.build()), now);
    assert!(next(&mut cache, now).unwrap().1.is_err());
    assert!(next(&mut cache, now).is_none());
}

#[test]
fn a_feature_that_a_node_declares_later_is_no_heartbeat() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    let node = objects::node("n");
    cache.node_is(&Arc::new(node.build()), now);
    let rule = json!({"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}});
    let pod = pod("a", "1").container(&json!({"restartPolicyRules": [rule]}));
    cache.pod_is(&Arc::new(pod.build()), now);
    assert!(next(&mut cache, now).unwrap().1.is_err());
    let declares = json!({"declaredFeatures": ["RestartAllContainersOnContainerExits"]});
    cache.node_is(&Arc::new(node.status(&declares).build()), now);
    assert_eq!(next(&mut cache, now).unwrap().1, Ok("n".to_owned()));
}

#[test]
fn a_heartbeat_wakes_nobody() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    let node = objects::node("n").allocatable("1", "4Gi");
    cache.node_is(&Arc::new(node.build()), now);
    cache.pod_is(&Arc::new(pod("a", "2").build()), now);
    assert!(next(&mut cache, now).unwrap().1.is_err());
    cache.node_is(&Arc::new(node.clone().status(&json!({"conditions": []})).build()), now);
    assert!(next(&mut cache, now).is_none());
    cache.node_is(&Arc::new(node.allocatable("2", "4Gi").build()), now);
    assert_eq!(next(&mut cache, now).unwrap().1, Ok("n".to_owned()));
}
