//! What a robustness suite has found in stores like this one over the years, a test each. With the others: a last write that is
//! lost, and revisions that go back, in `durability.rs`; a watcher that is starved, in `views.rs`.

mod common;

use api::ResourceVersion;
use common::{Kept, delete, key, lazily, maps, on_each_backend, open, put};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{EventKind, Options, Resource, Store, Write};

on_each_backend! {
    no_reader_sees_time_going_back
    a_writer_that_is_killed_leaves_a_counter_above_every_object
}

/// Four writers, of two resources, who put and delete, some of it lazily.
async fn write(store: &Store, rounds: usize) {
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..rounds {
                let name = key(&format!("w{writer}-{}", round % 3));
                let resource = Resource::from(["configmaps", "pods"][round % 2]);
                let write =
                    Write { resource, ..if round % 5 == 4 { delete(&name) } else { put(&name, "v") } };
                let write = if round % 3 == 0 { lazily(write) } else { write };
                let _ = store.commit(vec![write]).await; // there may be nothing to delete
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_watcher_sees_every_event_once_and_in_order_and_its_progress_promises_nothing_unseen() {
    let store = Store::in_memory(Options { window: 1 << 20, ..Options::default() });
    let done = Arc::new(AtomicBool::new(false));
    let follow = |resource: &'static str, look_at_progress: bool| {
        let (mut watch, done) =
            (store.watch(&Resource::from(resource), ResourceVersion(0)).unwrap(), done.clone());
        let store = store.clone();
        tokio::spawn(async move {
            let (mut seen, mut promised) = (Vec::new(), ResourceVersion(0));
            loop {
                let over = done.load(Ordering::SeqCst);
                while let Some(event) = watch.try_next().unwrap() {
                    let revision = event.object.revision();
                    assert!(
                        revision > promised,
                        "{resource}: {revision} comes after a progress of {promised}"
                    );
                    // who hears of an event reads no older state
                    assert!(store.revision() >= revision && store.snapshot().revision() >= revision);
                    seen.push(revision);
                    if look_at_progress {
                        promised = watch.progress();
                    }
                }
                if over {
                    return (resource, seen);
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let followers = [
        follow("configmaps", false),
        follow("configmaps", true),
        follow("pods", true),
        follow("pods", false),
    ];
    write(&store, 400).await;
    done.store(true, Ordering::SeqCst);
    let mut of_each: BTreeMap<&str, Vec<Vec<ResourceVersion>>> = BTreeMap::new();
    for follower in followers {
        let (resource, seen) = follower.await.unwrap();
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{resource}: twice, or out of order");
        of_each.entry(resource).or_default().push(seen);
    }
    let mut all: Vec<u64> = Vec::new();
    for (resource, seen) in of_each {
        assert_eq!(seen[0], seen[1], "{resource}: two watchers saw different things");
        all.extend(seen[0].iter().map(|revision| revision.0));
    }
    all.sort_unstable();
    assert_eq!(all, (1..=store.revision().0).collect::<Vec<_>>(), "no revision without its event");
}

async fn no_reader_sees_time_going_back(kept: &Kept) {
    let store = kept.open();
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (store, done) = (store.clone(), done.clone());
            std::thread::spawn(move || {
                let (mut newest, mut counter) = (ResourceVersion(0), ResourceVersion(0));
                while !done.load(Ordering::SeqCst) {
                    let snapshot = store.snapshot();
                    assert!(snapshot.revision() >= newest, "the store went back to {}", snapshot.revision());
                    newest = snapshot.revision();
                    let object = snapshot.get(&maps(), &key("counter")).map(|object| object.revision());
                    assert!(object.is_none_or(|revision| revision >= counter && revision <= newest));
                    counter = object.unwrap_or(counter);
                }
            })
        })
        .collect();
    for number in 0..300 {
        let write = put(&key("counter"), "v");
        let write = if number % 3 == 0 { lazily(write) } else { write };
        let committed = store.commit(vec![write]).await.unwrap();
        let read = store.snapshot().get(&maps(), &key("counter")).unwrap().revision();
        assert_eq!(
            (committed.revision, store.revision()),
            (read, read),
            "whoever is answered reads what he wrote"
        );
    }
    done.store(true, Ordering::SeqCst);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[tokio::test]
async fn a_watch_from_the_compacted_revision_misses_no_deletion_and_one_before_it_is_refused() {
    let store = Store::in_memory(Options { window: 4, ..Options::default() });
    for name in ["a", "b", "c"] {
        store.commit(vec![put(&key(name), "v")]).await.unwrap();
    }
    let listed = store.revision();
    for name in ["a", "b", "c"] {
        store.commit(vec![delete(&key(name))]).await.unwrap();
    }
    store.commit(vec![put(&key("d"), "v")]).await.unwrap();
    // four events are held: those of the revisions 4 to 7
    assert!(store.watch(&maps(), ResourceVersion(2)).is_err());
    let mut watch = store.watch(&maps(), listed).unwrap();
    let mut seen = Vec::new();
    while let Some(event) = watch.try_next().unwrap() {
        seen.push((event.kind, event.object.revision().0));
    }
    let gone = EventKind::Deleted;
    assert_eq!(seen, [(gone, 4), (gone, 5), (gone, 6), (EventKind::Added, 7)]);
    // and one that was there while the window moved on is told, instead of going on behind the gap
    let mut slow = store.watch(&maps(), listed).unwrap();
    store.commit(vec![put(&key("e"), "v")]).await.unwrap();
    assert_eq!(slow.try_next().map(|_| ()).unwrap_err().oldest.0, 4);
}

#[tokio::test]
async fn a_watch_of_a_future_revision_waits_for_it_and_shows_nothing_older() {
    let store = Store::in_memory(Options::default());
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    let mut watch = store.watch(&maps(), ResourceVersion(3)).unwrap();
    for _ in 2..=3 {
        store.commit(vec![put(&key("a"), "v")]).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(20), watch.next()).await;
        assert!(waiting.is_err(), "an event that is older than what was asked for");
    }
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    assert_eq!(watch.next().await.unwrap().object.revision().0, 4);
}

/// Nobody's revision is inconsistent after a crash: objects, counter and what is given out next agree.
#[tokio::test]
async fn after_a_crash_at_any_moment_the_counter_is_above_every_object() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 0..60 {
        let write = put(&key(&format!("a{}", number % 7)), "v");
        let write = if number % 4 == 1 { lazily(write) } else { write };
        let newest = store.commit(vec![write]).await.unwrap().revision;
        if number % 6 != 0 {
            continue;
        }
        let copy = tempfile::tempdir().unwrap();
        for file in ["cluster.db", "cluster.db-wal", "cluster.seal"] {
            std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
        }
        let after = open(copy.path());
        assert!(after.revision() >= newest, "{} was given out before {}", newest, after.revision());
        let highest = after.snapshot().list(&maps(), None, None).map(|object| object.revision()).max();
        assert!(highest.is_none_or(|highest| highest <= after.revision()));
        let next = after.commit(vec![put(&key("next"), "v")]).await.unwrap().revision;
        assert!(next > newest);
        after.close().await;
    }
}

async fn a_writer_that_is_killed_leaves_a_counter_above_every_object(kept: &Kept) {
    if kept.is_child() {
        let store = kept.open();
        for number in 0.. {
            let write = put(&key(&format!("a{}", number % 7)), "v");
            let write = if number % 4 == 1 { lazily(write) } else { write };
            let newest = store.commit(vec![write]).await.unwrap().revision;
            println!("seen {newest}");
        }
    }
    let mut newest = 0;
    for round in 0..4 {
        let test = "a_writer_that_is_killed_leaves_a_counter_above_every_object";
        let mut running = kept.child(test).spawn().unwrap();
        let out = std::io::BufReader::new(running.stdout.take().unwrap());
        let mut seen = std::io::BufRead::lines(out).map_while(Result::ok);
        let mut note = |line: String| {
            if let Some(revision) = line.strip_prefix("seen ") {
                newest = newest.max(revision.parse::<u64>().unwrap());
            }
        };
        seen.by_ref().take(20 + 7 * round).for_each(&mut note);
        running.kill().unwrap();
        running.wait().unwrap();
        seen.for_each(&mut note);
        let store = kept.open();
        assert!(store.revision().0 >= newest, "{newest} was given out before {}", store.revision());
        let highest = store.snapshot().list(&maps(), None, None).map(|object| object.revision()).max();
        assert!(highest.is_some_and(|highest| highest <= store.revision()));
        let next = store.commit(vec![put(&key("next"), "v")]).await.unwrap().revision;
        assert!(next.0 > newest);
        newest = next.0;
        store.close().await;
    }
}

#[tokio::test]
async fn a_file_that_a_burst_made_large_is_small_again_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let large = "x".repeat(1 << 20);
    let names: Vec<_> = (0..24).map(|n| key(&format!("burst-{n}"))).collect();
    store.commit(vec![put(&key("stays"), &large)]).await.unwrap();
    for name in &names {
        store.commit(vec![put(name, &large)]).await.unwrap();
    }
    for name in &names {
        store.commit(vec![delete(name)]).await.unwrap();
    }
    let revision = store.revision();
    store.close().await;
    let megabytes = || std::fs::metadata(dir.path().join("cluster.db")).unwrap().len() >> 20;
    assert!(megabytes() >= 24, "{} MB: a burst leaves nothing to give back", megabytes());
    let store = open(dir.path());
    assert!(megabytes() < 4, "{} MB", megabytes());
    assert_eq!(store.revision(), revision);
    assert_eq!(common::value(&store.snapshot().get(&maps(), &key("stays")).unwrap()), large);
    // what is written next is written to the file that there is now
    store.commit(vec![put(&key("next"), "1")]).await.unwrap();
    store.close().await;
    let store = open(dir.path());
    assert_eq!(common::value(&store.snapshot().get(&maps(), &key("next")).unwrap()), "1");
}
