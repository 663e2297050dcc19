//! Snapshots and watches.

mod common;

use api::{ObjectKey, ResourceVersion};
use common::{delete, key, maps, put};
use std::time::Duration;
use store::{EventKind, Options, Resource, Store, Write};

async fn with_keys(keys: &[ObjectKey]) -> Store {
    let store = Store::in_memory(Options::default());
    for key in keys {
        store.commit(vec![put(key, "v")]).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_list_begins_and_ends_where_it_is_told() {
    let of = ObjectKey::namespaced;
    let store = with_keys(&[of("b", "1"), of("a", "2"), of("a", "1"), of("c", "1"), of("ab", "1")]).await;
    let cases: [(&str, Option<&str>, Option<ObjectKey>, &[&str]); 8] = [
        ("all", None, None, &["a/1", "a/2", "ab/1", "b/1", "c/1"]),
        ("one namespace", Some("a"), None, &["a/1", "a/2"]),
        ("the second page of a namespace", Some("a"), Some(of("a", "1")), &["a/2"]),
        ("behind the last", Some("a"), Some(of("a", "2")), &[]),
        ("the second page of all", None, Some(of("a", "2")), &["ab/1", "b/1", "c/1"]),
        ("after a key that is gone", None, Some(of("a", "1x")), &["a/2", "ab/1", "b/1", "c/1"]),
        ("after a key before the namespace", Some("b"), Some(of("a", "1")), &["b/1"]),
        ("no such namespace", Some("aa"), None, &[]),
    ];
    let snapshot = store.snapshot();
    for (name, namespace, after, want) in cases {
        let listed = snapshot.list(&maps(), namespace, after.as_ref());
        let got: Vec<String> = listed.map(|object| object.key().to_string()).collect();
        assert_eq!(got, want, "{name}");
    }
    assert_eq!(snapshot.list(&Resource::from("pods"), None, None).count(), 0);
}

#[tokio::test]
async fn a_snapshot_stays_as_it_was() {
    let store = with_keys(&[key("a")]).await;
    let before = store.snapshot();
    store.commit(vec![put(&key("a"), "new"), put(&key("b"), "new")]).await.unwrap();
    assert_eq!((before.revision(), before.count(&maps(), None)), (ResourceVersion(1), 1));
    assert_eq!(common::value(&before.get(&maps(), &key("a")).unwrap()), "v");
    assert_eq!(format!("{before:?}"), "Snapshot { revision: ResourceVersion(1), .. }");
}

#[tokio::test]
async fn what_was_there_at_an_earlier_revision_is_told_as_long_as_its_events_are_held() {
    let store = with_keys(&[key("a"), key("b")]).await;
    let pods = Resource::from("pods");
    store.commit(vec![put(&key("a"), "new")]).await.unwrap();
    store.commit(vec![store::Write { resource: pods.clone(), ..put(&key("p"), "v") }]).await.unwrap();
    store.commit(vec![delete(&key("b"))]).await.unwrap();
    store.commit(vec![put(&key("b"), "again"), put(&key("c"), "v")]).await.unwrap();
    let shown = |resource: &Resource, revision: u64| {
        let snapshot = store.snapshot_at(resource, ResourceVersion(revision))?;
        assert_eq!(snapshot.revision(), ResourceVersion(revision));
        let listed: Vec<String> = snapshot
            .list(resource, None, None)
            .map(|object| format!("{}={}@{}", object.key().name, common::value(object), object.revision()))
            .collect();
        assert_eq!(snapshot.count(resource, Some("default")), listed.len(), "{revision}");
        Some(listed.join(" "))
    };
    let cases = [
        (0, Some("")),
        (1, Some("a=v@1")),
        (2, Some("a=v@1 b=v@2")),
        (3, Some("a=new@3 b=v@2")),
        // another resource's
        (4, Some("a=new@3 b=v@2")),
        (5, Some("a=new@3")),
        (6, Some("a=new@3 b=again@6")),
        (7, Some("a=new@3 b=again@6 c=v@7")),
        // not yet
        (8, None),
    ];
    for (revision, want) in cases {
        assert_eq!(shown(&maps(), revision).as_deref(), want, "{revision}");
    }
    assert_eq!(shown(&pods, 3).as_deref(), Some(""));
    assert_eq!(
        store.snapshot_at(&pods, ResourceVersion(4)).unwrap().count(&maps(), None),
        0,
        "one resource's"
    );
    store.forget_events(ResourceVersion(3));
    assert_eq!((shown(&maps(), 2), shown(&maps(), 3).as_deref()), (None, Some("a=new@3 b=v@2")));
}

#[tokio::test]
async fn a_deletion_shows_the_last_object_at_its_own_revision() {
    let store = with_keys(&[key("a")]).await;
    let mut watch = store.watch(&maps(), ResourceVersion(1)).unwrap();
    let committed = store.commit(vec![delete(&key("a"))]).await.unwrap();
    assert_eq!(
        (committed.revision, committed.objects[0].revision()),
        (ResourceVersion(2), ResourceVersion(2))
    );
    let event = watch.next().await.unwrap();
    assert_eq!((event.kind, event.object.revision()), (EventKind::Deleted, ResourceVersion(2)));
    assert_eq!((common::value(&event.object), event.previous.unwrap().revision().0), ("last".to_owned(), 1));
    assert!(store.commit(vec![delete(&key("a"))]).await.is_err(), "there is nothing left to delete");
    assert_eq!(store.revision(), ResourceVersion(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_watch_is_woken() {
    let store = with_keys(&[]).await;
    let mut watch = store.watch(&maps(), ResourceVersion(0)).unwrap();
    let waiting = tokio::spawn(async move { watch.next().await.unwrap().object.revision() });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert_eq!(woken.unwrap().unwrap(), ResourceVersion(1));
}

#[tokio::test]
async fn a_watcher_that_fell_out_of_the_window_is_told() {
    let store = Store::in_memory(Options { window: 4, ..Options::default() });
    let mut slow = store.watch(&maps(), ResourceVersion(0)).unwrap();
    let mut quick = store.watch(&maps(), ResourceVersion(0)).unwrap();
    for revision in 1..=10 {
        store.commit(vec![put(&key("a"), "v")]).await.unwrap();
        assert_eq!(quick.next().await.unwrap().object.revision().0, revision);
    }
    let too_old = slow.next().await.unwrap_err();
    assert_eq!((too_old.asked.0, too_old.oldest.0), (0, 6));
    assert_eq!(too_old.to_string(), "too old resource version: 0 (6)");
    assert!(store.watch(&maps(), ResourceVersion(5)).is_err());
    let mut held = store.watch(&maps(), ResourceVersion(6)).unwrap();
    assert_eq!(held.try_next().unwrap().unwrap().object.revision().0, 7);
    assert!(
        store.watch(&Resource::from("pods"), ResourceVersion(0)).is_ok(),
        "others have windows of their own"
    );
}

#[tokio::test]
async fn large_objects_shorten_the_window() {
    let store = Store::in_memory(Options { window_bytes: 100_000, ..Options::default() });
    for _ in 0..60 {
        store.commit(vec![put(&key("a"), &"x".repeat(10_000))]).await.unwrap();
    }
    let oldest = store.watch(&maps(), ResourceVersion(0)).map(|_| ()).unwrap_err().oldest;
    assert_eq!(oldest.0, 60 - 32, "the smallest window is kept whatever it weighs");
}

#[tokio::test]
async fn progress_rises_with_the_writes_to_others_but_not_past_an_unread_event() {
    let store = with_keys(&[]).await;
    let pods = Resource::from("pods");
    let mut watch = store.watch(&pods, ResourceVersion(0)).unwrap();
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    assert_eq!(watch.progress(), store.revision());
    store.commit(vec![store::Write { resource: pods, ..put(&key("a"), "v") }]).await.unwrap();
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    assert_eq!(watch.progress().0, 0);
    assert_eq!(watch.next().await.unwrap().object.revision().0, 2);
    assert_eq!(watch.progress().0, 3);
}

#[tokio::test]
async fn old_events_are_let_go_and_only_who_needs_them_notices() {
    let store = with_keys(&[]).await;
    let pods = Resource::from("pods");
    let mut idle = store.watch(&pods, ResourceVersion(0)).unwrap();
    let mut current = store.watch(&maps(), ResourceVersion(0)).unwrap();
    let mut behind = store.watch(&maps(), ResourceVersion(0)).unwrap();
    for _ in 0..5 {
        store.commit(vec![put(&key("a"), "v")]).await.unwrap();
        current.next().await.unwrap();
    }
    store.forget_events(ResourceVersion(3));
    assert_eq!(behind.try_next().map(|_| ()).unwrap_err().oldest.0, 3);
    assert!(store.watch(&maps(), ResourceVersion(2)).is_err());
    let mut later = store.watch(&maps(), ResourceVersion(3)).unwrap();
    assert_eq!(later.try_next().unwrap().unwrap().object.revision().0, 4);
    store.forget_events(store.revision());
    assert!(current.try_next().unwrap().is_none() && idle.try_next().unwrap().is_none());
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    store.commit(vec![store::Write { resource: pods, ..put(&key("a"), "v") }]).await.unwrap();
    assert_eq!(current.next().await.unwrap().object.revision().0, 6);
    assert_eq!(idle.next().await.unwrap().object.revision().0, 7);
}

#[tokio::test]
async fn what_is_deleted_weighs_what_it_holds() {
    let store = Store::in_memory(Options { window_bytes: 1_000_000, ..Options::default() });
    for number in 0..60 {
        store.commit(vec![put(&key(&format!("a{number}")), &"x".repeat(20_000))]).await.unwrap();
    }
    for number in 0..60 {
        store.commit(vec![delete(&key(&format!("a{number}")))]).await.unwrap();
    }
    let oldest = store.watch(&maps(), ResourceVersion(0)).map(|_| ()).unwrap_err().oldest;
    assert!(
        (65..=75).contains(&oldest.0),
        "a megabyte holds some fifty objects of 20 kB, not {}",
        120 - oldest.0
    );
}

fn pod(name: &str) -> Write {
    Write { resource: Resource::from("pods"), ..put(&key(name), "v") }
}

#[tokio::test]
async fn who_watches_everything_sees_each_event_once_and_of_one_resource_in_order() {
    let store = with_keys(&[key("before")]).await;
    let mut all = store.watch_all(store.revision());
    assert!(all.try_next().unwrap().is_none(), "what was there before is no event");
    store
        .commit(vec![put(&key("a"), "v"), pod("p"), put(&key("b"), "v"), delete(&key("before"))])
        .await
        .unwrap();
    store.commit(vec![pod("q")]).await.unwrap();
    let mut seen = Vec::new();
    while let Some((resource, event)) = all.try_next().unwrap() {
        seen.push((resource.as_str().to_owned(), event.kind, event.object.meta().name.clone()));
    }
    let of = |resource: &str| -> Vec<(EventKind, &str)> {
        seen.iter().filter(|(of, ..)| of == resource).map(|(_, kind, name)| (*kind, name.as_str())).collect()
    };
    let (added, deleted) = (EventKind::Added, EventKind::Deleted);
    assert_eq!(of(maps().as_str()), [(added, "a"), (added, "b"), (deleted, "before")]);
    assert_eq!(of("pods"), [(added, "p"), (added, "q")]);
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn who_watches_everything_is_woken_by_a_resource_that_nobody_knew() {
    let store = Store::in_memory(Options::default());
    let mut all = store.watch_all(store.revision());
    let other = store.clone();
    let waiting = tokio::spawn(async move { all.next().await.unwrap().0 });
    tokio::task::yield_now().await;
    other.commit(vec![pod("p")]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), Resource::from("pods"));
}

#[tokio::test]
async fn who_watches_everything_and_is_too_slow_is_told() {
    let store = Store::in_memory(Options { window: 2, ..Options::default() });
    let mut all = store.watch_all(store.revision());
    for name in ["a", "b", "c"] {
        store.commit(vec![put(&key(name), "v")]).await.unwrap();
    }
    assert!(all.try_next().is_err());
}
